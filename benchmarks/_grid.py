"""What the grids of benchmarks share: words, the loop over missing cells, and tables of what is stored.

A grid is resumable: finished cells are skipped, failed ones are stored as failed and tried again. One process, one
thread; processes side by side want their own ``--seeds`` or ``--data``.
"""

# ruff: noqa: E402 - the number of threads is read when the libraries are loaded

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from nemgan.experiments.reproduce.cells import Cell, Record, code, read, todo
from nemgan.experiments.reproduce.runner import run_all
from nemgan.experiments.reproduce.tables import Group, Table, failure_notes
from nemgan.terminal import print_table
from nemgan.training.runtime import versions

RESULTS = Path(__file__).parent / "results"
Measure = Callable[[Cell], Record]


class Stored:
    """The records of one grid."""

    def __init__(self, path: Path) -> None:
        self.records = read(path)

    def group(self, cells: Iterable[Cell]) -> Group:
        """The records of ``cells``, which differ in the seed alone."""
        cells = list(cells)
        found = [self.records[cell] for cell in cells if cell in self.records]
        good = tuple(record for record in found if "failed" not in record)
        return Group(len(cells), good, tuple(str(record["failed"]) for record in found if "failed" in record))


def parser(
    doc: str,
    name: str,
    data: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    usual: Sequence[str] | None = None,
) -> argparse.Namespace:
    """The words of a call: by default all methods and seeds on the ``usual`` data, or on all."""
    words = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", nargs="+", default=list(usual or data), choices=data)
    words.add_argument("--methods", nargs="+", default=list(methods), choices=methods)
    words.add_argument("--seeds", nargs="+", type=int, default=list(seeds))
    words.add_argument("--show", action="store_true", help="only print what is stored")
    words.add_argument("--results", type=Path, default=RESULTS / f"{name}.jsonl")
    return words.parse_args()


def fill(cells: Sequence[Cell], path: Path, measure: Measure) -> None:
    """Measure the cells that have no record, and print a line for each."""

    def safe(cell: Cell, _: Path) -> Record:
        about = {
            "model": cell.model,
            "data": cell.data,
            "seed": cell.seed,
            "settings": list(cell.settings),
            "code": code(),
            "versions": versions("cpu"),
        }
        started = time.perf_counter()
        try:
            found = measure(cell)
        except (ValueError, ImportError, FloatingPointError) as error:  # one line for the table; the rest goes on
            return about | {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        return about | {"seconds": time.perf_counter() - started} | dict(found)

    print(f"{len(cells) - len(todo(cells, read(path)))} of {len(cells)} cells are done", flush=True)
    for cell, record in run_all(cells, lambda _: path, path.parent, run=safe):
        words = [f"{key} {value:.4g}" for key, value in record.items() if isinstance(value, float)]
        print(f"{cell}: " + (f"failed: {record['failed']}" if "failed" in record else " ".join(words)), flush=True)


def show(table: Table) -> None:
    print(f"\n{table.title}\n")
    print_table(table.header, table.rows)
    for note in table.notes:
        print(f"  {note}")


__all__ = ["RESULTS", "Group", "Stored", "Table", "failure_notes", "fill", "parser", "show"]
