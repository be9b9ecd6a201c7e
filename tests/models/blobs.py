"""Three blobs in the plane, and the connected model made for them, small enough to train in a test."""

from __future__ import annotations

import numpy as np

from nemgan.data.dataset import Dataset
from nemgan.experiments.config import build
from nemgan.models import catalog
from nemgan.models.nemgan import NEMGAN

MASSES = np.array([0.6, 0.3, 0.1])
SHORT = {
    "connect.partitions": 2,
    "connect.steps": 120,
    "connect.refresh": 50,
    "connect.refine_steps": 40,
    "gan.steps": 30,
    "latent.dim": 20,
}


def blobs(n: int = 600, labelled: int = 0) -> Dataset:
    """Three far-apart Gaussians of masses .6, .3 and .1."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), (MASSES * n).astype(int))
    x = np.array([[0, 0], [6, 0], [0, 6]])[y] + rng.normal(0, 0.4, (len(y), 2))
    hidden = np.full(len(y), -1)
    hidden[rng.permutation(len(y))[:labelled]] = 0
    return Dataset(x.astype(np.float32), np.where(hidden == 0, y, -1), ("a", "b", "c"), "blobs"), y


def make(overrides: dict, shape=(2,), n_clusters=3, prior=None, seed=0, **more) -> NEMGAN:
    return catalog.create("nemgan", build({**SHORT, **overrides, **more}), shape, n_clusters, prior, seed)
