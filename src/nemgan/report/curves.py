"""Learning curves of ``metrics.jsonl``: the held-out figures over the whole training, and each stage's losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from nemgan.report.charts import Line, line_chart

MOST_CHARTS = 12
STILL = 0.05
"""L1 distance within which masses count as unmoved."""
WHERE = {"step", "stage_step", "seconds", "elapsed"}
"""Keys that say where a row is, not what was measured."""


class Chart(NamedTuple):
    """A drawing, its title, and its curves' names with their colour number (None = the page's accent)."""

    title: str
    drawing: Markup
    legend: tuple[tuple[str, int | None], ...]


class Curves(NamedTuple):
    """Charts of the whole training, then those of each stage by the stage's name."""

    whole: list[Chart]
    stages: list[tuple[str, list[Chart]]]


def curves(rows: Sequence[Mapping[str, Any]], n_clusters: int) -> Curves:
    """Charts of what was logged; rows are grouped by their ``stage``, and numbers are drawn over ``step``."""
    rows = [row for row in rows if isinstance(row.get("stage"), str) and _number(row.get("step"))]
    rows = [row for row in rows if row.get("kind") != "left out"]
    names = list(dict.fromkeys(row["stage"] for row in rows))
    first = {name: next(row for row in rows if row["stage"] == name) for name in names}
    marks = [
        (first[name]["step"] - first[name].get("stage_step", 0), name)
        for name in names
        if any(row["stage"] == name and row.get("stage_step") != 0 for row in rows)  # one without steps has no stretch
    ]
    whole = [
        *_scores(rows, marks),
        *_masses(rows, "masses", "Masses of the clusters", n_clusters, marks),
        *_masses(rows, "found", "Shares found in held-out samples", n_clusters, marks),
    ]
    stages = [(name, _losses([row for row in rows if row["stage"] == name])) for name in names]
    return Curves(whole, [(name, charts) for name, charts in stages if charts])


def _scores(rows: Sequence[Mapping[str, Any]], marks: Sequence[tuple[float, str]]) -> list[Chart]:
    full = {"acc": "Accuracy", "nmi": "NMI", "ari": "ARI"}
    lines = [_line(rows, key, name, number) for number, (key, name) in enumerate(full.items())]
    lines = [line for line in lines if line.x]
    if not lines:
        return []
    title = "Held-out agreement with the classes"
    return [Chart(title, line_chart(lines, title, share=True, marks=marks), _legend(lines))]


def settled(rows: Sequence[Mapping[str, Any]], n_clusters: int) -> float | None:
    """Share of the last stage, in [0, 1], after which the found shares stayed within 0.05 (L1) of their last.

    Before it there may be restarts, each with clusters of its own. None where it was looked at fewer than five times.
    """
    kept = [row for row in _with(rows, "found", n_clusters) if _number(row.get("step"))]
    kept = [row for row in kept if row.get("stage") == kept[-1].get("stage")]
    begin = kept[0]["step"] - kept[0].get("stage_step", kept[0]["step"]) if kept else 0
    if len(kept) < 5 or kept[-1]["step"] == begin:
        return None
    last = kept[-1]["found"]
    moved = [sum(abs(a - b) for a, b in zip(row["found"], last, strict=True)) > STILL for row in kept]
    first = max((i + 1 for i, each in enumerate(moved) if each), default=0)
    return float((kept[first]["step"] - begin) / (kept[-1]["step"] - begin)) if first else 0.0


def _with(rows: Sequence[Mapping[str, Any]], key: str, n: int) -> list[Mapping[str, Any]]:
    """The rows that have ``n`` numbers under ``key``."""
    return [
        row for row in rows if isinstance(row.get(key), list) and len(row[key]) == n and all(map(_number, row[key]))
    ]


def _masses(
    rows: Sequence[Mapping[str, Any]], key: str, title: str, n_clusters: int, marks: Sequence[tuple[float, str]]
) -> list[Chart]:
    kept = _with(rows, key, n_clusters)
    if not kept:
        return []
    steps = [float(row["step"]) for row in kept]
    lines = [Line(f"cluster {k}", steps, [float(row[key][k]) for row in kept], k) for k in range(n_clusters)]
    legend = _legend(lines) if n_clusters <= 12 else ()
    return [Chart(title, line_chart(lines, title, share=True, marks=marks), legend)]


def _losses(rows: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """One chart for each loss (keys ``phase/name``) of a stage logged more than once; equal ones are drawn once."""
    keys = list(dict.fromkeys(key for row in rows for key in row if "/" in key and key not in WHERE))
    lines = [_line(rows, key, key.replace("/", " · "), None) for key in keys]
    kept = {tuple(line.y): line for line in reversed(lines) if len(line.x) > 1}
    lines = [line for line in lines if line in kept.values()][:MOST_CHARTS]
    return [Chart(line.name, line_chart([line], line.name), ()) for line in lines]


def _line(rows: Sequence[Mapping[str, Any]], key: str, name: str, colour: int | None) -> Line:
    kept = [row for row in rows if _number(row.get(key))]
    return Line(name, [float(row["step"]) for row in kept], [float(row[key]) for row in kept], colour)


def _legend(lines: Sequence[Line]) -> tuple[tuple[str, int | None], ...]:
    return tuple((line.name, line.colour) for line in lines)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
