"""The columns of a table as numbers for a model, and back.

What is learned from training rows (means and deviations, words, what stands in for a missing value) is kept with a run
as JSON, so that other tables are read the same way and generated samples become rows again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nemgan.data.tables import Table, numbers, words
from nemgan.errors import DataError

Array = NDArray[Any]
Float = NDArray[np.float64]
Impute = Literal["none", "mean", "median", "most_frequent"]
MOST_WORDS = 30
"""Different words of a column, at most: each is a number of its own to the model."""


def spread(x: Array) -> tuple[Float, Float]:
    """Mean and standard deviation of each column of ``x`` (N, D) in double precision; of constant columns, 1."""
    offset, scale = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
    return offset, np.where(scale > 1e-12 * np.abs(offset), scale, 1.0)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        kind: ``number``: one standardised number; ``words``: 0 or 1 of two words, else one number a word, 1 for its
            own; ``constant`` and ``copy``: nothing, since they tell nothing.
        offset, scale, low, high: mean, standard deviation and range of the numbers.
        whole: all are whole numbers.
        decimals: places after the point that all of them do with; None where more than six.
        words: in their order; the constant.
        fill: what stands in for a missing value; None refuses it.
        of: the column that a copy repeats.
    """

    name: str
    kind: Literal["number", "words", "constant", "copy"]
    offset: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    words: tuple[str, ...] = field(default=())
    fill: float | str | None = None
    of: str = ""
    decimals: int | None = None

    @property
    def width(self) -> int:
        """How many numbers it is to the model."""
        return {"number": 1, "words": 1 if len(self.words) == 2 else len(self.words)}.get(self.kind, 0)

    def encode(self, values: Array, what: str) -> tuple[Float, list[str]]:
        """``(N, width)`` of the table's ``values``, none missing, and the words among them that are not known."""
        if self.kind == "number":
            found = numbers(values)
            if found is None:
                row = next(i for i, v in enumerate(values) if v is not None and numbers(values[i : i + 1]) is None)
                where = f"column {self.name!r} holds {values[row]!r} (row {row})"
                raise DataError(f"{what}: {where} where training rows hold numbers: correct it")
            _refuse_infinite(found, self.name, what)
            return ((found - self.offset) / self.scale)[:, None], []
        known, values = np.asarray(self.words, object), words(values)
        hit = values[:, None] == known[None]
        strange = sorted(set(values[~hit.any(1)].tolist()))
        if self.width == 1:
            return np.where(hit.any(1), hit[:, 1], 0.5)[:, None].astype(np.float64), strange
        return hit.astype(np.float64), strange

    def decode(self, x: Array) -> Array:
        """The table's values of ``(n, width)`` numbers: those nearest to ones that occurred."""
        if self.kind == "number":
            value = np.clip(x[:, 0].astype(np.float64) * self.scale + self.offset, self.low, self.high)
            digits = max(0, 5 - math.floor(math.log10(self.scale))) if self.decimals is None else self.decimals
            return np.round(value, 0 if self.whole else digits)
        best = x[:, 0] > 0.5 if self.width == 1 else x.argmax(1)
        return np.array(self.words, object).take(best.astype(int))


@dataclass(frozen=True)
class Columns:
    """All columns, in the table's order."""

    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        return sum(column.width for column in self.columns)

    def summary(self, most: int = 5) -> str:
        """The columns that are used, and as what: ``alcohol, ash and 11 more (13 numbers), colour (3 words)``.

        ``most`` are named of each kind.
        """
        numeric = [column.name for column in self.columns if column.kind == "number"]
        worded = [f"{column.name} ({len(column.words)} words)" for column in self.columns if column.kind == "words"]
        parts = [f"{listed(numeric, most)} ({len(numeric)} number{'s' * (len(numeric) > 1)})"] if numeric else []
        return ", ".join(parts + ([listed(worded, most)] if worded else []))

    def encode(self, table: Table) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """The rows of ``table`` as vectors ``(N, width)``, and remarks on what was not known.

        Columns that are not among these are ignored.

        Raises:
            DataError: columns that are not there, missing values that have no stand-in, words for numbers.
        """
        used = [column for column in self.columns if column.width]
        absent = [column.name for column in used if column.name not in table.columns]
        if absent:
            one = len(absent) == 1
            which, were = ("column", "was learned from: add it") if one else ("columns", "were learned from: add them")
            raise DataError(f"{table.name} lacks {which} {listed(absent)}, which {were}")
        gaps = {c.name: int(_missing(table.columns[c.name]).sum()) for c in used if c.fill is None}
        gaps = {name: n for name, n in gaps.items() if n}
        if gaps:
            where = listed([f"{name} ({n})" for name, n in gaps.items()])
            sparse = [c.name for c in used if c.kind == "words" and 2 * gaps.get(c.name, 0) >= len(table)]
            hint = f"; if {sparse[0]} holds labels, say label_column={sparse[0]}" if sparse else ""
            raise DataError(
                f"{table.name}: values are missing in {where}: complete or remove these rows, or train "
                f"with impute=median, mean or most_frequent{hint}"
            )
        parts, notes = [], []
        filled = {c.name: int(_missing(table.columns[c.name]).sum()) for c in used if c.fill is not None}
        filled = {name: n for name, n in filled.items() if n}
        if filled:
            where = listed([f"{name} ({n})" for name, n in filled.items()])
            notes.append(f"{table.name}: missing values are imputed in {where}")
        for column in used:
            part, strange = column.encode(_filled(table.columns[column.name], column.fill), table.name)
            parts.append(part)
            if strange:
                notes.append(
                    f"{table.name}: words of column {column.name!r} that training rows do not have count as none of "
                    f"theirs: {listed(strange)}"
                )
        with np.errstate(over="ignore"):
            x = np.concatenate(parts, 1).astype(np.float32)
        if np.isinf(x).any():
            raise DataError(f"{table.name} has values beyond the range of float32: rescale them")
        return x, tuple(notes)

    def decode(self, x: Array) -> dict[str, Array]:
        """Columns of the table, by name, of vectors ``x`` (n, width)."""
        found: dict[str, Array] = {}
        at = 0
        for column in self.columns:
            if column.width:
                found[column.name] = column.decode(x[:, at : at + column.width])
            elif column.kind == "constant":
                found[column.name] = np.full(len(x), column.words[0], object)
            at += column.width
        copies = {c.name: found[c.of] for c in self.columns if c.kind == "copy"}
        return {c.name: {**found, **copies}[c.name] for c in self.columns}

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(column) for column in self.columns]

    @classmethod
    def of_json(cls, found: Sequence[Mapping[str, Any]]) -> Columns:
        return cls(tuple(Column(**{**each, "words": tuple(each["words"])}) for each in found))


def learn(table: Table, impute: Impute = "none") -> tuple[Columns, tuple[str, ...]]:
    """The columns of ``table`` (training rows alone), and remarks on them.

    Columns whose values are all numbers are numbers, others words. A missing word is imputed by the most frequent one.

    Raises:
        DataError: a column without values or of too many different words, infinite numbers, or no column that varies.
    """
    found: list[Column] = []
    seen: dict[bytes, str] = {}
    worded: dict[str, Sequence[str]] = {}
    for name, values in table.columns.items():
        column = _learn(name, values, impute, table.name)
        if column.kind == "words" and len(column.words) > MOST_WORDS:
            worded[name] = column.words
        content = (numbers(values) if column.kind == "number" else words(values)) if column.width else None
        if content is not None:
            key = repr(content.tolist()).encode() if content.dtype == object else content.tobytes()
            twin = seen.setdefault(key, name)
            column = column if twin == name else Column(name, "copy", of=twin)
        found.append(column)
    if worded:
        raise DataError(f"{table.name}: {_without(worded)}")
    constant = [c.name for c in found if c.kind == "constant"]
    copies = [f"{c.name} (as {c.of})" for c in found if c.kind == "copy"]
    if len(constant) == len(found):
        raise DataError(f"{table.name}: no column varies: give data that do")
    columns = Columns(tuple(found))
    notes = [f"{table.name}: constant columns are left out: {listed(constant)}"] if constant else []
    notes += [f"{table.name}: columns equal to another are left out: {listed(copies)}"] if copies else []
    notes += [f"{table.name}: {note}" for note in map(_mixed, found) if note]
    likely = [c.name for c in found if c.width and _LIKE_LABELS.fullmatch(c.name) and _of_two(table.columns[c.name])]
    if likely and table.labels is None:
        notes.append(f"{table.name}: {likely[0]} has two values: if it is the label, say label_column={likely[0]}")
    return columns, (*notes, f"{table.name}: columns that are learned from: {columns.summary()}")


_LIKE_LABELS = re.compile(r"y|is_.+|.*(label|class|target|outcome|fraud).*", re.IGNORECASE)
"""Names of columns that may hold labels."""


def _of_two(values: Array) -> bool:
    """Whether there are two different values, missing ones not counted."""
    return len(np.unique(values[~_missing(values)])) == 2


def _learn(name: str, values: Array, impute: Impute, what: str) -> Column:
    missing = _missing(values)
    if missing.all():
        raise DataError(f"{what}: column {name!r} has no values in training rows: remove it")
    known = values[~missing]
    x = numbers(known)
    if x is None:
        text = words(known)
        found, counts = np.unique(text.astype(str), return_counts=True)
        if len(found) == 1:
            return Column(name, "constant", words=(str(found[0]),))
        if len(found) > MOST_WORDS:
            _refuse_almost_numbers(found, f"{what}: column {name!r}")
        fill = None if impute == "none" else str(found[counts.argmax()])
        return Column(name, "words", words=tuple(map(str, found)), fill=fill)
    _refuse_infinite(x, name, what)
    if x.min() == x.max():
        return Column(name, "constant", words=(words(known[:1])[0],))
    offset, scale = (float(each[0]) for each in spread(x[:, None]))
    stand_in: dict[str, Callable[[], float | None]] = {
        "none": lambda: None,
        "mean": lambda: float(x.mean()),
        "median": lambda: float(np.median(x)),
        "most_frequent": lambda: _most_frequent(x),
    }
    whole = bool((x == np.rint(x)).all())
    decimals = next((d for d in range(7) if (x == np.round(x, d)).all()), None)
    low, high, fill_number = float(x.min()), float(x.max()), stand_in[impute]()
    return Column(name, "number", offset, scale, low, high, whole, fill=fill_number, decimals=decimals)


def _refuse_infinite(x: Float, name: str, what: str) -> None:
    n = int((~np.isfinite(x)).sum())
    if n:
        which = "number: correct or remove it" if n == 1 else "numbers: correct or remove them"
        raise DataError(f"{what}: column {name!r} has {n} infinite {which}")


def _most_frequent(x: Float) -> float:
    values, counts = np.unique(x, return_counts=True)
    return float(values[counts.argmax()])


def _refuse_almost_numbers(found: Array, which: str) -> None:
    """See that a column of so many different words holds no numbers that are written otherwise."""
    strange = [word for word in found.tolist() if numbers(np.array([word], object)) is None]
    if len(strange) <= len(found) / 2:
        odd = listed([repr(word) for word in strange])
        raise DataError(f"{which} holds numbers, but also {odd}: correct these, or leave them empty and impute")
    if all(re.fullmatch(r"[+-]?\d{1,3}(,\d{3})*", word) for word in strange):
        raise DataError(
            f"{which} holds numbers with commas ({strange[0]}): write thousands without them, decimals with a point"
        )
    if _decimal_commas(strange):
        raise DataError(f"{which} holds numbers with a decimal comma ({strange[0]}): write decimals with a point")


_DATE = re.compile(r"(\d{4}([-/.]\d{1,2}){1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{2}|\d{4}))([T ]\d{1,2}:\d{2}.*)?")


def _without(worded: Mapping[str, Sequence[str]]) -> str:
    """What to say of columns, by name, that are of too many words, and what to do."""
    which = ", ".join(
        f"column {name!r} has {len(many)} different words ({listed(many, 3)})" for name, many in worded.items()
    )
    names = ",".join(worded)
    names = names if re.fullmatch(r"[\w.,-]+", names) else repr(names)
    one = len(worded) == 1
    dates = [name for name, many in worded.items() if all(map(_DATE.fullmatch, many))]
    told = (
        f"; dates ({', '.join(dates)}) are not learned from: drop them, or turn them into numbers, such as days since"
        if dates
        else ""
    )
    return (
        f"{which}, more than {MOST_WORDS}: leave {'it' if one else 'them'} out by drop={names}, or name "
        f"{'it' if one else 'one'} with id_column= or label_column={told}"
    )


def _decimal_commas(found: Sequence[str]) -> bool:
    """Whether all words are numbers once a comma is read as a point, and one has a comma."""
    return all(re.fullmatch(r"[+-]?\d*(,\d+)?", word) for word in found) and any("," in word for word in found)


def _mixed(column: Column) -> str:
    """What to remark of a column of words most of which are numbers; empty if they are not."""
    if column.kind == "words" and _decimal_commas(column.words):
        return f"column {column.name!r} is taken for words: if its commas are decimal ones, write points"
    strange = [word for word in column.words if numbers(np.array([word], object)) is None]
    if column.kind != "words" or not strange or len(strange) > len(column.words) / 4:
        return ""
    odd = listed([repr(word) for word in strange])
    return (
        f"column {column.name!r} is taken for words, since it holds {odd} among numbers: correct these, or leave them "
        "empty and impute"
    )


def _missing(values: Array) -> NDArray[np.bool_]:
    if values.dtype == object:
        return np.fromiter((v is None for v in values), bool, len(values))
    return np.asarray(np.isnan(values))


def _filled(values: Array, fill: float | str | None) -> Array:
    if fill is None:
        return values
    values = words(values) if isinstance(fill, str) else values
    return np.where(_missing(values), np.asarray(fill, values.dtype), values)


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
