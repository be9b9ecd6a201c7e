"""How many clusters? The evidence of the neighbour graph between micro-modes, without labels.

For each number of clusters m the micro-modes are merged by the normalised cut. Two clusters that should be one are
joined by many links; a cluster that should be two falls apart at little cost. Both are normalised cuts of two parts,
so they compare: m is natural where the least separate pair is still more separate than any cluster's own best split.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, combinations
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from nemgan.cutting import cut

Float = NDArray[np.float64]

LOW_AGREEMENT = 0.9
"""Share of the samples that partitions agree on, below which another answer would be nearly as good."""
CLEARLY = 1.2
"""Times by which the evidence for another number of clusters must exceed that for the one asked for."""

NATURAL = 1.75
"""Evidence from which a number of clusters stands on its own, however good a coarser level is. One too many reached .75
to 1.73 on digits, as many as there are kinds 1.9 to 4.6 on pictures (docs/notebook.md)."""


@dataclass(frozen=True)
class Count:
    """The evidence for ``m`` clusters.

    Attributes:
        joined: normalised cut between the two least separate clusters, in [0, 1]; near 0 where all are apart.
        split: normalised cut of the best split of any one cluster, in [0, 1]; near 0 where one falls apart.
    """

    m: int
    joined: float
    split: float

    @property
    def ratio(self) -> float:
        """How much harder it is to split a cluster than to tell two apart; natural numbers are well above 1."""
        return self.split / max(self.joined, 1e-4)


def evidence(graph: Float, sizes: Float, most: int, rng: np.random.Generator) -> list[Count]:
    """The evidence for 2 … ``most`` clusters, fewer where there are not twice as many micro-modes.

    Args:
        graph: symmetric neighbour weights ``(K, K)`` of total 1 (``merging.mode_graph``).
        sizes: mass of each micro-mode ``(K,)``; empty ones are left out.
    """
    used = np.flatnonzero(sizes > 0)
    graph, sizes = graph[np.ix_(used, used)], sizes[used]
    found = []
    for m in range(2, min(most, len(sizes) // 2) + 1):
        groups = cut(graph, sizes, m, rng=rng).groups
        h = np.eye(m)[groups]
        between = h.T @ graph @ h
        joined = max(pair_cut(between[a, a], between[a, b], between[b, b]) for a, b in combinations(range(m), 2))
        splits = [best_split(graph, sizes, groups == k, rng) for k in range(m)]
        found.append(Count(m, float(joined), float(min(splits))))
    return found


def agreed(several: Iterable[list[Count]], m: int) -> list[Count]:
    """The evidence that several sets of micro-modes agree on; one alone often sees a gap that the others do not.

    For ``m`` clusters, which were asked for, it is the best of any, and for each other number the worst.
    """
    found: dict[int, list[Count]] = {}
    for count in chain.from_iterable(several):
        found.setdefault(count.m, []).append(count)
    ratio = attrgetter("ratio")
    return [max(counts, key=ratio) if k == m else min(counts, key=ratio) for k, counts in found.items()]


def pair_cut(a: float, across: float, b: float) -> float:
    """Mean normalised cut between two parts with ``a`` and ``b`` of weight inside and ``across`` one way between."""
    return float((across / max(a + across, 1e-12) + across / max(b + across, 1e-12)) / 2)


def best_split(graph: Float, sizes: Float, inside: NDArray[np.bool_], rng: np.random.Generator) -> float:
    """Normalised cut of the best split of the micro-modes ``inside``; 1 where there is one only, 0 without links."""
    if inside.sum() < 2:
        return 1.0
    part = graph[np.ix_(inside, inside)]
    if not part.any():
        return 0.0
    return cut(part / part.sum(), sizes[inside] / sizes[inside].sum(), 2, rng=rng).cost


def suggest(counts: list[Count]) -> int | None:
    """The number of clusters with the most evidence; None where none is natural (no ratio above 1)."""
    best = max(counts, key=lambda count: count.ratio, default=None)
    return best.m if best and best.ratio > 1 else None


def fitting_better(counts: list[Count], m: int) -> Count | None:
    """The suggested number of clusters where the evidence for it is clearly more than for ``m``; None otherwise.

    Where m is natural too, fewer clusters are a coarser level of the same data (shoes and clothes) and no better.
    """
    found = {count.m: count for count in counts}
    best = suggest(counts)
    if best is None or best == m or m not in found or found[best].ratio < CLEARLY * found[m].ratio:
        return None
    return None if best < m and found[m].ratio > NATURAL else found[best]
