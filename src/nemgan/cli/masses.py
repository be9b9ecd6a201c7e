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
from nemgan.data.dataset import Dataset
from nemgan.data.files import Found, Reading, find, own_labels
from nemgan.data.labels import read_labels
from nemgan.data.subsets import hide_labels
from nemgan.errors import ConfigError, DataError
from nemgan.priors import estimate_priors
from nemgan.seeding import numpy_generator


def priors_of(
    source: str,
    labels: Path | float | None = None,
    unlabelled: str | None = None,
    *,
    n_clusters: int | None = None,
    restarts: int = 3,
    seed: int = 0,
    how: Reading | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """``estimate_priors`` of data by name or path, as JSON values.

    Args:
        labels: a CSV, or a share of the labels that the data have of their own, drawn as ``train`` draws it. Without
            it these are not looked at, but counted where kinds cannot be told apart without any.
        how: what the readers of paths are told beside them.
        tell: as for ``estimate_priors``.

    Raises:
        NemganError: data or labels that cannot be read, or do not fit.
    """
    how = how or Reading()
    found, named = _read(source, how, few=labels if isinstance(labels, Path) else None)
    x = np.asarray(found.x)
    y: list[str | None] | None = None
    classes = None if named is None else named.n_classes
    if isinstance(labels, Path):
        y, classes = read_labels(labels, found.ids, how.id_column, how.label_column), None
    elif labels:
        own = named or _labelled(source, found, how)
        y, classes = _drawn(own, labels, seed), own.n_classes
    elif n_clusters is None and classes is None:
        _tell_of_labels(source, found, how)
    target = None
    if unlabelled is not None:
        target = np.asarray(_read(unlabelled, how, x.shape[1:], found.columns, found.white)[0].x)
    with warnings.catch_warnings(record=True) as said:
        estimate = estimate_priors(
            x,
            None if y is None else np.array(y, object),
            unlabelled=target,
            n_clusters=n_clusters or classes,
            restarts=restarts,
            random_state=seed,
            tell=tell,
        )
    for each in said:
        logging.getLogger("nemgan").warning("nemgan: note: %s", each.message)
    return {"data": unlabelled or source, **estimate.to_dict()}


def _read(
    source: str,
    how: Reading,
    shape: tuple[int, ...] | None = None,
    known: Columns | None = None,
    white: float | None = None,
    few: Path | None = None,
) -> tuple[Found, Dataset | None]:
    """Samples, their ids and, for a named set, that set. Images come channels first, as layouts know."""
    if source not in catalog.names():
        found = find(Path(source).expanduser(), shape, how, known, white, few)
        for note in found.notes:
            logging.getLogger("nemgan").warning("nemgan: note: %s", note)
        return found, None
    data = catalog.load(source, seed=0, download=True).train
    return Found(data.x, [str(i) for i in range(len(data))]), data


def _labelled(source: str, found: Found, how: Reading) -> Dataset:
    """The samples ``found`` at ``source`` with the labels that they have of their own."""
    y, names = own_labels(Path(source).expanduser(), found, how)
    return Dataset(found.x, y, names, source)


def _drawn(own: Dataset, share: float, seed: int) -> list[str | None]:
    """Names of the classes of a seeded draw of the labels of ``own``, None elsewhere.

    Raises:
        ConfigError: there are none.
    """
    if not (own.y >= 0).any():
        raise ConfigError(
            f"labels={share:g} takes the labels of the data, and {own.name} has none: name a table's column of labels "
            "by label_column=, or give a CSV of id,label lines"
        )
    y = hide_labels(own, share, numpy_generator(seed, "labels")).y
    return [None if c < 0 else own.class_names[c] for c in y.tolist()]


def _tell_of_labels(source: str, found: Found, how: Reading) -> None:
    """See that there is nothing in ``source`` that could tell kinds apart; the samples were given without labels.

    Raises:
        ConfigError: there are labels of its own, and they are of two classes or more.
    """
    try:
        own = _labelled(source, found, how)
    except DataError:
        return  # nothing that could be recommended
    if own.n_classes > 1:
        n, where = int((own.y >= 0).sum()), repr(how.label_column) if how.label_column else source
        raise ConfigError(
            "cannot tell kinds apart: give n_clusters=2 or more, labels of at least two classes, or use the "
            f"{n} labels of {where}: labels=1.0"
        )
