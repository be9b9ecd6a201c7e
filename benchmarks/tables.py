"""Small sets without labels: ``NEMGANClusterer`` beside scikit-learn's clusterers, all told the number of clusters.

    python benchmarks/tables.py                     # what is missing of 5 seeds; then the table
    python benchmarks/tables.py --show              # the table of what is stored

Scored on the samples that were clustered: Hungarian accuracy (ACC), normalised mutual information (NMI) and adjusted
Rand index (ARI). Rivals get every set twice, as it is and standardised, and the better of the two by its mean ACC is
printed, which is more than a user without labels could do; spectral clustering gets the neighbour graph, without which
it does not find the moons. Ours runs with its defaults. Digits are given to it once as what they are, images of 8×8,
and once as rows of 64 numbers: two rows of the table, neither chosen. Labels are used by the scores alone.
Records: benchmarks/results/tables.jsonl.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from _grid import Group, Stored, Table, failure_notes, fill, parser, show  # first: sets one thread
from sklearn import datasets
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from nemgan import NEMGANClusterer
from nemgan.data.synthetic import moons
from nemgan.evaluation.clustering import scores
from nemgan.experiments.reproduce.cells import Cell
from nemgan.experiments.reproduce.tables import code_note, number
from nemgan.seeding import numpy_generator

RIVALS = {"kmeans": "KMeans", "gmm": "GaussianMixture", "spectral": "SpectralClustering"}
SEEDS = (0, 1, 2, 3, 4)
WANTED = {
    "moons-70": 0.0,
    "moons": 0.0,
    "digits": 0.0,
    "digits-tail": 1e-9,
    "wine": -0.02,
    "breast_cancer": -0.02,
}
"""By how much ours is to be ahead of the best rival in ACC, at least."""
DIGITS = ("digits", "digits-tail")
RAW, SCALED, IMAGES = "x=raw", "x=standardised", "x=images"


def samples(data: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples ``(N, D)`` and their classes ``(N,)``; the seed draws what is drawn."""
    if data == "moons-70":
        drawn = moons(1000, (0.7, 0.3), seed=seed)
        return drawn.x, drawn.y
    if data == "moons":
        return datasets.make_moons(500, noise=0.05, random_state=seed)
    if data == "digits-tail":
        return tail(*datasets.load_digits(return_X_y=True), seed)
    return getattr(datasets, f"load_{data}")(return_X_y=True)


def tail(x: np.ndarray, y: np.ndarray, seed: int, ratio: float = 10) -> tuple[np.ndarray, np.ndarray]:
    """A subset with class sizes that fall geometrically to 1/``ratio``; the seed draws which classes and samples."""
    rng, m = numpy_generator(seed, "tables", "tail"), int(y.max()) + 1
    sizes = np.rint(np.bincount(y).min() * ratio ** (-np.arange(m) / (m - 1))).astype(int)
    drawn = [
        rng.choice(np.flatnonzero(y == c), n, replace=False) for c, n in zip(rng.permutation(m), sizes, strict=True)
    ]
    keep = np.sort(np.concatenate(drawn))
    return x[keep], y[keep]


def cells(data: str, method: str, seeds: list[int] | tuple[int, ...] = SEEDS) -> list[list[Cell]]:
    """The cells of a method on a set: a list for each way in which the set is given."""
    ways = (RAW, SCALED) if method != "nemgan" else (IMAGES, RAW) if data in DIGITS else (RAW,)
    return [[Cell(method, data, seed, (way,)) for seed in seeds] for way in ways]


def measure(cell: Cell) -> dict:
    """The record of one cell: clustered without labels, then scored."""
    x, y = samples(cell.data, cell.seed)
    m, (way,) = len(np.unique(y)), cell.settings
    if way == SCALED:
        x = StandardScaler().fit_transform(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's on graphs in parts and on convergence
        if cell.model == "nemgan":
            shape = (8, 8) if way == IMAGES else None
            fit = NEMGANClusterer(m, generate=False, image_shape=shape, random_state=cell.seed).fit(x)
            return {"n": len(x), "confidence": fit.confidence_} | scores(y, fit.labels_)._asdict()
        methods = {
            "kmeans": KMeans(m, n_init=10, random_state=cell.seed),
            "gmm": GaussianMixture(m, n_init=3, random_state=cell.seed),
            "spectral": SpectralClustering(m, affinity="nearest_neighbors", random_state=cell.seed),
        }
        return {"n": len(x)} | scores(y, methods[cell.model].fit_predict(x))._asdict()


def table(stored: Stored, seeds: list[int] | tuple[int, ...] = SEEDS) -> Table:
    """Ours beside each rival; the last column says how far ours is from the best, and whether that was wanted."""
    rows, groups = [], {}
    for data, margin in WANTED.items():
        best = {name: _best([stored.group(each) for each in cells(data, name, seeds)]) for name in RIVALS}
        for ways in cells(data, "nemgan", seeds):
            ours = stored.group(ways)
            given = " (as images)" if ways[0].settings == (IMAGES,) else " (as rows)" if data in DIGITS else ""
            groups[data + given] = ours
            if any(len(group.records) < len(seeds) for group in (ours, *best.values())):
                verdict = "–"  # nobody is judged by half of the seeds
            else:
                ahead = ours.mean("acc") - max(group.mean("acc") for group in best.values())
                sign = "+" if ahead >= 0 else "−"
                verdict = f"{sign}{number(abs(ahead))}, {'as' if ahead >= margin - 1e-12 else 'not as'} wanted"
            rows.append((data + given, ours.n, _cell(ours), *(_cell(group) for group in best.values()), verdict))
    return Table(
        "Zero labels: ACC ± deviation (NMI, ARI)",
        ("data", "runs", "NEMGANClusterer", *RIVALS.values(), "ahead of the best in ACC"),
        tuple(rows),
        (
            f"Means of {len(seeds)} seeds. Rivals: the better of raw and standardised, by ACC.",
            "Wanted: at least the best on moons and digits, above all on digits-tail, within .02 on the other two.",
            *code_note(groups.values()),
            *failure_notes(groups),
        ),
    )


def _best(ways: list[Group]) -> Group:
    return max(ways, key=lambda group: -1.0 if group.mean("acc") is None else group.mean("acc"))


def _cell(group: Group) -> str:
    if group.mean("acc") is None:
        return group.text("acc")
    return f"{group.text('acc')} ({number(group.mean('nmi'))}, {number(group.mean('ari'))})"


def main() -> None:
    asked = parser(__doc__, "tables", list(WANTED), ["nemgan", *RIVALS], SEEDS)
    torch.set_num_threads(1)
    if not asked.show:
        wanted = [
            c
            for data in asked.data
            for method in asked.methods
            for way in cells(data, method, asked.seeds)
            for c in way
        ]
        fill(wanted, asked.results, measure)
    show(table(Stored(asked.results), asked.seeds))


if __name__ == "__main__":
    main()
