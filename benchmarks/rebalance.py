"""Does rebalancing help a classifier? Ours beside class weights, over-sampling, changed copies, SMOTE and CTGAN.

    python benchmarks/rebalance.py --data breast_cancer-95        # 5 seeds; then wins and losses
    python benchmarks/rebalance.py --show

A training set of at most 2,000 samples gets the mix in its name; what a sampler returns (balanced, all labels known)
trains a logistic regression and a random forest, both with scikit-learn's defaults, on standardised numbers or on
pixels in [0, 1]. Balanced accuracy and recall of the rare class are measured on test samples of the same mix
("natural") and on as many of each class ("balanced"). Changed copies are those that our generator learns pictures from
(turned, shifted, thicker), given to the classifier as they are: what is left of ours beside them is the generator's.
SMOTE works on the same numbers, pixels for images; CTGAN on the table alone, one model for the rare class, 100 epochs.
Records: benchmarks/results/rebalance.jsonl. Needs the extra
``imbalanced``; CTGAN is left out where the package ``ctgan`` is not installed (no extra: many packages for one column).
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from itertools import product

import numpy as np
import torch
from _grid import Group, Stored, Table, failure_notes, fill, parser, show  # first: sets one thread
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import train_test_split

from nemgan import NEMGANOverSampler
from nemgan.data.augment import fitting
from nemgan.data.catalog import load
from nemgan.estimators.oversampler import AUGMENT
from nemgan.experiments.reproduce.cells import Cell
from nemgan.experiments.reproduce.tables import NOTHING, number
from nemgan.seeding import numpy_generator, torch_generator

SEEDS = (0, 1, 2, 3, 4)
TITLES = {
    "nothing": "nothing",
    "weights": "class weights",
    "random": "RandomOverSampler",
    "copies": "changed copies",
    "smote": "SMOTE",
    "ctgan": "CTGAN",
    "nemgan": "ours",
}
RARE = {
    "mnist-2-0v4-90": 0.1,
    "mnist-2-0v4-99": 0.01,
    "mnist-2-3v5-90": 0.1,
    "mnist-2-3v5-99": 0.01,
    "fmnist-rare": 0.01,
    "breast_cancer-95": 0.05,
}
"""Share of the rare class; in fmnist-rare the class with the seed's number has a tenth of its even share."""
TABLES = ("breast_cancer-95",)
CLASSIFIERS = ("logistic", "forest")
FIGURES = {
    f"{figure} {test}": (figure, test)
    for figure in ("balanced accuracy", "rare recall")
    for test in ("natural", "balanced")
}
MOST, CTGAN_EPOCHS = 2000, 100
Samples = tuple[np.ndarray, np.ndarray]


def skew(
    x: np.ndarray, y: np.ndarray, rare: int, share: float, rng: np.random.Generator, most: int | None = None
) -> Samples:
    """A random subset in which class ``rare`` has ``share`` of the samples, as large as can be, at most ``most``."""
    is_rare = y == rare
    n = min(int((~is_rare).sum() / (1 - share)), int(is_rare.sum() / share), most or len(y))
    few = max(round(share * n), 2)
    parts = [
        rng.choice(np.flatnonzero(is_rare), few, replace=False),
        rng.choice(np.flatnonzero(~is_rare), n - few, replace=False),
    ]
    keep = np.sort(np.concatenate(parts))
    return x[keep], y[keep]


@lru_cache(maxsize=1)
def sets(data: str, seed: int) -> tuple[Samples, Samples, Samples, int]:
    """Training samples, natural and balanced test samples, and the rare class."""
    rng = numpy_generator(seed, "rebalance", data)
    if data in TABLES:
        x, y = datasets.load_breast_cancer(return_X_y=True)
        y = 1 - y  # malignant is the rare class, 1
        x, x_test, y, y_test = train_test_split(x, y, test_size=0.4, stratify=y, random_state=seed)
        mean, deviation = x.mean(0), x.std(0)
        x, x_test, rare = (x - mean) / deviation, (x_test - mean) / deviation, 1
    else:
        splits = load("fmnist" if data == "fmnist-rare" else data[:-2] + "90", seed=seed)
        x, y, x_test, y_test = splits.train.x[:, 0], splits.train.y, splits.test.x[:, 0], splits.test.y
        rare = seed % 10 if data == "fmnist-rare" else 1
    m = int(y.max()) + 1
    return (
        skew(x, y, rare, RARE[data], rng, MOST),
        skew(x_test, y_test, rare, RARE[data], rng),
        even(x_test, y_test, m, rng),
        rare,
    )


def even(x: np.ndarray, y: np.ndarray, m: int, rng: np.random.Generator) -> Samples:
    """As many of each class."""
    least = int(np.bincount(y, minlength=m).min())
    keep = np.sort(np.concatenate([rng.choice(np.flatnonzero(y == c), least, replace=False) for c in range(m)]))
    return x[keep], y[keep]


@lru_cache(maxsize=1)
def balanced(method: str, data: str, seed: int) -> Samples:
    """The training samples after ``method``, as given, images as images."""
    (x, y), *_ = sets(data, seed)
    if method in ("nothing", "weights"):
        return x, y
    if method == "nemgan":
        return NEMGANOverSampler(random_state=seed).fit_resample(x, y)
    if method == "ctgan":
        return with_ctgan(x, y, seed)
    least = int(np.bincount(y)[np.unique(y)].min())
    sampler = (
        RandomOverSampler(random_state=seed)
        if method in ("random", "copies")
        else SMOTE(k_neighbors=min(5, least - 1), random_state=seed)
    )
    rows, balanced_y = sampler.fit_resample(x.reshape(len(x), -1), y)
    found = rows.reshape(-1, *x.shape[1:])
    if method == "copies":
        found[len(x) :] = changed(x, found[len(x) :], seed)
    return found, balanced_y


def changed(x: np.ndarray, copies: np.ndarray, seed: int) -> np.ndarray:
    """``copies`` of grey images among ``x``, bytes, with the changes that ours learns pictures from; never mirrored."""
    augment = replace(fitting(x[:, None], AUGMENT), flip=False)
    made = augment(torch.from_numpy(copies[:, None] / np.float32(255)), torch_generator(seed, "copies"))
    return (made[:, 0].clamp(0, 1) * 255).round().byte().numpy()


def with_ctgan(x: np.ndarray, y: np.ndarray, seed: int) -> Samples:
    """The rare classes filled up with samples of a CTGAN each (Xu et al. 2019)."""
    import pandas
    from ctgan import CTGAN

    counts, parts, labels = np.bincount(y), [x], [y]
    for c in np.flatnonzero((counts > 0) & (counts < counts.max())):
        table = pandas.DataFrame(x[y == c], columns=[f"x{i}" for i in range(x.shape[1])])
        model = CTGAN(epochs=CTGAN_EPOCHS, batch_size=min(500, 10 * max(len(table) // 10, 1)), pac=1, enable_gpu=False)
        model.set_random_state(seed)
        model.fit(table)
        n = int(counts.max() - counts[c])
        parts.append(model.sample(n).to_numpy())
        labels.append(np.full(n, c))
    return np.concatenate(parts), np.concatenate(labels)


def measure(cell: Cell) -> dict:
    """The record of one cell."""
    name = cell.settings[0].partition("=")[2]
    _, natural, even_test, rare = sets(cell.data, cell.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence, and CTGAN's
        x, y = balanced(cell.model, cell.data, cell.seed)
        weight = "balanced" if cell.model == "weights" else None
        if name == "logistic":
            classifier = LogisticRegression(max_iter=300, class_weight=weight)
        else:
            classifier = RandomForestClassifier(class_weight=weight, random_state=cell.seed)
        classifier.fit(flat(x), y)
        record = {"n": len(x), "rare": rare, "n_rare": int((sets(cell.data, cell.seed)[0][1] == rare).sum())}
        for test, (a, b) in {"natural": natural, "balanced": even_test}.items():
            found = classifier.predict(flat(a))
            record[f"balanced accuracy {test}"] = float(balanced_accuracy_score(b, found))
            record[f"rare recall {test}"] = float(recall_score(b, found, labels=[rare], average="macro"))
    return record


def flat(x: np.ndarray) -> np.ndarray:
    """Rows of numbers; bytes become [0, 1]."""
    return x.reshape(len(x), -1) / (255 if x.dtype == np.uint8 else 1)


def methods(data: str) -> list[str]:
    return [name for name in TITLES if name != ("copies" if data in TABLES else "ctgan")]


def tables(stored: Stored, seeds: list[int] | tuple[int, ...] = SEEDS) -> list[Table]:
    """One table a figure; the last column says whether ours won, tied (within .005) or lost, and to whom."""
    found = []
    for title, _ in FIGURES.items():
        rows, groups = [], {}
        for data, name in product(RARE, CLASSIFIERS):
            here = {m: stored.group([Cell(m, data, s, (f"classifier={name}",)) for s in seeds]) for m in methods(data)}
            groups |= {f"{m} on {data}": group for m, group in here.items()}
            cells = [here[m].text(title) if m in here else NOTHING for m in TITLES]
            if any(group.records for group in here.values()):
                rows.append((data, name, *cells, verdict(here, title)))
        found.append(
            Table(
                title,
                ("data", "classifier", *TITLES.values(), "ours beside the best"),
                tuple(rows),
                failure_notes(groups),
            )
        )
    return found


def verdict(here: dict[str, Group], title: str) -> str:
    """``won``, ``tied`` (within .005) or ``lost`` against the best of the others, and to whom."""
    means = {m: group.mean(title) for m, group in here.items() if group.mean(title) is not None}
    own = means.pop("nemgan", None)
    if own is None or not means:
        return NOTHING
    best = max(means, key=means.__getitem__)
    ahead = own - means[best]
    word = "tied" if abs(ahead) <= 0.005 else "won" if ahead > 0 else "lost"
    return f"{word} {'+' if ahead >= 0 else '−'}{number(abs(ahead))} ({TITLES[best]})"


def main() -> None:
    asked = parser(__doc__, "rebalance", list(RARE), list(TITLES), SEEDS, usual=TABLES)
    torch.set_num_threads(1)
    if "ctgan" in asked.methods and find_spec("ctgan") is None:
        print("CTGAN is left out: pip install ctgan in an environment of its own")
        asked.methods.remove("ctgan")
    if not asked.show:
        wanted = [
            Cell(method, data, seed, (f"classifier={name}",))
            for data, seed, method in product(asked.data, asked.seeds, asked.methods)
            if method in methods(data)
            for name in CLASSIFIERS
        ]
        fill(wanted, asked.results, measure)
    for table in tables(Stored(asked.results), asked.seeds):
        show(table)


if __name__ == "__main__":
    main()
