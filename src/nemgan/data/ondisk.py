"""Samples that stay on disk: rows of a .npy, read when asked for; memory holds no more of them than are in use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.errors import DataError

Array = NDArray[Any]
BLOCK = 1 << 24
"""Bytes of an array that are looked at together."""


class Rows:
    """Rows of an array in a file, in an order of their own.

    Behaves like the array of these rows as far as reading goes: ``rows[index]`` is an ordinary array in memory. What
    is asked for is read, not mapped: rows in random order come faster so, and nothing stays in memory.

    Args:
        array: mapped, ``(N, …)``, each row in one piece; may be a view with the axes of a row in another order.
        index: rows of ``array``, ``(n,)`` integers; all of them by default.
    """

    def __init__(self, array: np.memmap[Any, Any], index: Array | None = None) -> None:
        self._array, self._index = array, index
        self.dtype, self.ndim = array.dtype, array.ndim
        self.shape: tuple[int, ...] = (len(array) if index is None else len(index), *array.shape[1:])
        self.size = int(np.prod(self.shape))
        self._path = Path(str(array.filename))
        self._row = int(np.prod(array.shape[1:])) * array.itemsize
        stored = sorted(range(1, array.ndim), key=lambda axis: -array.strides[axis])
        self._stored = tuple(array.shape[axis] for axis in stored)
        self._axes = (0, *(1 + stored.index(axis) for axis in range(1, array.ndim)))

    @classmethod
    def of(cls, array: Array) -> Rows | None:
        """The rows of ``array``, if it is mapped and has each of them in one piece."""
        whole = int(np.prod(array.shape[1:])) * array.itemsize
        return cls(array) if isinstance(array, np.memmap) and array.strides[0] == whole else None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: Any) -> Array:
        """The rows at ``at`` (a number, slice, integers or mask), read into memory.

        Raises:
            DataError: the file has become shorter or cannot be read any more.
        """
        rows = range(len(self)) if isinstance(at, slice) else np.arange(len(self))
        place = np.asarray(rows[at] if self._index is None else self._index[at])
        flat = place.reshape(-1)
        found = np.empty((len(flat), *self._stored), self.dtype)
        with open(self._path, "rb", buffering=0) as file:
            self._read(file.fileno(), flat, found)
        return np.ascontiguousarray(found.transpose(self._axes)).reshape(*place.shape, *self.shape[1:])

    def _read(self, file: int, place: Array, into: Array) -> None:
        """Fill ``into`` with the rows at ``place``: those that lie close together at once, others one by one."""
        if not len(place):
            return
        first, last = int(place[0]), int(place[-1])
        if last - first < 2 * len(place) and (np.diff(place) > 0).all():
            span = into if last - first + 1 == len(place) else np.empty((last - first + 1, *self._stored), self.dtype)
            self._fetch(file, first, memoryview(span.view(np.uint8).reshape(-1).data))
            if span is not into:
                np.take(span, place - first, axis=0, out=into)
            return
        view = memoryview(into.view(np.uint8).reshape(-1).data)
        for k, i in enumerate(place.tolist()):
            self._fetch(file, i, view[k * self._row : (k + 1) * self._row])

    def _fetch(self, file: int, first: int, into: memoryview) -> None:
        """Fill ``into``, bytes, with rows from ``first`` on."""
        start = self._array.offset + self._row * first
        done = _pread(file, into, start)
        while done < len(into):  # a signal, or more than the system reads at once
            got = _pread(file, into[done:], start + done)
            if not got:
                raise DataError(f"{self._path} has become shorter while it was read: restore it")
            done += got

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        found = self[:]
        return found if dtype is None else found.astype(dtype, copy=False)

    def take(self, at: Array) -> Rows:
        """The rows at ``at`` (integers or a mask), still on disk."""
        every = np.arange(len(self)) if self._index is None else self._index
        return Rows(self._array, every[at])


def _pread(file: int, into: memoryview, at: int) -> int:
    """Bytes read from ``at`` on into ``into``, at most as many as it holds."""
    if sys.platform != "win32":
        return os.preadv(file, [into], at)
    os.lseek(file, at, os.SEEK_SET)
    part = os.read(file, len(into))
    into[: len(part)] = part
    return len(part)


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
