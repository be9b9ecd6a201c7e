"""How near generated samples are to real ones, in the features of a named extractor.

Every function takes two sets of features, real ``(N, F)`` and generated ``(M, F)``, and returns numbers; whoever prints
one of them says which extractor and how many samples it comes from, for both change it.

    FD        ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½)         (Heusel et al. 2017, with any extractor)
    KID       unbiased MMD² with the kernel (xᵀy/F + 1)³     (Bińkowski et al. 2018)
    precision, recall      within the other set's k-nearest-neighbour balls      (Kynkäänniemi et al. 2019)
    density, coverage      the same with the balls of the real set alone         (Naeem et al. 2020)
    ICFD      mean over the clusters of the FD within one cluster
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nemgan.errors import DataError

Array = NDArray[Any]
NEIGHBOURS = 5
BLOCK = 1000
"""Rows of a distance matrix that are in memory at once."""


class Overlap(NamedTuple):
    """Shares of samples that lie among those of the other set; ``density`` may exceed 1, the others are in [0, 1]."""

    precision: float
    recall: float
    density: float
    coverage: float


def frechet(real: Array, fake: Array) -> float:
    """Fréchet distance of Gaussians with the means and covariances of ``(N, F)`` and ``(M, F)``; 0 for equal sets.

    It falls as either number of samples grows, so only distances of equally many samples compare.

    Raises:
        DataError: fewer than two samples, features that are not finite, or of different width.
    """
    (mean, root), (other_mean, other_root) = (_gaussian(features) for features in (real, fake))
    if len(mean) != len(other_mean):
        raise DataError(f"features of width {len(mean)} and {len(other_mean)}: take both from one extractor")
    # tr (Σ₁Σ₂)^½ is the sum of the singular values of R₁R₂ᵀ: no square root of a matrix that is not symmetric
    cross = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    distance = ((mean - other_mean) ** 2).sum() + (root**2).sum() + (other_root**2).sum() - 2 * cross
    return max(0.0, float(distance))


def _gaussian(features: Array) -> tuple[Array, Array]:
    """Mean ``(F,)`` and a root R of the covariance RᵀR: symmetric ``(F, F)``, of few samples ``(N, F)``."""
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise DataError(f"a Fréchet distance needs features (N, F) of two samples or more, not {features.shape}")
    if not np.isfinite(features).all():
        raise DataError("features are not finite: the samples or the extractor are broken")
    if len(features) < features.shape[1]:
        return features.mean(0), (features - features.mean(0)) / np.sqrt(len(features) - 1)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(features, rowvar=False)))
    return features.mean(0), (vectors * np.sqrt(values.clip(0))) @ vectors.T


def kid(real: Array, fake: Array) -> float:
    """Kernel distance of ``(N, F)`` and ``(M, F)``, N and M ≥ 2; unbiased: about 0, at times below, for like sets.

    >>> x = np.array([[0.0], [1.0]])
    >>> kid(x, x)  # kernels 1 within each set; (1 + 1 + 1 + 8) / 4 between them
    -3.5
    """
    real, fake = (np.asarray(features, np.float64) for features in (real, fake))
    within = [_kernel_sum(x, x, own=True) / (len(x) * (len(x) - 1)) for x in (real, fake)]
    return float(sum(within) - 2 * _kernel_sum(real, fake) / (len(real) * len(fake)))


def _kernel_sum(x: Array, y: Array, own: bool = False) -> float:
    """Sum of the kernel over pairs; with ``own`` a sample is not paired with itself."""
    total = sum(float(((x[i : i + BLOCK] @ y.T / x.shape[1] + 1) ** 3).sum()) for i in range(0, len(x), BLOCK))
    return total - float((((x**2).sum(1) / x.shape[1] + 1) ** 3).sum()) if own else total


def overlap(real: Array, fake: Array, k: int = NEIGHBOURS) -> Overlap | None:
    """Precision, recall, density and coverage with balls up to the k-th neighbour; None for sets of k samples or fewer.

    A sample's ball reaches to its k-th nearest neighbour in its own set. precision: share of generated samples in a
    ball of a real one. recall: the other way round. density: balls of real samples that a generated one lies in, over
    k. coverage: share of real samples with a generated one in their ball.
    """
    real, fake = (np.asarray(features, np.float64) for features in (real, fake))
    if min(len(real), len(fake)) <= k:
        return None
    real_radius, fake_radius = _radius(real, k), _radius(fake, k)
    hits = np.zeros(len(fake))  # real balls that each generated sample lies in
    recalled = covered = 0
    for start in range(0, len(real), BLOCK):
        distance = _squared(real[start : start + BLOCK], fake)
        inside = distance <= real_radius[start : start + BLOCK, None]
        hits += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((distance <= fake_radius).any(1).sum())
    return Overlap(float((hits > 0).mean()), recalled / len(real), float(hits.mean() / k), covered / len(real))


def _radius(x: Array, k: int) -> Array:
    """Squared distance of each sample to its k-th nearest neighbour, itself not counted."""
    blocks = (_squared(x[i : i + BLOCK], x) for i in range(0, len(x), BLOCK))
    return np.concatenate([np.partition(block, k, 1)[:, k] for block in blocks])


def _squared(x: Array, y: Array) -> Array:
    """Squared Euclidean distances ``(n, m)``."""
    from scipy.spatial.distance import cdist

    distances: Array = cdist(x, y, "sqeuclidean")
    return distances
