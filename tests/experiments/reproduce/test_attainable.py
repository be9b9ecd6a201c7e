from __future__ import annotations

import doctest

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from nemgan.data import catalog
from nemgan.experiments.reproduce import attainable as module
from nemgan.experiments.reproduce import paper
from nemgan.experiments.reproduce.attainable import Verdict, attainable, highest_nmi

TWO_CLASS = {name: rows for name, rows in paper.ALL.items() if len(catalog.entry(name).masses) == 2}


def verdicts(name: str) -> list[Verdict | None]:
    return [attainable(*row[:3], catalog.entry(name).masses) for row in paper.ALL[name].values()]


def test_nine_of_the_25_two_class_rows_fit_no_labelling() -> None:
    assert sum(map(len, TWO_CLASS.values())) == 25
    impossible = {name: verdicts(name).count(Verdict.IMPOSSIBLE) for name in TWO_CLASS}
    assert impossible == {
        "mnist-2-3v5-70": 0,
        "mnist-2-3v5-90": 0,
        "cifar-2-70": 5,
        "cifar-2-90": 3,
        "celeba-black-hair": 1,
    }
    assert verdicts("mnist-2-3v5-70")[-1] == verdicts("mnist-2-3v5-90")[-1] == Verdict.POSSIBLE
    assert set(verdicts("mnist-5")) == {None}


def test_accuracy_72_allows_no_nmi_above_38() -> None:
    assert round(highest_nmi(0.72, (0.7, 0.3)), 2) <= 0.38
    assert attainable(0.72, 0.68, 0.65, (0.7, 0.3)) is Verdict.IMPOSSIBLE


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("split", [(700, 300), (180, 20), (150, 150)])
def test_every_labelling_there_is_counts_as_possible(seed: int, split: tuple[int, int]) -> None:
    """Real labellings, scored by scikit-learn and rounded to two decimals."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], split)
    a, b = rng.random(2)
    found = (rng.random(len(y)) < np.where(y == 0, a, b)).astype(int)
    acc = max((found == y).mean(), (found != y).mean())
    figures = [acc, normalized_mutual_info_score(y, found), adjusted_rand_score(y, found)]
    masses = np.asarray(split) / sum(split)
    assert attainable(*(round(float(figure), 2) for figure in figures), masses) is Verdict.POSSIBLE


def test_the_scores_of_all_matrices_are_those_of_scikit_learn() -> None:
    accuracy, recall, nmi, ari = module._all_matrices((0.7, 0.3))
    grid = np.linspace(0, 1, module.STEPS + 1)
    a, b = (each.ravel() for each in np.meshgrid(grid, grid, indexing="ij"))
    a, b = a[a >= b], b[a >= b]
    y = np.repeat([0, 1], [7000, 3000])
    for i in np.random.default_rng(0).integers(0, len(a), 5):
        found = np.ones(10_000, int)
        found[: round(7000 * a[i])] = 0
        found[7000 : 7000 + round(3000 * b[i])] = 0
        assert nmi[i] == pytest.approx(normalized_mutual_info_score(y, found), abs=1e-9)
        assert ari[i] == pytest.approx(adjusted_rand_score(y, found), abs=3e-4)
        assert accuracy[i] == pytest.approx(max((found == y).mean(), (found != y).mean()))
        right = found == y if (found == y).mean() >= 0.5 else found != y
        assert recall[i] == pytest.approx((right[y == 0].mean() + right[y == 1].mean()) / 2)


def test_the_papers_tables_are_complete() -> None:
    assert {len(rows) for rows in paper.ALL.values()} == {5} and len(paper.ALL) == 10
    assert set(paper.MODELS) == set(paper.CONDITIONS)
    assert set(paper.ALL) <= set(catalog.names())
    for name, (true, learned) in paper.TABLE_3.items():
        assert len(true) == len(learned) == len(catalog.entry(name).masses)
        assert sum(true) == pytest.approx(1) == pytest.approx(sum(learned), abs=0.002)
        assert true == pytest.approx(catalog.entry(name).masses, abs=0.015)


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0
