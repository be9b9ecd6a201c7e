"""Folders of pictures: which files, what is wrong with them, and what was made of sizes and modes that differ."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nemgan.data.dataset import UNLABELLED, Array
from nemgan.data.pictures import (
    DARK,
    SUFFIXES,
    above_white,
    brightest,
    is_deep,
    n_pages,
    picture_kind,
    read_picture,
    white_of,
)
from nemgan.errors import DataError

SIZES = (8, 16, 28, 32, 64)
"""Heights and widths that pictures are brought to."""
_SPLIT_NAMES = frozenset(("train", "training", "test", "testing", "val", "valid", "validation"))
SEVERAL = (".tif", ".tiff", ".gif", ".webp")
"""Endings of files that may hold several pictures."""
_TEXTS = frozenset((".csv", ".db", ".html", ".ini", ".json", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml"))
_HIDDEN = (".", "__MACOSX")
_OF_RUN = ("config.json", "model.json")
_SHOWN = 3  # names or sizes in a message


def other_files(folder: Path) -> tuple[str, ...]:
    """A remark on files in ``folder`` that are no pictures that can be read, by their endings; none if there are none.

    Cameras write pictures (.heic, .cr2) that are then seen to be missing. Hidden files and texts are no surprise.
    """
    found: Counter[str] = Counter()
    for where, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(_HIDDEN) and not _is_run(Path(where, f))]
        endings = [Path(name).suffix.lower() for name in names if not name.startswith(".")]
        found.update(ending or "no ending" for ending in endings if ending not in SUFFIXES | _TEXTS)
    return (f"{found.total()} files that are no pictures to be read are left out: {_counted(found)}",) if found else ()


def find_pictures(folder: Path) -> list[Path]:
    """Picture files under ``folder`` in order of their names; hidden ones and those of runs (samples) left out.

    Raises:
        DataError: a folder that may not be read, or no pictures.
    """
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot read {error.filename} ({error.strerror}): make it readable or remove it") from None

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith(_HIDDEN) and not _is_run(Path(where, f)))
        found += [Path(where, n) for n in names if not n.startswith(".") and Path(n).suffix.lower() in SUFFIXES]
    if not found:
        raise DataError(f"{folder} holds no pictures: put .png, .jpg or other picture files there")
    return sorted(found, key=lambda f: f.relative_to(folder).parts)


def _is_run(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _OF_RUN)


def side_for(pixels: float) -> int:
    """The side in ``SIZES`` that is nearest to so many pixels."""
    return min(SIZES, key=lambda side: abs(side - pixels))


def decode(
    files: Sequence[Path], shape: tuple[int, ...] | None, skip_bad: bool = False, white: float | None = None
) -> tuple[Array, list[Path], float | None, tuple[str, ...]]:
    """Pictures ``(N, C, H, W)`` uint8 of ``shape``, or else of the size in ``SIZES`` nearest to their median.

    Args:
        white: of pictures of more than 8 bits a pixel or of few tones, as it was for others; by default, and without a
            ``shape``, what these tell: the largest pixel where none exceeds ``DARK``, as in masks.

    Returns:
        The pictures, the files that they are from, white of those of more than 8 bits or of few tones, if there are
        any, and remarks: what was skipped, which sizes and modes were converted.

    Raises:
        DataError: brighter pictures than ``white`` (few tones: more than twice as bright); files that cannot be read,
            which are named and counted (left out if ``skip_bad``, but for all).
    """
    bad: dict[Path, str] = {}
    kinds: dict[Path, tuple[tuple[int, int], str]] = {}
    for file in files:
        try:
            kinds[file] = picture_kind(file)
        except DataError as error:
            bad[file] = str(error)
    if not kinds:
        raise _unreadable(bad, len(files))
    if shape is None:
        side = side_for(float(np.median([min(size) for size, _ in kinds.values()])))
        channels, size = 3, (side, side)
    else:
        channels, size = shape[0], (shape[1], shape[2])
    x = np.empty((len(kinds), channels, *size), np.uint8)
    kept: list[Path] = []
    deep = [file for file, (_, mode) in kinds.items() if is_deep(mode)]
    known, (own, top, floats) = white, white_of(deep) if deep else (255.0, 0.0, False)
    white = _white_of_deep(own, top, floats, known) if deep else None
    for file in kinds:
        try:
            x[len(kept)] = read_picture(file, size, channels, white)
            kept.append(file)
        except DataError as error:
            bad[file] = str(error)
    if bad and (not skip_bad or not kept):
        raise _unreadable(bad, len(files))
    x = x[: len(kept)]
    tones: float | None = None
    told: tuple[str, ...] = ()
    if (shape is None if known is None else known <= DARK) and own > 1 and max(top, x.max()) <= DARK:
        tones, told = _white_of_tones(kept, channels, known)
        for i, file in enumerate(kept if tones else ()):
            x[i] = read_picture(file, size, channels, tones=tones)
    if shape is None and (x[:, :1] == x[:, 1:]).all():
        x = np.ascontiguousarray(x[:, :1])
    notes = [f"{len(bad)} of {len(files)} pictures cannot be read and are skipped: {_some(bad)}"] if bad else []
    if tones is None and white is not None:
        n = sum(is_deep(kinds[file][1]) for file in kept)
        notes.append(f"white of the {n} pictures of more than 8 bits is taken to be {white:g}")
    stacks = sum(file.suffix.lower() in SEVERAL and n_pages(file) > 1 for file in kept)
    if stacks:
        notes.append(f"of {stacks} files of several pages the first page alone is read")
    return x, kept, tones or white, (*notes, *told, *_converted([kinds[file] for file in kept], x.shape[1:]))


def _white_of_deep(own: float, top: float, floats: bool, known: float | None) -> float:
    """White of pictures of more than 8 bits that tell ``own``, by what it was for others.

    Raises:
        DataError: these are brighter, or fractions where the others were not, or the other way round.
    """
    if known is None or top == 0:  # black is so on any scale
        return known or own
    tones = known <= DARK and not (floats and known == 1)
    if own > (255 if tones else known) or (own == 1) != (known == 1 and not tones):
        raise DataError(f"pictures of more than 8 bits have white {own:g}, where it was {known:g} before: rescale them")
    return own if tones else known


def _white_of_tones(files: Sequence[Path], channels: int, known: float | None) -> tuple[float | None, tuple[str, ...]]:
    """White of pictures of few tones (by default their largest pixel) and a remark; None of others and of black ones.

    Raises:
        DataError: a pixel above twice the ``known`` white.
    """
    found = [brightest(file, channels, known or DARK) for file in files]
    top = max(top for top, _ in found)
    if top > DARK or (known is None and top == 0):
        return None, ()
    if known is None:
        return top, (f"white is taken to be {top:g}, the pictures' largest pixel",)
    return known, above_white(sum(n for _, n in found), top, known, "the pictures")


def folder_labels(folder: Path, files: Sequence[Path]) -> tuple[Array, tuple[str, ...]]:
    """Classes from the first level of subfolders, if every picture is in one and there are several.

    Raises:
        DataError: subfolders that are splits (train, test), not classes.
    """
    parts = [f.relative_to(folder).parts for f in files]
    names = sorted({p[0] for p in parts})
    if len(names) < 2 or any(len(p) == 1 for p in parts):
        return np.full(len(files), UNLABELLED), ()
    if all(name.lower() in _SPLIT_NAMES for name in names):
        raise DataError(
            f"{folder} holds the splits {', '.join(names)}, not classes: give one of them, {folder / names[0]}"
        )
    return np.array([names.index(p[0]) for p in parts]), tuple(names)


def _unreadable(bad: dict[Path, str], n: int) -> DataError:
    """The error for pictures that cannot be read: how many, the names of some, the reason where it is one."""
    reason = next(iter(bad.values()))
    if len(bad) == n:
        return DataError(reason if n == 1 else f"none of {n} pictures can be read; {reason}")
    if len(bad) == 1:
        return DataError(f"{reason}, or skip it with --skip-bad")
    which = f"{len(bad)} of {n} pictures cannot be read ({_some(bad)})"
    return DataError(f"{which}: replace or remove them, or skip them with --skip-bad")


def _some(bad: dict[Path, str]) -> str:
    more = ", …" if len(bad) > _SHOWN else ""
    return ", ".join(file.name for file in list(bad)[:_SHOWN]) + more


def _converted(kinds: Sequence[tuple[tuple[int, int], str]], shape: tuple[int, ...]) -> tuple[str, ...]:
    """What pictures were, where it is not what they were made into."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    sizes = Counter(f"{w}×{h}" for (h, w), _ in kinds)
    modes = Counter(m for _, m in kinds)
    notes = []
    if set(sizes) != {f"{width}×{height}"}:
        notes.append(
            f"pictures of {_counted(sizes)} are cropped about the centre and resized to {width}×{height}, which new "
            "ones will have, too"
        )
    if set(modes) != {mode}:
        notes.append(f"pictures of {_counted(modes)} are converted to {'grey' if channels == 1 else 'RGB'}")
    return tuple(notes)


def _counted(found: Counter[str]) -> str:
    """``640×480 (12), 32×32 (3)`` and how many others there are."""
    if len(found) == 1:
        return next(iter(found))
    most = found.most_common(_SHOWN)
    left = found.total() - sum(n for _, n in most)
    return ", ".join(f"{name} ({n})" for name, n in most) + (f" and others ({left})" if left else "")
