"""One picture file, or one array of pictures, to uint8; hostile files are refused before they are decoded."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nemgan.data.dataset import Array
from nemgan.data.ondisk import Samples, blocks
from nemgan.errors import DataError

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp"))
OVERSHOOT, DARK = 1.01, 16
"""Float pixels up to the first are fractions; images with none above the second are of few tones."""
MAX_PIXELS = 64_000_000  # a picture larger than this is taken for a decompression bomb
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # none that starts another program, as EPS does


def picture_kind(path: Path) -> tuple[tuple[int, int], str]:
    """Height and width, and Pillow's mode, of the picture at ``path``, from its header alone.

    Raises:
        DataError: not a picture, or more than ``MAX_PIXELS`` pixels.
    """
    with _opened(path) as image:
        return (image.height, image.width), image.mode


def is_deep(mode: str) -> bool:
    """Whether pictures of Pillow's ``mode`` have more than 8 bits a pixel, so that a file does not tell its white."""
    return mode.startswith(("I", "F"))


def white_of(paths: Iterable[Path]) -> tuple[float, float, bool]:
    """White of the deep pictures ``paths``, one for all: of as many bits as a camera may have and none exceeds, or 1.

    Files that cannot be read are left out.

    Returns:
        White, the largest pixel, and whether all hold floats.
    """
    top, floats = 0.0, True
    for path in paths:
        with suppress(DataError), _opened(path) as image:
            pixels = np.asarray(image)
            if np.isfinite(pixels).all():
                top, floats = max(top, float(pixels.max())), floats and image.mode == "F"
    if floats and top <= OVERSHOOT:
        return 1.0, top, floats
    return next((white for bits in (8, 10, 12, 14, 16) if top <= (white := 2.0**bits - 1)), top), top, floats


def brightest(path: Path, channels: int, white: float) -> tuple[float, int]:
    """The largest pixel of the picture at ``path`` before it is resized, and how many exceed ``white``.

    Raises:
        DataError: as ``read_picture``.
    """
    with _opened(path) as image:
        if is_deep(image.mode):
            pixels = np.asarray(image)
        else:
            pixels = np.array(_eight_bits(image, 255).convert("RGB" if channels == 3 else "L"))
        pixels = pixels.max(2) if pixels.ndim == 3 else pixels
        return float(pixels.max()), int((pixels > white).sum())


def white_of_tones(x: Samples) -> float | None:
    """White of images of few tones, their largest pixel: whole numbers or not, up to 16, but no fractions of 1.

    Masks of 0 and 1 are such, or digits of 0 … 16. None for other images, whose white their type tells.
    """
    if x.dtype.kind not in "uif":
        return None
    top = 0.0
    for part in blocks(x):
        top = max(top, float(part.max(initial=0)))
        if top > DARK:
            return None
    return top if top > (OVERSHOOT if x.dtype.kind == "f" else 0) else None


def above_white(n: int, top: float, white: float, what: str) -> tuple[str, ...]:
    """A remark on ``n`` pixels of few tones, the largest of them ``top``, above ``white`` as it was before, if any.

    Raises:
        DataError: ``top`` is above twice white, so that they must be on another scale; it starts with ``what``.
    """
    if top > 2 * white:
        raise DataError(f"{what}: pixels go up to {top:g}, but white was {white:g} before: rescale them to that")
    return (f"{n} pixels up to {top:g} are above white {white:g}, as it was before: they are white",) if n else ()


def n_pages(path: Path) -> int:
    """How many pictures the file holds, of which only the first is read."""
    with suppress(DataError), _opened(path) as image:
        return int(getattr(image, "n_frames", 1))
    return 1


def read_picture(
    path: Path, size: tuple[int, int], channels: int = 3, white: float | None = None, tones: float | None = None
) -> Array:
    """The picture at ``path`` cropped about its centre and resized to ``size``, ``(channels, *size)`` uint8.

    Any mode is converted: palettes, CMYK and 16 bits to 8-bit RGB or grey, transparency onto white.

    Args:
        size: height and width.
        channels: 3 for RGB, 1 for grey.
        white: of more than 8 bits a pixel (``is_deep``); by default what is told by this file alone (``white_of``).
        tones: white of pictures of few tones, whatever their bits.

    Raises:
        DataError: a file that is no picture, truncated, or larger than ``MAX_PIXELS``.
    """
    with _opened(path) as image:
        image.draft(None, (2 * max(size), 2 * max(size)))  # lets JPEG decode at a fraction of its size
        deep = is_deep(image.mode)
        white = tones or white or (white_of([path])[0] if deep else 255)
        picture = _eight_bits(ImageOps.exif_transpose(image), white).convert("RGB" if channels == 3 else "L")
        if tones and not deep:
            picture = picture.point([min(255, round(value * 255 / tones)) for value in range(256)] * channels)
        pixels = np.array(_fitted(picture, size))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if channels == 3 else pixels[None]


def resized(x: Samples, size: tuple[int, int]) -> Array:
    """Images ``(N, C, H, W)`` uint8, C 1 or 3, cropped about their centres and resized to ``size``, in memory."""
    found, grey = np.empty((len(x), *size, x.shape[1]), np.uint8), x.shape[1] == 1
    images = (image for part in blocks(x) for image in part.transpose(0, 2, 3, 1))
    for i, image in enumerate(images):
        picture = _fitted(Image.fromarray(image[..., 0] if grey else np.ascontiguousarray(image)), size)
        found[i] = np.array(picture).reshape(found.shape[1:])
    return np.ascontiguousarray(found.transpose(0, 3, 1, 2))


def _fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """``picture`` cropped about its centre and resized to ``size`` (height and width)."""
    same = picture.size == size[::-1]
    return picture if same else ImageOps.fit(picture, size[::-1], Image.Resampling.BILINEAR)


def to_uint8(x: Samples, what: str, white: float | None = None) -> Array:
    """Pixels of any number type as uint8, converted block by block.

    Integers are taken as 0 … 255, booleans as black and white. Floats are taken as [0, 1] if none is above 1 (resizing
    may overshoot by a hundredth), else as 0 … 255. Where ``white`` of few tones is given and no pixel
    exceeds ``DARK``, numbers are parts of it, and those above it are white.

    Raises:
        DataError: NaN or infinite values, values outside those ranges or above twice ``white``, not numbers; it starts
            with ``what``.
    """
    top = max((float(part.max(initial=0)) for part in blocks(x)), default=0.0) if white and x.dtype.kind in "uif" else 0
    if white is not None and x.dtype.kind in "uif" and top <= DARK:
        _refuse_strange(x, what)
        above_white(0, top, white, what)
        return np.concatenate([np.rint((part / white).clip(0, 1) * 255).astype(np.uint8) for part in blocks(x)])
    if x.dtype == np.uint8:
        return np.asarray(x)
    if x.dtype.kind == "b":
        return np.asarray(x).astype(np.uint8) * np.uint8(255)
    if x.dtype.kind not in "fiu":
        raise DataError(f"{what}: pixels are {x.dtype}; give numbers in [0, 1] or 0 … 255")
    if x.size == 0:
        return np.asarray(x).astype(np.uint8)
    _refuse_strange(x, what)
    low, high = min(part.min() for part in blocks(x)), max(part.max() for part in blocks(x))
    if low < 0 or high > 255:
        raise DataError(f"{what}: pixels span {low:g} … {high:g}; rescale them to [0, 1] or 0 … 255")
    fractions = x.dtype.kind == "f" and high <= OVERSHOOT
    return np.concatenate([_rounded(part, 255 if fractions else 1) for part in blocks(x)])


def _rounded(x: Array, white: int) -> Array:
    return (np.rint((x.astype(np.float32) * np.float32(white)).clip(0, 255)) if x.dtype.kind == "f" else x).astype(
        np.uint8
    )


def _refuse_strange(x: Samples, what: str) -> None:
    """Raise DataError where pixels are NaN or infinite, with their number and the place of the first."""
    bad, rows = 0, 0
    first: tuple[int, ...] = ()
    for part in blocks(x) if x.dtype.kind == "f" else ():
        strange = ~np.isfinite(part)
        if not bad and strange.any():
            i, *rest = (int(at) for at in np.argwhere(strange)[0])
            first = (rows + i, *rest)
        bad, rows = bad + int(strange.sum()), rows + len(part)
    if bad:
        raise DataError(f"{what}: {bad} pixels are NaN or infinite (first at {first}); repair or remove them")


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The opened picture; whatever goes wrong with it inside the block is a DataError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path, formats=_FORMATS)
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DataError(
            f"{path} has more than {MAX_PIXELS:,} pixels: shrink it, or remove it if you do not know it"
        ) from None
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{path} is not a readable picture: replace it, remove it, or convert it to PNG") from None
    except (
        Exception
    ) as error:  # decoders raise almost anything on a damaged file: struct.error, SyntaxError, zlib.error
        why = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read ({why}): replace or remove it") from None


def _eight_bits(image: Image.Image, white: float) -> Image.Image:
    """The picture in a mode that converts to RGB, on white where it is transparent; ``white`` is that of deep ones."""
    if is_deep(image.mode):
        wide = np.asarray(image).astype(np.float64)
        _refuse_strange(wide, "the picture")
        if wide.min() < 0:
            raise DataError(f"the picture has pixels of {wide.min():g}: rescale it to 0 and above")
        return Image.fromarray(np.rint((wide * (255 / white)).clip(0, 255)).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image
