from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from nemgan.errors import DataError
from nemgan.evaluation import fidelity
from nemgan.evaluation.fidelity import frechet, kid, overlap


def textbook(a: np.ndarray, b: np.ndarray) -> float:
    """The formula as printed, with SciPy's square root of the (not symmetric) product."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(first @ second))
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root))


def correlated(n: int, width: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) + shift * rng.normal(size=width)


@pytest.mark.parametrize(("width", "shift"), [(1, 1.0), (2, 0.0), (16, 0.5), (64, 3.0)])
def test_agrees_with_an_independent_implementation(width: int, shift: float) -> None:
    a, b = (correlated(400 + 100 * i, width, i, shift) for i in (0, 1))
    expected = textbook(a, b) if width > 1 else ((a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-3)
    assert frechet(a, b) == pytest.approx(frechet(b, a))


@given(st.integers(0, 99), st.integers(2, 30), st.integers(1, 40))
def test_a_set_with_itself_is_zero_whatever_its_rank(seed: int, n: int, width: int) -> None:
    a = correlated(n, width, seed, 10.0)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9 * (1 + np.square(a).sum()))


def test_more_features_than_samples_are_those_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(30, 40)), rng.normal(0.3, 1.5, (20, 40))
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    cross = np.trace(np.real(sqrtm(first @ second)))
    wanted = ((real.mean(0) - fake.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * cross
    assert frechet(real, fake) == pytest.approx(wanted, rel=1e-5)
    assert frechet(real, rng.normal(size=(100, 40))) > 0  # one set wide, the other not


def test_gaussians_by_hand() -> None:
    """Diagonal covariances: Σ (μ₁−μ₂)² + Σ (σ₁−σ₂)²."""
    signs = np.array([[s, t] for s in (-1, 1) for t in (-1, 1)]) * np.sqrt(3 / 4)  # unit variances with ddof = 1
    assert frechet(signs * [1, 2], signs * [4, 2] + [0, 5]) == pytest.approx(25 + 9)


def test_distance_grows_with_the_shift_and_with_lost_variety() -> None:
    a = correlated(500, 8, 0)
    shifts = [frechet(a, a + s) for s in (0.0, 0.5, 1.0)]
    assert shifts[0] < shifts[1] < shifts[2] == pytest.approx(8)
    assert frechet(a, 0.5 * a) > frechet(a, 0.9 * a) > 0


def test_nonsense_is_refused() -> None:
    x = np.zeros((4, 3))
    for a, b, why in ((x[:1], x, "two samples"), (x, x[:, :2], "width 3 and 2"), (x, x * np.nan, "not finite")):
        with pytest.raises(DataError, match=why):
            frechet(a, b)


def naive_kid(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (float(x @ y) / len(x) + 1) ** 3

    def within(x: np.ndarray) -> float:
        return float(np.mean([kernel(u, v) for i, u in enumerate(x) for j, v in enumerate(x) if i != j]))

    return within(a) + within(b) - 2 * float(np.mean([kernel(u, v) for u in a for v in b]))


def test_kid_is_its_definition_in_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = correlated(23, 4, 0), correlated(17, 4, 1, 2.0)
    assert kid(a, b) == pytest.approx(naive_kid(a, b))
    monkeypatch.setattr(fidelity, "BLOCK", 5)
    assert kid(a, b) == pytest.approx(naive_kid(a, b))


def test_kid_is_unbiased() -> None:
    """Halves of one set: the mean over draws is 0 within three standard errors."""
    found = [kid(*np.split(np.random.default_rng(seed).normal(size=(60, 3)), 2)) for seed in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_overlap_of_like_unlike_and_collapsed_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    real, like = rng.normal(size=(300, 4)), rng.normal(size=(300, 4))
    same = overlap(real, real)
    assert same is not None and (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert same.density == pytest.approx(6 / 5)  # each sample lies in its own ball too
    good = overlap(real, like)
    assert good is not None and min(good) > 0.85 and good.density == pytest.approx(1, abs=0.1)
    assert overlap(real, like + 100) == (0, 0, 0, 0)
    poor = overlap(real, 0.05 * like)  # one point's surroundings: precise, but little is covered
    assert poor is not None and poor.precision == 1 and poor.recall < 0.05 and poor.coverage < 0.2
    monkeypatch.setattr(fidelity, "BLOCK", 7)
    assert overlap(real, like) == pytest.approx(good)


def test_overlap_by_hand() -> None:
    """On a line, k = 1: balls of the real samples 0, 1, 3 have radii 1, 1, 2; of the generated 0, 5 radius 5."""
    found = overlap(np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [5.0]]), k=1)
    assert found == (1.0, 1.0, 1.5, 1.0)  # 0 lies in the balls of 0 and 1, 5 in that of 3
    assert overlap(np.zeros((2, 1)), np.zeros((5, 1)), k=2) is None


def test_examples() -> None:
    assert doctest.testmod(fidelity).failed == 0
