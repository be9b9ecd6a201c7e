"""From micro-modes to clusters: a minimum cut of the neighbour graph, under the clusters' masses.

The inverter learns more modes than there are clusters. The graph between those micro-modes, W, says how often
neighbours fall into different ones. Clusters are unions of micro-modes, chosen to

    masses known     minimise  cut(g) + λ Σ_k (|mass_k(g) − P_k| − tolerance)₊
    masses unknown   minimise  mean_k cut_k(g) / volume_k(g)                      (normalised cut)

plus, where some labels are known, the share of them a merge puts in the wrong cluster. Both objectives are sums over
clusters, so moving one micro-mode, or swapping two, changes two terms only: many restarts of a steepest descent over
all moves and swaps run at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Merge:
    """A solved merge.

    Attributes:
        groups: cluster of each micro-mode ``(K,)``.
        cost: the objective at ``groups``; lower is better.
        agreement: share of restarts that ended at this very merge, in (0, 1].
    """

    groups: Int
    cost: float
    agreement: float


def mode_graph(mode: Int, neighbours: Int, n_modes: int, weights: NDArray[np.float32] | None = None) -> Float:
    """Symmetric weights ``(K, K)`` between micro-modes, of total 1, from each sample's mode and neighbours (N, k)."""
    rows = np.repeat(mode, neighbours.shape[1])
    columns = mode[neighbours.ravel()]
    w = None if weights is None else weights.ravel().astype(np.float64)
    flat = np.bincount(rows * n_modes + columns, weights=w, minlength=n_modes**2).astype(np.float64)
    graph = flat.reshape(n_modes, n_modes)
    return np.asarray((graph + graph.T) / (2 * graph.sum()), np.float64)


@dataclass(frozen=True, eq=False)
class _Objective:
    """cost(g) = Σ_k term_k(within_k, volume_k, mass_k) + Σ_i unary[i, g_i]."""

    graph: Float
    sizes: Float
    unary: Float
    masses: Float | None
    tolerance: float
    price: float

    def term(self, k: Int, within: Float, volume: Float, mass: Float) -> Float:
        """Term of cluster ``k`` (integers that broadcast with the rest)."""
        if self.masses is None:
            cut = np.where(volume > 1e-12, 1 - within / np.maximum(volume, 1e-12), 1.0)
            return np.asarray(cut / self.unary.shape[1], np.float64)
        excess = np.maximum(np.abs(mass - self.masses[k]) - self.tolerance, 0)
        return np.asarray(volume - within + self.price * excess + (volume <= 1e-12), np.float64)


def merge(
    graph: Float,
    sizes: Float,
    n_clusters: int,
    *,
    masses: Float | None = None,
    unary: Float | None = None,
    tolerance: float | None = None,
    price: float = 1.0,
    restarts: int = 256,
    rng: np.random.Generator,
) -> Merge:
    """Merge K micro-modes into ``n_clusters`` clusters.

    Args:
        graph: symmetric neighbour weights ``(K, K)`` of total 1 (``mode_graph``).
        sizes: mass of each micro-mode ``(K,)``, summing to 1.
        masses: mass of each cluster ``(M,)`` where known; cluster k then has the k-th mass.
        unary: cost ``(K, M)`` of putting a micro-mode into a cluster (from labels); none by default.
        tolerance: deviation of a cluster's mass that is free; by default half the mean micro-mode.
        price: λ, cost of each further unit of deviation.
        restarts: random starts, descended at once.
        rng: draws the starts.

    Returns:
        The best merge found; every cluster has at least one micro-mode where K ≥ M allows it.
    """
    k = len(graph)
    objective = _Objective(
        graph,
        sizes,
        np.zeros((k, n_clusters)) if unary is None else unary,
        masses,
        0.5 / k if tolerance is None else tolerance,
        price,
    )
    starts = rng.integers(0, n_clusters, (restarts, k))
    for row in starts:  # every cluster starts with a micro-mode of its own
        row[rng.permutation(k)[:n_clusters]] = np.arange(min(n_clusters, k))
    groups, costs = _descend(objective, starts)
    for _ in range(8):  # perturb the best third and descend again: out of shallow local optima
        best = np.argsort(costs, kind="stable")[: max(restarts // 3, 1)]
        shaken = groups[best].copy()
        hit = rng.random(shaken.shape) < 0.15
        shaken[hit] = rng.integers(0, n_clusters, int(hit.sum()))
        again, then = _descend(objective, shaken)
        better = then < costs[best] - 1e-12
        groups[best[better]], costs[best[better]] = again[better], then[better]
    winner = int(np.argmin(costs))
    same = costs <= costs[winner] + 1e-9
    return Merge(groups[winner].astype(np.int64), float(costs[winner]), float(same.mean()))


def _descend(objective: _Objective, groups: Int) -> tuple[Int, Float]:
    """Steepest descent over all moves and swaps from each row of ``groups`` (R, K): where it ends, and the costs."""
    groups = groups.copy()
    active = np.arange(len(groups))
    costs = np.zeros(len(groups))
    for _ in range(4 * groups.shape[1]):
        change, what, now = _best_change(objective, groups[active])
        costs[active] = now
        going = change < -1e-12
        active, what = active[going], what[going]
        if not len(active):
            break
        k = groups.shape[1]
        m = objective.unary.shape[1]
        moving = what < k * m
        rows, code = active[moving], what[moving]
        groups[rows, code // m] = code % m
        rows, code = active[~moving], what[~moving] - k * m
        i, j = code // k, code % k
        groups[rows, i], groups[rows, j] = groups[rows, j], groups[rows, i]
    return groups, costs


def _best_change(objective: _Objective, groups: Int) -> tuple[Float, Int, Float]:
    """Best change of each row: its gain (negative is better), its code, and the row's present cost.

    Codes below K·M are moves (mode · M + cluster), the rest swaps (mode · K + mode).
    """
    w, unary = objective.graph, objective.unary
    r, k = groups.shape
    m = unary.shape[1]
    one_hot = (groups[:, :, None] == np.arange(m)).astype(np.float64)
    affinity = np.einsum("ij,rjm->rim", w, one_hot)
    degree, own = w.sum(1), np.diag(w)
    within = np.einsum("rim,rim->rm", one_hot, affinity)
    volume, mass = one_hot.transpose(0, 2, 1) @ degree, one_hot.transpose(0, 2, 1) @ objective.sizes
    clusters = np.arange(m)
    terms = objective.term(clusters, within, volume, mass)
    rows, modes = np.arange(r)[:, None], np.arange(k)
    here = groups
    cost = terms.sum(1) + unary[modes, here].sum(1)

    def shifted(cluster: Int, row: Int, d_within: Float, d_volume: Float, d_mass: Float) -> Float:
        """Change of ``cluster``'s term when its statistics change."""
        after = objective.term(
            cluster, within[row, cluster] + d_within, volume[row, cluster] + d_volume, mass[row, cluster] + d_mass
        )
        return np.asarray(after - terms[row, cluster], np.float64)

    at_home = affinity[rows, modes, here]
    # move mode i from its cluster to each other one
    leave = shifted(here, rows, own - 2 * at_home, -degree[None], -objective.sizes[None])
    target = np.broadcast_to(clusters, (r, k, m))
    join = shifted(
        target,
        rows[:, :, None],
        2 * affinity + own[None, :, None],
        degree[None, :, None],
        objective.sizes[None, :, None],
    )
    gain = leave[:, :, None] + join + unary[None] - unary[modes, here][:, :, None]
    gain = np.where(target == here[:, :, None], 0.0, gain)
    # swap modes i and j of different clusters a and b
    a, b = np.broadcast_to(here[:, :, None], (r, k, k)), np.broadcast_to(here[:, None, :], (r, k, k))
    row = np.arange(r)[:, None, None]
    i, j = np.arange(k)[None, :, None], np.arange(k)[None, None, :]
    across_i, across_j = affinity[row, i, b], affinity[row, j, a]
    home_i, home_j = at_home[:, :, None], at_home[:, None, :]
    d_a = own[i] - 2 * home_i + own[j] + 2 * across_j - 2 * w[i, j]
    d_b = own[j] - 2 * home_j + own[i] + 2 * across_i - 2 * w[i, j]
    d_volume, d_mass = degree[j] - degree[i], objective.sizes[j] - objective.sizes[i]
    swap = shifted(a, row, d_a, d_volume, d_mass) + shifted(b, row, d_b, -d_volume, -d_mass)
    swap = swap + unary[i, b] + unary[j, a] - unary[i, a] - unary[j, b]
    swap = np.where((a == b) | (i >= j), 0.0, swap)
    gains = np.concatenate([gain.reshape(r, -1), swap.reshape(r, -1)], 1)
    best = gains.argmin(1)
    return gains[np.arange(r), best], best.astype(np.int64), cost
