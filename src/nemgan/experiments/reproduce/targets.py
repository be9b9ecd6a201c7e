"""What can be reproduced: each target names its cells, where their records lie, and the tables made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nemgan.errors import ConfigError, unknown
from nemgan.experiments.reproduce import zero_labels
from nemgan.experiments.reproduce.cells import Cell
from nemgan.experiments.reproduce.tables import Store, Table

RESULTS_VARIABLE = "NEMGAN_RESULTS"
BUDGETS = ("quick", "full")


@dataclass(frozen=True)
class Target:
    """One table or figure.

    Attributes:
        results: name of the file of records, without its suffix.
        cells: the runs it needs, for a budget and seeds (None: the target's own).
        tables: made from stored records alone.
        draw: makes pictures from the run folders of finished cells: ``(store, runs, budget, seeds)`` to file names.
    """

    name: str
    title: str
    results: str
    cells: Callable[[str, Sequence[int] | None], list[Cell]]
    tables: Callable[[Store, str, Sequence[int] | None], list[Table]]
    draw: Callable[[Store, Path, str, Sequence[int] | None], list[str]] | None = None


_TARGETS = [
    Target(
        "zero-labels",
        "Zero labels: clusters, masses and generation, beside K-means and UMAP",
        zero_labels.QUALITY,
        zero_labels.cells,
        zero_labels.tables,
    ),
]
TARGETS = {target.name: target for target in _TARGETS}


def target(name: str) -> Target:
    """The target ``name``.

    Raises:
        ConfigError: no such target.
    """
    if name not in TARGETS:
        raise unknown("target", name, TARGETS)
    return TARGETS[name]


def results_folder(given: Path | None = None) -> Path:
    """Where records lie: as given, as ``NEMGAN_RESULTS`` says, or ``benchmarks/results`` in the current folder."""
    return given or Path(os.environ.get(RESULTS_VARIABLE) or Path("benchmarks") / "results")


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """``"0,1,4"`` or ``"0-4"`` as seeds; None as None.

    >>> parse_seeds("0-2,7")
    (0, 1, 2, 7)

    Raises:
        ConfigError: anything else.
    """
    if text is None:
        return None
    found: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            found += range(int(first), int(last) + 1) if dash else [int(first)]
    except ValueError:
        raise ConfigError(f"cannot read seeds {text!r}: write 0,1,2 or 0-4") from None
    if not found:
        raise ConfigError(f"there are no seeds in {text!r}: write 0,1,2 or 0-4")
    return tuple(dict.fromkeys(found))
