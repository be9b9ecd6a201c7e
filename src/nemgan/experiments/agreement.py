"""How far finished runs agree, sample by sample: a split that changes with the seed is not in the data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.consensus import names
from nemgan.data.files import Reading, find
from nemgan.data.ondisk import Samples
from nemgan.errors import ConfigError, DataError
from nemgan.evaluation.inference import predict
from nemgan.experiments.folder import read_config
from nemgan.experiments.outputs import quoted
from nemgan.experiments.prepare import load
from nemgan.experiments.run import load_run, model_card, prepare_again

Part = tuple[Samples, Sequence[str] | None]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What several runs make of the same samples.

    Attributes:
        runs: their folders' names, or the folders as given where two have one name.
        ids: of the samples ``(N,)``.
        clusters: by each run ``(R, N)``, under the names that overlap most with the first run's.
        own: number that cluster k has in each run itself ``(R, M)``; −1 where the run has none that is called k.
    """

    runs: tuple[str, ...]
    ids: tuple[str, ...]
    clusters: NDArray[np.int64]
    own: NDArray[np.int64]

    @property
    def stable(self) -> NDArray[np.bool_]:
        """Samples on which all runs agree ``(N,)``."""
        return np.asarray((self.clusters == self.clusters[0]).all(0))

    def alike(self) -> dict[tuple[str, str], float]:
        """Share of the samples that two runs put alike, for each two."""
        pairs = combinations(range(len(self.runs)), 2)
        return {(self.runs[a], self.runs[b]): float((self.clusters[a] == self.clusters[b]).mean()) for a, b in pairs}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows, the largest cluster first: its share in each run, its number there, what is stable of it."""
        stable, rows = self.stable, []
        shares = np.stack([(self.clusters == k).mean(1) for k in range(self.own.shape[1])], 1)
        for k in np.argsort(-shares[0], kind="stable").tolist():
            if not shares[:, k].any():
                continue
            of_first = self.clusters[0] == k
            both = zip(shares[:, k], self.own[:, k], strict=True)
            cells = [f"{share:.1%} ({number})" if number >= 0 else "-" for share, number in both]
            rows.append([str(k), *cells, f"{stable[of_first].mean():.1%}" if of_first.any() else "-"])
        return ["cluster", *self.runs, "all agree on"], rows

    def summary(self) -> dict[str, Any]:
        """What the table holds, as JSON has it."""
        shares = [(self.clusters == k).mean(1).tolist() for k in range(self.own.shape[1])]
        clusters = [{"cluster": k, "shares": shares[k], "numbers": self.own[:, k].tolist()} for k in range(len(shares))]
        alike = [{"runs": list(pair), "alike": share} for pair, share in self.alike().items()]
        stable = float(self.stable.mean())
        return {"runs": list(self.runs), "n": len(self.ids), "stable": stable, "alike": alike, "clusters": clusters}

    def csv(self) -> str:
        """A line a sample: id, its cluster in each run, named as in the first, and whether all agree."""
        lines = [",".join(["id", *map(quoted, self.runs), "stable"])]
        columns = (map(quoted, self.ids), *self.clusters.tolist(), self.stable.astype(int).tolist())
        lines += [",".join(map(str, row)) for row in zip(*columns, strict=True)]
        return "\n".join(lines) + "\n"


def compare_runs(folders: Sequence[Path], source: Path | None = None, *, skip_bad: bool = False) -> Comparison:
    """Ask each run for the clusters of the same samples.

    Args:
        source: the samples; by default all that the first run was given, held out or not.
        skip_bad: leave out pictures of ``source`` that cannot be read.

    Raises:
        NemganError: fewer than two runs, one that is not finished or takes other samples, data that cannot be read, or
            that are not what the first run was given.
    """
    if len(folders) < 2:
        raise ConfigError("give two runs or more, such as two seeds of the same data: nemgan compare RUN RUN")
    loaded = [load_run(folder) for folder in folders]
    shape, first = loaded[0][1].shape, folders[0]
    for folder, (_, model) in zip(folders, loaded, strict=True):
        if model.shape != shape:
            raise ConfigError(
                f"{folder} takes samples of shape {model.shape}, {first} of {shape}: give runs on one data set"
            )
    _check_white(folders, source)
    found, ids, parts = [], list[str](), list[Part]()
    for folder, (_, model) in zip(folders, loaded, strict=True):
        if not parts or source is not None or len(shape) == 1:  # each reads a table's columns in its own way
            parts = _samples(first, folder, source, skip_bad)
        found.append(np.concatenate([predict(model, x).argmax(1) for x, _ in parts]).astype(np.int64))
        ids = []
        for x, given in parts:
            ids += map(str, range(len(ids), len(ids) + len(x)) if given is None else given)
    m = max(model.n_clusters for _, model in loaded)
    called = [names(each, found[0], m) for each in found]
    own = np.argsort(called, 1)
    own[own >= np.array([[model.n_clusters] for _, model in loaded])] = -1
    clusters = np.stack([name[each] for name, each in zip(called, found, strict=True)])
    short = [folder.resolve().name for folder in folders]
    runs = short if len(set(short)) == len(short) else list(map(str, folders))
    return Comparison(tuple(runs), tuple(ids), clusters, own)


def _check_white(folders: Sequence[Path], source: Path | None) -> None:
    """See that all runs take the same pixel for white, or that each may read the samples at ``source`` in its way.

    Raises:
        ConfigError: they do not.
    """
    whites = [model_card(folder).white for folder in folders]
    if source is None and len(set(whites)) > 1:
        raise ConfigError(
            f"white is another pixel in {folders[0]} than in other runs ({', '.join(map(str, whites))}): they were not "
            "given the same data; say with --data which samples to compare them on"
        )


def _samples(first: Path, run: Path, source: Path | None, skip_bad: bool) -> list[Part]:
    """The samples at ``source`` as ``run`` takes them, or those that ``first`` was given: training, then held out."""
    config, card = read_config(first), model_card(run)
    if source is None:
        splits = prepare_again(config, card, first).splits if run == first else load(config, card.table)
        return [(part.x, None if part.ids is None else part.ids.tolist()) for part in (splits.train, splits.test)]
    found = find(
        source,
        card.shape,
        Reading(id_column=config.id_column, skip_bad=skip_bad, drop=config.drop),
        card.table,
        card.white,
    )
    for note in found.notes if run == first else ():
        logging.getLogger("nemgan").warning("nemgan: note: %s", note)
    if tuple(found.x.shape[1:]) != card.shape:
        raise DataError(
            f"samples of {source} have shape {found.x.shape[1:]}, but the runs were trained on {card.shape}"
        )
    return [(found.x, list(found.ids))]
