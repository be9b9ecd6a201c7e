"""A data set in memory: images or vectors, and as many labels as its owner wants to give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nemgan.data.ondisk import Rows, Samples, take
from nemgan.errors import DataError

if TYPE_CHECKING:
    from nemgan.data.columns import Columns

Array = NDArray[Any]
UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with optional labels; checked when made, never changed afterwards.

    Attributes:
        x: images ``(N, C, H, W)`` uint8 with C = 1 or 3, or vectors ``(N, D)`` float32, all finite.
            Images may stay on disk (``ondisk.Rows``).
        y: class of each sample ``(N,)`` int64 in ``0 … len(class_names) − 1``; −1 means unlabelled.
        class_names: one name per class.
        name: what reports call it.
        ids: what its owner calls each sample ``(N,)``: a path within a folder, a row number; None = its position here.

    Raises:
        DataError: wrong shape or dtype, NaN or infinite values, labels out of range, no samples.
    """

    x: Samples
    y: Array
    class_names: tuple[str, ...]
    name: str
    ids: Array | None = None

    def __post_init__(self) -> None:
        x = self.x if isinstance(self.x, Rows) else np.require(self.x, requirements="C")
        y = np.asarray(self.y)
        if x.ndim not in (2, 4):
            raise DataError(
                f"data {self.name!r}: samples have shape {x.shape}; give images (N, C, H, W) or vectors (N, D)"
            )
        if len(x) == 0:
            raise DataError(f"data {self.name!r} is empty: give at least one sample")
        if x.ndim == 4:
            if x.dtype != np.uint8:
                raise DataError(f"data {self.name!r}: images are {x.dtype}; convert them to uint8 in 0 … 255")
            if x.shape[1] not in (1, 3):
                raise DataError(
                    f"data {self.name!r}: images have {x.shape[1]} channels; give 1 (grey) or 3 (RGB), channels first"
                )
        else:
            if x.dtype.kind not in "fiu":
                raise DataError(f"data {self.name!r}: vectors are {x.dtype}; give numbers")
            x = np.asarray(x).astype(np.float32, order="C", copy=False)
            bad = ~np.isfinite(x)
            if bad.any():
                row, column = np.argwhere(bad)[0]
                raise DataError(
                    f"data {self.name!r}: {int(bad.sum())} values are NaN or infinite "
                    f"(first at row {row}, column {column}); remove or impute them"
                )
        if y.shape != (len(x),):
            raise DataError(
                f"data {self.name!r}: {len(x)} samples but labels of shape {y.shape}; give one label a sample"
            )
        y = y.astype(np.int64, copy=False)
        if len(y) and (y.min() < UNLABELLED or y.max() >= len(self.class_names)):
            raise DataError(
                f"data {self.name!r}: labels span {y.min()} … {y.max()} but there are {len(self.class_names)} classes; "
                "number classes from 0 and mark unlabelled samples -1"
            )
        if self.ids is not None and len(self.ids) != len(x):
            raise DataError(f"data {self.name!r}: {len(x)} samples but {len(self.ids)} ids; give one id a sample")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def kind(self) -> Literal["image", "vector"]:
        return "image" if self.x.ndim == 4 else "vector"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: ``(C, H, W)`` or ``(D,)``."""
        return tuple(self.x.shape[1:])

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def masses(self) -> NDArray[np.float64]:
        """Share of each class among the labelled samples, shape ``(n_classes,)``; zeros where nothing is labelled."""
        counts = np.bincount(self.y[self.y >= 0], minlength=self.n_classes).astype(np.float64)
        return np.asarray(counts / max(counts.sum(), 1.0))

    def take(self, index: Array) -> Dataset:
        """The samples at ``index`` (integers or a boolean mask), in that order."""
        ids = None if self.ids is None else self.ids[index]
        return replace(self, x=take(self.x, index), y=self.y[index], ids=ids)

    def unlabelled(self) -> Dataset:
        """The same samples with every label hidden."""
        return replace(self, y=np.full(len(self), UNLABELLED, np.int64))


@dataclass(frozen=True, eq=False)
class Splits:
    """Training and test data of one set. Training never sees ``test``; it is for evaluation alone.

    Attributes:
        notes: remarks for the user on how the data were read.
        columns: of a table, how its rows became vectors.
        few: class of each training sample that a file of few labels names, −1 elsewhere; None without such a file.
        white: of pictures of more than 8 bits a pixel, or of images of few tones.
    """

    train: Dataset
    test: Dataset
    notes: tuple[str, ...] = ()
    columns: Columns | None = None
    few: Array | None = None
    white: float | None = None
