"""Contrastive features: a trunk learns to tell two views of an image from the views of others.

SimCLR (Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations), on small views and a
small network. The trunk is h's own where features must come first (``contrast``), else a second network that is there
for the neighbours it finds (``connected``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from nemgan.data.augment import view
from nemgan.losses.connectivity import contrast
from nemgan.models.base import LossResult, Optimiser, Phase

if TYPE_CHECKING:
    from nemgan.data.pool import Pool
    from nemgan.models.nemgan import NEMGAN


def half_cosine(progress: float) -> float:
    """Learning-rate factor: up over the first 4 %, then down a half cosine to 1 %."""
    return min(1.0, 25 * progress + 0.02, 0.01 + math.cos(math.pi / 2 * progress) ** 2)


class Views:
    """The contrastive training of a trunk of ``model`` on ``pool``; ``flip``: may views be mirrored?"""

    def __init__(self, model: NEMGAN, pool: Pool, flip: bool) -> None:
        self.model, self.pool, self.flip = model, pool, flip
        self.constants = model.settings.contrast

    @property
    def trunk(self) -> nn.Sequential:
        return self.model.inverter.trunk if self.model.viewer is None else self.model.viewer

    def phase(self) -> Phase:
        name = "inverter.trunk" if self.model.viewer is None else "viewer"
        optimiser = Optimiser(self.constants.lr, (0.9, 0.99), weight_decay=1e-5)
        return Phase("views", (name, "projector"), self.loss, optimiser, schedule=half_cosine)

    def loss(self, rng: torch.Generator) -> LossResult:
        """Find the other view of each image among the batch."""
        model, constants = self.model, self.constants
        assert model.projector is not None
        x = model.encode(self.pool.x[self.pool.draw(constants.batch, rng)])
        side = max(8, round(constants.crop * model.shape[1]))
        views = torch.cat([view(x, side, rng, self.flip, constants.area) for _ in range(2)])
        views = views.contiguous(memory_format=torch.channels_last)
        loss = contrast(model.projector(self.trunk(views)), constants.temperature)
        return LossResult(loss, {"contrast": loss.detach()})
