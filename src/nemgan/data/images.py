"""The image sets that papers use, read from their official raw files.

Files lie under one data root in torchvision's layout, so copies that are already there are used:

    MNIST/raw/train-images-idx3-ubyte[.gz] …     FashionMNIST/raw/… (the same names)
    cifar-10-batches-bin/data_batch_1.bin …      celeba/img_align_celeba/*.jpg, list_*.txt

Every reader checks header and size, and no file is unpickled.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from nemgan.data.dataset import Array, Dataset, Splits
from nemgan.data.pictures import read_picture
from nemgan.errors import DataError
from nemgan.seeding import numpy_generator


@dataclass(frozen=True)
class ImageSet:
    """A published set: what it holds, the files it is read from, and how.

    Attributes:
        shape: shape of one image ``(C, H, W)``.
        train_counts, test_counts: images per class.
        files: paths under the data root; an IDX file may also lie there with ".gz" added.
    """

    title: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    files: tuple[str, ...]
    source: str
    licence: str
    read: Callable[[Path], Splits]

    def missing(self, root: Path) -> list[str]:
        """The files that are not under ``root``."""
        return [f for f in self.files if not os.path.exists(root / f) and not os.path.isfile(_gz(root / f))]


def _gz(path: Path) -> Path:
    return path.with_name(path.name + ".gz")


def read_idx(path: Path, shape: tuple[int, ...] | None = None) -> Array:
    """The uint8 array in the IDX file ``path`` (".gz": gzipped), which must have ``shape`` where that is given.

    Raises:
        DataError: missing or unreadable, not an IDX file of bytes, truncated, followed by more data, or another shape.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            head = _read(file, 4)
            if len(head) < 4:
                raise _size_error(path, 4, len(head))
            if head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
                raise DataError(f"{path} is not an IDX file of bytes (it starts {head.hex(' ')}): download it again")
            sizes = _read(file, 4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise _size_error(path, 4 + 4 * head[3], 4 + len(sizes))
            dims = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
            if 0 in dims:
                raise DataError(f"{path} holds an empty array of shape {dims}: put the official file there")
            if shape is not None and dims != shape:
                raise DataError(f"{path} holds an array of shape {dims}, not {shape}: put the official file there")
            n, start = math.prod(dims), 4 + len(sizes)
            body = _read(file, n + 1)  # one more than there should be: it also makes gzip check its checksum
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}): put a readable copy there") from None
    if len(body) != n:
        raise _size_error(path, start + n, start + len(body))
    return np.frombuffer(body, np.uint8).reshape(dims)


def _read(file: BufferedIOBase, n: int) -> bytearray:
    """Up to ``n`` bytes of ``file``, fewer where it ends. Memory follows what is there, not ``n``.

    Where a gzip stream breaks off, what came before it; the last byte is dropped, so that a break after the last
    byte of the content (in the checksum) shows too.
    """
    found = bytearray()
    try:
        while len(found) < n and (part := file.read(min(n - len(found), 1 << 20))):
            found += part
    except (EOFError, zlib.error):
        del found[n - 2 :]
    return found


def _size_error(path: Path, expected: int, found: int) -> DataError:
    more = " or more" if found > expected else ""
    unpacked = " unpacked" if path.suffix == ".gz" else ""
    return DataError(
        f"{path} is damaged: expected {expected} bytes{unpacked}, found {found}{more}; delete it and download it again"
    )


def _read_mnist(root: Path, folder: str, name: str, class_names: tuple[str, ...]) -> Splits:
    def split(prefix: str, n: int) -> Dataset:
        def array(kind: str, shape: tuple[int, ...]) -> Array:
            path = root / folder / "raw" / f"{prefix}-{kind}-ubyte"
            return read_idx(path if path.is_file() else _gz(path), shape)

        x, y = array("images-idx3", (n, 28, 28)), array("labels-idx1", (n,))
        return Dataset(x[:, None], y, class_names, name)

    return Splits(split("train", 60_000), split("t10k", 10_000))


def read_cifar_batch(path: Path, n: int = 10_000) -> tuple[Array, Array]:
    """The ``n`` images ``(n, 3, 32, 32)`` uint8 and labels ``(n,)`` of one binary CIFAR-10 batch.

    Raises:
        DataError: missing, unreadable, or not exactly ``n`` records of 3,073 bytes with labels 0 … 9.
    """
    try:
        found = path.stat().st_size
        if found != n * 3073:
            raise _size_error(path, n * 3073, found)
        records = np.fromfile(path, np.uint8).reshape(n, 3073)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}): put a readable copy there") from None
    y = records[:, 0]
    if y.max() > 9:
        raise DataError(f"{path} is damaged: it has a label {y.max()}, and CIFAR-10 has 0 … 9; download it again")
    return records[:, 1:].reshape(n, 3, 32, 32), y


def _read_cifar(root: Path) -> Splits:
    folder = root / "cifar-10-batches-bin"
    batches = [read_cifar_batch(folder / f"data_batch_{i}.bin") for i in range(1, 6)]
    x, y = np.concatenate([b[0] for b in batches]), np.concatenate([b[1] for b in batches])
    test_x, test_y = read_cifar_batch(folder / "test_batch.bin")
    names = CIFAR10.class_names
    return Splits(Dataset(x, y, names, "CIFAR-10"), Dataset(np.ascontiguousarray(test_x), test_y, names, "CIFAR-10"))


def read_celeba(root: Path, attribute: str = "Black_Hair", size: int = 64) -> Splits:
    """Faces ``(N, 3, size, size)``, the whole width of 178 pixels about the centre; class 0 has ``attribute``.

    The official training and test partitions; the validation one is left out.

    Raises:
        DataError: a missing or damaged list or picture, an unknown attribute.
    """
    folder = root / "celeba"
    lines = _lines(folder / "list_attr_celeba.txt")
    names = lines[1].split() if len(lines) > 1 else []
    if attribute not in names:
        raise DataError(f"{folder / 'list_attr_celeba.txt'} does not list {attribute!r}: put the official file there")
    column = 1 + names.index(attribute)
    rows = [line.split() for line in lines[2:]]
    has = {row[0]: row[column] == "1" for row in rows if len(row) == 1 + len(names)}
    parts = [line.split() for line in _lines(folder / "list_eval_partition.txt")]
    class_names = (attribute.replace("_", " ").lower(), f"no {attribute.replace('_', ' ').lower()}")

    def split(part: str) -> Dataset:
        files = [row[0] for row in parts if len(row) == 2 and row[1] == part]
        unknown = next((f for f in files if f not in has or Path(f).name != f), None)
        if unknown or not files:
            raise DataError(
                f"the CelebA lists in {folder} do not match ({unknown or 'no file'}): put official ones there"
            )
        x = np.empty((len(files), 3, size, size), np.uint8)
        with ThreadPoolExecutor(4) as pool:  # decoding leaves the interpreter lock
            paths = [folder / "img_align_celeba" / f for f in files]
            for i, picture in enumerate(pool.map(partial(read_picture, size=(size, size)), paths)):
                x[i] = picture
        return Dataset(x, np.array([0 if has[f] else 1 for f in files]), class_names, "CelebA")

    return Splits(split("0"), split("2"))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise DataError(f"cannot read {path} ({why}): put the official file there") from None


def _read_digits(root: Path) -> Splits:
    """scikit-learn's digits; a fixed random 30 % of each class is the test split (there is no official one)."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    data = Dataset(np.rint(raw.images[:, None] * (255 / 16)).astype(np.uint8), raw.target, DIGITS.class_names, "digits")
    rng = numpy_generator(0, "digits", "split")
    aside = np.zeros(len(data), bool)
    for k, n in enumerate(DIGITS.test_counts):
        aside[rng.choice(np.flatnonzero(data.y == k), n, replace=False)] = True
    return Splits(data.take(~aside), data.take(aside))


def _idx_files(folder: str) -> tuple[str, ...]:
    kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
    return tuple(f"{folder}/raw/{split}-{kind}" for split in ("train", "t10k") for kind in kinds)


_NUMERALS = tuple("0123456789")
_CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_DIGITS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)

DIGITS = ImageSet(
    "digits",
    (1, 8, 8),
    _NUMERALS,
    tuple(n - round(0.3 * n) for n in _DIGITS),
    tuple(round(0.3 * n) for n in _DIGITS),
    (),
    "inside scikit-learn (UCI: optical recognition of handwritten digits, 1998)",
    "CC BY 4.0",
    _read_digits,
)
MNIST = ImageSet(
    "MNIST",
    (1, 28, 28),
    _NUMERALS,
    (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    _idx_files("MNIST"),
    "http://yann.lecun.com/exdb/mnist",
    "CC BY-SA 3.0",
    lambda root: _read_mnist(root, "MNIST", "MNIST", _NUMERALS),
)
FASHION_MNIST = ImageSet(
    "Fashion-MNIST",
    (1, 28, 28),
    _CLOTHES,
    (6000,) * 10,
    (1000,) * 10,
    _idx_files("FashionMNIST"),
    "https://github.com/zalandoresearch/fashion-mnist",
    "MIT",
    lambda root: _read_mnist(root, "FashionMNIST", "Fashion-MNIST", _CLOTHES),
)
CIFAR10 = ImageSet(
    "CIFAR-10",
    (3, 32, 32),
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    (5000,) * 10,
    (1000,) * 10,
    tuple(f"cifar-10-batches-bin/{b}.bin" for b in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")),
    "https://www.cs.toronto.edu/~kriz/cifar.html",
    "none stated: research use, cite Krizhevsky 2009",
    _read_cifar,
)
CELEBA = ImageSet(
    "CelebA",
    (3, 64, 64),
    ("black hair", "no black hair"),
    (38_902, 123_868),  # the published shares .239 and .761 of 162,770; what is read has its own exact counts
    (4_771, 15_191),  # the same of 19,962
    tuple(f"celeba/{f}" for f in ("img_align_celeba", "list_attr_celeba.txt", "list_eval_partition.txt")),
    "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    "non-commercial research only",
    read_celeba,
)
