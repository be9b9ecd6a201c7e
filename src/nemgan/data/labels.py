"""A file of few labels: lines of sample and class. Read where labels are asked for, and nowhere else."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data.dataset import UNLABELLED
from nemgan.data.tables import no_label, separator
from nemgan.errors import DataError

_HEADINGS = frozenset(("id", "file", "filename", "file name", "name", "path", "image", "row", "sample", "index", ""))


def read_labels(path: Path, ids: Sequence[str], heading: str = "", column: str = "") -> list[str | None]:
    """Label of each sample named in ``ids``, None where ``path``, a CSV of ``id,label`` lines, has none for it.

    Nothing, −1, ``nan``, ``NA`` and the like (``tables.NO_LABEL``) say that there is none. Of a file of more than two
    columns those are read that its first line calls ``heading`` and ``column`` (a table's columns of ids and labels).

    A first line that says ``id``, ``file``, ``row`` or the like, or ``heading`` (a table's column of ids), is a
    heading. Semicolons and tabs separate as well.

    Raises:
        DataError: an unreadable file, a line of another form, an id that matches no sample or several, or one twice.
    """
    mark, lines = _lines(path)
    lines = _two_of(path, lines, heading, column)
    place = {name: i for i, name in enumerate(ids)}
    headed = bool(lines) and lines[0][0].lower() in _HEADINGS | {heading.lower()} and lines[0][0] not in place
    lines = lines[headed:]
    found: list[str | None] = [None] * len(ids)
    for line in lines:
        if len(line) != 2:
            between = {",": "commas", ";": "semicolons", "\t": "tabs"}[mark]
            which = ", or name two of its heading by id_column= and label_column=" if len(line) > 2 else ""
            raise DataError(
                f"{path}: {mark.join(line)!r} has {len(line)} columns: give two columns, id and label{which} (by its "
                f"first line the file is read with {between} between columns; commas, semicolons and tabs will do)"
            )
    strange = [name for name, _ in lines if name not in place]
    if strange:
        first = ""
        if strange[0] == lines[0][0] and not headed:
            first = " (a heading starts with id, file, row or the name of id_column)"
        more = f" (nor {_others(len(strange) - 1)})" if len(strange) > 1 else ""
        raise DataError(f"{path}: id {strange[0]!r} matches no sample{more}; ids look like {', '.join(ids[:3])}{first}")
    lines = [line for line in lines if not no_label(line[1])]
    for name, label in lines:
        before = found[place[name]]
        if before not in (None, label):
            raise DataError(f"{path}: id {name!r} comes twice, as {before} and {label}: keep one line")
        found[place[name]] = label
    if not lines:
        raise DataError(f"{path} has no labels: give id,label lines")
    if len(place) < len(ids):
        named = {name for name, _ in lines}
        counts = [name for name in ids if name in named]
        twice = next((name for name in counts if counts.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"{path}: id {twice!r} is the name of several samples: give each its own")
    return found


def first_line(path: Path) -> list[str]:
    """The cells of the first line of a file of few labels, which may be its heading.

    Raises:
        DataError: an unreadable file.
    """
    return next(iter(_lines(path)[1]), [])


def _lines(path: Path) -> tuple[str, list[list[str]]]:
    """What stands between the cells of a file, and the cells of its lines, empty ones left out."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            text = file.read()
        mark = separator(path, next((line for line in text.splitlines() if line.strip()), ""))
        read = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
        return mark, [[cell.strip() for cell in line] for line in read if any(map(str.strip, line))]
    except FileNotFoundError:
        raise DataError(f"there is no file of labels {path}: check the path") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot read {path} ({why}): give a CSV of id,label lines") from None


def _two_of(path: Path, lines: list[list[str]], heading: str, column: str) -> list[list[str]]:
    """Of lines of more than two columns the cells under ``heading`` and ``column``; all as they are without these.

    Raises:
        DataError: a line of another length than the first, of which nobody knows what is missing.
    """
    head = lines[0] if lines else []
    if len(head) < 3 or not heading or not column or heading not in head or column not in head:
        return lines
    other = next((line for line in lines if len(line) != len(head)), None)
    if other is not None:
        n = len(other)
        raise DataError(
            f"{path}: the line of {other[0]!r} has {n} values where the heading has {len(head)}: correct it"
        )
    at = (head.index(heading), head.index(column))
    return [[line[i] for i in at] for line in lines]


def codes(labels: Sequence[str | None], names: Sequence[str], what: str) -> NDArray[np.int64]:
    """Class number of each label, −1 where there is none.

    Raises:
        DataError: a label that is not in ``names``, or a class without a label.
    """
    place = {name: i for i, name in enumerate(names)}
    known = {label for label in labels if label is not None}
    strange = sorted(known - place.keys())
    if strange:
        raise DataError(
            f"{what}: label {strange[0]!r} is no class of the data, which are {', '.join(names)}: correct it"
        )
    absent = [name for name in names if name not in known]
    if absent:
        raise DataError(f"{what}: no sample is labelled {', '.join(absent)}: label at least one of each class")
    return np.array([UNLABELLED if label is None else place[label] for label in labels], np.int64)


def in_order(found: Sequence[Any]) -> tuple[str, ...]:
    """The different labels among ``found``, None left out: numbers by value, words by spelling."""
    names = {str(label) for label in found if label is not None}
    return tuple(sorted(names, key=lambda n: (0, int(n), n) if re.fullmatch(r"-?[0-9]+", n) else (1, 0, n)))


def _others(n: int) -> str:
    return "does 1 other" if n == 1 else f"do {n} others"
