"""What a user would take instead of ours, on the same splits and seeds: records in benchmarks/results/baselines.jsonl.

    python benchmarks/baselines.py --data zero-labels --seeds 0 1 2 3 4

No labels: K-means on pixels, and a Gaussian mixture or K-means on UMAP (15 neighbours, min_dist 0, 10 dimensions)
fitted to at most 20,000 training images; the test split is labelled by transform and predict. All know the number of
clusters. `--methods kmeans-features`, where asked for: K-means on the features of h, trained as in our runs.

One per cent of the labels, the very ones that our runs get: a supervised classifier with h's network (in colour a
smaller one), and the shares of the classes among the labels for the masses. `nemgan reproduce zero-labels --show` reads
the records.

Finished cells are skipped. Needs the extra `bench` (umap-learn); one process, one thread.
"""

# ruff: noqa: E402 - the number of threads is read when the libraries are loaded

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from nemgan.data.augment import fitting
from nemgan.data.catalog import load
from nemgan.data.dataset import Dataset, Splits
from nemgan.data.subsets import hide_labels
from nemgan.evaluation.clustering import scores
from nemgan.evaluation.inference import embed
from nemgan.experiments.reproduce.cells import CLUSTERS_ONLY, Cell, append, code, read, todo
from nemgan.experiments.reproduce.paper import TABLE_3
from nemgan.experiments.reproduce.zero_labels import ASKED, CONTROLS, FEATURES, KNOWN, METHODS, SEEDS
from nemgan.experiments.run import configure, load_run, run
from nemgan.networks import Inverter
from nemgan.seeding import derive, isolated, numpy_generator, torch_generator

RESULTS = Path(__file__).parent / "results" / "baselines.jsonl"
USED = (("numpy", "scikit-learn", "torch"), ("numpy", "scikit-learn", "umap-learn"))
"""Packages whose versions a record holds: without UMAP, and with it."""
MOST = 20_000
UMAP = {"n_neighbors": 15, "min_dist": 0.0, "n_components": 10}
SHARE = 0.01
STEPS, BATCH = 1500, 128


def pixels(x: np.ndarray) -> np.ndarray:
    """Samples ``(N, D)``: images as rows of numbers in [0, 1]."""
    return x.reshape(len(x), -1).astype(np.float32) / (255 if x.dtype == np.uint8 else 1)


def fitted_to(splits: Splits, seed: int) -> np.ndarray:
    """At most 20,000 training samples; no label is looked at."""
    x = splits.train.x
    return pixels(x[np.sort(numpy_generator(seed, "baselines", "subset").permutation(len(x))[:MOST])])


@lru_cache(maxsize=1)
def embedded(data: str, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """UMAP of the training and the test samples, and the seconds it took."""
    import umap

    splits = load(data, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a fixed seed means one thread
        points = np.random.default_rng(0).random((200, 20))
        warm = umap.UMAP(**UMAP, n_epochs=30, random_state=0).fit(points)
        warm.transform(points[:5] + 0.01)  # compiles what is compiled on first use, which is not counted
        started = time.perf_counter()
        mapping = umap.UMAP(**UMAP, random_state=derive(seed, "baselines", "umap") % 2**32)
        train = mapping.fit_transform(fitted_to(splits, seed))
        test = mapping.transform(pixels(splits.test.x))
    return train, test, time.perf_counter() - started


def learned(cell: Cell, splits: Splits) -> tuple[np.ndarray, np.ndarray, float]:
    """Features of h, trained as in our run on the same data and seed, of training and test samples, and the seconds."""
    started = time.perf_counter()
    words = [f"data={cell.data}", f"seed={cell.seed}", "threads=1", *KNOWN, *CLUSTERS_ONLY]
    with tempfile.TemporaryDirectory() as folder:
        model = load_run(run(configure(words), out=Path(folder), quiet=True))[1]
    x = splits.train.x
    some = x[np.sort(numpy_generator(cell.seed, "baselines", "subset").permutation(len(x))[:MOST])]
    return embed(model, some), embed(model, splits.test.x), time.perf_counter() - started


def cluster(cell: Cell, splits: Splits) -> tuple[np.ndarray, float]:
    """Cluster of each test sample ``(N,)``, and the seconds it took."""
    if cell.model == "kmeans-pixels":
        train, test, spent = fitted_to(splits, cell.seed), pixels(splits.test.x), 0.0
    elif cell.model == FEATURES:
        train, test, spent = learned(cell, splits)
    else:
        train, test, spent = embedded(cell.data, cell.seed)
    started = time.perf_counter()
    n, state = splits.train.n_classes, derive(cell.seed, "baselines", cell.model) % 2**32
    if cell.model == "umap-gmm":
        method = GaussianMixture(n, n_init=3, random_state=state)
    else:
        method = KMeans(n, n_init=10, random_state=state)
    found = method.fit(train).predict(test)
    return found, spent + time.perf_counter() - started


def disclosed(splits: Splits, seed: int) -> Dataset:
    """The labelled training samples of the one-per-cent track: the draw that our runs make."""
    shown = hide_labels(splits.train, SHARE, numpy_generator(seed, "labels"))
    return shown.take(shown.y >= 0)


def supervised(cell: Cell, splits: Splits) -> tuple[np.ndarray, float]:
    """Class of each test sample ``(N,)`` by a compact network, on grey images h's, trained on the disclosed labels."""
    few, seed = disclosed(splits, cell.seed), cell.seed
    started = time.perf_counter()
    with isolated(seed, "baselines", "supervised"):
        net = Inverter(few.shape, 24 if few.shape[0] == 3 else 16, few.n_classes, 1)
    x, y = torch.tensor(few.x).float() / 255, torch.tensor(few.y)
    change = fitting(splits.train.x)
    rng = torch_generator(seed, "baselines", "batches")
    optimiser = torch.optim.Adam(net.parameters(), 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=STEPS)
    for _ in range(STEPS):
        index = torch.randint(len(x), (BATCH,), generator=rng)
        loss = torch.nn.functional.cross_entropy(net.logits(change(x[index], rng)), y[index])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    net.eval()
    with torch.no_grad():
        test = torch.tensor(splits.test.x)
        found = torch.cat([net.logits(part.float() / 255).argmax(1) for part in test.split(512)]).numpy()
    return found, time.perf_counter() - started


def measure(cell: Cell) -> dict:
    """The record of one cell."""
    splits = load(cell.data, seed=cell.seed)
    record = {
        "model": cell.model,
        "data": cell.data,
        "seed": cell.seed,
        "settings": [],
        "code": code(),
        "n_train": min(len(splits.train), MOST),
        "n_test": len(splits.test),
        "labels_used": 0,
        "versions": {name: version(name) for name in USED[cell.model.startswith("umap")]},
    }
    if cell.model == "label-count":
        few = disclosed(splits, cell.seed)
        prior_l1 = float(np.abs(few.masses - splits.train.masses).sum())
        return record | {"labels_used": len(few), "learned_prior": few.masses.tolist(), "prior_l1": prior_l1}
    if cell.model == "supervised":
        found, seconds = supervised(cell, splits)
        record |= {"labels_used": len(disclosed(splits, cell.seed))}
        right = float((found == splits.test.y).mean())
        return record | scores(splits.test.y, found)._asdict() | {"acc": right, "seconds": seconds}
    found, seconds = cluster(cell, splits)
    return record | scores(splits.test.y, found)._asdict() | {"seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["digits-demo"], help="data sets; zero-labels: all of that table")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    usual = [*METHODS, *CONTROLS]
    parser.add_argument("--methods", nargs="+", default=usual, choices=[*usual, FEATURES])
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    names = [data for name in asked.data for data in (ASKED if name == "zero-labels" else [name])]
    cells = [
        Cell(method, data, seed)
        for data in names
        for seed in asked.seeds
        for method in asked.methods
        if method not in CONTROLS or data in TABLE_3
    ]
    left = todo(cells, read(asked.results))
    print(f"{len(cells) - len(left)} of {len(cells)} cells are done", flush=True)
    for cell in left:
        record = measure(cell)
        append(asked.results, record)
        keys = ("acc", "nmi", "ari", "macro_recall", "prior_l1", "seconds")
        print(f"{cell}: " + " ".join(f"{key} {record[key]:.4g}" for key in keys if key in record), flush=True)


if __name__ == "__main__":
    main()
