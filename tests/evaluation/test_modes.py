from __future__ import annotations

import numpy as np
import pytest

from nemgan.data import stacked
from nemgan.data.catalog import load
from nemgan.data.dataset import Dataset, Splits
from nemgan.data.synthetic import RING_SIGMA, ring, ring_centres
from nemgan.evaluation import modes
from nemgan.evaluation.modes import count, divergence, on_ring


def test_the_ring_covers_itself_and_a_collapsed_one_does_not() -> None:
    splits = load("ring-8")
    own = count(splits, lambda n: ring(n, seed=5).x, None, None)
    assert own is not None and (own.covered, own.of, own.n) == (8, 8, 2500)
    assert own.within == pytest.approx(1 - np.exp(-4.5), abs=0.01)  # Rayleigh: P(r ≤ 3σ)
    assert own.kl < 1e-5
    lost = count(splits, lambda n: ring_centres()[np.arange(n) % 2].astype(np.float32), None, None)
    assert lost is not None and lost.covered == 2 and lost.within == 1 and lost.kl == pytest.approx(np.log(4))
    far = count(splits, lambda n: 1.1 * ring_centres()[np.arange(n) % 8], None, None)
    assert far is not None and far.covered == 0 and far.within == 0 and far.kl == pytest.approx(0, abs=1e-5)


def test_nearest_centre_and_three_sigma_by_hand() -> None:
    centres = ring_centres()
    points = centres[[0, 2]] + [[3.01 * RING_SIGMA, 0], [0, 2.99 * RING_SIGMA]]
    mode, near = on_ring(points, centres, RING_SIGMA)
    assert mode.tolist() == [0, 2] and near.tolist() == [False, True]
    np.testing.assert_allclose(centres[2], [0, 2], atol=1e-12)


def test_divergence_against_scipy_and_by_hand() -> None:
    from scipy.stats import entropy

    drawn, shares = np.array([0, 0, 0, 1, 2, 2]), np.array([0.2, 0.3, 0.4, 0.1])
    assert divergence(drawn, shares) == pytest.approx(entropy([3 / 6, 1 / 6, 2 / 6, 0], shares))
    assert divergence(np.zeros(5, int), np.array([0.25, 0.75])) == pytest.approx(np.log(4))
    assert np.isfinite(divergence(np.array([0, 1]), np.array([1.0, 0.0])))


class Told:
    accuracy = 0.99

    def __init__(self, classes: np.ndarray) -> None:
        self.classes = classes

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.classes


def test_classes_are_the_modes_of_any_other_set() -> None:
    data = Dataset(np.zeros((10, 1, 8, 8), np.uint8), np.repeat([0, 1], 5), ("a", "b", "never seen"), "other")
    found = count(Splits(data, data), lambda n: pytest.fail("drawn"), Told(np.zeros(0)), np.array([1, 1, 2, 1]))  # type: ignore[arg-type]
    assert found is not None and (found.covered, found.of, found.n, found.within) == (1, 2, 4, None)
    assert "0.9900" in found.told_by
    assert count(Splits(data, data), lambda n: np.zeros(n), None, None) is None


def test_the_mix_of_a_few_labels_is_not_taken_for_that_of_the_data() -> None:
    x, y = np.zeros((100, 1, 8, 8), np.uint8), np.repeat([0, 1], [90, 10])
    whole = Dataset(x, y, ("a", "b"), "other")
    few = Dataset(x, np.where(np.isin(np.arange(100), [0, 1, 98, 99]), y, -1), ("a", "b"), "other")
    drawn = (lambda n: pytest.fail("drawn"), Told(np.zeros(0)), y)
    found = count(Splits(few, whole), *drawn)  # type: ignore[arg-type]
    assert found is not None and found.kl == pytest.approx(0) and found.of == 2
    assert count(Splits(few, few), *drawn) is None  # type: ignore[arg-type]


def test_stacked_digits_are_counted_on_26000(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "STACKED_SAMPLES", 2000)
    data = Dataset(np.zeros((1000, 3, 8, 8), np.uint8), np.arange(1000), tuple(map(str, range(1000))), stacked.NAME)
    judge = Told(np.arange(2000) % 993)
    found = count(Splits(data, data), lambda n: np.zeros((n, 3, 8, 8), np.uint8), judge, np.zeros(7, int))  # type: ignore[arg-type]
    assert found is not None and (found.covered, found.of, found.n) == (993, 1000, 2000)
    assert 0.006 < found.kl < 0.01 and "digits" in found.told_by  # log(1000/993) and the unevenness of 2000 over 993
