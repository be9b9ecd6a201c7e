"""How many of each, from few labels: ours beside counting and QuaPy, on the same labels and features.

    python benchmarks/prevalence.py RUN [RUN …]               # 20 draws of labels, on the features of each run's h
    python benchmarks/prevalence.py --data moons-70 digits-3   # 100 repetitions: do the intervals cover the truth?
    python benchmarks/prevalence.py --show

L1 is Σ |π̂ − π| over the classes; π is the mix of the training samples, of at most 20,000 of them drawn without labels.
Labels: one per cent of the training set at random (at least five a class on average), or ten a class. QuaPy's methods
learn a logistic regression on h's standardised features. ``eq5`` is the mean of h's posterior, which labels only name,
and which does not change with the draws otherwise. Runs must be of ``prior=learned``: others were told the masses.

Coverage repeats all of ``estimate_priors`` on new samples of a known mix: share of the 95 % intervals, over classes and
repetitions, that hold the mix. Records: benchmarks/results/prevalence.jsonl. QuaPy comes with the extra ``bench``.
"""

from __future__ import annotations

import argparse
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from _grid import RESULTS, Stored, Table, failure_notes, fill, show  # first: sets one thread
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from nemgan import prevalence
from nemgan.data.catalog import load
from nemgan.data.synthetic import moons
from nemgan.experiments.reproduce.cells import Cell
from nemgan.experiments.reproduce.tables import number
from nemgan.experiments.run import load_run
from nemgan.models.base import at_rest
from nemgan.priors import MOST, estimate_priors, experts_on
from nemgan.seeding import numpy_generator

OURS, QUAPY = ("few-labels", "eq5"), ("ACC", "PACC", "EMQ", "KDEyML")
ESTIMATORS = (*OURS, "counting", *QUAPY)
LABELS = {"labels=1%": "1 % at random", "labels=10-a-class": "10 a class"}
DRAWS, REPEATS = 20, 100
MIXES = {"moons-70": (0.7, 0.3), "digits-3": (0.5, 0.3, 0.2)}
"""Sets for coverage and their mixes: 300 samples each, the digits 0, 4 and 7 as images."""
SHOWN = 10  # labels a class there


@lru_cache(maxsize=1)
def asked_of(run: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Of a stored run: features (N, F), posteriors (N, K) and (N, M), classes (N,), size of the training set."""
    config, model = load_run(run)
    if config.prior != "learned" or config.labels:
        raise SystemExit(f"{run} was told the masses or labels: train with prior=learned labels=0")
    train = load(config.data, seed=config.seed).train
    some = np.sort(numpy_generator(config.seed, "prevalence").permutation(len(train))[:MOST])
    features, modes = [], []
    with at_rest(model):
        for part in np.array_split(train.x[some], max(len(some) // 1000, 1)):
            x = model.encode(torch.from_numpy(part))
            features.append(model.features(x).flatten(1).numpy())
            modes.append(model.mode_posterior(x).double())
    found = torch.cat(modes)
    return np.concatenate(features), found.numpy(), model.merged(found).numpy(), train.y[some], len(train)


@lru_cache(maxsize=1)
def experts_of(run: Path) -> tuple[list[prevalence.Expert], prevalence.Expert]:
    """What few labels are learned with, on that run."""
    return experts_on(*asked_of(run)[:3])


def draw(y: np.ndarray, n_train: int, how: str, seed: int) -> np.ndarray:
    """Positions of the disclosed labels."""
    rng, m = numpy_generator(seed, "prevalence", how), int(y.max()) + 1
    if how == "labels=1%":
        return rng.choice(len(y), max(round(0.01 * n_train), 5 * m), replace=False)
    return np.concatenate([rng.choice(np.flatnonzero(y == c), 10, replace=False) for c in range(m)])


def estimate(cell: Cell, run: Path) -> dict:
    """The record of one estimator on one draw of labels."""
    points, _, posterior, y, n_train = asked_of(run)
    known, truth = draw(y, n_train, cell.settings[0], cell.seed), np.bincount(y) / len(y)
    m = len(truth)
    if cell.model == "counting":
        found = prevalence.counting(y[known], m)
    elif cell.model == "eq5":
        codes = np.full(len(y), -1)
        codes[known] = y[known]
        found = posterior.mean(0)[prevalence.naming(posterior, codes)]
    elif cell.model == "few-labels":
        labels = prevalence.Labels(known, y[known], m)
        experts, alone = experts_of(run)
        found = prevalence.FewLabels(experts, labels, np.arange(len(y)), plain=alone).shares()
    else:
        found = quapy(cell.model, points, y, known, m)
    return {"run": run.name, "labels_used": len(known), "n": len(y), "prior_l1": float(np.abs(found - truth).sum())}


def quapy(name: str, points: np.ndarray, y: np.ndarray, known: np.ndarray, m: int) -> np.ndarray:
    """Class shares ``(M,)`` of all points by one of QuaPy's methods; classes without a label get none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quapy as qp

        folds = max(min(5, int(np.bincount(y[known]).min(initial=99, where=np.bincount(y[known]) > 0))), 2)
        more = {} if name == "EMQ" else {"val_split": folds}
        method = getattr(qp.method.aggregative, name)(LogisticRegression(max_iter=500), **more)
        x = StandardScaler().fit(points).transform(points)
        method.fit(x[known], y[known])
        shares = np.zeros(m)
        shares[np.asarray(method.classes_)] = method.predict(x)
    return shares


def drawn(data: str, seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """``n`` samples whose classes are drawn from the mix, so that the mix is what an interval is to hold."""
    rng, mix = numpy_generator(seed, "prevalence", data), MIXES[data]
    counts = rng.multinomial(n, mix)
    if data.startswith("moons"):
        found = moons(n, tuple(counts / n), seed=seed)
        return found.x, found.y
    images, digit = datasets.load_digits(return_X_y=True)
    at = [
        rng.choice(np.flatnonzero(digit == kind), k, replace=False) for kind, k in zip((0, 4, 7), counts, strict=True)
    ]
    order = rng.permutation(n)
    return images[np.concatenate(at)].reshape(-1, 8, 8)[order], np.repeat(np.arange(len(mix)), counts)[order]


def coverage(cell: Cell) -> dict:
    """The record of one repetition: of each way to estimate, which classes' intervals hold the mix, and the L1."""
    x, y = drawn(cell.data, cell.seed)
    rng, mix = numpy_generator(cell.seed, "prevalence", "shown"), np.array(MIXES[cell.data])
    few = np.full(len(y), -1)
    for c in range(len(mix)):
        at = rng.choice(np.flatnonzero(y == c), SHOWN, replace=False)
        few[at] = c
    found, record = estimate_priors(x, few, random_state=cell.seed), {}
    for way in ("zero_labels", "few_labels"):
        shares = getattr(found, way)
        covered = (shares.interval[:, 0] <= mix) & (mix <= shares.interval[:, 1])
        record[way] = {
            "covered": covered.tolist(),
            "prior_l1": float(np.abs(shares.masses - mix).sum()),
            "width": float(np.ptp(shares.interval, axis=1).mean()),
        }
    return record | {"agreement": found.agreement}


def tables(stored: Stored) -> list[Table]:
    """Mean L1 by estimator, and coverage, of all that is stored."""
    done = stored.records
    rows, notes = [], ()
    for data in dict.fromkeys(cell.data for cell in done if cell.model in ESTIMATORS):
        for how, title in LABELS.items():
            groups = {e: stored.group([Cell(e, data, seed, (how,)) for seed in range(DRAWS)]) for e in ESTIMATORS}
            rows.append((data, title, groups["counting"].n, *(group.text("prior_l1") for group in groups.values())))
            notes += failure_notes(groups)
    header = ("data", "labels", "draws", "few labels (ours)", "Eq. 5 (ours)", "counting", *QUAPY)
    wanted = (
        "Wanted, few labels (ours): at most half of counting with random labels, at most .04 with ten a class on "
        "mnist-5, and less than QuaPy's best.",
    )
    covered = []
    for data, mix in MIXES.items():
        cells = [Cell("coverage", data, seed) for seed in range(REPEATS)]
        group = stored.group(cells)
        for way, title in (("few_labels", f"{SHOWN} labels a class"), ("zero_labels", "no labels")):
            held = [hit for record in group.records for hit in record[way]["covered"]]
            width, l1 = (group.mean(lambda r, key=key, way=way: r[way][key]) for key in ("width", "prior_l1"))
            if held:
                covered.append(
                    (data, title, group.n, number(float(np.mean(held))), number(width), number(l1), str(len(mix)))
                )
    return [
        Table("Prior L1 ± deviation, mean over draws of labels", header, tuple(rows), (*wanted, *dict.fromkeys(notes))),
        Table(
            "Coverage of the 95 % intervals (wanted: .90 to .99)",
            ("data", "estimate", "repetitions", "covered", "mean width", "prior L1", "classes"),
            tuple(covered),
        ),
    ]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("runs", nargs="*", type=Path, help="folders of finished runs, one a data set")
    words.add_argument("--data", nargs="*", default=[], choices=[*MIXES], help="sets for coverage")
    words.add_argument("--methods", nargs="+", default=list(ESTIMATORS), choices=ESTIMATORS)
    words.add_argument("--seeds", nargs="+", type=int, help="draws or repetitions; by default all of them")
    words.add_argument("--show", action="store_true", help="only print what is stored")
    words.add_argument("--results", type=Path, default=RESULTS / "prevalence.jsonl")
    asked = words.parse_args()
    torch.set_num_threads(1)
    if not asked.show:
        for run in asked.runs:
            data = load_run(run)[0].data
            seeds = asked.seeds or range(DRAWS)
            cells = [Cell(e, data, seed, (how,)) for how in LABELS for seed in seeds for e in asked.methods]
            fill(cells, asked.results, lambda cell, run=run: estimate(cell, run))
        cells = [Cell("coverage", data, seed) for data in asked.data for seed in asked.seeds or range(REPEATS)]
        if cells:
            fill(cells, asked.results, coverage)
    for table in tables(Stored(asked.results)):
        show(table)


if __name__ == "__main__":
    main()
