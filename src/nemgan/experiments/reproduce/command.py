"""``nemgan reproduce``: run what is missing of a target, show its tables, write the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nemgan.errors import ConfigError, unknown
from nemgan.experiments.reproduce import page
from nemgan.experiments.reproduce.cells import Cell, Record, due, failed
from nemgan.experiments.reproduce.runner import describe, run_all, train
from nemgan.experiments.reproduce.tables import NO_DATA, Store, Table
from nemgan.experiments.reproduce.targets import BUDGETS, TARGETS, Target, parse_seeds, results_folder, target


@dataclass(frozen=True)
class Asked:
    """What a call is about."""

    targets: tuple[Target, ...]
    budget: str
    seeds: Sequence[int] | None
    store: Store

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.targets]


def ask(name: str | None, budget: str, seeds: str | None, results: Path | None) -> Asked:
    """Check the words of a call.

    Raises:
        ConfigError: no such target or budget, or seeds that cannot be read.
    """
    if budget not in BUDGETS:
        raise unknown("budget", budget, BUDGETS)
    targets = tuple(TARGETS.values()) if name is None else (target(name),)
    return Asked(targets, budget, parse_seeds(seeds), Store(results_folder(results)))


def run(
    asked: Asked, runs: Path, *, jobs: int, minutes: float | None, again: bool, tell: Callable[[str], None]
) -> Iterator[str]:
    """Run the cells that have no record and draw the figures; a line for every step. Records are stored as they come.

    Args:
        tell: called with a line when a cell is begun, which may take minutes or hours.

    Raises:
        ConfigError: the folder of results cannot be written.
    """

    def begin(cell: Cell, runs: Path) -> Record:
        tell(f"{time.strftime('%H:%M')} {cell}")
        return train(cell, runs, minutes=minutes)

    for each in asked.targets:
        cells = each.cells(asked.budget, asked.seeds)
        folder = asked.store.folder
        missing = len(cells) if again else sum(bool(due([cell], asked.store.records(cell.home))) for cell in cells)
        yield f"{each.name}: {len(cells) - missing} of {len(cells)} cells are done; records go to {folder}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot write {folder} ({error.strerror}): give another --results") from None
        file_of = lambda cell: asked.store.path(cell.home)  # noqa: E731
        made = run_all(cells, file_of, runs, jobs=jobs, again=again, run=begin)
        for count, (cell, record) in enumerate(made, 1):
            yield f"{count}/{missing} {describe(cell, record)}"
        if each.draw is not None:
            fresh = Store(asked.store.folder)
            for picture in each.draw(fresh, runs, asked.budget, asked.seeds):
                yield f"drew {picture}"


def failures(asked: Asked) -> int:
    """How many cells of all targets asked for have failed, but for want of data."""
    store = Store(asked.store.folder)
    cells = {cell for each in asked.targets for cell in each.cells(asked.budget, asked.seeds)}
    found = [store.record(cell) for cell in cells]
    return sum(failed(record) and record["failed"] != NO_DATA for record in found if record is not None)


def stored(asked: Asked) -> None:
    """See that there are records to show.

    Raises:
        ConfigError: there are none in the folder.
    """
    folder = asked.store.folder
    if not any(folder.glob("*.jsonl")):
        raise ConfigError(f"no records in {folder}: run from a clone of the repository, or say --results FOLDER")


def tables(asked: Asked) -> Iterator[Table]:
    """The tables of all targets asked for, from what is stored now."""
    store = Store(asked.store.folder)
    for each in asked.targets:
        yield from each.tables(store, asked.budget, asked.seeds)


def write(asked: Asked, path: Path) -> None:
    """Write the page of all targets asked for."""
    page.write(path, asked.targets, asked.store, asked.budget, asked.seeds)
