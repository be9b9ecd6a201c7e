"""Models by name: what each is, and the settings each preset gives it for the data at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemgan.errors import unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nemgan.models.base import Model
    from nemgan.settings import ModelSettings

Defaults = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue.

    Attributes:
        conditions: which of the paper's conditions it meets, by name.
        presets: by name, a function of a sample's shape that returns defaults as dotted keys.
    """

    name: str
    title: str
    paper: str
    conditions: Mapping[str, bool]
    presets: Mapping[str, Callable[[tuple[int, ...]], Defaults]]
    default_preset: str

    def defaults(self, preset: str, shape: tuple[int, ...]) -> Defaults:
        """Settings of ``preset`` for samples of ``shape``, as dotted keys.

        Raises:
            ConfigError: no such preset.
        """
        if preset not in self.presets:
            raise unknown(f"preset of {self.name}", preset, self.presets)
        return self.presets[preset](shape)


def _connected(shape: tuple[int, ...]) -> Defaults:
    """Our own: h learns from the data's neighbourhoods, then a compact GAN with a critic of (x, mode) pairs."""
    if len(shape) == 1:
        return {"network.inverter_width": 64}  # curved clusters need a wide h
    if shape[1] < 16:
        # Sets of small images are small sets: features fit their noise, and long training too.
        return {
            "connect.steps": 250,
            "connect.refine_steps": 100,
            "connect.augment": 0.6,
            "connect.raw_share": 0.5,
        }
    if shape[0] == 3:
        # Colours and poses vary more within a class than between classes: features first, neighbours then.
        return {
            "network.inverter_style": "pooled",
            "network.inverter_width": 32,
            "contrast.steps": 1300,
            "connect.steps": 0,
            "connect.refine_steps": 0,
        }
    return {}


def _reference(shape: tuple[int, ...]) -> Defaults:
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


def _paper(shape: tuple[int, ...]) -> Defaults:
    """Eq. 3–4 as printed: the same networks and adversarial loss, and cross-entropy alone for D(P_Ŷ, P_Y)."""
    return _reference(shape) | {"gan.inversion_loss": "cross-entropy", "gan.reconstruction": 0.0}


_ENTRIES = {
    "nemgan": Entry(
        name="nemgan",
        title="NEMGAN: additive multimodal latent space, inverter, matched or learned prior",
        paper="Mishra, Jayendran and Prathosh 2020, Effect of The Latent Structure on Clustering with GANs",
        conditions={"C1": True, "C2": True, "C3": True},
        presets={"connected": _connected, "paper": _paper, "reference": _reference},
        default_preset="connected",
    ),
}


def names() -> list[str]:
    """Names of all models."""
    return sorted(_ENTRIES)


def entry(name: str) -> Entry:
    """The catalogue's entry for ``name``.

    Raises:
        ConfigError: no such model.
    """
    if name not in _ENTRIES:
        raise unknown("model", name, _ENTRIES)
    return _ENTRIES[name]


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
        ConfigError: no such model, or settings that make none (modes that overlap, too few modes).
    """
    entry(name)
    from nemgan.models.nemgan import NEMGAN

    return NEMGAN(settings, shape, n_clusters, prior, seed)
