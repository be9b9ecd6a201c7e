"""How sure a posterior is of each sample: the margin between its two likeliest clusters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]


class Margins(NamedTuple):
    """Of each sample ``(N,)``.

    Attributes:
        first, second: its likeliest cluster and the next; the same where there is but one.
        margin: difference of their probabilities, in [0, 1]; 1 where there is but one cluster.
    """

    first: Int
    second: Int
    margin: NDArray[Any]


def margins(posterior: NDArray[Any]) -> Margins:
    """Margins of a posterior ``(N, M)``. Of clusters equally likely, the one of the lowest number comes first."""
    n, m = posterior.shape
    first = posterior.argmax(1)
    if m == 1:
        return Margins(first, first, np.ones(n, posterior.dtype))
    rows, rest = np.arange(n), posterior.copy()
    rest[rows, first] = -1
    second = rest.argmax(1)
    return Margins(first, second, posterior[rows, first] - posterior[rows, second])


def least_certain(found: Margins, most: int) -> Int:
    """Positions of the ``most`` samples of smallest margin, smallest first; of equal ones the earlier first."""
    return np.argsort(found.margin, kind="stable")[:most]
