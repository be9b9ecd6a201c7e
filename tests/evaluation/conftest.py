"""A model that needs no training: clusters are templates, samples are templates with noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nemgan.data.dataset import Dataset, Splits
from nemgan.data.pool import Pool
from nemgan.models.base import Conditions, Model, Stage


class Templates(Model):
    """Cluster k is all that is nearest to template k (model's scale); ``sample`` is exact up to Gaussian noise."""

    conditions = Conditions(True, True, True)

    def __init__(self, templates: Tensor, masses: Tensor, noise: float = 0.1) -> None:
        super().__init__(tuple(templates.shape[1:]), len(templates))
        self.templates = nn.Parameter(templates)
        self.prior = nn.Parameter(masses)
        self.dropout = nn.Dropout(0.5)
        self.noise = noise
        self.grad_seen = False

    def stages(self, pool: Pool) -> list[Stage]:
        return []

    def sample(self, n: int, rng: torch.Generator, cluster: int | None = None) -> tuple[Tensor, Tensor]:
        self.grad_seen |= torch.is_grad_enabled() or self.training
        if cluster is None:
            clusters = torch.multinomial(self.prior, n, replacement=True, generator=rng)
        else:
            clusters = torch.full((n,), cluster)
        noise = torch.randn((n, *self.shape), generator=rng)
        return self.templates[clusters] + self.noise * noise, clusters

    def posterior(self, x: Tensor) -> Tensor:
        distance = torch.cdist(self.dropout(x).flatten(1), self.templates.flatten(1))
        return (-5 * distance).softmax(1)

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def masses(self) -> Tensor:
        return self.prior


def templates(n: int, side: int = 8) -> Tensor:
    """Images with one bright block each."""
    made = torch.zeros(n, 1, side, side)
    for k in range(n):
        row, column = divmod(k, 2)
        made[k, 0, row * side // 2 :, column * side // 2 :][: side // 2, : side // 2] = 1.0
    return made


def images(counts: list[int], seed: int = 0, order: list[int] | None = None) -> Dataset:
    """Noisy templates, ``counts[c]`` of class c; class c shows template ``order[c]``."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    kinds = np.asarray(order if order is not None else range(len(counts)))[y]
    x = templates(len(counts)).numpy()[kinds] + rng.normal(0, 0.1, (len(y), 1, 8, 8))
    shuffle = rng.permutation(len(y))
    x = (x.clip(0, 1) * 255).astype(np.uint8)
    return Dataset(x[shuffle], y[shuffle], tuple("abcd"[: len(counts)]), "blocks")


@pytest.fixture(scope="session")
def splits() -> Splits:
    """Three classes of 60 : 30 : 10; class c is drawn by cluster (c + 1) % 3 of ``model``."""
    return Splits(images([300, 150, 50], 0, [1, 2, 0]), images([120, 60, 20], 1, [1, 2, 0]))


@pytest.fixture
def model() -> Templates:
    return Templates(templates(3), torch.tensor([0.1, 0.6, 0.3])).train()
