"""How far apart the found clusters are, and how well each holds together; no labels.

The neighbour graph of training samples in the model's own features, cut between two clusters and through the middle
of one. Both are normalised cuts of two parts, so that they compare: two clusters that are told apart no more easily
than one of them, or another, falls in two are doubtful.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.consensus import parted
from nemgan.counting import best_split
from nemgan.data.neighbours import local_weights, nearest, project
from nemgan.evaluation.result import Separation
from nemgan.merging import mode_graph

NEIGHBOURS = 10
MOST_PARTS, LEAST_IN_PART, LEAST_SPLIT = 10, 10, 50
"""Parts that a cluster is cut into before the best split is sought, at most; the samples of a part, about; and those of
a cluster whose split tells anything: the neighbours of fewer fall apart by chance."""


def separation(
    features: NDArray[np.float32], found: NDArray[np.int64], n_clusters: int, rng: np.random.Generator
) -> Separation | None:
    """Cuts between and within the clusters ``found`` (N,) of samples with ``features`` (N, F).

    A cluster without samples has no cuts (None), one of fewer than 50 samples no split. None for under 20 samples in
    all, or features that do not vary.
    """
    if len(features) < 2 * LEAST_IN_PART or not np.ptp(features, axis=0).any():
        return None
    points = project(features)
    part = np.zeros(len(points), np.int64)
    owner: list[int] = []
    for k in range(n_clusters):
        inside = np.flatnonzero(found == k)
        if not len(inside):
            continue
        n = min(MOST_PARTS, max(1, len(inside) // LEAST_IN_PART), len(np.unique(points[inside], axis=0)))
        start = int(rng.integers(2**31))
        part[inside] = len(owner)
        if n > 1:
            part[inside] += parted(points[inside], n, start)
        owner += [k] * n
    graph = mode_graph(part, *_graph(points, len(owner)))
    of = np.asarray(owner)
    sizes: NDArray[Any] = np.bincount(part, minlength=len(of)) / len(part)
    h = np.eye(n_clusters)[of]
    between = h.T @ graph @ h
    volume = between.diagonal()[:, None] + between
    cut = (between / np.maximum(volume, 1e-12) + between / np.maximum(volume.T, 1e-12)) / 2  # counting.pair_cut of all
    here = np.isin(np.arange(n_clusters), of)
    cut[~here], cut[:, ~here], cut[np.diag_indices(n_clusters)] = -1, -1, -1
    nearest_to = cut.argmax(1)
    joined = cut.max(1)
    split = tuple(
        float(best_split(graph, sizes, of == k, rng))
        if (found == k).sum() >= LEAST_SPLIT and (of == k).sum() > 1
        else None
        for k in range(n_clusters)
    )
    return Separation(
        tuple(int(k) if c >= 0 else None for k, c in zip(nearest_to, joined, strict=True)),
        tuple(float(c) if c >= 0 else None for c in joined),
        split,
    )


def _graph(points: NDArray[np.float32], n_parts: int) -> tuple[NDArray[np.int64], int, NDArray[np.float32]]:
    """Arguments of ``mode_graph`` beside the parts: neighbours, number of parts, weights."""
    index, distance = nearest(points, NEIGHBOURS)
    return index, n_parts, local_weights(index, distance)
