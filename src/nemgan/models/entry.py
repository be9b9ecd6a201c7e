"""An entry of the catalogue, and what the rivals' presets are made of; no torch.

``shared``     the networks, optimiser, rates, steps and batch of NEMGAN's ``connected`` for such samples, so that
               models differ by what they are (but in colour an encoder has 24 channels first and no pooling, where
               NEMGAN's h has 32 and pools). Where a paper's adversarial loss is not its point, ours is used.
``published``  the constants of the model's own paper or code. Networks are of our families in the authors' widths,
               for shapes differ. A length that no source gives is 100,000 steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nemgan.errors import ConfigError, unknown

Defaults = dict[str, Any]
Preset = Callable[[tuple[int, ...], int], Defaults]


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue.

    Attributes:
        conditions: which of the paper's conditions it meets, by name.
        presets: by name, a function of a sample's shape and the number of clusters that returns dotted keys.
        at: module (of ``nemgan.models``, or with dots, anywhere) and class.
        takes: the settings it has, of those that shape a model.
        uses_labels: whether it learns from disclosed labels.
        learns_masses: whether it learns the clusters' masses without labels, whatever its settings.
        vectors_only: presets that are not for images.
    """

    name: str
    title: str
    paper: str
    conditions: Mapping[str, bool]
    presets: Mapping[str, Preset]
    default_preset: str
    at: tuple[str, str]
    takes: frozenset[str]
    uses_labels: bool = False
    learns_masses: bool = False
    vectors_only: frozenset[str] = frozenset()

    def defaults(self, preset: str, shape: tuple[int, ...], n_clusters: int = 2) -> Defaults:
        """Settings of ``preset`` for samples of ``shape`` and so many clusters, as dotted keys.

        Raises:
            ConfigError: no such preset, or one that is not for such samples.
        """
        if preset not in self.presets:
            raise unknown(f"preset of {self.name}", preset, self.presets)
        if len(shape) == 3 and preset in self.vectors_only:
            from nemgan.models import catalog

            found = [each for each in map(catalog.entry, catalog.names()) if preset in each.presets]
            others = ", ".join(each.name for each in found if preset not in each.vectors_only)
            left = ", ".join(each for each in self.presets if each not in self.vectors_only)
            raise ConfigError(
                f"preset {preset} of {self.name} is for vectors, not for images: use its preset {left}, or preset "
                f"{preset} of another model ({others})"
            )
        return self.presets[preset](shape, n_clusters)


ALL = frozenset(
    {"latent.dim", "network.style", "network.width", "rival.optimiser", "rival.weight_decay", "rival.decay"}
    | {f"gan.{key}" for key in ("steps", "batch", "lr", "critic_lr", "betas", "critic_steps", "ema")}
)
"""Settings that every rival has."""

_RIVAL: Defaults = {"prior": "uniform", "connect.steps": 0, "connect.refine_steps": 0, "gan.joint": False}
_LONG: Defaults = {
    "gan.steps": 100_000,
    "gan.ema": 0.0,
    "network.width": 64,
    "train.checkpoint_every": 1000,
    "train.sample_every": 2000,
    "train.evaluate_every": 2000,
}


def detailed(shape: tuple[int, ...]) -> bool:
    """Whether samples of ``shape`` are images of 16 pixels and more; smaller ones have settings of their own."""
    return len(shape) == 3 and shape[1] >= 16


PLANE: Defaults = {
    "gan.loss": "wgan-gp",
    "gan.penalty": 0.1,
    "gan.batch": 256,
    "gan.lr": 2e-3,
    "gan.critic_lr": 2e-3,
    "gan.ema": 0.99,
    "network.width": 64,
}
"""Of two or three numbers: a critic of bounded slope is blind to what is narrow there, and one without a penalty
between real and generated samples shows no way from one cluster to another (docs/notebook.md). With more numbers and
few samples, as in most tables, that bound is what keeps the critic from learning them by heart."""

WIDE: Defaults = {"gan.lr": 2e-3, "gan.critic_lr": 2e-3}
"""Of vectors of more numbers: at half of these rates generated rows are farther from a table's (docs/notebook.md)."""

GREY: Defaults = {"gan.lr": 4e-3, "gan.critic_lr": 1.6e-3}
"""Of grey images of usual size. At a quarter of these rates 1,500 steps leave the generator half trained: farther from
the data, and on digits less pure (docs/notebook.md). On colour images these are no better."""


def adversarial(shape: tuple[int, ...]) -> Defaults:
    """How generator and critic of samples of ``shape`` are trained, where not as the settings' own defaults say."""
    if len(shape) == 1:
        return PLANE if shape[0] <= 3 else WIDE
    return GREY if shape[0] == 1 and detailed(shape) else {}


def _as_ours(shape: tuple[int, ...], takes: frozenset[str]) -> Defaults:
    """Of ``adversarial`` what a model takes; where it has no such penalty, a critic in the plane without bound."""
    found = {key: value for key, value in adversarial(shape).items() if key in takes}
    if found.get("gan.loss") == "wgan-gp" and "gan.penalty" not in takes:
        found["gan.loss"] = "logistic"
    return found


def rival(
    name: str,
    at: tuple[str, str],
    title: str,
    paper: str,
    conditions: str,
    takes: str,
    *,
    shared: Defaults,
    published: Defaults,
    plane: Defaults | None = None,
    vectors_only: bool = False,
    learns_masses: bool = False,
) -> Entry:
    """An entry with presets ``shared`` and ``published``.

    Args:
        at: module (of ``nemgan.models``, or with dots, anywhere) and class.
        conditions: names of those it meets.
        takes: names of its settings beside those of all rivals.
        shared, published: what the presets set, beside what they set for all rivals.
        plane: what ``shared`` sets of two or three numbers beside that.
        vectors_only: the published constants are for vectors.
    """
    first: Defaults = _RIVAL | ({"prior": "learned"} if "C3" in conditions else {})
    taken = ALL | frozenset(takes.split())

    def ours(shape: tuple[int, ...], n_clusters: int) -> Defaults:
        width = 64 if len(shape) == 1 else 24 if shape[0] == 3 else 16
        of_plane = plane if plane is not None and adversarial(shape) is PLANE else {}
        return first | {"network.inverter_width": width} | shared | _as_ours(shape, taken) | of_plane

    def theirs(shape: tuple[int, ...], n_clusters: int) -> Defaults:
        return first | _LONG | {"network.inverter_width": 64 if len(shape) == 1 else 32} | published

    return Entry(
        name=name,
        title=title,
        paper=paper,
        conditions={c: c in conditions.split() for c in ("C1", "C2", "C3")},
        presets={"shared": ours, "published": theirs},
        default_preset="shared",
        at=at,
        takes=taken,
        vectors_only=frozenset({"published"} if vectors_only else ()),
        learns_masses=learns_masses,
    )
