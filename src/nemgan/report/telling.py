"""What tells the clusters of a table apart: its columns, those first whose typical values differ most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nemgan.data.columns import Column, Columns
from nemgan.report.diagnosis import percent

Array = NDArray[Any]
MOST = 10
"""Columns that are shown, at most."""


class Telling(NamedTuple):
    """A column: its name (and word), and of each cluster's real and generated samples the median, or the word's share.

    "–" where a cluster has no samples.
    """

    name: str
    real: tuple[str, ...]
    generated: tuple[str, ...]


def telling(columns: Sequence[Mapping[str, Any]], arrays: Mapping[str, Array]) -> list[Telling]:
    """The ``columns`` (as a run keeps them) that differ most between the clusters, by the vectors in ``arrays``.

    Numbers by their medians, in standard deviations of the column; words by the share of one of them, all or nothing
    counting as two.
    """
    if not columns or not {"real", "real_count"} <= arrays.keys():
        return []
    table = Columns.of_json(columns)
    real = [table.decode(rows[:n]) for rows, n in zip(arrays["real"], arrays["real_count"], strict=True)]
    fake = [table.decode(rows) for rows in arrays.get("generated", arrays["real"][:, :0])]
    found = [each for column in table.columns if column.width for each in _apart(column, real, fake)]
    return [each for _, each in sorted(found, key=lambda pair: -pair[0])[:MOST]]


def _apart(
    column: Column, real: Sequence[Mapping[str, Array]], fake: Sequence[Mapping[str, Array]]
) -> Iterator[tuple[float, Telling]]:
    """How far apart the clusters are in ``column``, and what is shown of it; nothing where one cluster has samples."""
    there = [of[column.name] for of in real if len(of[column.name])]
    if len(there) < 2:
        return
    if column.kind == "number":
        middles = [float(np.median(values)) for values in there]
        rows = (
            tuple(f"{np.median(of[column.name]):.4g}" if len(of[column.name]) else "–" for of in side)
            for side in (real, fake)
        )
        yield (max(middles) - min(middles)) / column.scale, Telling(column.name, *rows)
        return
    shares = np.array([[(values == word).mean() for word in column.words] for values in there])
    most = int(np.ptp(shares, axis=0).argmax())
    word = column.words[most]
    rows = (
        tuple(percent((of[column.name] == word).mean()) if len(of[column.name]) else "–" for of in side)
        for side in (real, fake)
    )
    yield 2 * float(np.ptp(shares[:, most])), Telling(f"{column.name} = {word}", *rows)
