"""Samples that stay on disk: rows of a mapped array, read when asked for, and never many of them at once in memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BLOCK = 1 << 24
"""Bytes of an array that are looked at together."""
RESIDENT = 1 << 27
"""Bytes of a map that may stay in memory before the system is told that they are not needed."""
_AROUND = 1 << 16
"""Bytes that a system reads, at worst, around each row it is asked for."""


class Rows:
    """Rows of an array on disk, in an order of their own.

    Behaves like the array of these rows as far as reading goes: ``rows[index]`` is an ordinary array in memory.

    Args:
        array: mapped, ``(N, …)``; may be a view with its axes in another order.
        index: rows of ``array``, ``(n,)`` integers; all of them by default.
    """

    def __init__(self, array: np.memmap[Any, Any], index: Array | None = None) -> None:
        self._array, self._index = array, index
        self._map: mmap.mmap | None = getattr(array, "_mmap", None)
        self._seen = 0
        self.shape: tuple[int, ...] = (len(array) if index is None else len(index), *array.shape[1:])
        self.dtype, self.ndim, self.size = array.dtype, array.ndim, int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: Any) -> Array:
        """The rows at ``at`` (a number, slice, integers or mask), copied into memory."""
        place = at if self._index is None else self._index[at]
        found = np.array(self._array[place], order="C", subok=False)
        pieces = 1 if isinstance(place, slice) else np.size(place)
        self._seen += found.nbytes + _AROUND * pieces
        if self._seen > RESIDENT:
            self.forget()
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        found = self[:]
        return found if dtype is None else found.astype(dtype, copy=False)

    def take(self, at: Array) -> Rows:
        """The rows at ``at`` (integers or a mask), still on disk."""
        every = np.arange(len(self)) if self._index is None else self._index
        return Rows(self._array, every[at])

    def forget(self) -> None:
        """Let the system drop what it holds of the file for this process; it is read again when asked for."""
        self._seen = 0
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


Samples = Array | Rows


def take(x: Samples, at: Array) -> Samples:
    """The rows of ``x`` at ``at`` (integers or a mask); those on disk stay there."""
    return x.take(at) if isinstance(x, Rows) else x[at]


def blocks(x: Samples) -> Iterator[Array]:
    """``x`` in consecutive parts of at most ``BLOCK`` bytes (one row at least)."""
    row = max(1, int(np.prod(x.shape[1:])) * x.dtype.itemsize)
    step = max(1, BLOCK // row)
    for start in range(0, len(x), step):
        yield x[start : start + step]
