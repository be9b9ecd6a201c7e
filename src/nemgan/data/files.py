"""A user's own data: a folder of pictures, one picture, or NumPy's .npy and .npz. Nothing is ever unpickled."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import IO, cast

import numpy as np

from nemgan.data.dataset import UNLABELLED, Array, Dataset, Splits
from nemgan.data.pictures import SUFFIXES, picture_size, read_picture, to_uint8
from nemgan.data.subsets import hold_out
from nemgan.errors import DataError
from nemgan.seeding import numpy_generator

SIZES = (8, 28, 32, 64)
"""Heights and widths that the networks are made for."""

_SPLIT_NAMES = frozenset(("train", "training", "test", "testing", "val", "valid", "validation"))
_LARGE, _DENSE = 1 << 30, 100  # an archive member that unpacks to over 1 GiB, more than 100-fold, is taken for a bomb
_HELD_OUT = 0.2


def read(path: Path | str, shape: tuple[int, ...] | None = None) -> tuple[Array, list[str]]:
    """Samples in a picture folder, picture file, .npy or .npz, as a :class:`Dataset` holds them.

    Pictures are cropped and resized to ``shape`` (by default to one of ``SIZES``, grey if all are grey). Arrays may
    be images ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)``, uint8 or numbers in [0, 1] or 0 … 255, or vectors
    ``(N, D)``; they are never resized.

    Returns:
        ``(x, ids)``: images ``(N, C, H, W)`` uint8 or vectors ``(N, D)`` float32, and one name a sample (path within
        the folder, or row number).

    Raises:
        DataError: nothing there, unreadable or damaged, objects, NaN, not of ``shape``.
    """
    path = Path(path)
    if _kind(path) == "array":
        x = _samples(_arrays(path)[0], str(path), shape)
        return x, [str(i) for i in range(len(x))]
    if shape is not None and len(shape) != 3:
        raise DataError(f"{path} holds pictures but vectors of {shape[0]} numbers are wanted: give .npy or .npz")
    files, base = ([path], path.parent) if path.is_file() else (_pictures(path), path)
    return _decode(files, shape), [f.relative_to(base).as_posix() for f in files]


def load(path: Path | str, seed: int = 0) -> Splits:
    """The data at ``path`` with a random 20 % held out for testing (the same for the same ``seed``).

    A folder whose pictures all lie in two or more subfolders is labelled by these; an .npz by its ``y``. Anything else
    has no labels and no class names.

    Raises:
        DataError: as :func:`read`; also fewer than two samples, or arrays of images of a size not in ``SIZES``.
    """
    path = Path(path)
    if _kind(path) == "array":
        raw, labels = _arrays(path)
        x = _samples(raw, str(path))
        if x.ndim == 4 and (x.shape[2] != x.shape[3] or x.shape[2] not in SIZES):
            raise DataError(
                f"{path} holds images of {x.shape[2]} × {x.shape[3]} pixels: resize them to a square of side "
                f"{', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]}"
            )
        y, names = _classes(labels, len(x), path)
        ids = np.arange(len(x))
    else:
        if path.is_file():
            raise DataError(f"{path} is a single picture: give a folder of pictures, .npy or .npz")
        files = _pictures(path)
        y, names = _folder_labels(path, files)
        x = _decode(files, None)
        ids = np.array([f.relative_to(path).as_posix() for f in files])
    data = Dataset(x, y, names, path.resolve().name, ids)
    return Splits(*hold_out(data, _HELD_OUT, numpy_generator(seed, "held out")))


def _kind(path: Path) -> str:
    """ "array" or "picture"; the file or folder must be there."""
    if not os.path.exists(path):  # False too where a folder above may not be entered
        raise DataError(f"there is no file or folder {path}: check the path")
    if os.path.isdir(path) or path.suffix.lower() in SUFFIXES:
        return "picture"
    if path.suffix.lower() in (".npy", ".npz"):
        return "array"
    raise DataError(f"cannot tell what {path} holds: give a folder of pictures, a picture file, .npy or .npz")


# Pictures


def _pictures(folder: Path) -> list[Path]:
    """Picture files under ``folder`` in order of their names, hidden ones left out."""
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot read {error.filename} ({error.strerror}): make it readable or remove it") from None

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
        found += [Path(where, n) for n in names if not n.startswith(".") and Path(n).suffix.lower() in SUFFIXES]
    if not found:
        raise DataError(f"{folder} holds no pictures: put .png, .jpg or other picture files there")
    return sorted(found, key=lambda f: f.relative_to(folder).parts)


def _decode(files: Sequence[Path], shape: tuple[int, ...] | None) -> Array:
    """The pictures as ``(N, C, H, W)`` uint8 of ``shape``, or else of the size in ``SIZES`` nearest to their median."""
    if shape is None:
        median = float(np.median([min(picture_size(f)) for f in files]))
        side = min(SIZES, key=lambda s: abs(s - median))
        channels, size = 3, (side, side)
    else:
        channels, size = shape[0], (shape[1], shape[2])
    x = np.empty((len(files), channels, *size), np.uint8)
    for i, file in enumerate(files):
        x[i] = read_picture(file, size, channels)
    grey = shape is None and (x[:, :1] == x[:, 1:]).all()
    return np.ascontiguousarray(x[:, :1]) if grey else x


def _folder_labels(folder: Path, files: Sequence[Path]) -> tuple[Array, tuple[str, ...]]:
    """Classes from the first level of subfolders, if every picture is in one and there are several."""
    parts = [f.relative_to(folder).parts for f in files]
    names = sorted({p[0] for p in parts})
    if len(names) < 2 or any(len(p) == 1 for p in parts):
        return np.full(len(files), UNLABELLED), ()
    if all(name.lower() in _SPLIT_NAMES for name in names):
        raise DataError(
            f"{folder} holds the splits {', '.join(names)}, not classes: give one of them, {folder / names[0]}"
        )
    return np.array([names.index(p[0]) for p in parts]), tuple(names)


# Arrays


def _arrays(path: Path) -> tuple[Array, Array | None]:
    """The samples and, where there are any, the labels in a .npy or .npz."""
    try:
        if path.suffix.lower() == ".npy":
            with open(path, "rb") as file:
                return _read_npy(file, path.stat().st_size, str(path)), None
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
        raise DataError(f"{path} does not fit into memory: give fewer samples") from None
    except Exception as error:  # a damaged header or archive raises almost anything: TokenError, BadZipFile, zlib.error
        raise DataError(f"{path} is damaged or no NumPy file ({_words(error)}): save it again with NumPy") from None


def _member(archive: zipfile.ZipFile, key: str, path: Path) -> Array:
    info = archive.getinfo(f"{key}.npy")
    if info.file_size > _LARGE and info.file_size > _DENSE * max(info.compress_size, 1):
        raise DataError(f"{path}: array {key} unpacks {_DENSE}-fold or more: save it with np.savez if you trust it")
    with archive.open(info) as file:
        return _read_npy(file, info.file_size, f"array {key} of {path}")


def _read_npy(file: IO[bytes], size: int, what: str) -> Array:
    """The array in an npy stream of ``size`` bytes, once its header has been found to fit and to hold no objects."""
    version = np.lib.format.read_magic(cast(BufferedIOBase, file))  # ValueError where it is not npy, as for a pickle
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise DataError(f"{what} has named columns or an unknown version: save a plain array of numbers")
    shape, _, dtype = readers[version](cast(BufferedIOBase, file))
    if dtype.hasobject:
        raise DataError(f"{what} holds Python objects, which are never loaded: save it as a plain array of numbers")
    if dtype.kind not in "biufU":
        raise DataError(f"{what} holds {dtype}: save it as a plain array of numbers")
    expected, found = math.prod(shape) * dtype.itemsize, size - file.tell()
    if expected != found:
        raise DataError(
            f"{what} is damaged: expected {expected} bytes of {dtype} {shape}, found {found}; save it again"
        )
    file.seek(0)
    array: Array = np.lib.format.read_array(cast(BufferedIOBase, file), allow_pickle=False)
    file.read(1)  # reaches the end of an archive member, where zipfile compares the checksum
    return array


def _samples(x: Array, what: str, shape: tuple[int, ...] | None = None) -> Array:
    """Images ``(N, C, H, W)`` uint8 or vectors ``(N, D)`` float32 from an array in a layout that :func:`read` names."""
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
    layouts = [x[:, None]] if x.ndim == 3 else [x] if x.shape[1] in (1, 3) else []
    if x.ndim == 4 and x.shape[3] in (1, 3):
        layouts.append(x.transpose(0, 3, 1, 2))
    fitting = [a for a in layouts if shape is None or a.shape[1:] == shape]
    if not fitting:
        want = _wanted(shape) if shape and layouts else "give 1 channel (grey) or 3 (RGB), first or last"
        raise DataError(f"{what} has shape {x.shape}: {want}")
    return np.ascontiguousarray(to_uint8(fitting[0], what))


def _vectors(x: Array, what: str) -> Array:
    if x.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {x.dtype}: give numbers")
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"{what}: {int(bad.sum())} values are NaN or infinite (first at row {row}, column {column}); "
            "remove or impute them"
        )
    if np.abs(x).max() > np.finfo(np.float32).max:
        raise DataError(f"{what} has values beyond the range of float32: rescale them")
    return np.ascontiguousarray(x, np.float32)


def _wanted(shape: tuple[int, ...] | None) -> str:
    if shape is not None and len(shape) == 1:
        return f"vectors (N, {shape[0]}) are wanted"
    c, h, w = shape or (1, 0, 0)
    return f"{'grey' if c == 1 else 'RGB'} images (N, {c}, {h}, {w}) are wanted" + (
        f" or (N, {h}, {w})" if c == 1 else ""
    )


def _classes(labels: Array | None, n: int, path: Path) -> tuple[Array, tuple[str, ...]]:
    """Labels numbered from 0 in the order of their values, and the values as names; integers below 0 are unlabelled."""
    if labels is None:
        return np.full(n, UNLABELLED), ()
    if labels.shape != (n,) or labels.dtype.kind not in "biuU":
        raise DataError(
            f"{path}: y has shape {labels.shape} of {labels.dtype} for {n} samples; give a whole number or word each"
        )
    known = np.ones(n, bool) if labels.dtype.kind in "Ub" else labels >= 0
    y = np.full(n, UNLABELLED)
    values, y[known] = np.unique(labels[known], return_inverse=True)
    return y, tuple(str(v) for v in values)


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return "a pickle is never loaded" if "pickle" in text else text[:120] or type(error).__name__
