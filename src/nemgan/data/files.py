"""A user's own data: a folder of pictures, one picture, NumPy's .npy and .npz, or a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nemgan.data import columns, folders, labels, tables
from nemgan.data.arrays import as_samples, classes, layouts, read_arrays
from nemgan.data.columns import Columns, Impute
from nemgan.data.dataset import UNLABELLED, Array, Dataset, Splits
from nemgan.data.folders import SIZES, side_for
from nemgan.data.ondisk import Rows, Samples, blocks
from nemgan.data.pictures import DARK, above_white, resized, white_of_tones
from nemgan.data.pictures import SUFFIXES as PICTURES
from nemgan.data.subsets import apart
from nemgan.data.tables import Table
from nemgan.errors import DataError
from nemgan.seeding import numpy_generator

SUFFIXES = (".npy", ".npz", *PICTURES, *tables.SUFFIXES)
_HELD_OUT = 0.2


@dataclass(frozen=True)
class Reading:
    """What a reader is told beside the path.

    Attributes:
        impute: what stands in for missing values of a table; "none" refuses them.
        label_column, id_column: columns of a table that hold classes and names of rows, not features.
        skip_bad: leave out pictures that cannot be read.
        drop: columns of a table that are left out.
    """

    impute: Impute = "none"
    label_column: str = ""
    id_column: str = ""
    skip_bad: bool = False
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Found:
    """Samples as they were found at a path.

    Attributes:
        x: images ``(N, C, H, W)`` uint8 (those of a large .npy stay on disk) or vectors ``(N, D)`` float32.
        ids: path within the folder, row number, or name of the row.
        notes: remarks for the user.
        columns: of a table, how its rows became x.
        white: of pictures of more than 8 bits a pixel, or images of few tones, which other ones have to share.
    """

    x: Samples
    ids: Sequence[str]
    notes: tuple[str, ...] = ()
    columns: Columns | None = None
    white: float | None = None


def find(
    path: Path | str,
    shape: tuple[int, ...] | None = None,
    how: Reading | None = None,
    known: Columns | None = None,
    white: float | None = None,
    few: Path | None = None,
) -> Found:
    """Samples in a picture folder, picture file, .npy, .npz or table, as a :class:`Dataset` holds them.

    Pictures are cropped and resized to ``shape`` (by default to one of ``SIZES``, grey if all are grey), and so are
    images in arrays, unless their own nearest of ``SIZES`` is another: ``(N, H, W)``, ``(N, C, H, W)`` or
    ``(N, H, W, C)``, uint8 or numbers in [0, 1] or 0 … 255. Arrays may also be vectors ``(N, D)``.

    Args:
        known: how rows of a table become vectors, as learned from another one; by default learned from this one.
        white: of pictures of more than 8 bits a pixel, or images of few tones, as found for others; by default what
            these tell.
        few: a CSV of few labels that is read beside them, which may have the column of labels in a table's place.

    Raises:
        DataError: nothing there, unreadable or damaged, objects, NaN, not of ``shape``, no table where one is wanted.
    """
    path, how = Path(path), how or Reading()
    kind = _kind(path)
    if known is not None and kind != "table":
        raise DataError(f"{path} is no table, which is what the run was trained on: give .csv, .tsv or .parquet")
    if kind == "table":
        if shape is not None and known is None:
            raise DataError(f"{path} is a table, but the run was not trained on one: give what it was trained on")
        table = _read_table(path, how, few, strict=known is None)
        return _encoded(table, known) if known is not None else _encoded(table, *columns.learn(table, how.impute))
    if kind == "array":
        return _of_array(read_arrays(path)[0], path, shape, white)
    if shape is not None and len(shape) != 3:
        raise DataError(f"{path} holds pictures but vectors of {shape[0]} numbers are wanted: give .npy or .npz")
    files, base = ([path], path.parent) if path.is_file() else (folders.find_pictures(path), path)
    pixels, kept, white, notes = folders.decode(files, shape, how.skip_bad, white)
    notes += folders.other_files(path) if path.is_dir() else ()
    return Found(pixels, [printable(f.relative_to(base)) for f in kept], notes, white=white)


def printable(path: Path) -> str:
    """``path`` as text that can be written anywhere: bytes that are no UTF-8, as in old archives, as ``\\xe9``."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def load(
    path: Path | str,
    seed: int = 0,
    how: Reading | None = None,
    few: Path | None = None,
    known: Columns | None = None,
    sparing: bool = False,
) -> Splits:
    """The data at ``path`` with a random 20 % held out for testing (the same for the same ``seed``).

    A folder whose pictures all lie in two or more subfolders is labelled by these, an .npz by its ``y``, a table by
    its column of labels. Anything else has no labels and no class names.

    Args:
        few: a CSV of few labels (:mod:`nemgan.data.labels`). The samples it names are held out last.
        known: how rows of a table become vectors; by default learned from the training rows.
        sparing: labels of the data's own are disclosed. Where most samples have none, those that have one are held out
            last.

    Raises:
        DataError: as :func:`find`; also fewer than two samples.
    """
    path, how = Path(path), how or Reading()
    kind = _kind(path)
    of_columns = few is None and (how.label_column or how.id_column)  # they may be the columns of that file
    if kind != "table" and (of_columns or how.drop or how.impute != "none"):
        raise DataError(
            f"{path} is no table: drop label_column=, id_column=, drop= and impute=, which are about columns"
        )
    if kind == "table":
        table = _read_table(path, how, few, dropped=known is not None)
        found, (y, names) = Found(np.empty((len(table), 0)), table.ids), _table_labels(table)
    elif kind == "array":
        found, y, names = _load_array(path)
    else:
        if path.is_file():
            raise DataError(f"{path} is a single picture: give a folder of pictures, .npy or .npz")
        found = find(path, None, how)
        y, names = folders.folder_labels(path, [path / name for name in found.ids])
    shown: Array | None = None
    notes: tuple[str, ...] = ()
    if kind == "picture" and names:
        more = ", …" if len(names) > 5 else ""
        notes = (f"the {len(names)} subfolders are taken to be classes: {', '.join(names[:5])}{more}",)
    if few is not None:
        given = labels.read_labels(few, found.ids, how.id_column, how.label_column)
        if names and not set(names) & set(given):
            notes = (f"classes are those of {few}, not {', '.join(names[:5])}",)
            y, names = np.full(len(y), UNLABELLED), ()
        names = names or labels.in_order(given)
        shown = labels.codes(given, names, str(few))
    name = path.resolve().name
    spare = None if shown is None else shown >= 0
    if sparing and spare is None and 0 < 2 * (n_known := int((y >= 0).sum())) < len(y):
        spare = y >= 0
        notes += (f"labels are used, and {n_known} of {len(y)} samples have one: these are held out last",)
    aside = apart(len(y), _HELD_OUT, numpy_generator(seed, "held out"), name, spare)
    if kind == "table":
        learned = (known,) if known is not None else columns.learn(table.take(~aside), how.impute)
        found = _encoded(table, *learned)
    data = Dataset(found.x, y, names, name, np.array(found.ids))
    few_shown = None if shown is None else shown[~aside]
    return Splits(data.take(~aside), data.take(aside), (*notes, *found.notes), found.columns, few_shown, found.white)


def own_labels(path: Path, found: Found, how: Reading) -> tuple[Array, tuple[str, ...]]:
    """Class of each sample ``found`` at ``path`` (N,), −1 where it has none, and the names of the classes.

    They are those that :func:`load` would find: of subfolders, the ``y`` of an .npz, or a table's column of labels.

    Raises:
        DataError: as :func:`load`.
    """
    kind = _kind(path)
    if kind == "table":
        return _table_labels(tables.read_table(path, how.label_column, how.id_column, how.drop))
    if kind == "array":
        return classes(read_arrays(path)[1], len(found.x), path)
    return folders.folder_labels(path, [path / name for name in found.ids])


def _read_table(path: Path, how: Reading, few: Path | None, strict: bool = True, dropped: bool = False) -> Table:
    """The table at ``path``; ``few`` is a file of labels beside it. The rest is as in ``read_table``.

    Raises:
        DataError: as ``read_table``; also labels whose samples have the names in a column that ``how`` does not name.
    """
    head = [] if few is None else labels.first_line(few)
    table = tables.read_table(
        path, how.label_column, how.id_column, how.drop, strict=strict, dropped=dropped, elsewhere=head
    )
    names = table.columns.get(head[0]) if head and not how.id_column else None
    if names is not None and len(set(names.tolist())) == len(table):
        raise DataError(f"{few} names samples by {head[0]!r}, which is a column of {path}: say id_column={head[0]}")
    return table


def _encoded(table: Table, learned: Columns, notes: tuple[str, ...] = ()) -> Found:
    x, more = learned.encode(table)
    return Found(x, table.ids, (*table.notes, *notes, *more), learned)


def _load_array(path: Path) -> tuple[Found, Array, tuple[str, ...]]:
    raw, given = read_arrays(path)
    found = _of_array(raw, path)
    y, names = classes(given, len(found.x), path)
    return found, y, names


def _resized(found: Found, side: int, path: Path) -> Found:
    height, width = found.x.shape[2:]
    note = f"{path}: images of {height} × {width} pixels are cropped about the centre and resized to {side} × {side}"
    return replace(found, x=resized(found.x, (side, side)), notes=(*found.notes, note))


def _of_array(raw: Array, path: Path, shape: tuple[int, ...] | None = None, white: float | None = None) -> Found:
    """The samples of an array; images of few tones have the ``white`` of those that the ``shape`` is of.

    Only where a pixel exceeds ``DARK`` are they on the scale that their type tells.
    """
    notes: tuple[str, ...] = ()
    if shape is not None:
        white = None if white is None or white > DARK else white
    elif (white := white_of_tones(Rows.of(raw) or raw) if raw.ndim > 2 else None) is not None:
        notes = (f"{path}: white is taken to be {white:g}, the images' largest pixel",)
    other = shape is not None and _of_another_size(raw, shape)
    x = as_samples(raw, str(path), None if other else shape, white)
    if shape is not None and white is not None and raw.dtype.kind in "uif":
        parts = [(int((part > white).sum()), float(part.max())) for part in blocks(Rows.of(raw) or raw)]
        n, top = sum(n for n, _ in parts), max(top for _, top in parts)
        notes = above_white(n, top, white, str(path)) if top <= DARK else ()
    found = Found(x, [str(i) for i in range(len(x))], notes, white=white)
    if shape is None and x.ndim == 4 and (x.shape[2] != x.shape[3] or x.shape[2] not in SIZES):
        return _resized(found, side_for(min(x.shape[2:])), path)
    return _resized(found, shape[1], path) if shape is not None and other else found


def _of_another_size(raw: Array, shape: tuple[int, ...]) -> bool:
    """Whether ``raw`` holds images of another size, which are resized to that of ``shape`` where no shape is asked for.

    Others that do not fit are refused: whoever learned from 8 × 8 pixels is not asked of 28 × 28.
    """
    if len(shape) != 3 or shape[1] != shape[2] or raw.ndim not in (3, 4) or 0 in raw.shape:
        return False
    found = [view.shape[1:] for view in layouts(raw)]
    if shape in found or not found or found[0][0] != shape[0]:
        return False
    return side_for(min(found[0][1:])) == shape[1]


def _table_labels(table: Table) -> tuple[Array, tuple[str, ...]]:
    """Classes from the column of labels, if there is one; where it is empty a row is unlabelled."""
    if table.labels is None:
        return np.full(len(table), UNLABELLED), ()
    names = labels.in_order(table.labels.tolist())
    place = {name: i for i, name in enumerate(names)}
    return np.array([UNLABELLED if label is None else place[label] for label in table.labels]), names


def _kind(path: Path) -> str:
    """ "array", "table" or "picture"; the file or folder must be there."""
    if not os.path.exists(path):  # False too where a folder above may not be entered
        raise DataError(f"there is no file or folder {path}: check the path")
    suffix = path.suffix.lower()
    if os.path.isdir(path) or suffix in PICTURES:
        return "picture"
    if suffix in (".npy", ".npz"):
        return "array"
    if suffix in tables.SUFFIXES:
        return "table"
    raise DataError(
        f"cannot tell what {path} holds: give a folder of pictures, a picture file, .npy, .npz, .csv, .tsv or .parquet"
    )
