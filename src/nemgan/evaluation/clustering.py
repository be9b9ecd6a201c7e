"""How well a found clustering agrees with known classes.

All scores describe one labelling of one set of samples. Clusters are matched to classes one to one by the assignment
that gets the most samples right (Hungarian algorithm, ``scipy.optimize.linear_sum_assignment``); a cluster or class
left over by the match counts as wrong. Samples with class −1 are unlabelled and left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from nemgan.errors import DataError

Array = NDArray[Any]
UNMATCHED = -1


class Scores(NamedTuple):
    """Agreement of a clustering with the classes; every entry is None where no sample is labelled.

    Attributes:
        acc: Hungarian accuracy, in [0, 1].
        nmi: normalised mutual information (arithmetic mean of the entropies), in [0, 1].
        ari: adjusted Rand index, in [−.5, 1]; 0 is chance.
        purity: share of samples in the commonest class of their cluster, in [0, 1]; many clusters make it cheap.
        macro_recall: mean over the classes present of the recall of the Hungarian-matched labelling, in [0, 1].
    """

    acc: float | None
    nmi: float | None
    ari: float | None
    purity: float | None
    macro_recall: float | None


def confusion(y: Array, found: Array, n_classes: int | None = None, n_clusters: int | None = None) -> NDArray[np.int64]:
    """Counts ``(n_classes, n_clusters)`` of labelled samples by class (row) and found cluster (column).

    Args:
        y: class of each sample ``(N,)``, −1 = unlabelled.
        found: cluster of each sample ``(N,)``, from 0.
        n_classes, n_clusters: size of the table; by default the largest number seen plus one.

    Raises:
        DataError: lengths differ, or a class or cluster is out of range.
    """
    y, found = np.asarray(y), np.asarray(found)
    if y.ndim != 1 or y.shape != found.shape:
        raise DataError(f"classes of shape {y.shape} and clusters of shape {found.shape}: give one of each a sample")
    rows = n_classes if n_classes is not None else int(y.max(initial=-1)) + 1
    columns = n_clusters if n_clusters is not None else int(found.max(initial=-1)) + 1
    if y.min(initial=0) < -1 or y.max(initial=-1) >= rows:
        raise DataError(f"classes span {y.min()} … {y.max()}: number them 0 … {rows - 1} and mark unlabelled ones -1")
    if found.min(initial=0) < 0 or found.max(initial=-1) >= columns:
        raise DataError(f"clusters span {found.min()} … {found.max()}: number them 0 … {columns - 1}")
    known = y >= 0
    flat = y[known].astype(np.int64) * columns + found[known].astype(np.int64)
    return np.bincount(flat, minlength=rows * columns).reshape(rows, columns).astype(np.int64)


def match_counts(counts: Array) -> NDArray[np.int64]:
    """Class of each cluster ``(n_clusters,)`` under the best one-to-one match; −1 where no class is left for it.

    >>> match_counts(np.array([[0, 2, 0], [1, 0, 1]]))  # confusion table (n_classes, n_clusters)
    array([ 1,  0, -1])

    Of several matches that get as many samples right, one with the highest macro recall is taken, so that no score
    depends on how clusters are numbered.
    """
    recall = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    tie_break = recall / (2 * len(counts) + 2)  # sums to less than one sample
    classes, clusters = linear_sum_assignment(counts + tie_break, maximize=True)
    of_cluster = np.full(counts.shape[1], UNMATCHED, np.int64)
    of_cluster[clusters] = classes
    return of_cluster


def scores(y: Array, found: Array) -> Scores:
    """Scores of the clustering ``found`` ``(N,)`` against the classes ``y`` ``(N,)``; all None if none is labelled."""
    return scores_of_counts(confusion(y, found))


def scores_of_counts(counts: Array) -> Scores:
    """``scores`` from a confusion table ``(n_classes, n_clusters)``."""
    n = int(counts.sum())
    if n == 0:
        return Scores(None, None, None, None, None)
    of_cluster = match_counts(counts)
    clusters = np.flatnonzero(of_cluster != UNMATCHED)
    hits = np.zeros(len(counts))
    hits[of_cluster[clusters]] = counts[of_cluster[clusters], clusters]
    sizes = counts.sum(1)
    present = sizes > 0
    nmi, ari = _nmi_ari(counts)
    return Scores(
        acc=float(hits.sum() / n),
        nmi=nmi,
        ari=ari,
        purity=float(counts.max(0).sum() / n),
        macro_recall=float((hits[present] / sizes[present]).mean()),
    )


def _nmi_ari(counts: Array) -> tuple[float, float]:
    """NMI and ARI by scikit-learn, which wants one entry a sample."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    classes, clusters = np.nonzero(counts)
    times = counts[classes, clusters]
    y, found = np.repeat(classes, times), np.repeat(clusters, times)
    nmi, ari = normalized_mutual_info_score(y, found), adjusted_rand_score(y, found)
    return round(float(nmi), 12), round(float(ari), 12)  # a perfect score is 1, not 1 − 2e-16
