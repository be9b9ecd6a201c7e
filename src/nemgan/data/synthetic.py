"""Toy sets in the plane: two moons, and a ring of Gaussians."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nemgan.data.dataset import Dataset
from nemgan.data.subsets import counts_for, share_out
from nemgan.errors import DataError
from nemgan.seeding import numpy_generator


def moons(n: int, masses: Sequence[float] = (0.5, 0.5), noise: float = 0.05, seed: int = 0) -> Dataset:
    """Two interleaved half circles of radius 1, the upper one first.

    Args:
        n: number of samples, shared out between the moons in the proportions ``masses``.
        noise: standard deviation of the Gaussian noise on both coordinates. The moons' axes are .5 apart, so they
            stay two connected components up to about .1.

    Returns:
        Vectors ``(n, 2)`` float32 in random order, with labels 0 and 1.
    """
    counts = _counts(n, masses, 2)
    rng = numpy_generator(seed, "moons")
    t = [np.pi * rng.random(c) for c in counts]
    upper = np.stack([np.cos(t[0]), np.sin(t[0])], 1)
    lower = np.stack([1 - np.cos(t[1]), 0.5 - np.sin(t[1])], 1)
    return _shuffled(np.concatenate([upper, lower]), counts, noise, rng, ("upper moon", "lower moon"), "moons")


RING_MODES, RING_RADIUS, RING_SIGMA = 8, 2.0, 0.02


def ring_centres(modes: int = RING_MODES, radius: float = RING_RADIUS) -> np.ndarray:
    """Centres ``(modes, 2)`` of the ring's Gaussians, anticlockwise from the x axis."""
    angle = 2 * np.pi * np.arange(modes) / modes
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def ring(
    n: int,
    modes: int = RING_MODES,
    radius: float = RING_RADIUS,
    sigma: float = RING_SIGMA,
    masses: Sequence[float] | None = None,
    seed: int = 0,
) -> Dataset:
    """Gaussians of standard deviation ``sigma`` around a circle of ``radius``, anticlockwise from the x axis.

    The defaults (8 modes, radius 2, σ = .02) are the ring on which mode collapse is usually shown: neighbouring
    centres are 76 σ apart. ``masses`` are equal where not given.

    Returns:
        Vectors ``(n, 2)`` float32 in random order, labelled by mode.
    """
    counts = _counts(n, masses or [1 / modes] * modes, modes)
    rng = numpy_generator(seed, "ring")
    centres = np.repeat(ring_centres(modes, radius), counts, 0)
    names = tuple(f"{360 * k / modes:g}°" for k in range(modes))
    return _shuffled(centres, counts, sigma, rng, names, "ring")


def _counts(n: int, masses: Sequence[float], modes: int) -> tuple[int, ...]:
    counts_for([n] * modes, masses)  # checks the masses
    counts = share_out(n, masses)
    if min(counts) < 1:
        raise DataError(f"{n} samples cannot be shared out over {modes} modes: ask for more samples")
    return counts


def _shuffled(
    clean: np.ndarray, counts: Sequence[int], sigma: float, rng: np.random.Generator, names: tuple[str, ...], name: str
) -> Dataset:
    x = clean + sigma * rng.standard_normal(clean.shape)
    order = rng.permutation(len(x))
    y = np.repeat(np.arange(len(counts)), counts)
    return Dataset(x[order].astype(np.float32), y[order], names, name)
