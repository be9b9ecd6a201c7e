"""Models by name: what each is, and the settings each preset gives it for the data at hand."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from nemgan.callers import as_by_default
from nemgan.errors import ConfigError, unknown
from nemgan.models.entry import Defaults, Entry, adversarial, detailed
from nemgan.models.rivals import RIVALS
from nemgan.settings import ConnectConfig, LatentConfig, ModelSettings, RivalConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nemgan.models.base import Model

__all__ = ["Entry", "create", "entry", "names"]


FEW_IMAGES = 3000
"""Training images below which h is connected more than once."""


ROWS = {"gan.inversion": 0.02, "gan.marginals": True}
"""Of vectors of more than three numbers, rows of a table for the most part: h is sure of itself far from the data, and
would hold the generator there."""


def _connected(shape: tuple[int, ...], n_clusters: int) -> Defaults:
    """Our own: h learns from the data's neighbourhoods, then a compact GAN with a critic of (x, mode) pairs.

    Rare clusters are shown to it more often than they are, and samples on their borders not at all: seen by their
    masses alone, a cluster of a tenth is generated .83 to .89 pure where the other is .997 (docs/notebook.md).
    """
    found = {"gan.even": 0.5, "gan.margin": 0.5, "gan.redraws": 9} | adversarial(shape) | _connection(shape, n_clusters)
    if 2 * n_clusters > found.get("connect.micro_modes", ConnectConfig().micro_modes):  # or there is none to merge
        dim = max(2 * n_clusters, found.get("latent.dim", LatentConfig().dim))
        found |= {"connect.micro_modes": 2 * n_clusters, "latent.dim": dim}
    return found


def _connection(shape: tuple[int, ...], n_clusters: int) -> Defaults:
    """How h is connected to samples of ``shape``."""
    if len(shape) == 1:
        # Curved clusters need a wide h. Nothing changes a vector but noise, so h's features know no neighbours that the
        # samples do not: looked up there, h's own mistakes come back. All ten count, or too few do where data are few.
        return {
            "network.inverter_width": 64,
            "connect.restarts": 3,
            "connect.raw_share": 1.0,
            "connect.weights": "flat",
            **({"gan.inversion_of": "clusters"} if shape[0] <= 3 else ROWS),
        }
    if not detailed(shape):
        # Sets of small images are small sets: features fit their noise, and long training too. How much of so few
        # pixels is ink does tell one from another, so neighbours are those by distance.
        return {
            "connect.steps": 250,
            "connect.refine_steps": 100,
            "connect.augment": 0.6,
            "connect.raw_share": 0.5,
        }
    if shape[0] == 3:
        # Colours and poses vary more within a class than between classes: features first, neighbours then. So much
        # variety needs noise that weighs more beside the mode, and h need not tell the modes of one cluster apart. Of
        # many kinds h is sure of few samples, and generated ones of which it is sure are unlike the data; the critic of
        # pairs sees to it that they are of their mode (docs/notebook.md).
        return {
            "latent.dim": 200,
            "gan.inversion_of": "clusters",
            **({"gan.inversion": 0.0} if n_clusters > 2 else {}),
            "network.inverter_style": "pooled",
            "network.inverter_width": 32,
            "contrast.steps": 1300,
            "connect.second_look": True,
            "connect.metric": "cosine",
            "connect.steps": 0,
            "connect.refine_steps": 0,
            "connect.micro_modes": 40,
        }
    if n_clusters > 3:
        return {
            "connect.second_look": True,
            "connect.metric": "cosine",
            "connect.micro_modes": 40,
            "connect.steps": 600,
            "connect.batch": 192,
            "connect.refresh": 150,
            "connect.raw_share": 0.5,
            "connect.refine_steps": 900,
            "connect.micro_weight": 0.0,
            # where pixels leave it open how many kinds belong together, views that show most of an image may tell
            "contrast.steps": 1000,
            "contrast.judged": 0.99,
            "contrast.area": 0.6,
            "contrast.crop": 0.8,
        }
    return {"connect.second_look": True, "connect.metric": "cosine", "connect.refine_steps": 900}


def restarted(defaults: Defaults, shape: tuple[int, ...], n: int) -> Defaults:
    """``defaults`` for ``n`` grey images of ``shape``: where they are few, h is connected three times, by pixels alone.

    Single runs depend on the seed there (ACC .95 to .996 on 1,240 pictures). The merge that costs least was better on
    two of three seeds and the same on the third, and connecting to few is soon done (docs/notebook.md). They
    are refined for a third of the steps: longer was not measured on few.
    """
    grey = detailed(shape) and defaults.get("network.inverter_style") != "pooled"
    if grey and n < FEW_IMAGES and defaults.get("connect.steps", 1):
        refine = defaults.get("connect.refine_steps", ConnectConfig().refine_steps)
        return {"connect.restarts": 3} | defaults | {"contrast.steps": 0, "connect.refine_steps": refine // 3}
    return defaults


def _thorough(shape: tuple[int, ...], n_clusters: int) -> Defaults:
    """``connected`` for those who can wait three to five times as long: h is wider or, in colour, trained for longer.

    On vectors and small images, where either does harm, there are more restarts instead.
    """
    given = _connected(shape, n_clusters)
    if not detailed(shape):
        return given | {"connect.restarts": 2 * given.get("connect.restarts", 1)}
    if given.get("network.inverter_style") == "pooled":
        return given | {"contrast.steps": 3 * given["contrast.steps"]}
    return given | {"network.inverter_width": 32}


def _reference(shape: tuple[int, ...], n_clusters: int) -> Defaults:
    """The released code: its networks, WGAN-GP with one critic step, 10·MSE + binary cross-entropy, 200,000 steps."""
    return {
        "network.style": "reference" if len(shape) == 3 else "compact",
        "connect.steps": 0,
        "connect.refine_steps": 0,
        "gan.loss": "wgan-gp",
        "gan.steps": 200_000,
        "gan.batch": 64,
        "gan.lr": 1e-4,
        "gan.critic_lr": 1e-4,
        "gan.betas": [0.5, 0.9],
        "gan.joint": False,
        "gan.inversion": 1.0,
        "gan.inversion_loss": "binary",
        "gan.reconstruction": 10.0,
        "gan.train_inverter": True,
        "gan.ema": 0.0,
        "train.checkpoint_every": 1000,
        "train.sample_every": 2000,
        "train.evaluate_every": 2000,
    }


def _paper(shape: tuple[int, ...], n_clusters: int) -> Defaults:
    """Eq. 3–4 as printed: the same networks and adversarial loss, and cross-entropy alone for D(P_Ŷ, P_Y)."""
    return _reference(shape, n_clusters) | {"gan.inversion_loss": "cross-entropy", "gan.reconstruction": 0.0}


def _keys(*sections: str) -> frozenset[str]:
    """Every setting of the ``sections`` that shape a model, dotted."""
    fields = {name: ModelSettings.model_fields[name].annotation for name in sections}
    return frozenset(f"{name}.{key}" for name, kind in fields.items() for key in getattr(kind, "model_fields", {}))


_NEMGAN = Entry(
    name="nemgan",
    title="NEMGAN: additive multimodal latent space, inverter, matched or learned prior",
    paper="Mishra, Jayendran and Prathosh 2020, Effect of The Latent Structure on Clustering with GANs",
    conditions={"C1": True, "C2": True, "C3": True},
    presets={"connected": _connected, "thorough": _thorough, "paper": _paper, "reference": _reference},
    default_preset="connected",
    at=("nemgan", "NEMGAN"),
    takes=_keys(*(section for section in ModelSettings.model_fields if section != "rival")),
    uses_labels=True,
)

GROUP = "nemgan.models"


@lru_cache(maxsize=1)
def _entries() -> Mapping[str, Entry]:
    """All models: ours, and those that installed packages declare in the entry-point group ``nemgan.models``.

    One that cannot be loaded, or has a name that is taken, is left out with a warning: it is not to stop the others.
    """
    found = {each.name: each for each in [_NEMGAN, *RIVALS]}
    for point in entry_points(group=GROUP):
        try:
            each = point.load()
            if not isinstance(each, Entry) or each.name in found:
                raise TypeError("no entry" if not isinstance(each, Entry) else f"there is a model {each.name} already")
            found[each.name] = each
        except Exception as error:  # whatever a stranger's module raises
            logging.getLogger("nemgan").warning("nemgan: note: %s is left out: %s", point.value, error)
    return found


def names() -> list[str]:
    """Names of all models."""
    return sorted(_entries())


def entry(name: str) -> Entry:
    """The catalogue's entry for ``name``.

    Raises:
        ConfigError: no such model.
    """
    if name not in _entries():
        raise unknown("model", name, _entries())
    return _entries()[name]


def having(condition: str) -> list[str]:
    """Names of the models that meet ``condition`` (C1, C2 or C3)."""
    return [name for name in names() if _entries()[name].conditions[condition]]


def name_of(kind: str) -> str:
    """The name of the model whose class is called ``kind``; that itself where there is none in the catalogue."""
    return next((each.name for each in _entries().values() if each.at[1] == kind), kind)


_LACKS = {"C1": "has no modes", "C2": "has no inverter", "C3": "takes its modes to be equally likely"}
_INSTEAD = {"C1": "ask for no mode", "C2": "do without", "C3": "use prior=uniform"}


def lacking(name: str, condition: str, asked: str) -> ConfigError:
    """The error for ``asked`` of a model that does not meet ``condition``; it names those that do."""
    return ConfigError(
        f"{asked} is more than model {name} can do, which {_LACKS[condition]} (condition {condition}): "
        f"{_INSTEAD[condition]}, or use {_either(having(condition))}"
    )


def without_labels(name: str) -> ConfigError:
    """The error for labels given to a model that uses none."""
    using = [each.name for each in _entries().values() if each.uses_labels]
    return ConfigError(f"model {name} learns from no labels: use labels=0, or model {_either(using)}")


def refuse(name: str, keys: Iterable[str]) -> None:
    """See that model ``name`` has the settings ``keys``, as far as they shape a model.

    Raises:
        ConfigError: it does not have one of them; the message names the models that do.
    """
    for key in keys:
        having = sorted(each.name for each in _entries().values() if key in each.takes)
        if having and name not in having:
            raise ConfigError(f"{key} is no setting of model {name}: drop it, or use {_either(having)}")


def _either(models: list[str]) -> str:
    return models[0] if len(models) == 1 else f"{', '.join(models[:-1])} or {models[-1]}"


def _complete(settings: ModelSettings, of: Entry, shape: tuple[int, ...]) -> ModelSettings:
    """``settings`` with the constants of the rivals' section that are None and that the model has, by its preset."""
    given = settings.rival.model_dump()
    refuse(of.name, (f"rival.{key}" for key, value in RivalConfig().model_dump().items() if given[key] != value))
    usual = of.defaults(of.default_preset, shape)
    missing = {key: usual[f"rival.{key}"] for key, value in given.items() if value is None and f"rival.{key}" in usual}
    return settings.model_copy(update={"rival": settings.rival.model_copy(update=missing)}) if missing else settings


@as_by_default()
def create(
    name: str,
    settings: ModelSettings,
    shape: tuple[int, ...],
    n_clusters: int,
    prior: NDArray[np.float64] | None,
    seed: int,
) -> Model:
    """A new model on the CPU with weights drawn from ``seed``; ``prior`` (M,) where masses are known, else None.

    ``shape`` is that of one sample.

    Raises:
        ConfigError: no such model, settings that make none (modes that overlap, too few modes), or another model's.
    """
    found = entry(name)
    module, kind = found.at
    settings = _complete(settings, found, shape)
    found_in = import_module(module if "." in module else f"nemgan.models.{module}")
    model: Model = getattr(found_in, kind)(settings, shape, n_clusters, prior, seed)
    return model
