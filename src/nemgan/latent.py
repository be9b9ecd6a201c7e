"""The latent space z = y + ν₂ (paper, section III.A): M modes that do not touch.

y is one-hot in the last M of ``dim`` coordinates and ν₂ ~ U[−w, w]^dim. The mode of y is a box of half-width w
around a corner of the simplex; corners are 1 apart in the maximum norm, so the boxes are disjoint if and only if
w < 1/2 (condition C1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nemgan.errors import ConfigError
from nemgan.prior import Prior


class AdditiveLatent:
    """z = y + ν₂ over the modes of a prior.

    Args:
        prior: P_Y over M modes.
        dim: dimensions of z, at least M.
        noise: half-width w of ν₂.
        disjoint: refuse a w for which modes overlap (switch off only to ablate C1).

    Raises:
        ConfigError: ``dim`` too small for the modes, or modes that overlap.
    """

    def __init__(self, prior: Prior, dim: int, noise: float, disjoint: bool = True) -> None:
        modes = prior.alpha.numel()
        if dim < modes:
            raise ConfigError(f"latent.dim={dim} cannot hold {modes} modes: set it to {modes} or more")
        if disjoint and noise >= 0.5:
            raise ConfigError(
                f"latent.noise={noise:g} makes the modes overlap, which breaks condition C1: choose a value below 0.5"
            )
        self.prior, self.dim, self.noise, self.modes = prior, dim, noise, modes

    def at(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """z ``(n, dim)`` for the one-hot modes ``y`` (n, M)."""
        z = torch.rand(len(y), self.dim, generator=rng, device=y.device) * 2 - 1
        z = z * self.noise
        z[:, self.dim - self.modes :] += y
        return z

    def sample(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """``n`` draws: z ``(n, dim)`` and their modes ``(n,)`` int64."""
        y = self.prior.sample(n, rng)
        return self.at(y, rng), y.argmax(1)
