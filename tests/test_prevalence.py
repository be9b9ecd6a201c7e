"""Shares of classes against cases worked by hand, and intervals against how often they cover the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nemgan import prevalence as p

Float = NDArray[np.float64]


def test_counting_and_wilson() -> None:
    np.testing.assert_allclose(p.counting(np.array([0, 0, 2, 0]), 3), [0.75, 0, 0.25])
    np.testing.assert_allclose(p.counting(np.array([], int), 2), [0.5, 0.5])
    # 5 of 10: centre .5, half-width 1.96/(1 + .384) · √(.025 + .0096) = .263
    np.testing.assert_allclose(p.wilson(np.array([5, 5])), [[0.2366, 0.7634]] * 2, atol=1e-4)


def test_adjusted_count_inverts_the_confusion() -> None:
    rates = np.array([[0.9, 0.2], [0.1, 0.8]])
    pi = np.array([0.3, 0.7])
    np.testing.assert_allclose(p.adjusted_count(rates, rates @ pi), pi, atol=1e-6)
    np.testing.assert_allclose(p.adjusted_count(rates, np.array([0.95, 0.05])), [1, 0], atol=1e-6)  # the simplex's edge
    y = np.array([0, 0, 1, 1])
    np.testing.assert_allclose(p.confusion_rates(np.eye(2)[[0, 1, 1, 1]], y), [[0.5, 0], [0.5, 1]])


def bell(n: int, shares: Float, rng: np.random.Generator) -> tuple[Float, NDArray[np.int64]]:
    """Samples of N(±1, 1) in the given mix, and their classes."""
    y = (rng.random(n) < shares[1]).astype(np.int64)
    return rng.normal(2.0 * y - 1, 1), y


def test_em_recovers_a_shifted_mix() -> None:
    """Exact posteriors of N(−1, 1) against N(1, 1) learned at 50:50; EM is then maximum likelihood."""
    rng = np.random.default_rng(0)
    x, _ = bell(40_000, np.array([0.85, 0.15]), rng)
    posterior = p.softmax(np.stack([-x, x], 1))
    np.testing.assert_allclose(p.em(posterior, np.array([0.5, 0.5])), [0.85, 0.15], atol=0.01)
    doubled = p.em(np.concatenate([posterior, posterior[:9]]), np.array([0.5, 0.5]))
    weights = np.ones(len(x))
    weights[:9] = 2
    np.testing.assert_allclose(p.em(posterior, np.array([0.5, 0.5]), weights), doubled, atol=1e-6)


def test_calibration_finds_temperature_and_bias() -> None:
    rng = np.random.default_rng(1)
    x, y = bell(20_000, np.array([0.5, 0.5]), rng)
    spoilt = 4 * np.stack([-x, x], 1) + [0.8, 0]
    a, b = p.fit_calibration(spoilt, y, np.ones(len(y)))
    assert abs(a - 0.25) < 0.02 and abs((b[0] - b[1]) + 0.8 / 4) < 0.05


def graph_set(shares: Float, n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Neighbours (n, 8) and classes of samples in two bells that overlap a little."""
    from nemgan.data.neighbours import nearest

    y = rng.choice(len(shares), n, p=shares)
    x = rng.normal(0, 1, (n, 2)) + 3.2 * np.stack([y, y % 2], 1)
    return nearest(x.astype(np.float32), 8)[0], y


def test_spread_is_the_power_series() -> None:
    rng = np.random.default_rng(0)
    neighbours, _ = graph_set(np.array([0.5, 0.5]), 30, rng)
    w = np.zeros((30, 30))
    for i, row in enumerate(neighbours):
        w[i, row] = w[row, i] = 1
    d = 1 / np.sqrt(w.sum(1))
    exact = np.linalg.inv(np.eye(30) - 0.5 * (d[:, None] * w * d))[:, [3, 7]] * 0.5
    np.testing.assert_allclose(p.spread(neighbours, np.array([3, 7]), alpha=0.5, steps=60), exact, atol=1e-12)


@pytest.mark.parametrize("per_class", [True, False], ids=["ten of each", "random"])
def test_intervals_cover_and_the_estimate_beats_the_others(per_class: bool) -> None:
    """100 repetitions: 95 % intervals cover the mix in 90–99 %, and L1 is below counting, ACC, PACC and EM."""
    truth, covered, n_rounds = np.array([0.8, 0.2]), 0, 100
    errors: dict[str, list[float]] = {}
    for seed in range(n_rounds):
        rng = np.random.default_rng(seed)
        neighbours, y = graph_set(truth, 300, rng)
        at = np.concatenate([rng.choice(np.flatnonzero(y == c), 10, replace=False) for c in (0, 1)])
        if not per_class:
            at = rng.choice(300, 30, replace=False)
            while np.bincount(y[at], minlength=2).min() < 2:
                at = rng.choice(300, 30, replace=False)
        reach, everything = p.spread(neighbours, at), np.arange(300)
        point = p.few_labels(reach, at, y[at], 2, everything)
        draws = np.stack([p.few_labels(reach, at, y[at], 2, everything, each) for each in rng.spawn(60)])
        low, high = p.interval(point, draws)[0]
        covered += int(low <= truth[0] <= high)
        others = rivals(reach, at, y[at])
        for name, found in {**others, "ours": point, "counting": p.counting(y[at], 2)}.items():
            errors.setdefault(name, []).append(float(np.abs(found - truth).sum()))
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    assert 90 <= covered <= 100, covered
    assert mean["ours"] <= min(mean.values()) + 0.005, mean
    assert mean["ours"] < 0.7 * mean["counting"], mean


def test_clusters_are_used_where_they_foretell_the_labels_better() -> None:
    truth, everything = np.array([0.8, 0.2]), np.arange(300)
    errors: dict[str, list[float]] = {"without": [], "good": [], "useless": []}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        neighbours, y = graph_set(truth, 300, rng)
        at = np.concatenate([rng.choice(np.flatnonzero(y == c), 5, replace=False) for c in (0, 1)])
        reach = p.spread(neighbours, at)
        wrong = rng.random(300) < 0.03
        good = np.where((y == 0)[:, None] ^ wrong[:, None], [0.95, 0.05], [0.05, 0.95])
        for name, clusters in {"without": None, "good": good, "useless": rng.dirichlet([1, 1], 300)}.items():
            found = p.few_labels(reach, at, y[at], 2, everything, clusters=clusters)
            errors[name].append(float(np.abs(found - truth).sum()))
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    assert mean["good"] < 0.85 * mean["without"] and mean["useless"] <= mean["without"] + 0.02, mean


def rivals(reach: Float, at: NDArray[np.int64], y: NDArray[np.int64]) -> dict[str, Float]:
    """Adjusted counts and EM on the same spread labels, with folds for what must be held out."""

    def posterior(train: Any, where: Any) -> Float:
        votes = (y[train][:, None] == np.arange(2)) * p.balanced_weights(y[train], 2)[:, None]
        mass = reach[where][:, train] @ votes + 1e-9
        return np.asarray(mass / mass.sum(1, keepdims=True))

    folds = np.zeros(len(y), int)
    for c in (0, 1):
        folds[y == c] = np.arange((y == c).sum()) % 2
    held = np.zeros((len(y), 2))
    for fold in (0, 1):
        held[folds == fold] = posterior(np.flatnonzero(folds != fold), at[folds == fold])
    found = posterior(np.arange(len(y)), np.arange(len(reach)))
    eye = np.eye(2)
    return {
        "ACC": p.adjusted_count(p.confusion_rates(eye[held.argmax(1)], y), eye[found.argmax(1)].mean(0)),
        "PACC": p.adjusted_count(p.confusion_rates(held, y), found.mean(0)),
        "EMQ": p.em(found, np.array([0.5, 0.5])),
    }


def test_interval_holds_the_spread_of_restarts() -> None:
    draws = np.random.default_rng(0).normal(0.5, 0.01, (4000, 1))
    alone = p.interval(np.array([0.5]), draws)
    more = p.interval(np.array([0.5]), draws, spread=np.array([0.02]))
    np.testing.assert_allclose(alone, [[0.5 - 0.0196, 0.5 + 0.0196]], atol=2e-3)
    np.testing.assert_allclose(np.ptp(more) / 2, 1.96 * np.hypot(0.01, 0.02), atol=2e-3)


def test_data_bootstrap_has_the_mean_and_its_error() -> None:
    values = (np.arange(400) < 100).astype(float)[:, None]
    draws = p.data_bootstrap(values, 2000, np.random.default_rng(0))
    assert abs(draws.mean() - 0.25) < 0.003 and abs(draws.std() - np.sqrt(0.25 * 0.75 / 401)) < 0.002
