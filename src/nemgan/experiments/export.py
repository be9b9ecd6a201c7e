"""A run's inverter and generator for programs without nemgan: torch's exported programs (.pt2) or ONNX.

``inverter``   x, raw samples (uint8 images (n, C, H, W), float32 vectors (n, D))  →  posterior (n, M), latent (n, dim)
``generator``  z (n, dim)  →  samples: images in [0, 1], vectors in the data's own units
``export.json`` says how z is made: z = ν₂ with 1 added at one of the last K coordinates, the mode (Eq. 1); ν₂ is
uniform in [−noise, noise]; ``modes`` gives each mode's mass and cluster. Where no generator was trained, there is none,
and no latent: it is trained with it. ``redraws`` is how often, at most, ``nemgan sample`` draws a sample again, under
the same mode, that the inverter puts in another cluster. Of a run, ``columns`` says how rows of its table become
vectors x, and ``cluster_names`` which class each cluster is, where labels were given; ``white`` is that of pictures of
more than 8 bits or of few tones, whose raw pixels become x by rint(clip(pixel / white, 0, 1) · 255).
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nemgan.callers import as_by_default
from nemgan.errors import ConfigError, MissingExtra, unknown
from nemgan.experiments.folder import write_json
from nemgan.experiments.outputs import check_free
from nemgan.experiments.run import load_run, model_card
from nemgan.marginals import apply_marginals
from nemgan.tones import apply_curves

if TYPE_CHECKING:
    from nemgan.models.base import Model

FORMATS = ("onnx", "torch-export")
RECIPE = (
    "z: dim numbers, uniform in [-noise, noise]; add 1 to z[first_mode_at + i], i an index into modes, drawn by mass "
    "among those of the cluster wanted; x = generator(z); draw again, up to redraws times, what inverter puts "
    "elsewhere (of images it is given rint(255 * x) as uint8)"
)
"""How samples of a cluster come of the exported networks."""


class ExportedInverter(nn.Module):
    """h and its second look, with the scaling before them and the merge after both."""

    offset: Tensor
    scale: Tensor
    merge: Tensor
    groups: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.inverter, self.images, self.inverts = model.inverter, len(model.shape) == 3, model.generates
        second = getattr(model, "second", None)
        self.second = second if second is not None and second.learned else None
        self.register_buffer("offset", model.offset.clone())
        self.register_buffer("scale", model.scale.clone())
        self.register_buffer("groups", model.groups.clone())
        self.register_buffer("merge", F.one_hot(model.groups, model.n_clusters).float())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = x.float() / 255 if self.images else (x - self.offset) / self.scale
        latent, logits = self.inverter(x)
        if self.second is not None:
            logits = logits + self.second.at_once(x)[:, self.groups]
        posterior = logits.softmax(1) @ self.merge
        return (posterior, latent) if self.inverts else (posterior,)


class ExportedGenerator(nn.Module):
    """g with the marginals and the scaling, or the tones, after it."""

    offset: Tensor
    scale: Tensor
    tones: Tensor
    marginals: Tensor
    groups: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.generator, self.images = model.generator_ema, len(model.shape) == 3
        self.mode = model.latent.mode
        self.register_buffer("offset", model.offset.clone())
        self.register_buffer("scale", model.scale.clone())
        self.register_buffer("tones", model.tones.clone())
        self.register_buffer("marginals", model.marginals.clone())
        self.register_buffer("groups", model.groups.clone())

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.generator(z)
        if self.images:
            return apply_curves(self.tones, x)
        if len(self.marginals):
            x = apply_marginals(self.marginals, x, self.groups[self.mode(z)])
        return x * self.scale + self.offset


def export_run(run: Path, form: str = "torch-export", out: Path | None = None) -> list[Path]:
    """Write a finished run's networks in ``form`` into ``out`` (by default RUN/export); returns the files.

    Raises:
        NemganError: not a finished run, no such format, ``out`` is not empty, or onnx not installed.
    """
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if out is not None:
        check_free(Path(out))
    _, model = load_run(Path(run))
    card = model_card(Path(run))
    about: dict[str, object] = {"columns": list(card.columns)} if card.columns else {}
    if card.white is not None:
        about["white"] = card.white
    if any(card.cluster_names):
        about["cluster_names"] = list(card.cluster_names)
    return export_model(model, Path(run) / "export" if out is None else Path(out), form, about)


@as_by_default()
def export_model(
    model: Model, folder: Path, form: str = "torch-export", about: Mapping[str, object] | None = None
) -> list[Path]:
    """Write ``inverter`` and, where it was trained, ``generator`` of ``model`` and ``export.json`` into ``folder``.

    Args:
        about: more to say in ``export.json``.

    Raises:
        ConfigError: a model without these networks. MissingExtra: onnx is not installed.
    """
    if not all(hasattr(model, name) for name in ("inverter", "generator_ema", "groups", "latent", "prior")):
        raise ConfigError(f"a {type(model).__name__} run cannot be exported, only one of model nemgan can")
    found: Any = copy.deepcopy(model).to("cpu").eval()  # the caller's stays where it is
    kind = torch.uint8 if len(found.shape) == 3 else torch.float32
    told = ["posterior", "latent"] if found.generates else ["posterior"]
    networks: dict[str, tuple[nn.Module, Tensor, list[str], list[str]]] = {
        "inverter": (ExportedInverter(found), torch.zeros(2, *found.shape, dtype=kind), ["x"], told),
    }
    how: dict[str, Any] = {}
    if found.generates:
        modes = zip(found.prior.masses().tolist(), found.groups.tolist(), strict=True)
        how["latent"] = {"dim": found.latent.dim, "noise": found.latent.noise, "modes": found.n_modes}
        how["latent"] |= {"first_mode_at": found.latent.dim - found.n_modes, "recipe": RECIPE}
        how["redraws"] = found.redraws
        how["modes"] = [{"mass": mass, "cluster": cluster} for mass, cluster in modes]
        networks["generator"] = (ExportedGenerator(found), torch.zeros(2, found.latent.dim), ["z"], ["x"])
    if form == "onnx":
        _need_onnx()
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, (network, example, inputs, outputs) in networks.items():
        path = folder / f"{name}{'.onnx' if form == 'onnx' else '.pt2'}"
        part = path.with_name(f".part-{path.name}")
        with _quiet():
            program = torch.export.export(network.eval(), (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
            if form == "onnx":
                torch.onnx.export(
                    program,
                    (),
                    str(part),
                    input_names=inputs,
                    output_names=outputs,
                    external_data=False,
                    verbose=False,
                )
            else:
                torch.export.save(program, part)
        part.replace(path)
        paths.append(path)
    card = folder / "export.json"
    write_json(
        card,
        {
            "shape": list(found.shape),
            "input": str(kind).removeprefix("torch."),
            **how,
            "masses": found.masses().tolist(),
            **(about or {}),
        },
    )
    return [*paths, card]


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtra("--format onnx", "onnx and onnxscript", "onnx") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters' warnings about their own insides are nobody's business here."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    try:
        log.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
