"""Tables on disk: CSV and TSV as they are, Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data.dataset import UNLABELLED
from nemgan.errors import DataError, MissingExtra

Array = NDArray[Any]
SUFFIXES = frozenset((".csv", ".tsv", ".parquet"))
_MISSING = frozenset(("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?"))
NO_LABEL = _MISSING - {"none"} | {str(UNLABELLED), str(float(UNLABELLED))}
"""What says that there is no label, in small letters. "none" is a class: no scratch, no dent."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, by name and in order: float64 with NaN, or objects: words with None where missing.

    Attributes:
        ids: name of each row: its number from 0, or its value in the column that names rows.
        labels: word of each row in the column of labels, None where missing or −1; None without such a column.
    """

    name: str
    columns: Mapping[str, Array]
    ids: tuple[str, ...]
    labels: Array | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, at: Array) -> Table:
        """The rows at ``at`` (a mask)."""
        ids = tuple(np.asarray(self.ids, object)[at])
        labels = None if self.labels is None else self.labels[at]
        return replace(self, columns={k: v[at] for k, v in self.columns.items()}, ids=ids, labels=labels)


def read_table(
    path: Path,
    label_column: str = "",
    id_column: str = "",
    drop: Sequence[str] = (),
    *,
    strict: bool = True,
    dropped: bool = False,
    elsewhere: Sequence[str] = (),
) -> Table:
    """The table at ``path``, of the given columns the labels and the names of rows taken out, ``drop`` left out.

    A first column without a name is taken for names of rows, as data frames are often written.

    Args:
        strict: the given columns must be there.
        dropped: those of ``drop`` may be gone.
        elsewhere: columns of a file of labels, one of which may be ``label_column`` in place of one here.

    Raises:
        DataError: unreadable, rows of unequal length, no rows or names, a name twice, no such column.
        MissingExtra: Parquet without pyarrow.
    """
    as_words = ("", label_column, id_column)
    found = (
        _parquet(path, as_words, drop) if path.suffix.lower() == ".parquet" else _text(path, label_column, id_column)
    )
    notes: tuple[str, ...] = ()
    given = [("label_column", label_column), ("id_column", id_column)]
    for role, name in given + [("drop", name) for name in drop if not dropped]:
        others = elsewhere if role == "label_column" else ()
        if strict and name and name not in found and name not in others:
            near = get_close_matches(name, [*found, *others], n=1, cutoff=0.4)
            more = f" and {len(found) - 20} more" if len(found) > 20 else ""
            hint = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(list(found)[:20])}{more}"
            raise DataError(f"{path} has no column {name!r} for {role}=: {hint}")
    if label_column and label_column == id_column:
        raise DataError(f"column {id_column!r} cannot be both labels and names of rows: give one of them")
    for role, name in given:
        if name in drop:
            raise DataError(f"column {name!r} cannot be both dropped and {role}=: give one of them")
    found = {name: values for name, values in found.items() if name not in drop}
    unnamed = found.pop("", None)
    if unnamed is not None and id_column not in found:
        what = "a data frame's index" if path.suffix.lower() == ".parquet" else "the first column has no name and"
        notes = (f"{path}: {what} is taken for names of rows",)
    ids = words(found.pop(id_column)) if id_column in found else None if unnamed is None else words(unnamed)
    labels = words(found.pop(label_column)) if label_column in found else None
    if labels is not None:
        labels = np.array([None if word is None or no_label(word) else word for word in labels], object)
        if n_missing := sum(word is None for word in labels):
            notes += (f"{path}: {n_missing} of {len(labels)} rows have no label in {label_column!r} (or {UNLABELLED})",)
    if not found:
        raise DataError(f"{path} has no column left to learn from: give one besides labels and names of rows")
    n = len(next(iter(found.values())))
    names = map(str, range(n)) if ids is None else map(str, ids)
    return Table(str(path), found, tuple(names), labels, notes)


def table_text(columns: Mapping[str, Array]) -> str:
    """Columns as CSV. Whole numbers are written without a point."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(words(values) for values in columns.values()), strict=True))
    return text.getvalue()


def numbers(values: Array) -> NDArray[np.float64] | None:
    """``values`` as numbers, NaN where missing; None if any is none."""
    if values.dtype != object:
        return np.asarray(values, np.float64)
    try:
        if any(isinstance(v, str) and "_" in v for v in values):  # Python reads 2020_01 as a number
            return None
        return np.array([np.nan if v is None else float(v) for v in values], np.float64)
    except (TypeError, ValueError):
        return None


def no_label(word: str) -> bool:
    """Whether ``word``, in a place for a label, says that there is none."""
    return word.strip().lower() in NO_LABEL


def words(values: Array) -> Array:
    """``values`` as words (objects), None where missing."""
    if values.dtype == object:
        return values
    return np.array([None if v != v else str(int(v)) if v.is_integer() else repr(v) for v in values.tolist()], object)


def separator(path: Path, first: str) -> str:
    """What stands between the values of a file, by its ``first`` line: a tab in .tsv, else most of , ; and tab.

    What is in quotes does not count.
    """
    bare = re.sub(r'"[^"]*"', "", first)
    return "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=bare.count)


def _text(path: Path, label_column: str, id_column: str) -> dict[str, Array]:
    """Columns of a CSV or TSV with a heading; names of rows are kept as they are."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            mark = separator(path, first)
            lines = csv.reader(file, delimiter=mark, strict=True)
            header = [name.strip() for name in next(lines, [])]
            if header and header[0] and _no_names(header):
                raise DataError(f"{path} has no heading: write the names of the columns in the first line")
            _check_header(path, header)
            special = {label_column: NO_LABEL, id_column: frozenset[str](), "": frozenset[str]()}
            rows = list(_rows(path, lines, [special.get(name, _MISSING) for name in header]))
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): make it readable") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text in UTF-8: save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path} is no CSV ({error}): save it again, with words that hold commas in quotes") from None
    if not rows:
        raise DataError(f"{path} has no rows: give a heading and one line a sample")
    return {name: np.array(column, object) for name, column in zip(header, zip(*rows, strict=True), strict=True)}


def _rows(path: Path, lines: Any, missing: Sequence[frozenset[str]]) -> Iterable[list[str | None]]:
    """Words of each line, None for those that mean in their column that there is none."""
    width = len(missing)
    for line in lines:
        if not line:
            continue
        if len(line) != width:
            raise DataError(
                f"{path}, line {lines.line_num}: {len(line)} values where the heading has {width}: correct the line"
            )
        stripped = map(str.strip, line)
        yield [None if word.lower() in none else word for word, none in zip(stripped, missing, strict=True)]


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise DataError(f"{path} is empty: give a heading and one line a sample")
    if "" in header[1:]:
        raise DataError(f"{path}: column {header.index('', 1) + 1} has no name: name it")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path} has two columns named {twice!r}: rename or remove one")


def _no_names(header: list[str]) -> bool:
    """Whether a first line is one of numbers, and not the 0, 1, 2 … that data frames number their columns with."""
    return numbers(np.array(header, object)) is not None and header != [str(i) for i in range(len(header))]


def _parquet(path: Path, as_words: Sequence[str], drop: Sequence[str]) -> dict[str, Array]:
    """Columns of a Parquet file; whole numbers of those named in ``as_words`` are kept to the last digit, as words.

    Those of ``drop`` may hold anything, and hold nothing here.
    """
    try:
        from pyarrow import ArrowException, parquet
        from pyarrow import types as kinds
    except ImportError:
        raise MissingExtra("reading Parquet", "pyarrow", "tables") from None
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise DataError(
            f"cannot read {path} ({' '.join(str(error).split())[:120]}): save it as Parquet again"
        ) from None
    if not table.num_rows:
        raise DataError(f"{path} has no rows: give one a sample")
    index = [name for name in (table.schema.pandas_metadata or {}).get("index_columns", ()) if isinstance(name, str)]
    index = index or [name for name in table.column_names if name == "__index_level_0__"]
    index = [name for name in index if name not in as_words]
    first = dict.fromkeys(index[:1], "")  # a data frame's index names its rows, by its first level
    columns = [
        (first.get(name, str(name)), column)
        for name, column in zip(table.column_names, table.columns, strict=True)
        if name not in index[1:]
    ]
    columns.sort(key=lambda column: column[0] != "")
    _check_header(path, [name for name, _ in columns])
    found: dict[str, Array] = {}
    for name, column in columns:
        if name in drop:
            found[name] = np.full(len(column), None, object)
            continue
        kind = column.type.value_type if kinds.is_dictionary(column.type) else column.type
        values = column.to_pylist()
        if name == "" or (kinds.is_integer(kind) and name in as_words):
            found[name] = np.array([None if v is None else str(v) for v in values], object)
        elif kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind):
            found[name] = np.array([np.nan if v is None else v for v in values], np.float64)
        elif kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_boolean(kind):
            found[name] = np.array([None if v is None else str(v) for v in values], object)
        else:
            raise DataError(f"{path}: column {name!r} holds {kind}: turn it into numbers or words, or remove it")
    return found
