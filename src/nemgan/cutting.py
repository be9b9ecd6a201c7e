"""The least normalised cut of a neighbour graph between micro-modes, by local search.

What ``merging`` looks for where neither masses nor labels are known, some times sooner: best moves from many starts at
once, kicks where none is left, and a start from the cut of half as many blobs (docs/notebook.md compares them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nemgan.merging import FEW, Merge, join, merges, starts

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def cut(graph: Float, sizes: Float, n_clusters: int, *, chains: int = 32, rng: np.random.Generator) -> Merge:
    """The least normalised cut into ``n_clusters`` parts: what ``merges`` looks for where nothing is known, sooner.

    Every chain takes the best single move until none helps, then three at random, and so on for 5 K rounds. Half the
    chains start from the cut of half as many blobs of micro-modes. Arguments are those of ``merges``.
    """
    k, m = len(graph), n_clusters
    if m**k <= FEW:
        return merges(graph, sizes, m, most=1, rng=rng)[0]
    groups = [starts(k, m, chains, rng)]
    if k // 2 >= 2 * m:
        blob = join(graph, sizes, k // 2)
        h = np.eye(k // 2)[blob]
        groups.append(np.tile(cut(h.T @ graph @ h, h.T @ sizes, m, chains=chains, rng=rng).groups[blob], (chains, 1)))
    parts = _Parts(graph, np.concatenate(groups), m)
    best, least = parts.groups[0].copy(), np.inf
    for _ in range(5 * k):
        change = parts.changes()
        at = change.argmin(1)
        helps = change[np.arange(len(change)), at] < -1e-12
        costs = parts.terms.sum(1)
        if costs.min() < least - 1e-12:
            best, least = parts.groups[costs.argmin()].copy(), float(costs.min())
        moving, stuck = np.flatnonzero(helps), np.flatnonzero(~helps)
        parts.move(moving, *np.divmod(at[moving], m))
        for _ in range(3):
            parts.move(stuck, rng.integers(0, k, len(stuck)), rng.integers(0, m, len(stuck)))
    return Merge(best.astype(np.int64), least / m)


class _Parts:
    """Partitions ``groups`` (R, K) into M parts, and what their normalised cuts are made of, kept as modes move."""

    def __init__(self, graph: Float, groups: Int, m: int) -> None:
        self.links, self.own, self.degree = graph.copy(), np.diag(graph), graph.sum(1)
        np.fill_diagonal(self.links, 0)
        self.groups, one_hot = groups, np.eye(m)[groups]
        self.affinity = self.links @ one_hot  # (R, K, M): links of each micro-mode to each part
        self.within = (one_hot * (self.affinity + self.own[:, None])).sum(1)
        self.volume = self.degree @ one_hot
        self.terms = self.term(self.within, self.volume)

    def term(self, within: Float, volume: Float) -> Float:
        return np.where(volume > 1e-12, 1 - within / np.maximum(volume, 1e-12), 1.0)

    def changes(self) -> Float:
        """By how much the sum of terms changes if one micro-mode moves, ``(R, K · M)``; inf where it is already."""
        groups = self.groups
        within, volume, terms = (np.take_along_axis(x, groups, 1) for x in (self.within, self.volume, self.terms))
        affinity = np.take_along_axis(self.affinity, groups[:, :, None], 2)[:, :, 0]
        leave = self.term(within - self.own - 2 * affinity, volume - self.degree) - terms
        entered = self.within[:, None] + self.own[:, None] + 2 * self.affinity
        change = self.term(entered, self.volume[:, None] + self.degree[:, None]) - self.terms[:, None]
        change += leave[:, :, None]
        np.put_along_axis(change, groups[:, :, None], np.inf, 2)
        return change.reshape(len(groups), -1)

    def move(self, rows: Int, i: Int, to: Int) -> None:
        """Move micro-mode ``i`` to part ``to`` in each of ``rows``, which are all different."""
        moved = self.groups[rows, i] != to
        rows, i, to = rows[moved], i[moved], to[moved]
        for part, sign in ((self.groups[rows, i], -1), (to, 1)):
            self.within[rows, part] += sign * self.own[i] + 2 * sign * self.affinity[rows, i, part]
            self.volume[rows, part] += sign * self.degree[i]
            self.affinity[rows, :, part] += sign * self.links[i]
            self.terms[rows, part] = self.term(self.within[rows, part], self.volume[rows, part])
        self.groups[rows, i] = to
