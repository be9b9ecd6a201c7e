"""Can a printed row be true? Accuracy bounds NMI and ARI: all three come from one confusion matrix.

With two classes and two clusters the matrix has two degrees of freedom for given class masses: the shares a and b of
each class that fall in the first cluster. All of them are gone through, under each of the readings that authors use:

    the test split as it is           accuracy is the share that is right
    the same                          accuracy is the mean recall of the classes
    a test split with equal classes   (where the two accuracies agree)

NMI is taken with the arithmetic mean of the entropies. With the geometric mean every verdict is the same; with the
larger or the smaller entropy, which few use, some rows off CIFAR-2 70:30 change theirs.

A row is *impossible* where no matrix with the printed ACC has the printed NMI, or none has the printed ARI, under any
reading. It is *not of one labelling* where each is allowed on its own but no matrix has all three. (Means over runs of
very different quality are bound less tightly; the paper speaks of no means.) With more classes the figures leave too
much freedom for a refutation this simple, and none is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
STEPS = 1000
"""Each class is divided this finely; the printed figures have two decimals."""
HALF = 0.005
"""Half a unit of the last printed decimal."""


class Verdict(StrEnum):
    """What can be said of a printed row; the words are those of the tables."""

    POSSIBLE = "possible"
    NOT_TOGETHER = "not of one labelling"
    IMPOSSIBLE = "impossible"


def attainable(acc: float, nmi: float, ari: float, masses: Sequence[float]) -> Verdict | None:
    """Whether a labelling can have these three figures, printed with two decimals; None for more than two classes.

    Args:
        masses: of the two classes in the test split.

    >>> attainable(0.72, 0.68, 0.65, (0.7, 0.3)).value, attainable(0.98, 0.89, 0.93, (0.7, 0.3)).value
    ('impossible', 'possible')
    """
    if len(masses) != 2:
        return None
    best = Verdict.IMPOSSIBLE
    for fits, found_nmi, found_ari in _readings(acc, masses):
        right_nmi, right_ari = fits & _near(found_nmi, nmi), fits & _near(found_ari, ari)
        if (right_nmi & right_ari).any():
            return Verdict.POSSIBLE
        if right_nmi.any() and right_ari.any():
            best = Verdict.NOT_TOGETHER
    return best


def highest_nmi(acc: float, masses: Sequence[float]) -> float:
    """The highest NMI of any two-class labelling whose accuracy rounds to ``acc`` under any reading."""
    return max(float(nmi[fits].max(initial=0.0)) for fits, nmi, _ in _readings(acc, masses))


def _readings(acc: float, masses: Sequence[float]) -> Iterator[tuple[Array, Array, Array]]:
    """For each reading: which matrices have that accuracy, and the NMI and ARI of all matrices."""
    for shares in ((float(masses[0]), float(masses[1])), (0.5, 0.5)):
        accuracy, recall, nmi, ari = _all_matrices(shares)
        yield _near(accuracy, acc), nmi, ari
        yield _near(recall, acc), nmi, ari


def _near(found: Array, given: float) -> Array:
    """Where ``found`` rounds to ``given``; a hair more, so that the grid's spacing refutes nothing."""
    near: Array = np.abs(found - given) <= HALF + 0.5 / STEPS
    return near


@lru_cache(maxsize=8)
def _all_matrices(masses: tuple[float, float]) -> tuple[Array, Array, Array, Array]:
    """Hungarian accuracy, mean recall under that match, NMI and (asymptotic) ARI of all matrices, ``(STEPS+1,)²`` each.

    Class 0 has the share a and class 1 the share b in the first cluster. By symmetry a ≥ b is enough of them.
    """
    grid = np.linspace(0, 1, STEPS + 1)
    a, b = (each.ravel() for each in np.meshgrid(grid, grid, indexing="ij"))
    keep = a >= b
    a, b = a[keep], b[keep]
    p, q = masses
    cells = np.stack([p * a, p * (1 - a), q * b, q * (1 - b)])  # class × cluster
    straight, crossed = cells[0] + cells[3], cells[1] + cells[2]
    recall = np.where(straight >= crossed, (a + 1 - b) / 2, (b + 1 - a) / 2)
    first = p * a + q * b
    h_class, h_cluster = _entropy(np.array([p, q])), _entropy(np.stack([first, 1 - first]))
    mutual = h_class + h_cluster - _entropy(cells)
    nmi = (2 * mutual / (h_class + h_cluster)).clip(0, 1)
    # pairs in the same class and cluster, in the limit of many samples
    together, classes, clusters = (cells**2).sum(0), p**2 + q**2, first**2 + (1 - first) ** 2
    expected = classes * clusters
    spread = (classes + clusters) / 2 - expected
    ari = np.divide(together - expected, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return np.maximum(straight, crossed), recall, nmi, ari


def _entropy(p: Array) -> Array:
    """Entropy over the first axis, in nats."""
    entropy: Array = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(0)
    return entropy
