"""Arrays of a user's own: NumPy's .npy and .npz, checked from their headers. Nothing is ever unpickled."""

from __future__ import annotations

import math
import zipfile
from io import BufferedIOBase
from pathlib import Path
from typing import IO, cast

import numpy as np

from nemgan.data.dataset import UNLABELLED, Array
from nemgan.data.ondisk import Rows, Samples, blocks
from nemgan.data.pictures import to_uint8
from nemgan.data.tables import no_label
from nemgan.errors import DataError

ON_DISK_FROM = 1 << 28
"""Bytes of a .npy from which on it is not read as a whole."""
_LARGE, _DENSE = 1 << 30, 100  # an archive member that unpacks to over 1 GiB, more than 100-fold, is taken for a bomb


def read_arrays(path: Path) -> tuple[Array, Array | None]:
    """The samples and, where there are any, the labels in a .npy or .npz. Those of a large .npy are mapped.

    Raises:
        DataError: unreadable, damaged, objects, no array x, too large.
    """
    try:
        if path.suffix.lower() == ".npy":
            with open(path, "rb") as file:
                size = path.stat().st_size
                return _read_npy(file, size, str(path), path if size >= ON_DISK_FROM else None), None
        with zipfile.ZipFile(path) as archive:
            keys = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            if "x" not in keys:
                held = ", ".join(keys[:5]) or "no array"
                raise DataError(f"{path} has no array x (it has {held}): save it with np.savez(path, x=…, y=…)")
            x = _member(archive, "x", path)
            return x, _member(archive, "y", path) if "y" in keys else None
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}): make it readable") from None
    except MemoryError:
        raise DataError(
            f"{path} does not fit into memory: save images as uint8 in a .npy, which is mapped, or give fewer"
        ) from None
    except Exception as error:  # a damaged header or archive raises almost anything: TokenError, BadZipFile, zlib.error
        raise DataError(f"{path} is damaged or no NumPy file ({_words(error)}): save it again with NumPy") from None


def _member(archive: zipfile.ZipFile, key: str, path: Path) -> Array:
    info = archive.getinfo(f"{key}.npy")
    if info.file_size > _LARGE and info.file_size > _DENSE * max(info.compress_size, 1):
        raise DataError(f"{path}: array {key} unpacks {_DENSE}-fold or more: save it with np.savez if you trust it")
    with archive.open(info) as file:
        return _read_npy(file, info.file_size, f"array {key} of {path}")


def _read_npy(file: IO[bytes], size: int, what: str, mapped: Path | None = None) -> Array:
    """The array in an npy stream of ``size`` bytes, once its header has been found to fit and to hold no objects.

    Args:
        mapped: where the stream is, to map it from there instead of reading it.
    """
    version = np.lib.format.read_magic(cast(BufferedIOBase, file))  # ValueError where it is not npy, as for a pickle
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise DataError(f"{what} has named columns or an unknown version: save a plain array of numbers")
    shape, by_column, dtype = readers[version](cast(BufferedIOBase, file))
    if dtype.hasobject:
        raise DataError(f"{what} holds Python objects, which are never loaded: save it as a plain array of numbers")
    if dtype.kind not in "biufU":
        raise DataError(f"{what} holds {dtype}: save it as a plain array of numbers")
    expected, found = math.prod(shape) * dtype.itemsize, size - file.tell()
    if expected != found:
        raise DataError(
            f"{what} is damaged: expected {expected} bytes of {dtype} {shape}, found {found}; save it again"
        )
    if mapped is not None:
        return np.memmap(mapped, dtype, "r", file.tell(), shape, "F" if by_column else "C")
    file.seek(0)
    array: Array = np.lib.format.read_array(cast(BufferedIOBase, file), allow_pickle=False)
    file.read(1)  # reaches the end of an archive member, where zipfile compares the checksum
    return array


def as_samples(x: Array, what: str, shape: tuple[int, ...] | None = None, white: float | None = None) -> Samples:
    """Images ``(N, C, H, W)`` uint8 or vectors ``(N, D)`` float32 from an array in a layout that ``files.find`` names.

    Large images of uint8 stay on disk; all else is converted block by block, and images of few tones, whose ``white``
    is given, too.

    Raises:
        DataError: another shape, nothing in it, NaN, values out of range.
    """
    if shape is not None and x.ndim not in ((2,) if len(shape) == 1 else (3, 4)):
        raise DataError(f"{what} has shape {x.shape}: {_wanted(shape)}")
    if x.ndim not in (2, 3, 4):
        raise DataError(
            f"{what} has shape {x.shape}: give images (N, H, W), (N, C, H, W) or (N, H, W, C), or vectors (N, D)"
        )
    if len(x) == 0 or x.size == 0:
        raise DataError(f"{what} is empty (shape {x.shape}): give at least one sample")
    if x.ndim == 2:
        vectors = _vectors(x, what)
        if shape is not None and vectors.shape[1:] != shape:
            raise DataError(f"{what} has shape {x.shape}: {_wanted(shape)}")
        return vectors
    views = layouts(x)
    fitting = [a for a in views if shape is None or a.shape[1:] == shape]
    if not fitting:
        want = _wanted(shape) if shape and views else "give 1 channel (grey) or 3 (RGB), first or last"
        raise DataError(f"{what} has shape {x.shape}: {want}")
    images = fitting[0]
    rows = Rows.of(images)
    if rows is not None and rows.dtype == np.uint8 and white is None:
        return rows
    return np.ascontiguousarray(to_uint8(images if rows is None else rows, what, white))


def layouts(x: Array) -> list[Array]:
    """The ways to read ``x``, of three or four axes, as grey or RGB images: views ``(N, C, H, W)``, likeliest first."""
    if x.ndim == 3:
        return [x[:, None]]
    return [x] * (x.shape[1] in (1, 3)) + [x.transpose(0, 3, 1, 2)] * (x.shape[3] in (1, 3))


def _vectors(x: Array, what: str) -> Array:
    if x.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {x.dtype}: give numbers")
    found, bad, large, rows = np.empty(x.shape, np.float32), 0, False, 0
    limit = np.finfo(np.float32).max
    low, high, lost = np.full(x.shape[1], np.inf), np.full(x.shape[1], -np.inf), np.zeros(x.shape[1])
    for part in blocks(Rows.of(x) or x):
        strange = ~np.isfinite(part)
        if not bad and strange.any():
            row, column = np.argwhere(strange)[0]
            first = f"row {rows + row}, column {column}"
        large |= bool((np.abs(part) > limit).any())
        usable = np.where(np.abs(part) <= limit, part, 0).astype(np.float64)
        found[rows : rows + len(part)] = usable
        low, high = np.minimum(low, usable.min(0)), np.maximum(high, usable.max(0))
        lost = np.maximum(lost, np.abs(usable - found[rows : rows + len(part)]).max(0))
        bad, rows = bad + int(strange.sum()), rows + len(part)
    if bad:
        raise DataError(f"{what}: {bad} values are NaN or infinite (first at {first}); remove or impute them")
    if large:
        raise DataError(f"{what} has values beyond the range of float32: rescale them")
    coarse = np.flatnonzero(lost * 1000 > high - low)
    coarse = coarse[high[coarse] > low[coarse]]
    if len(coarse):
        j = coarse[0]
        raise DataError(
            f"{what}: column {j} spans {low[j]:.10g} … {high[j]:.10g}, too narrow for float32 at that distance from 0: "
            f"subtract {low[j]:.10g} from it"
        )
    return found


def _wanted(shape: tuple[int, ...] | None) -> str:
    if shape is not None and len(shape) == 1:
        return f"vectors (N, {shape[0]}) are wanted"
    c, h, w = shape or (1, 0, 0)
    return f"{'grey' if c == 1 else 'RGB'} images (N, {c}, {h}, {w}) are wanted" + (
        f" or (N, {h}, {w})" if c == 1 else ""
    )


def classes(labels: Array | None, n: int, path: Path) -> tuple[Array, tuple[str, ...]]:
    """Labels numbered from 0 in the order of their values, and the values as names; integers below 0 are unlabelled.

    So are the words of ``tables.NO_LABEL``, as numpy writes NaN among words.
    """
    if labels is None:
        return np.full(n, UNLABELLED), ()
    if labels.shape != (n,) or labels.dtype.kind not in "biuU":
        raise DataError(
            f"{path}: y has shape {labels.shape} of {labels.dtype} for {n} samples; give a whole number or word each"
        )
    if labels.dtype.kind == "U":
        known = np.array([not no_label(word) for word in labels.tolist()], bool)
    else:
        known = np.ones(n, bool) if labels.dtype.kind == "b" else labels >= 0
    y = np.full(n, UNLABELLED)
    values, y[known] = np.unique(labels[known], return_inverse=True)
    return y, tuple(str(v) for v in values)


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return "a pickle is never loaded" if "pickle" in text else text[:120] or type(error).__name__
