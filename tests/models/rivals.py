"""Small data and trainings that the tests of the rivals share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from nemgan.data.dataset import Dataset
from nemgan.data.pool import Pool
from nemgan.experiments.config import build
from nemgan.models import catalog
from nemgan.models.base import Model
from nemgan.training.loop import train

TINY = {"gan.steps": 2, "gan.batch": 6, "network.width": 4, "network.inverter_width": 4}
SMALL = {"gan.batch": 64, "network.width": 16, "network.inverter_width": 16, "latent.dim": 8, "gan.ema": 0.9}
SMALL |= {"gan.lr": 1e-3, "gan.critic_lr": 4e-4, "gan.loss": "hinge", "gan.penalty": 10.0}  # whatever the presets say
CENTRES = np.array([[0, 0], [6, 0], [0, 6]])


def noise(shape: tuple[int, ...], n: int = 40) -> Dataset:
    """Unlabelled noise: uint8 images or float vectors."""
    x = np.random.default_rng(0).integers(0, 255, (n, *shape))
    return Dataset(x.astype(np.uint8 if len(shape) == 3 else np.float32), np.full(n, -1), ("a", "b", "c"), "noise")


def blobs(n: int = 600) -> Dataset:
    """Three far-apart Gaussians of equal mass, unlabelled."""
    x = CENTRES[np.arange(n) % 3] + np.random.default_rng(0).normal(0, 0.4, (n, 2))
    return Dataset(x.astype(np.float32), np.full(n, -1), ("a", "b", "c"), "blobs")


def make(
    name: str, shape: tuple[int, ...] = (2,), *, seed: int = 0, prior: np.ndarray | None = None, **changes: object
) -> Model:
    """Model ``name`` of three clusters by its preset ``shared`` with ``changes`` (keys with __ for the dot)."""
    entry = catalog.entry(name)
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    preset = str(dotted.pop("preset", entry.default_preset))
    return catalog.create(name, build({**dotted}, entry.defaults(preset, shape)), shape, 3, prior, seed)


def tiny(name: str, shape: tuple[int, ...] = (2,), **changes: object) -> Model:
    """The smallest of its kind, two steps of training; NEMGAN's inverter needs some more to use all its modes."""
    extra: Mapping[str, object] = {}
    if name == "ganmm":
        extra = {"rival.pretrain": 1}
    if name == "nemgan":
        extra = {
            "connect.partitions": 2,
            "connect.steps": 12,
            "connect.refine_steps": 2,
            "connect.micro_modes": 6,
            "connect.batch": 16,
            "connect.neighbours": 3,
        }
    if name not in ("nemgan", "veegan") and len(shape) == 1:
        extra = {**extra, "latent.dim": 5}
    return make(name, shape, **{**TINY, **extra, **changes})


def fit(name: str, steps: int, data: Dataset | None = None, **changes: object) -> Model:
    """A small model trained for ``steps`` steps on ``data`` (blobs)."""
    model = make(name, **{**SMALL, "gan.steps": steps, **changes})
    train(model, Pool.of(data or blobs()), seed=0)
    return model


def centre_of(x: torch.Tensor, model: Model) -> torch.Tensor:
    """The nearest blob of generated samples ``x``, ``(n,)``."""
    return torch.cdist(model.decode(x), torch.tensor(CENTRES, dtype=x.dtype)).argmin(1)
