"""Between a user's arrays and the model's: what kind of samples they are, which axis is colour, which number is white.

A layout is learned once, from the data an estimator is fitted on, and then applied to all others; it is plain numbers
and words, so that it can be saved as JSON.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nemgan.data.columns import spread
from nemgan.errors import ConfigError, DataError, NemganError

Array = NDArray[Any]
Axis = Literal["last", "first", "none"]
LARGEST = 256
"""Side of the largest images that the networks are made for."""
DARK = 16
"""uint8 images with no pixel above this are of few tones, not nearly black."""


@dataclass(frozen=True)
class Layout:
    """How samples look to their owner.

    Attributes:
        shape: of one sample: ``(D,)``, ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``.
        axis: where the channels of an image are; ``"none"`` for ``(H, W)`` and for vectors.
        flat: images are given, and given back, as rows of H·W·C numbers.
        dtype: name of the samples' type.
        white: pixel value of full intensity; 0 is black.
        offset, scale: mean and standard deviation of each column of vectors.
        low, high: range of each; empty where it was not kept, as in estimators saved before.
    """

    shape: tuple[int, ...]
    axis: Axis
    flat: bool
    dtype: str
    white: float = 1.0
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @property
    def images(self) -> bool:
        return len(self.shape) > 1

    @property
    def n_features(self) -> int:
        return int(np.prod(self.shape))

    @property
    def side(self) -> int:
        """Side of the model's images: the smallest multiple of four, 8 or more, that holds the owner's."""
        channels_first = self.axis == "first"
        height, width = self.shape[1:] if channels_first else self.shape[:2]
        return max(8, -(-max(height, width) // 4) * 4)

    @property
    def model_shape(self) -> tuple[int, ...]:
        """Shape of a sample as the model takes it, ``(C, side, side)`` or ``(D,)``."""
        if not self.images:
            return self.shape
        channels = {"none": 1, "first": self.shape[0], "last": self.shape[-1]}[self.axis]
        return (channels, self.side, self.side)

    def check(self, x: Array) -> Array:
        """Samples ``(N, *shape)`` of ``x``, which may also be rows of as many numbers.

        Raises:
            DataError: samples of another shape.
        """
        if x.shape[1:] == self.shape:
            return x
        if x.ndim == 2 and self.images and x.shape[1] == self.n_features:
            return x.reshape(len(x), *self.shape)
        raise DataError(f"X has samples of shape {x.shape[1:]}, but the estimator was fitted on {self.shape}")

    def to_model(self, x: Array) -> Array:
        """``(N, C, side, side)`` uint8 or standardised vectors ``(N, D)`` float64 of the owner's ``x``.

        Raises:
            DataError: another shape, pixels below zero, or another scale than that of the training samples.
        """
        x = self.check(x)
        if not self.images:
            return np.asarray((x.astype(np.float64) - self.offset) / self.scale)
        _no_negative(x)
        if x.dtype.kind != "b":  # which is black and white on any scale
            self._same_scale(x)
        if self.axis == "last":
            x = x.transpose(0, 3, 1, 2)
        elif self.axis == "none":
            x = x[:, None]
        if x.dtype.kind == "b":
            x = x.astype(np.uint8) * np.uint8(255)
        elif x.dtype != np.uint8 or self.white != 255:
            x = np.rint(np.clip(x / self.white, 0, 1) * 255).astype(np.uint8)
        top, left = self._margins(x.shape[2]), self._margins(x.shape[3])
        return np.ascontiguousarray(np.pad(x, ((0, 0), (0, 0), top, left), mode="edge"))

    def from_model(self, x: Array) -> Array:
        """The owner's samples of the model's ``x``: uint8 images, or vectors that are still standardised.

        Each column of vectors stays within the range that was seen.
        """
        kind = np.dtype(self.dtype)
        if not self.images:
            x = x.astype(np.float64) * self.scale + self.offset
            x = np.clip(x, self.low, self.high) if self.low else x
        else:
            height, width = self.shape[1:] if self.axis == "first" else self.shape[:2]
            top, left = self._margins(height)[0], self._margins(width)[0]
            x = x[:, :, top : top + height, left : left + width]
            x = x.transpose(0, 2, 3, 1) if self.axis == "last" else x[:, 0] if self.axis == "none" else x
            if kind != np.uint8 or self.white != 255:
                x = x * (self.white / 255)
        if kind.kind in "iu" and x.dtype != kind:
            limits = np.iinfo(kind)
            x = np.clip(np.rint(x), limits.min, limits.max)
        x = x > 0.5 if kind.kind == "b" else x.astype(kind)
        return np.ascontiguousarray(x.reshape(len(x), self.n_features) if self.flat else x)

    def _same_scale(self, x: Array) -> None:
        top = float(x.max(initial=0))
        floats = x.dtype.kind == "f"
        fractions = self.white > 1 and 0 < top <= 1 and floats and bool((x != np.rint(x)).any())
        said = f"pixels go up to {top:g}, but where the estimator was fitted white is {self.white:g}"
        if top > 2 * self.white or (fractions and len(x) > 1):  # one may be a dark frame
            raise DataError(f"{said}: bring these to the same scale")
        if self.white > DARK and 0 < top <= DARK and floats:  # dim frames, or 0 … 16 as scikit-learn's digits
            said += ": they are taken to be dark; if they are not, bring these to the same scale"
            warnings.warn(said, UserWarning, stacklevel=5)

    def _margins(self, size: int) -> tuple[int, int]:
        spare = self.side - size
        return spare // 2, spare - spare // 2


def learn(x: Array, image_shape: Sequence[int] | None) -> Layout:
    """The layout of training samples ``x``: vectors ``(N, D)``, images ``(N, H, W)``, ``(N, H, W, C)`` or
    ``(N, C, H, W)``, or flat images with the shape of one in ``image_shape``.

    With 1 or 3 at both ends of the shape, the last axis is the channels'. White is 255 for uint8 unless no pixel
    exceeds 16 (masks, digits of few tones); otherwise 1 if no pixel exceeds 1, 255 if some exceed 128 and none 255, and
    else the largest pixel.

    Raises:
        ConfigError: an ``image_shape`` that is none or does not fit.
        DataError: no channel axis, too large an image, or pixels below zero.
    """
    dtype = x.dtype.name if x.dtype.kind in "fiub" else "float64"
    if x.ndim == 2 and image_shape is None:
        offset, scale = spread(x)
        columns = (offset, scale, x.min(0).astype(np.float64), x.max(0).astype(np.float64))
        return Layout(x.shape[1:], "none", False, dtype, 1.0, *(tuple(each.tolist()) for each in columns))
    flat = x.ndim == 2
    shape = tuple(x.shape[1:]) if not flat else _image_shape(image_shape, x.shape[1])
    if image_shape is not None and (given := _shape_of(image_shape)) != shape:
        raise ConfigError(f"image_shape={given}, but X has images of {shape}: drop it or correct it")
    if len(shape) == 2:
        axis: Axis = "none"
    elif len(shape) == 3 and (shape[2] in (1, 3) or shape[0] in (1, 3)):
        axis = "last" if shape[2] in (1, 3) else "first"
    else:
        raise DataError(f"samples have shape {shape}: give images (H, W), (H, W, C) or (C, H, W) with C = 1 or 3")
    _no_negative(x)
    top = float(x.max())
    white = 255.0 if (x.dtype == np.uint8 and top > DARK) or 128 < top <= 255 else max(top, 1.0)
    layout = Layout(shape, axis, flat, dtype, white)
    if layout.side > LARGEST:
        raise DataError(f"images of shape {shape} are too large: resize them to sides of {LARGEST} pixels at most")
    return layout


def _shape_of(given: Sequence[int] | None) -> tuple[int, ...]:
    try:
        shape = tuple(int(size) for size in given or ())
    except (TypeError, ValueError):
        shape = ()
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ConfigError(f"image_shape={given!r} is no shape of an image: give (H, W), (H, W, C) or (C, H, W)")
    return shape


def _image_shape(given: Sequence[int] | None, n_features: int) -> tuple[int, ...]:
    shape = _shape_of(given)
    if int(np.prod(shape)) != n_features:
        raise ConfigError(
            f"image_shape={shape} has {np.prod(shape)} pixels, but X has {n_features} features: correct it"
        )
    return shape


def _no_negative(x: Array) -> None:
    if x.size and x.min() < 0:
        raise DataError(f"pixels go down to {x.min():g}: scale images to [0, 1] or 0 … 255")


def of_kinds(x: Array, kinds: Sequence[Any]) -> Array:
    """Rows ``x`` (n, D) as values that columns of these types (a data frame's) can hold.

    Whole numbers are rounded, booleans are the likelier of 0 and 1, and of categories the nearest one is taken.

    Raises:
        TypeError: categories that are no numbers.
    """
    x = x.copy()
    for j, kind in enumerate(kinds):
        categories = getattr(kind, "categories", None)
        if categories is not None:
            if categories.dtype.kind not in "iufb":
                raise TypeError(f"categories of {categories.dtype} are no numbers")
            values = np.asarray(categories, np.float64)
            x[:, j] = values[np.abs(x[:, [j]].astype(np.float64) - values).argmin(1)]
        elif getattr(kind, "kind", "f") in "iu":
            limits = np.iinfo(getattr(kind, "numpy_dtype", kind))
            x[:, j] = np.clip(np.rint(x[:, j].astype(np.float64)), limits.min, limits.max)
        elif getattr(kind, "kind", "f") == "b":
            x[:, j] = x[:, j].astype(np.float64) > 0.5
    return x


def _columns(names: Sequence[str]) -> str:
    return f"column {names[0]} holds" if len(names) == 1 else f"columns {', '.join(names)} hold"


def _is_date(kind: Any) -> bool:
    """Whether a column of this type, of pandas or Polars, holds dates or times."""
    return getattr(kind, "kind", "") in ("m", "M") or getattr(kind, "is_temporal", lambda: False)()


def _has_words(column: Any) -> bool:
    """Whether a column of a data frame holds words that are no numbers."""
    try:
        np.asarray(column, np.float64)
    except (TypeError, ValueError):
        return any(isinstance(value, str) for value in np.asarray(column, object).ravel())
    return False


@contextmanager
def naming_words(X: Any) -> Iterator[None]:
    """An error about the numbers of a data frame that has columns of words becomes one that names these, and one about
    missing values a line long.

    Raises:
        DataError: in its place, or where columns hold dates.
    """
    columns = dict(zip(getattr(X, "columns", ()), getattr(X, "dtypes", ()), strict=False))
    dates = [str(name) for name, kind in columns.items() if _is_date(kind)]
    if dates:
        raise DataError(f"{_columns(dates)} dates: turn them into numbers")
    try:
        yield
    except (TypeError, ValueError) as error:
        words = [] if isinstance(error, NemganError) else [str(name) for name in columns if _has_words(X[name])]
        if not words and "contains NaN" in str(error):
            raise DataError(f"{str(error).splitlines()[0]} Remove or impute missing values (SimpleImputer)") from error
        if not words:
            raise
        raise DataError(
            f"{_columns(words)} words: encode them as numbers, or train on the table as a file "
            "(nemgan train data=table.csv), which does"
        ) from error
