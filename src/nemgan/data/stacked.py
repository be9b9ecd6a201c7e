"""Stacked MNIST: a random digit in each colour channel, so 1,000 modes that a classifier of digits can tell apart.

Metz et al. 2017 draw the three digits at random, so that modes differ in size by chance. Here every mode has the same
number of samples: a generator that lacks one lacks it for no other reason.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nemgan.data.dataset import Dataset, Splits
from nemgan.data.images import MNIST, ImageSet
from nemgan.seeding import numpy_generator

NAME = "stacked-mnist"
CHANNELS, DIGITS = 3, 10
MODES = DIGITS**CHANNELS
PER_MODE = 60, 10
"""Samples of each mode in the training and the test split."""


def digits_of(y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Digit in each channel ``(N, 3)`` of modes ``(N,)``: mode 407 shows 4, 0 and 7."""
    return np.stack([y // DIGITS ** (CHANNELS - 1 - c) % DIGITS for c in range(CHANNELS)], 1)


def mode_of(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """The inverse of ``digits_of``: modes ``(N,)`` of digits ``(N, 3)``."""
    modes: NDArray[np.int64] = digits @ DIGITS ** np.arange(CHANNELS - 1, -1, -1)
    return modes


def stack(digits: Dataset, per_mode: int, rng: np.random.Generator) -> Dataset:
    """``per_mode`` samples ``(3, H, W)`` of each mode in random order, from grey images of all ten digits."""
    y = rng.permutation(np.repeat(np.arange(MODES), per_mode))
    index = np.empty((len(y), CHANNELS), np.int64)
    wanted = digits_of(y)
    for digit in range(DIGITS):
        where = wanted == digit
        index[where] = rng.choice(np.flatnonzero(digits.y == digit), int(where.sum()))
    return Dataset(digits.x[:, 0][index], y, STACKED_MNIST.class_names, NAME)


def channels(data: Dataset) -> Dataset:
    """The labelled samples taken apart: their channels as grey images ``(3 N, 1, H, W)``, labelled with the digits."""
    known = data.y >= 0
    x, y = data.x[known], digits_of(data.y[known])
    return Dataset(x.reshape(-1, 1, *x.shape[2:]), y.ravel(), tuple("0123456789"), f"digits of {data.name}")


def _read(root: Path) -> Splits:
    raw = MNIST.read(root)
    train, test = (
        stack(data, n, numpy_generator(0, NAME, part))
        for data, n, part in zip((raw.train, raw.test), PER_MODE, ("train", "test"), strict=True)
    )
    return Splits(train, test)


STACKED_MNIST = ImageSet(
    "stacked MNIST",
    (CHANNELS, *MNIST.shape[1:]),
    tuple(f"{mode:03d}" for mode in range(MODES)),
    (PER_MODE[0],) * MODES,
    (PER_MODE[1],) * MODES,
    MNIST.files,
    MNIST.source,
    MNIST.licence,
    _read,
)
