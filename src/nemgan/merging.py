"""From micro-modes to clusters: a minimum cut of the neighbour graph, under the clusters' masses.

The inverter learns more modes than there are clusters. The graph between those micro-modes, W, says how often
neighbours fall into different ones. Clusters are unions of micro-modes, chosen to

    masses known     minimise  cut(g) + λ Σ_k (mass_k(g) − P_k)² / P_k
    masses unknown   minimise  mean_k cut_k(g) / volume_k(g)                      (normalised cut)

plus, where some labels are known, the share of them a merge puts in the wrong cluster. Both objectives are sums over
clusters, so moving one micro-mode, or swapping two, changes two terms only: hundreds of annealing chains run at once.

A right merge can differ from a good wrong one by whole blobs (in MNIST-5 every digit is a blob, and clusters are sets
of digits), which single moves hardly cross. So the merge is solved at several levels, as graph partitioners do: blobs
of micro-modes first, made by joining the closest, then the micro-modes themselves from there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

FEW = 1 << 16
"""Merges that are simply all tried."""

PRICE = 1.0
"""λ by default."""

LOOKED_AT = 1000
"""Cheapest merges among which different ones are looked for."""

TINY = 1e-6
"""Mass below which a cluster's price rises no more."""

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Merge:
    """A solved merge.

    Attributes:
        groups: cluster of each micro-mode ``(K,)``.
        cost: the objective at ``groups``; lower is better.
    """

    groups: Int
    cost: float


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
    price: float

    def term(self, k: Int, within: Float, volume: Float, mass: Float) -> Float:
        """Term of cluster ``k`` (integers that broadcast with the rest); an empty cluster costs as much as can be."""
        if self.masses is None:
            cut = np.where(volume > 1e-12, 1 - within / np.maximum(volume, 1e-12), 1.0)
            return np.asarray(cut / self.unary.shape[1], np.float64)
        return np.asarray(
            volume
            - within
            + self.price * (mass - self.masses[k]) ** 2 / np.maximum(self.masses[k], TINY)
            + (volume <= 1e-12),
            np.float64,
        )

    def joined(self, blob: Int) -> _Objective:
        """The same objective between blobs of micro-modes; ``blob`` (K,) names each one's."""
        h = np.eye(int(blob.max()) + 1)[blob]
        return _Objective(h.T @ self.graph @ h, h.T @ self.sizes, h.T @ self.unary, self.masses, self.price)


def merges(
    graph: Float,
    sizes: Float,
    n_clusters: int,
    *,
    masses: Float | None = None,
    unary: Float | None = None,
    price: float = PRICE,
    chains: int = 128,
    most: int = 8,
    apart: float = 0.03,
    rng: np.random.Generator,
) -> list[Merge]:
    """The cheapest ways found to merge K micro-modes into ``n_clusters`` clusters that differ from each other.

    Args:
        graph: symmetric neighbour weights ``(K, K)`` of total 1 (``mode_graph``).
        sizes: mass of each micro-mode ``(K,)``, summing to 1.
        masses: mass of each cluster ``(M,)`` where known; cluster k then has the k-th mass.
        unary: cost ``(K, M)`` of putting a micro-mode into a cluster (from labels); none by default.
        price: λ, of the masses' χ² distance: a little off, as any partition is, costs next to nothing, and a missing
            cluster of mass P costs λ P / (1 − P). Much lower, and everything in one cluster is cheapest.
        chains: annealing chains a level.
        most: at most so many.
        apart: mass, at least, that must change its cluster between any two of them.
        rng: draws the starts and the moves.

    Returns:
        Merges, the cheapest first; every cluster has at least one micro-mode where K ≥ M allows it.
    """
    k, m = len(graph), n_clusters
    fine = _Objective(graph, sizes, np.zeros((k, m)) if unary is None else unary, masses, price)
    if m**k <= FEW:
        return _different(*_every(fine, named=masses is not None or unary is not None), sizes, most, apart)
    if k == m:
        return [_one_each(fine)]
    levels = sorted({n for n in (2 * m, 5 * m // 2, 3 * m, 4 * m) if m < n < k})
    blobs = [join(graph, sizes, n) for n in levels]
    found = []
    for blob in blobs:
        few = int(blob.max()) + 1
        if m**few <= FEW:
            groups, costs = _every(fine.joined(blob))
        else:
            groups, costs = _anneal(fine.joined(blob), starts(few, m, chains, rng), 0.02, min(600, 150 * m), rng)
        found.append(groups[np.argsort(costs, kind="stable")[: chains // 4]][:, blob])
    found.append(_anneal(fine, starts(k, m, chains, rng), 0.02, min(80, 20 * m) * k, rng)[0])
    groups, costs = _anneal(fine, np.concatenate(found), 1e-3, 10 * k, rng)
    return _different(groups, costs, sizes, most, apart)


def _different(groups: Int, costs: Float, sizes: Float, most: int, apart: float) -> list[Merge]:
    """The cheapest rows of ``groups`` (R, K), each ``apart`` from those before it under any naming of the clusters."""
    m, kept = int(groups.max()) + 1, list[Merge]()
    for row in np.argsort(costs, kind="stable")[:LOOKED_AT]:
        for other in kept:
            shared = np.zeros((m, m))
            np.add.at(shared, (groups[row], other.groups), sizes)
            if shared[linear_sum_assignment(-shared)].sum() > sizes.sum() - apart:
                break
        else:
            kept.append(Merge(groups[row].astype(np.int64), float(costs[row])))
        if len(kept) == most:
            break
    return kept


def _every(objective: _Objective, named: bool = True) -> tuple[Int, Float]:
    """All merges ``(M^K, K)`` and their costs; unless clusters are ``named``, those that differ in names alone once."""
    k, m = objective.unary.shape
    groups = np.stack(np.unravel_index(np.arange(m**k), (m,) * k), 1)
    if not named:  # clusters in order of their first micro-mode
        seen = np.maximum.accumulate(groups, 1)
        groups = groups[(groups[:, 0] == 0) & (groups[:, 1:] <= seen[:, :-1] + 1).all(1)]
    one_hot = np.eye(m)[groups]
    within = (one_hot * (objective.graph @ one_hot)).sum(1)
    terms = objective.term(np.arange(m), within, objective.graph.sum(1) @ one_hot, objective.sizes @ one_hot)
    return groups, np.asarray(terms.sum(1) + objective.unary[np.arange(k), groups].sum(1), np.float64)


def _one_each(objective: _Objective) -> Merge:
    """The cheapest way to give each of M micro-modes a cluster of its own: an assignment, solved exactly."""
    own, degree, sizes = np.diag(objective.graph), objective.graph.sum(1), objective.sizes
    names = np.arange(len(own))
    costs = objective.term(names, own[:, None], degree[:, None], sizes[:, None]) + objective.unary
    groups = linear_sum_assignment(costs)[1]
    return Merge(np.asarray(groups, np.int64), float(costs[names, groups].sum()))


def starts(k: int, m: int, chains: int, rng: np.random.Generator) -> Int:
    """Random groups ``(chains, k)``; each cluster starts with a member of its own."""
    groups = rng.integers(0, m, (chains, k))
    for row in groups:
        row[rng.permutation(k)[:m]] = np.arange(min(k, m))
    return groups


def join(graph: Float, sizes: Float, n: int) -> Int:
    """Blob of each micro-mode ``(K,)``: the pair with the most links for its sizes is joined until ``n`` are left."""
    links, sizes = graph.copy(), sizes.copy()
    blob, left = np.arange(len(graph)), np.arange(len(graph))
    while len(left) > n:
        close = links[np.ix_(left, left)] / (np.outer(sizes[left], sizes[left]) + 1e-12)
        np.fill_diagonal(close, -1)
        row, column = divmod(int(close.argmax()), len(left))
        i, j = int(left[row]), int(left[column])
        links[i] += links[j]
        links[:, i] += links[:, j]
        sizes[i] += sizes[j]
        blob[blob == j] = i
        left = left[left != j]
    return np.asarray(np.unique(blob, return_inverse=True)[1], np.int64)


def _anneal(objective: _Objective, groups: Int, hot: float, steps: int, rng: np.random.Generator) -> tuple[Int, Float]:
    """Simulated annealing of each row of ``groups`` (R, K) from temperature ``hot`` down: the best seen, their costs.

    Half the proposals move a micro-mode to another cluster, half swap two of them.
    """
    links, own, unary = objective.graph.copy(), np.diag(objective.graph), objective.unary
    np.fill_diagonal(links, 0)
    degree, sizes = objective.graph.sum(1), objective.sizes
    groups, (r, k), m = groups.copy(), groups.shape, unary.shape[1]
    one_hot = np.eye(m)[groups]
    affinity = links @ one_hot  # (R, K, M): links of each micro-mode to each cluster
    within = (one_hot * (affinity + own[:, None])).sum(1)
    volume, mass = degree @ one_hot, sizes @ one_hot
    terms = objective.term(np.arange(m), within, volume, mass)
    cost = terms.sum(1) + unary[np.arange(k), groups].sum(1)
    best, best_cost, rows = groups.copy(), cost.copy(), np.arange(r)
    for temperature in np.geomspace(hot, min(hot, 2e-4), steps):
        (i, j), swap = rng.integers(0, k, size=(2, r)), rng.random(r) < 0.5
        a, b = groups[rows, i], np.where(swap, groups[rows, j], rng.integers(0, m, r))
        ia, ib, ja, jb = affinity[rows, i, a], affinity[rows, i, b], affinity[rows, j, a], affinity[rows, j, b]
        between = links[i, j]
        within_a = within[rows, a] - own[i] - 2 * ia + swap * (own[j] + 2 * (ja - between))
        within_b = within[rows, b] + own[i] + 2 * ib - swap * (own[j] + 2 * (jb + between))
        d_volume, d_mass = degree[i] - swap * degree[j], sizes[i] - swap * sizes[j]
        volume_a, volume_b = volume[rows, a] - d_volume, volume[rows, b] + d_volume
        mass_a, mass_b = mass[rows, a] - d_mass, mass[rows, b] + d_mass
        term_a, term_b = objective.term(a, within_a, volume_a, mass_a), objective.term(b, within_b, volume_b, mass_b)
        change = term_a + term_b - terms[rows, a] - terms[rows, b]
        change += unary[i, b] - unary[i, a] + swap * (unary[j, a] - unary[j, b])
        taken = (a != b) & (rng.random(r) < np.exp(np.minimum(0, -change / temperature)))
        at, to, of = rows[taken], b[taken], a[taken]
        for state, new_a, new_b in (
            (within, within_a, within_b),
            (volume, volume_a, volume_b),
            (mass, mass_a, mass_b),
            (terms, term_a, term_b),
        ):
            state[at, of], state[at, to] = new_a[taken], new_b[taken]
        cost[at] += change[taken]
        groups[at, i[taken]] = to
        affinity[at, :, of] -= links[i[taken]]
        affinity[at, :, to] += links[i[taken]]
        both = taken & swap
        groups[rows[both], j[both]] = a[both]
        affinity[rows[both], :, b[both]] -= links[j[both]]
        affinity[rows[both], :, a[both]] += links[j[both]]
        better = cost < best_cost - 1e-12
        best[better], best_cost[better] = groups[better], cost[better]
    return best, best_cost
