"""Nearest neighbours of the data in itself."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from nemgan.data.dataset import Array

Metric = Literal["euclidean", "cosine"]
WIDE = 4096
"""Dimensions from which on the covariance is too large to be worth its exactness."""


def project(points: NDArray[np.float32], dims: int = 64) -> NDArray[np.float32]:
    """Points ``(N, D)`` on their ``dims`` principal components, ``(N, min(dims, D, N))``; of wide points about."""
    if dims >= min(points.shape):
        return points
    solver = "covariance_eigh" if points.shape[1] < WIDE else "randomized"
    return np.asarray(PCA(dims, svd_solver=solver, random_state=0).fit_transform(points), np.float32)


def flatten(x: Array, dims: int = 64, metric: Metric = "euclidean") -> NDArray[np.float32]:
    """Raw samples as points: images in [0, 1] on their ``dims`` principal components, vectors standardised.

    Of a vector, numbers that take two values alone (a word or not) are scaled to [0, 1] instead. Rows with different
    words in a column are then at most as far apart as two rows are in one number on average (squares: 2); at unit
    variance a rare word would be farther than all else, and each word a component of its own.

    For the metric ``cosine`` they are of length 1 before they are projected: nearest is then what has the least angle,
    and how bright images are, or how much of them is ink, tells none apart.
    """
    if x.ndim == 4:
        points = (x.reshape(len(x), -1) / np.float32(255)).astype(np.float32)
    else:
        low, high = x.min(0), x.max(0)
        scale = np.where(((x == low) | (x == high)).all(0), high - low, x.std(0))
        points = np.asarray((x - x.mean(0)) / np.where(scale > 0, scale, 1), np.float32)
    if metric == "cosine":
        points /= np.linalg.norm(points, axis=1, keepdims=True).clip(1e-6)
    return project(points, dims) if x.ndim == 4 else points


def nearest(
    points: NDArray[np.float32], k: int, exact_to: int = 10_000
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The ``k`` nearest other points of each: positions and Euclidean distances, both ``(N, k)``, nearest first.

    ``k`` is cut to N − 1. Above ``exact_to`` points some neighbours are missed for the next ones (about 7 % of them on
    60,000 digits): a search of all pairs would take twenty times as long.
    """
    k = min(k, len(points) - 1)
    if len(points) > exact_to:
        return _nearest_in_cells(torch.from_numpy(points), k)
    distance, index = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(points).kneighbors(points)
    rows = np.arange(len(points))[:, None]
    other = index != rows
    other[other.all(1), -1] = False  # a point with k + 1 twins may not list itself: drop the farthest
    return index[other].reshape(-1, k).astype(np.int64), distance[other].reshape(-1, k).astype(np.float32)


def _nearest_in_cells(x: Tensor, k: int, probe: int = 16) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Neighbours among the points of the ``probe`` nearest of √N cells, which K-means makes."""
    n, cells = len(x), round(len(x) ** 0.5)
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(n))
    centres, some = x[shuffled[:cells]], x[shuffled[: 32 * cells]]
    for _ in range(5):
        cell = torch.cdist(some, centres).argmin(1)
        count = torch.bincount(cell, minlength=cells)[:, None]
        total = torch.zeros_like(centres).index_add_(0, cell, some)
        centres = torch.where(count > 0, total / count.clamp_min(1), centres)
    cell = torch.cat([torch.cdist(part, centres).argmin(1) for part in torch.split(x, 8192)])
    members = torch.split(cell.argsort(stable=True), torch.bincount(cell, minlength=cells).tolist())
    around = torch.cdist(centres, centres).argsort(dim=1, stable=True)
    index, distance, square = torch.zeros(n, k, dtype=torch.int64), torch.zeros(n, k), x.square().sum(1)
    for i, own in enumerate(members):
        reach = probe
        while sum(len(members[j]) for j in around[i, :reach]) <= k:
            reach *= 2
        other = torch.cat([members[i], *(members[j] for j in around[i, :reach] if j != i)])
        for part in torch.split(torch.arange(len(own)), 2048):
            apart = torch.addmm(square[other][None], x[own[part]], x[other].T, alpha=-2)
            apart[torch.arange(len(part)), part] = torch.inf  # itself
            least, at = apart.topk(k, 1, largest=False)
            index[own[part]] = other[at]
            distance[own[part]] = (least + square[own[part]][:, None]).clamp_min(0).sqrt()
    return index.numpy(), distance.numpy()


def local_weights(index: NDArray[np.int64], distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weight of each neighbour in (0, 1], shape (N, k), scaled to how dense the data are around each point.

    The kernel of UMAP (McInnes et al. 2018): exp(−(d − ρ)/σ), ρ the distance of the nearest neighbour, σ such that
    the weights of a point sum to log₂ k; then the fuzzy union w + wᵀ − w·wᵀ over mutual neighbours.
    """
    k = index.shape[1]
    rho = distance[:, :1]
    low, high = np.full(len(distance), 1e-9), np.full(len(distance), float(distance.max()) * k + 1e-6)
    for _ in range(48):
        middle = (low + high) / 2
        total = np.exp(-(distance - rho) / middle[:, None]).sum(1)
        high = np.where(total > np.log2(max(k, 2)), middle, high)
        low = np.where(total > np.log2(max(k, 2)), low, middle)
    weight = np.exp(-(distance - rho) / high[:, None]).astype(np.float32)
    back = np.zeros_like(weight)
    for j in range(k):
        mutual = index[index[:, j]] == np.arange(len(index))[:, None]
        back[:, j] = (weight[index[:, j]] * mutual).sum(1)
    return np.asarray(weight + back - weight * back, np.float32)
