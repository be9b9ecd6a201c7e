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

    Numbers, strings and booleans are taken; −1, the words "-1", "nan" and "", None, NaN and pandas' NA mean unlabelled.

    Raises:
        DataError: not one label a sample, infinite values, or numbers that are no whole classes.
    """
    y = np.asarray(y) if hasattr(y, "dtype") else np.asarray(y, object)  # a list's NaN would become a word
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (n,):
        raise DataError(f"y has shape {y.shape}, but X has {n} samples: give one label a sample, -1 where unknown")
    if y.dtype.kind == "O":
        hidden = np.array([_is_missing(value) for value in y], bool)
        kinds = {isinstance(value, str) for value in y[~hidden]}
        if len(kinds) > 1:
            raise DataError("y mixes words and numbers: give labels of one kind, -1 where unknown")
        y = np.asarray(y[~hidden].astype(str) if kinds == {True} else y[~hidden].tolist())
        known = ~hidden
    else:
        none = {"b": (), "U": _NO_LABEL}.get(y.dtype.kind, (UNLABELLED,))
        known = ~np.isin(y, none) if none else np.ones(n, bool)
        if y.dtype.kind == "f":
            known &= ~np.isnan(y)
        y = y[known]
    if y.dtype.kind not in "biufUS":
        raise DataError(f"y holds {y.dtype}: give numbers or words, -1 where unknown")
    if y.dtype.kind == "f" and (not np.isfinite(y).all() or (y != np.rint(y)).any()):
        raise DataError("Unknown label type: y holds continuous or infinite values; give classes, -1 where unknown")
    codes = np.full(n, UNLABELLED, np.int64)
    classes, codes[known] = np.unique(y, return_inverse=True)
    return codes, classes


def _is_missing(value: Any) -> bool:
    """Whether a label in an array of objects says that there is none."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return value in _NO_LABEL if isinstance(value, str) else bool(value == UNLABELLED or value != value)
