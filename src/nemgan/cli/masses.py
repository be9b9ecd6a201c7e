"""What ``nemgan priors`` prints: how many of each kind, of data by name or path."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nemgan.data import catalog
from nemgan.data.columns import Columns
from nemgan.data.files import Found, Reading, find
from nemgan.data.labels import read_labels
from nemgan.priors import estimate_priors


def priors_of(
    source: str,
    labels: Path | None = None,
    unlabelled: str | None = None,
    *,
    n_clusters: int | None = None,
    restarts: int = 3,
    seed: int = 0,
    how: Reading | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """``estimate_priors`` of data by name or path, with labels from a CSV, as JSON values.

    The labels a data set has of its own are not looked at.

    Args:
        how: what the readers of paths are told beside them.
        tell: as for ``estimate_priors``.

    Raises:
        NemganError: data or labels that cannot be read, or do not fit.
    """
    found, classes = _read(source, how)
    x = np.asarray(found.x)
    y = read_labels(labels, found.ids, how.id_column if how else "") if labels is not None else None
    target = None
    if unlabelled is not None:
        target = np.asarray(_read(unlabelled, how, x.shape[1:], found.columns, found.white)[0].x)
    with warnings.catch_warnings(record=True) as said:
        estimate = estimate_priors(
            x,
            None if y is None else np.array(y, object),
            unlabelled=target,
            n_clusters=n_clusters or (classes if y is None else None),
            restarts=restarts,
            random_state=seed,
            tell=tell,
        )
    for each in said:
        logging.getLogger("nemgan").warning("nemgan: note: %s", each.message)
    return {"data": unlabelled or source, **estimate.to_dict()}


def _read(
    source: str,
    how: Reading | None,
    shape: tuple[int, ...] | None = None,
    known: Columns | None = None,
    white: float | None = None,
) -> tuple[Found, int | None]:
    """Samples, their ids and, for a named set, its number of classes. Images come channels first, as layouts know."""
    if source not in catalog.names():
        found = find(Path(source).expanduser(), shape, how, known, white)
        for note in found.notes:
            logging.getLogger("nemgan").warning("nemgan: note: %s", note)
        return found, None
    data = catalog.load(source, seed=0, download=True).train
    return Found(data.x, [str(i) for i in range(len(data))]), data.n_classes
