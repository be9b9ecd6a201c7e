"""The merge's last level: the samples themselves.

A micro-mode that straddles two classes makes every merge pay for it, the right one too: in masses that are off and in
links that are cut. So candidate merges are compared after each sample has joined the cluster that most of its
neighbours are in, as graph partitioners (METIS) refine a cut level by level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import entr

from nemgan.merging import PRICE, TINY

Float = NDArray[np.float64]
Int = NDArray[np.int64]
STAY = 0.1
"""Share of its links by which a sample's own cluster is ahead of the others."""


def links(index: Int, weights: NDArray[np.float32]) -> csr_array:
    """Symmetric weights ``(N, N)`` of total 1 between samples, from their neighbours and their weights, ``(N, k)``."""
    rows = np.arange(0, index.size + 1, index.shape[1])
    # a copy, for scipy sorts a row's columns where they are
    one = csr_array((weights.ravel().astype(np.float64), index.ravel(), rows), shape=(len(index),) * 2, copy=True)
    return csr_array((one + one.T) / (2 * one.sum()))


def smooth(between: csr_array, clusters: Int, n_clusters: int, rounds: int = 10, *, masses: Float | None = None) -> Int:
    """``clusters`` (N,) after each sample has, ``rounds`` times, joined the cluster it has the most links to.

    It leaves its own only where another has more by a tenth of its links (``STAY``): else borders would creep.
    Where ``masses`` (M,) are given, clusters get them as far as borders can move: each has a bias that is added to the
    share of a sample's links, but a sample whose links are all with its cluster stays there.
    """
    degree = np.asarray(between.sum(1)).ravel()
    biases = np.zeros(n_clusters)
    for _ in range(rounds):
        shares = between @ np.eye(n_clusters)[clusters]
        shares[np.arange(len(clusters)), clusters] += STAY * degree
        if masses is not None:
            shares /= np.maximum(degree, 1e-12)[:, None]
            biases = meet(shares, masses, biases, most=0.5)
        moved = (shares + biases).argmax(1)
        if (moved == clusters).all():
            break
        clusters = moved
    return clusters


def meet(scores: Float, masses: Float, biases: Float, most: float = np.inf) -> Float:
    """Biases (M,), none beyond ±``most``, with which the highest of the ``scores`` (N, M) give each cluster its mass.

    One sweep from ``biases``: a cluster after the other gets the bias with which as many samples prefer it as it should
    have, the others' biases as they are (coordinate ascent on the dual of the assignment problem).
    """
    counts = np.diff(np.round(np.cumsum([0, *masses]) * len(scores)).astype(np.int64)).clip(1)
    biases = biases.copy()
    for k, count in enumerate(counts):
        others = scores + biases
        others[:, k] = -np.inf
        lead = others.max(1) - scores[:, k]
        biases[k] = np.clip(np.partition(lead, count - 1)[count - 1] + 1e-9, -most, most)
    return biases


def cost(
    between: csr_array, clusters: Int, n_clusters: int, masses: Float | None = None, price: float = PRICE
) -> float:
    """The objective of ``merging`` for samples in ``clusters`` (N,): cut and masses, or normalised cut.

    Of two clusters of unknown masses p and q it is the cut over the entropy of the masses, the share of it on which
    neighbours disagree. (The normalised cut is the cut over 2pq, and leans to halves: docs/theory.md.)
    """
    h = np.eye(n_clusters)[clusters]
    within, volume = (h * (between @ h)).sum(0), np.asarray(between.sum(1)).ravel() @ h
    if masses is None and n_clusters == 2:
        return float((volume.sum() - within.sum()) / entr(h.mean(0)).sum()) if h.any(0).all() else 1.0
    if masses is None:
        return float(np.where(volume > 0, 1 - within / np.maximum(volume, 1e-12), 1.0).mean())
    off = ((h.mean(0) - masses) ** 2 / np.maximum(masses, TINY)).sum()
    return float(volume.sum() - within.sum() + price * off + (volume <= 0).sum())
