"""What can be reproduced: each target names its cells, where their records lie, and the tables made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nemgan.errors import ConfigError, unknown
from nemgan.experiments.reproduce import ablation, figures, paper, paper_tables, zero_labels
from nemgan.experiments.reproduce.cells import Cell
from nemgan.experiments.reproduce.tables import Store, Table

RESULTS_VARIABLE = "NEMGAN_RESULTS"
BUDGETS = ("quick", "full")
Draw = Callable[[Store, Path, str, Sequence[int] | None], list[str]]


@dataclass(frozen=True)
class Target:
    """One table or figure.

    Attributes:
        cells: the runs it needs, for a budget and seeds (None: the target's own).
        tables: made from stored records alone.
        draw: makes pictures from the run folders of finished cells: ``(store, runs, budget, seeds)`` to file names.
    """

    name: str
    title: str
    cells: Callable[[str, Sequence[int] | None], list[Cell]]
    tables: Callable[[Store, str, Sequence[int] | None], list[Table]]
    draw: Draw | None = None


def _draw(name: str) -> Draw:
    """The drawing ``name``, loaded (with torch and matplotlib) when it is called."""

    def call(store: Store, runs: Path, budget: str, seeds: Sequence[int] | None) -> list[str]:
        from nemgan.experiments.reproduce.drawing import DRAWINGS

        return DRAWINGS[name](store, runs, budget, seeds)

    return call


def _models(name: str, title: str, rows: Mapping[str, Mapping[str, paper.Row]], *, skewed: bool) -> Target:
    return Target(name, title, *paper_tables.model_table(title, rows, skewed=skewed))


_TABLES = (
    ("table-1", "Table I: imbalanced grey images", paper.TABLE_1, True),
    ("table-2", "Table II: imbalanced colour images", paper.TABLE_2, True),
    ("table-4", "Table IV: balanced images", paper.TABLE_4, False),
)
_TARGETS = [
    Target(
        "zero-labels",
        "Zero labels: clusters, masses and generation, beside K-means and UMAP",
        zero_labels.cells,
        zero_labels.tables,
    ),
    *(_models(name, title, rows, skewed=skewed) for name, title, rows, skewed in _TABLES),
    Target("table-3", "Table III: learned masses", paper_tables.prior_cells, paper_tables.prior_tables),
    Target("ablation", "What each ingredient buys", ablation.cells, ablation.tables),
    Target("figure-1", "Figure 1: moons", figures.moons_cells, figures.moons_tables, _draw("moons")),
    Target("figure-3", "Figure 3: modes of one digit", figures.digit_cells, figures.digit_tables, _draw("digits")),
    Target(
        "figure-4",
        "Figures 4 and 5: attributes by an assumed ratio",
        figures.attribute_cells,
        figures.attribute_tables,
        _draw("attributes"),
    ),
    Target("figure-6", "Figure 6: stacked MNIST", figures.stacked_cells, figures.stacked_tables, _draw("stacked")),
    Target("figure-7", "Figure 7: ring", figures.ring_cells, figures.ring_tables, _draw("ring")),
]
TARGETS = {target.name: target for target in _TARGETS}
_TOGETHER = {"figure-5": "figure-4"}


def target(name: str) -> Target:
    """The target ``name``.

    Raises:
        ConfigError: no such target.
    """
    name = _TOGETHER.get(name, name)
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
