"""What every table shares: groups of runs, means with their deviation and number of seeds, and how a table is written.

A table holds text alone, so that the terminal and ``docs/reproduction.md`` show the same. Nothing is printed that is
not in a stored record or in the paper.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemgan.evaluation.result import GENERATED
from nemgan.experiments.reproduce.cells import CLUSTERS_ONLY, Cell, Record, cell_of, drifted, failed, history, read

SCORES = ("acc", "nmi", "ari")
NOTHING = "–"
NO_DATA = "no data"
Figure = str | Callable[[Record], Any]
"""A key of the record, or a function of it."""


@dataclass(frozen=True)
class Table:
    """Text by row and column; ``notes`` are sentences below it, ``pictures`` files beside the results."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """The records of cells that differ in the seed alone."""

    wanted: int
    records: tuple[Record, ...] = ()
    failures: tuple[str, ...] = ()

    def values(self, figure: Figure) -> list[float]:
        """The figure in every record that has it."""
        found = [each.get(figure) if isinstance(figure, str) else figure(each) for each in self.records]
        return [float(value) for value in found if value is not None]

    def mean(self, figure: Figure) -> float | None:
        values = self.values(figure)
        return statistics.fmean(values) if values else None

    def sd(self, figure: Figure) -> float | None:
        """Standard deviation over the seeds (n − 1); None below two."""
        values = self.values(figure)
        return statistics.stdev(values) if len(values) > 1 else None

    def text(self, figure: Figure, digits: int = 3) -> str:
        """``.995 ± .002``; one value alone; "failed" where no run ended, and a dash where none was made.

        How many runs have the figure is said where some of them do not.
        """
        mean, sd = self.mean(figure), self.sd(figure)
        if mean is None:
            if not self.failures or self.records:
                return NOTHING
            return NO_DATA if set(self.failures) == {NO_DATA} else "failed"
        some = len(self.values(figure))
        beside = f" ({some} of {len(self.records)})" if some < len(self.records) else ""
        return number(mean, digits) + ("" if sd is None else f" ± {number(sd, digits)}") + beside

    def triple(self) -> str:
        """ACC/NMI/ARI, means alone, and of how many of the seeds where it is not all."""
        means = [self.mean(key) for key in SCORES]
        if means[0] is None:
            return self.text("acc")
        some = f" ({len(self.records)} of {self.wanted})" if len(self.records) < self.wanted else ""
        return "/".join(NOTHING if mean is None else number(mean) for mean in means) + some

    @property
    def moved(self) -> tuple[tuple[str, ...], ...]:
        """The settings that have other defaults now, of each run that was made with other ones."""
        found = [drifted(cell_of(record), record) for record in self.records]
        return tuple(each for each in found if each)

    @property
    def n(self) -> str:
        """Number of runs behind the figures, and of failed and missing ones and of those of other defaults."""
        beside = [f"{len(self.failures)} failed"] if self.failures else []
        missing = self.wanted - len(self.records) - len(self.failures)
        beside += [f"{missing} to do"] if missing > 0 else []
        beside += [f"{len(self.moved)} with other defaults"] if self.moved else []
        return str(len(self.records)) + (f" ({', '.join(beside)})" if beside else "")


@dataclass(frozen=True)
class Store:
    """Stored results: the files of JSON lines in one folder, each read once."""

    folder: Path
    _files: dict[str, Mapping[Cell, Record]] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def record(self, cell: Cell) -> Record | None:
        """The record of a cell, which may be of a failure; None where there is none.

        Of a run without the generator's stage, nothing that is said of generated samples: earlier versions said it.
        """
        found = self.records(cell.home).get(cell)
        if found is None or not set(CLUSTERS_ONLY) & set(cell.settings):
            return found
        return {key: value for key, value in found.items() if key not in GENERATED}

    def records(self, name: str) -> Mapping[Cell, Record]:
        if name not in self._files:
            self._files[name] = read(self.path(name))
        return self._files[name]

    def clusters(self, cells: Iterable[Cell]) -> Group:
        """The records of whole runs, and where none was made, of the same without the generator's stage.

        These also where the whole run was made with other defaults than today's, and they were not.
        """
        return self._of_pairs(cells, lambda cell: not set(CLUSTERS_ONLY) & set(cell.settings))

    def latest(self, cells: Iterable[Cell]) -> Group:
        """Of a whole run and of the same without the generator's stage the record that was made last, by cell.

        One made with today's defaults comes before one that was not.
        """
        order = {cell: place for place, cell in enumerate(self.records("quality"))}
        return self._of_pairs(cells, lambda cell: order.get(cell, -1))

    def _of_pairs(self, cells: Iterable[Cell], better: Callable[[Cell], int]) -> Group:
        """The best record of each cell and of the same without the generator's stage."""

        def key(cell: Cell) -> tuple[bool, bool, int]:
            record = self.record(cell)
            return record is not None, record is not None and not drifted(cell, record), better(cell)

        return self.group([max(cell, cell.clusters_only(), key=key) for cell in cells])

    def made_by(self, code: str, cells: Iterable[Cell]) -> Group:
        """The records that one version of the code made of cells or of the same without the generator's stage."""
        parts = {each: cell for cell in cells for each in (cell, cell.clusters_only())}
        found = {}
        for cell, record in history(self.path("quality")):
            if cell in parts and record.get("code") == code and not failed(record):
                found[parts[cell]] = record
        return Group(len(set(parts.values())), tuple(found.values()))

    def group(self, cells: Iterable[Cell]) -> Group:
        """The records of ``cells``."""
        cells = list(cells)
        found = [record for record in map(self.record, cells) if record is not None]
        good = tuple(record for record in found if not failed(record))
        return Group(len(cells), good, tuple(str(record["failed"]) for record in found if failed(record)))


def number(value: float, digits: int = 3) -> str:
    """``.995``, ``1.000``, ``-.010``, ``31.15``."""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and text.lstrip("-").startswith("0.") else text


def seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0f} s"


LEADING: Mapping[str, Figure] = {key.upper(): key for key in SCORES}
"""In which figures one leads: by name, all of them the higher the better."""


def behind(
    ours: Group, others: Mapping[str, Group], *, sds: float = 0, more: Mapping[str, Figure] | None = None
) -> str:
    """Whether ours is ahead of every other in ACC, NMI and ARI by more than ``sds`` deviations: "yes", or who is near.

    The deviation is the larger of the two groups'; where it is asked for and a group has one seed, that is said. So are
    figures and seeds that are missing. A dash where there is nothing to compare.

    Args:
        more: figures beside the three, negated, in which to be ahead by the mean is enough.
    """
    rivals = {name: group for name, group in others.items() if group.mean("acc") is not None}
    if ours.mean("acc") is None or not rivals:
        return NOTHING
    problems: list[str] = []
    near: list[str] = []
    unknown, alone = set(), False
    figures = {**LEADING, **(more or {})}
    for label, figure in figures.items():
        own = ours.mean(figure)
        for name, group in rivals.items():
            other = group.mean(figure)
            if own is None or other is None:
                unknown.add(label)
                continue
            deviations = ours.sd(figure), group.sd(figure)
            needed = sds if label in LEADING else 0
            alone = alone or (needed > 0 and None in deviations)
            margin = needed * max(each or 0 for each in deviations)
            if own <= other + margin:
                shown = number(other if label in LEADING else -other)
                (problems if own <= other else near).append(f"{label} of {name} {shown}")
    missing = [name for name in others if name not in rivals]
    provisos = ["of one seed, no sd"] if alone else []
    some = {label: len(ours.values(figure)) for label, figure in figures.items()}
    partly = [f"{label} of {n} of {len(ours.records)} seeds" for label, n in some.items() if 0 < n < len(ours.records)]
    provisos += partly
    fewer = [name for name, group in rivals.items() if len(group.records) < group.wanted]
    provisos += [f"fewer seeds of {', '.join(fewer)}"] if fewer else []
    provisos += [f"no {', '.join(sorted(unknown))}"] if unknown else []
    provisos += [f"not run: {', '.join(missing)}"] if missing else []
    if problems:
        return f"no: {', '.join(problems + near + partly)}"
    if near:
        return f"by its means, but not by {sds:g} sd: {'; '.join([', '.join(near), *provisos])}"
    return ("ahead" if alone else "yes") + (f", but {'; '.join(provisos)}" if provisos else "")


def whole_seconds(record: Record) -> float | None:
    """Seconds of training of a run that trained a generator."""
    found = record.get("seconds")
    return None if found is None or set(CLUSTERS_ONLY) & set(record["settings"]) else float(found)


def fidelity(key: str, sign: int = 1) -> Figure:
    """A figure of the first extractor of a record, times ``sign`` (−1 where less is better)."""

    def of(record: Record) -> float | None:
        distances = record.get("fidelity")
        found = distances[0][key] if distances else None
        return None if found is None else sign * float(found)

    return of


def fd_note(groups: Iterable[Group]) -> str:
    """Which features and how many samples the distances of a table are of."""
    first = [next(iter(record.get("fidelity") or ()), None) for group in groups for record in group.records]
    named = {f"{each['extractor']} features, {each['n']:,} samples" for each in first if each}
    return f"FD: Fréchet distance from the test split ({'; '.join(sorted(named)) or 'no runs yet'}); not an FID."


def code_note(groups: Iterable[Group]) -> tuple[str, ...]:
    """Where the runs of a table were made by several versions of the code, or with other defaults than today's."""
    groups = list(groups)
    made = {str(record.get("code", "unknown")) for group in groups for record in group.records}
    notes = [f"Runs of {len(made)} versions of the code are mixed here."] if len(made) > 1 else []
    moved = [each for group in groups for each in group.moved]
    if moved:
        keys = sorted({key for each in moved for key in each if key != "?"})
        unknown = sum("?" in each for each in moved)
        which = [*keys, *([f"{unknown} of them kept no settings"] if unknown else [])]
        notes.append(
            f"With other defaults: {len(moved)} made before these changed ({', '.join(which)}); the command makes them "
            "again."
        )
    return tuple(notes)


def failure_notes(groups: Mapping[str, Group]) -> tuple[str, ...]:
    """Why cells failed, one sentence each."""
    return tuple(
        f"Failed, {name}: {why}."
        for name, group in groups.items()
        for why in dict.fromkeys(group.failures)
        if why != NO_DATA
    )


def markdown(table: Table, folder: str) -> str:
    """The table as a section of a Markdown page; ``folder`` is where its pictures lie, seen from that page."""
    lines = [f"### {table.title}", ""]
    if table.rows:
        rows = [table.header, ("---",) * len(table.header), *table.rows]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows] + [""]
    lines += [f"* {note}" for note in table.notes] + ([""] if table.notes else [])
    lines += [f"![{name}]({folder}/{name})\n" for name in table.pictures]
    return "\n".join(lines)
