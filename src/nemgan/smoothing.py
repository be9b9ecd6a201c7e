"""The merge's last level: the samples themselves.

A micro-mode that straddles two classes makes every merge pay for it, the right one too: in masses that are off and in
links that are cut. So candidate merges are compared after each sample has joined the cluster that most of its
neighbours are in, as graph partitioners (METIS) refine a cut level by level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from nemgan.merging import PRICE, TINY

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def links(index: Int, weights: NDArray[np.float32]) -> csr_array:
    """Symmetric weights ``(N, N)`` of total 1 between samples, from their neighbours and their weights, ``(N, k)``."""
    rows = np.arange(0, index.size + 1, index.shape[1])
    # a copy, for scipy sorts a row's columns where they are
    one = csr_array((weights.ravel().astype(np.float64), index.ravel(), rows), shape=(len(index),) * 2, copy=True)
    return csr_array((one + one.T) / (2 * one.sum()))


def smooth(between: csr_array, clusters: Int, n_clusters: int, rounds: int = 10) -> Int:
    """``clusters`` (N,) after each sample has, ``rounds`` times, joined the cluster it has the most links to."""
    own = 0.1 * np.asarray(between.sum(1)).ravel()
    for _ in range(rounds):
        shares = between @ np.eye(n_clusters)[clusters]
        shares[np.arange(len(clusters)), clusters] += own  # ties stay
        moved = shares.argmax(1)
        if (moved == clusters).all():
            break
        clusters = moved
    return clusters


def cost(
    between: csr_array, clusters: Int, n_clusters: int, masses: Float | None = None, price: float = PRICE
) -> float:
    """The objective of ``merging`` for samples in ``clusters`` (N,): cut and masses, or normalised cut."""
    h = np.eye(n_clusters)[clusters]
    within, volume = (h * (between @ h)).sum(0), np.asarray(between.sum(1)).ravel() @ h
    if masses is None:
        return float(np.where(volume > 0, 1 - within / np.maximum(volume, 1e-12), 1.0).mean())
    off = ((h.mean(0) - masses) ** 2 / np.maximum(masses, TINY)).sum()
    return float(volume.sum() - within.sum() + price * off + (volume <= 0).sum())
