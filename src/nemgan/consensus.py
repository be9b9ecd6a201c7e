"""Clusters that many partitions agree on.

One set of micro-modes is a draw: a mode that straddles two classes can tip the minimum cut. So the samples are
partitioned several times (K-means of h's features from different starts), each partition is merged into clusters
(``merging``) whose borders the samples' neighbours straighten (``smoothing``), the merges are brought under one naming,
and every sample gets the share of votes for each cluster. How far the merges agree is the honest measure of how sure
the clusters are: it falls where the cut is ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from nemgan import smoothing
from nemgan.callers import silenced, two_at_most
from nemgan.merging import merges, mode_graph
from nemgan.smoothing import links, smooth

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Graph = tuple[Int, NDArray[np.float32]]
"""Positions of each sample's neighbours and their weights, both ``(N, k)``."""

ALIKE = 0.9
"""Merges that put at least this share of the samples alike are of one family."""
LOOSE = 0.1
"""Price of known masses among merges of one family, which differ in where borders lie."""
NEAR = 1 / 6
"""How far the masses of such a merge are from known ones, at most, beside these."""


@dataclass(frozen=True, eq=False)
class Consensus:
    """What the merges of several partitions say together.

    Attributes:
        voters: clusters of the samples by each of the merges that vote, under one naming ``(V, N)``.
        votes: share of these that put a sample into a cluster ``(N, M)``, rows summing to one.
        agreement: mean share of samples that two merges put alike, clusters matched, in (0, 1].
        cost: mean cost of the merges that voted.
        partitions: of each that voted, the one whose merge is most typical first: neighbour weights ``(modes, modes)``
            between its parts, and their masses ``(modes,)``.
    """

    voters: Int
    votes: Float
    agreement: float
    cost: float
    partitions: tuple[tuple[Float, Float], ...]


def consensus(
    points: NDArray[np.float32],
    graph: Graph,
    n_clusters: int,
    *,
    masses: Float | None,
    labelled: Int,
    labels: Int,
    modes: int,
    runs: int,
    rng: np.random.Generator,
) -> Consensus:
    """Partition ``points`` (N, D) ``runs`` times into ``modes`` parts, merge each and smooth it, and count votes.

    Args:
        graph: of the samples' neighbours, which is cut.
        masses: of the clusters ``(M,)`` where known; cluster k then has the k-th mass.
        labelled: positions of disclosed labels ``(L,)``; they cost each merge what it puts wrong.
        labels: their clusters ``(L,)``.

    Returns:
        The largest family of like merges votes: all of them where fewer than three are alike.
    """
    between = links(*graph)
    judged = _Labels(labelled, labels)
    parts, tried = [], []
    for _ in range(runs):
        start = int(rng.integers(2**31))
        part = parted(points, modes, start, max_iter=50)
        parts.append(_weighed(part, graph, modes))
        tried.append(_tried(part, *parts[-1], between, n_clusters, masses, judged, rng))
    best = [min(each, key=lambda merge: merge.price) for each in tried]
    found = [merge.clusters for merge in best]
    named, alike = _compared(found, n_clusters)
    family = alike >= ALIKE
    centre = int(np.lexsort((alike.sum(1), family.sum(1)))[-1])
    voters = np.flatnonzero(family[centre]) if family[centre].sum() >= min(3, runs) else np.arange(runs)
    ends = named[centre]  # where there are labels, they have named its clusters, those that they are of
    if masses is not None:
        ends = np.stack([_loosened(end, each, masses) for end, each in zip(ends, tried, strict=True)])
    pairs = alike[~np.eye(runs, dtype=bool)]
    agreement = float(pairs.mean()) if runs > 1 else 1.0
    order = sorted(voters.tolist(), key=lambda i: (i != centre, -alike[centre, i]))
    cost = float(np.mean([best[i].price for i in voters]))
    return Consensus(ends[voters], counted(ends[voters], n_clusters), agreement, cost, tuple(parts[i] for i in order))


def counted(voters: Int, n_clusters: int) -> Float:
    """Share of ``voters`` (V, N) that put each sample into each cluster ``(N, M)``."""
    return np.stack([(voters == k).mean(0) for k in range(n_clusters)], 1)


def unity(voters: Int) -> float:
    """Mean share of samples that two of ``voters`` (V, N) put alike."""
    alike = [(one == other).mean() for i, one in enumerate(voters) for other in voters[:i]]
    return float(np.mean(alike)) if alike else 1.0


class _Labels(NamedTuple):
    """Disclosed labels: positions of samples and their clusters, both ``(L,)``."""

    at: Int
    y: Int


def _weighed(part: Int, graph: Graph, modes: int) -> tuple[Float, Float]:
    """Links between the parts of a partition ``(modes, modes)`` and the parts' masses ``(modes,)``."""
    index, weights = graph
    return mode_graph(part, index, modes, weights), np.bincount(part, minlength=modes) / len(part)


class _Tried(NamedTuple):
    """A merge of a partition, smoothed.

    Attributes:
        clusters: of the samples ``(N,)``.
        price: what it costs among all merges; ``loose``: among those of its family.
    """

    clusters: Int
    price: float
    loose: float


def _tried(
    part: Int,
    between_parts: Float,
    sizes: Float,
    between: csr_array,
    n_clusters: int,
    masses: Float | None,
    labels: _Labels,
    rng: np.random.Generator,
) -> list[_Tried]:
    """The cheapest merges of a partition, under a loose price of known masses as well."""
    known = len(labels.y) > 0
    find = partial(
        merges,
        between_parts,
        sizes,
        n_clusters,
        masses=masses,
        unary=label_costs(part[labels.at], labels.y, len(sizes), n_clusters) if known else None,
        chains=64 if n_clusters < 8 else 192,
    )
    candidates = find(rng=rng)
    if masses is not None:
        candidates += find(price=LOOSE, rng=np.random.default_rng(len(part)))
    ends = [smooth(between, each.groups[part], n_clusters) for each in candidates]
    wrong = [float((end[labels.at] != labels.y).mean()) if known else 0.0 for end in ends]
    return [
        _Tried(
            end,
            _price(between, end, n_clusters, masses) + off,
            smoothing.cost(between, end, n_clusters, masses, LOOSE) + off,
        )
        for end, off in zip(ends, wrong, strict=True)
    ]


def _loosened(end: Int, tried: list[_Tried], masses: Float) -> Int:
    """Of the merges ``tried`` of the family of ``end`` (N,) the one that costs least where masses cost little (N,).

    Known masses tell whole clusters apart. Where a border lies they do not know: of a wide one, a few samples in a
    hundred more or less on one side, it is where few neighbours are parted. But every cluster stays near its mass, for
    what is cheapest to cut off of a rare one is most of it.
    """
    best, least = end, np.inf
    for each in tried:
        named = rename(each.clusters, end, len(masses))
        off = np.abs(np.bincount(named, minlength=len(masses)) / len(end) - masses)
        if each.loose < least and (named == end).mean() >= ALIKE and (off <= NEAR * masses).all():
            best, least = named, each.loose
    return best


def _price(between: csr_array, clusters: Int, n_clusters: int, masses: Float | None) -> float:
    """Cost of ``clusters`` (N,); where masses are known the mean of it and of what it is once they are met.

    A wrong cluster of nearly the right mass can cost as little as the right one (MNIST-5: the 1s on either side), and
    what is left to its mass, a per cent, hardly counts. To be met, it has to be paid in links.
    """
    price = smoothing.cost(between, clusters, n_clusters, masses)
    if masses is None:
        return price
    met = smooth(between, clusters, n_clusters, masses=masses)
    return (price + smoothing.cost(between, met, n_clusters, masses)) / 2


def _compared(found: list[Int], n_clusters: int) -> tuple[Int, Float]:
    """Each of R clusterings under each one's names ``(R, R, N)``, and the share they put alike ``(R, R)``."""
    named = np.stack([[rename(other, one, n_clusters) for other in found] for one in found])
    return named, (named == np.stack(found)[:, None]).mean(2)


def parted(points: NDArray[np.float32], k: int, seed: int, max_iter: int = 300) -> Int:
    """Part of each of ``points`` (N, D) by K-means from one start ``(N,)``; where points repeat some stay empty."""
    with silenced(ConvergenceWarning), two_at_most():  # fewer different points than parts
        found = KMeans(k, n_init=1, max_iter=max_iter, random_state=seed).fit_predict(points)
    return np.asarray(found, np.int64)


def rename(clusters: Int, like: Int, n_clusters: int) -> Int:
    """``clusters`` (N,) under the names that overlap most with ``like`` (N,)."""
    return names(clusters, like, n_clusters)[clusters]


def names(clusters: Int, like: Int, n_clusters: int) -> Int:
    """For each of ``clusters`` the name, among those of ``like``, that overlaps most, one to one ``(M,)``."""
    overlap = np.bincount(clusters * n_clusters + like, minlength=n_clusters**2).reshape(n_clusters, n_clusters)
    return np.asarray(linear_sum_assignment(-overlap)[1], np.int64)


def label_costs(at: Int, labels: Int, modes: int, n_clusters: int) -> Float:
    """Share of the labels put wrong if micro-mode i became cluster k ``(K, M)``; ``at`` (L,) is each label's mode."""
    counts = np.zeros((modes, n_clusters))
    np.add.at(counts, (at, labels), 1)
    return np.asarray((counts.sum(1, keepdims=True) - counts) / len(labels), np.float64)
