"""Labels in scikit-learn's semi-supervised convention: any classes, and −1 where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data.dataset import UNLABELLED
from nemgan.errors import DataError

Array = NDArray[Any]
Int = NDArray[np.int64]


_NO_LABEL = ("", "nan", str(UNLABELLED))  # numpy writes NaN as "nan" among words


def encode(y: Any, n: int) -> tuple[Int, Array]:
    """Class numbers ``(n,)``, −1 where unlabelled, and the classes in order of their value.

    Numbers, words and booleans are taken; −1, the words "-1", "nan" and "", None, NaN, pandas' NA and masked entries
    mean unlabelled.

    Raises:
        DataError: not one label a sample, infinite values, or numbers that are no whole classes.
    """
    if isinstance(y, np.ma.MaskedArray):
        hidden, y = np.ma.getmaskarray(y), np.ma.getdata(y).astype(object)
        y[hidden] = None
    y = np.asarray(y) if hasattr(y, "dtype") else np.asarray(y, object)  # a list's NaN would become a word
    if y.dtype.kind in "ST":
        y = y.astype(object)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (n,):
        raise DataError(f"y has shape {y.shape}, but X has {n} samples: give one label a sample, -1 where unknown")
    if y.dtype.kind == "O":
        y = np.array([_decoded(value) for value in y] + [None], object)[:-1]
        hidden = np.array([_is_missing(value) for value in y], bool)
        kinds = {isinstance(value, str) for value in y[~hidden]}
        if len(kinds) > 1:
            raise DataError("y mixes words and numbers: give labels of one kind, -1 where unknown")
        y = np.asarray(y[~hidden].astype(str) if kinds == {True} else y[~hidden].tolist())
        known = ~hidden
    else:
        if y.dtype.kind == "U":
            known = ~np.isin(y, _NO_LABEL)
        else:
            known = (y == y) & ((y != UNLABELLED) | (y.dtype.kind == "b"))  # NaN is not itself
        y = y[known]
    if y.dtype.kind not in "biufU":
        raise DataError(f"y holds {y.dtype}: give numbers or words, -1 where unknown")
    if y.dtype.kind == "f" and (not np.isfinite(y).all() or (y != np.rint(y)).any()):
        raise DataError("Unknown label type: y holds continuous or infinite values; give classes, -1 where unknown")
    if y.dtype.kind == "f":
        y = y.astype(np.float64)
    codes = np.full(n, UNLABELLED, np.int64)
    classes, codes[known] = np.unique(y, return_inverse=True)
    return codes, classes


def _is_missing(value: Any) -> bool:
    """Whether a label in an array of objects says that there is none."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return value in _NO_LABEL if isinstance(value, str) else bool(value == UNLABELLED or value != value)


def _decoded(value: Any) -> Any:
    """A label in bytes as a word.

    Raises:
        DataError: bytes that are no UTF-8.
    """
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        raise DataError(f"y has a label that is no UTF-8 ({value!r}): decode labels to words") from None
