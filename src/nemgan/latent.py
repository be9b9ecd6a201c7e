"""Latent spaces. That of the paper (section III.A) is z = y + ν₂: M modes that do not touch.

y is one-hot in the last M of ``dim`` coordinates and ν₂ ~ U[−w, w]^dim. The mode of y is a box of half-width w
around a corner of the simplex; corners are 1 apart in the maximum norm, so the boxes are disjoint if and only if
w < 1/2 (condition C1).

Those of the rivals:

    Noise     z ~ N(0, I) or U[−1, 1]^D             no modes in z; an index beside it where generators are many
    Mixture   z = μ_k + σ_k ε,  ε ~ N(0, I)         μ, σ learned (DeliGAN), masses too (SLOGAN)
    Coded     z = [σ ε ; one-hot k ; c]             InfoGAN (with codes c ~ U[−1, 1]), ClusterGAN
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nemgan.errors import ConfigError
from nemgan.prior import Prior
from nemgan.settings import DISJOINT


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
        if disjoint and noise >= DISJOINT:
            raise ConfigError(
                f"latent.noise={noise:g} makes the modes overlap, which breaks condition C1: choose a value below "
                f"{DISJOINT:g}"
            )
        self.prior, self.dim, self.noise, self.modes = prior, dim, noise, modes

    def at(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """z ``(n, dim)`` for the one-hot modes ``y`` (n, M)."""
        z = torch.rand(len(y), self.dim, generator=rng, device=y.device) * 2 - 1
        z = z * self.noise
        z[:, self.dim - self.modes :] += y
        return z

    def mode(self, z: Tensor) -> Tensor:
        """The mode (n,) that each of ``z`` (n, dim) is of, or nearest to."""
        return z[:, self.dim - self.modes :].argmax(1)

    def sample(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """``n`` draws: z ``(n, dim)`` and their modes ``(n,)`` int64."""
        y = self.prior.sample(n, rng)
        return self.at(y, rng), y.argmax(1)


NoiseKind = Literal["normal", "uniform"]


class Latent(Protocol):
    """A latent space with ``modes`` modes and points of ``dim`` numbers."""

    dim: int
    modes: int

    def sample(self, n: int, rng: torch.Generator, mode: int | None = None) -> tuple[Tensor, Tensor]:
        """``n`` draws, of one mode if given: z ``(n, dim)`` and their modes ``(n,)`` int64."""
        ...


def noise(n: int, dim: int, kind: NoiseKind, rng: torch.Generator) -> Tensor:
    """``(n, dim)`` draws from N(0, 1) or U[−1, 1]."""
    if kind == "normal":
        return torch.randn(n, dim, generator=rng, device=rng.device)
    return torch.rand(n, dim, generator=rng, device=rng.device) * 2 - 1


def even_modes(n: int, modes: int, rng: torch.Generator, mode: int | None = None) -> Tensor:
    """``n`` modes ``(n,)``: ``mode`` throughout, or each mode in turn from a random one on, so that shares are even."""
    if mode is not None:
        return torch.full((n,), mode, device=rng.device)
    first = torch.randint(modes, (1,), generator=rng, device=rng.device)
    return (torch.arange(n, device=rng.device) + first) % modes


class Noise:
    """z of one kind throughout, and beside it an index among ``modes`` that z does not depend on."""

    def __init__(self, dim: int, kind: NoiseKind = "normal", modes: int = 1) -> None:
        self.dim, self.kind, self.modes = dim, kind, modes

    def sample(self, n: int, rng: torch.Generator, mode: int | None = None) -> tuple[Tensor, Tensor]:
        return noise(n, self.dim, self.kind, rng), even_modes(n, self.modes, rng, mode)


class Coded:
    """z = [σ ε ; one-hot of the mode ; c]: ``noise`` dimensions, M, and ``codes`` uniform ones."""

    def __init__(self, noise: int, modes: int, *, sigma: float = 1.0, kind: NoiseKind = "normal", codes: int = 0):
        self.noise, self.modes, self.codes, self.sigma, self.kind = noise, modes, codes, sigma, kind
        self.dim = noise + modes + codes

    def sample(self, n: int, rng: torch.Generator, mode: int | None = None) -> tuple[Tensor, Tensor]:
        which = even_modes(n, self.modes, rng, mode)
        epsilon = self.sigma * noise(n, self.noise, self.kind, rng)
        codes = noise(n, self.codes, "uniform", rng)
        return torch.cat([epsilon, F.one_hot(which, self.modes).to(epsilon.dtype), codes], 1), which


class Mixture(nn.Module):
    """A mixture of Gaussians with learned means and diagonal deviations.

    Args:
        mean: of the components ``(modes, dim)`` at the start.
        sigma: deviation at the start; it is held by its logarithm and so stays above zero.
        prior: masses of the components; equal ones where None.
    """

    def __init__(self, mean: Tensor, sigma: float, prior: Prior | None = None) -> None:
        super().__init__()
        self.modes, self.dim = mean.shape
        self.prior = prior
        self.mean = nn.Parameter(mean)
        self.log_sigma = nn.Parameter(torch.full_like(mean, sigma).log())

    def masses(self) -> Tensor:
        """Of the components ``(modes,)``."""
        return self.prior.masses() if self.prior else self.mean.new_full((self.modes,), 1 / self.modes)

    def sample(self, n: int, rng: torch.Generator, mode: int | None = None) -> tuple[Tensor, Tensor]:
        if self.prior is None or mode is not None:
            which = even_modes(n, self.modes, rng, mode)
        else:
            which = self.prior.sample(n, rng).argmax(1)
        return self.mean[which] + self.log_sigma.exp()[which] * noise(n, self.dim, "normal", rng), which

    def responsibilities(self, z: Tensor) -> Tensor:
        """P(component | z), ``(n, modes)``."""
        scaled = (z[:, None] - self.mean) / self.log_sigma.exp()
        return (self.masses().log() - (scaled**2 / 2 + self.log_sigma).sum(2)).softmax(1)
