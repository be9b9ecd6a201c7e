"""Shares of classes against cases worked by hand, and intervals against how often they cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from nemgan import prevalence as p

Float = NDArray[np.float64]


def test_counting_and_wilson() -> None:
    np.testing.assert_allclose(p.counting(np.array([0, 0, 2, 0]), 3), [0.75, 0, 0.25])
    np.testing.assert_allclose(p.counting(np.array([], int), 2), [0.5, 0.5])
    # 5 of 10: centre .5, half-width 1.96/(1 + .384) · √(.025 + .0096) = .263
    np.testing.assert_allclose(p.wilson(np.array([5, 5])), [[0.2366, 0.7634]] * 2, atol=1e-4)


def bell(n: int, shares: Float, rng: np.random.Generator) -> tuple[Float, NDArray[np.int64]]:
    """Samples of N(±1, 1) in the given mix, and their classes."""
    y = (rng.random(n) < shares[1]).astype(np.int64)
    return rng.normal(2.0 * y - 1, 1), y


def test_em_recovers_a_shifted_mix() -> None:
    """Exact posteriors of N(−1, 1) against N(1, 1) learned at 50:50; EM is then maximum likelihood."""
    rng = np.random.default_rng(0)
    x, _ = bell(40_000, np.array([0.85, 0.15]), rng)
    posterior = softmax(np.stack([-x, x], 1), axis=1)
    np.testing.assert_allclose(p.em(posterior, np.array([0.5, 0.5])), [0.85, 0.15], atol=0.01)
    doubled = p.em(np.concatenate([posterior, posterior[:9]]), np.array([0.5, 0.5]))
    weights = np.ones(len(x))
    weights[:9] = 2
    np.testing.assert_allclose(p.em(posterior, np.array([0.5, 0.5]), weights), doubled, atol=1e-6)


def test_stacking_finds_temperature_and_bias() -> None:
    rng = np.random.default_rng(1)
    x, y = bell(20_000, np.array([0.5, 0.5]), rng)
    right, useless = np.stack([-x, x], 1), rng.normal(0, 1, (len(x), 2))
    spoilt = np.stack([4 * right + [0.8, 0], useless])
    a, b, nll = p._stack(spoilt, y, np.ones(len(y)), np.zeros(2), np.full(2, 0.5))
    assert abs(a[0] - 0.25) < 0.02 and a[1] < 0.03 and abs((b[0] - b[1]) + 0.8 / 4) < 0.05
    exact = -np.log(softmax(right, axis=1)[np.arange(len(y)), y]).sum()
    assert nll == pytest.approx(exact, rel=1e-3)


def bells(shares: Float, n: int, rng: np.random.Generator) -> tuple[Float, NDArray[np.int64]]:
    """Samples (n, 2) of bells that overlap a little, and their classes."""
    y = rng.choice(len(shares), n, p=shares)
    return rng.normal(0, 1, (n, 2)) + 3.2 * np.stack([y, y % 2], 1), y


def ten_of_each(y: NDArray[np.int64], rng: np.random.Generator, each: int = 10) -> p.Labels:
    at = np.concatenate([rng.choice(np.flatnonzero(y == c), each, replace=False) for c in (0, 1)])
    return p.Labels(at, y[at], 2)


@pytest.mark.parametrize("per_class", [True, False], ids=["ten of each", "random"])
def test_intervals_cover_and_the_estimate_beats_the_others(per_class: bool) -> None:
    """60 repetitions: 95 % intervals cover the mix in 90 % or more; L1 is below counting's, no worse than EM's."""
    truth, covered, n_rounds, everything = np.array([0.8, 0.2]), 0, 60, np.arange(300)
    errors: dict[str, list[float]] = {}
    for seed in range(n_rounds):
        rng = np.random.default_rng(seed)
        x, y = bells(truth, 300, rng)
        labels = ten_of_each(y, rng)
        if not per_class:
            at = rng.choice(300, 30, replace=False)
            while np.bincount(y[at], minlength=2).min() < 2:
                at = rng.choice(300, 30, replace=False)
            labels = p.Labels(at, y[at], 2)
        few = p.FewLabels([p.regression(x / x.std())], labels, everything)
        point = few.shares()
        draws = np.stack([few.shares(each) for each in rng.spawn(40)])
        low, high = p.interval(point, draws, factor=p.stretch(labels.y))[0]
        covered += int(low <= truth[0] <= high)
        plain = p.regression(x / x.std())(labels, np.ones(len(labels.y)), everything)
        em = p.em(softmax(plain, axis=1), np.array([0.5, 0.5]))
        for name, found in {"EM": em, "ours": point, "counting": p.counting(labels.y, 2)}.items():
            errors.setdefault(name, []).append(float(np.abs(found - truth).sum()))
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    assert covered / n_rounds >= 0.9, covered
    assert mean["ours"] <= mean["EM"] + 0.005 and mean["ours"] < 0.7 * mean["counting"], mean


def test_clusters_learned_in_another_mix_than_that_of_the_samples() -> None:
    """Exact posteriors of 90:10 on samples of 30:70: told of the mix they were learned in, the estimate is near."""
    learned, truth, errors = np.array([0.9, 0.1]), np.array([0.3, 0.7]), {"told": 0.0, "not told": 0.0}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        y = rng.choice(2, 400, p=truth)
        x = rng.normal(2.4 * y - 1.2, 1)
        posterior = softmax(np.stack([-1.2 * x, 1.2 * x], 1) + np.log(learned), axis=1)
        for name, mix in {"told": learned, "not told": None}.items():
            few = p.FewLabels([p.named_clusters(posterior, mix)], ten_of_each(y, rng), np.arange(400))
            errors[name] += float(np.abs(few.shares() - truth).sum()) / 8
    assert errors["told"] < 0.6 * errors["not told"] and errors["told"] < 0.12, errors


def test_classes_that_overlap_and_labels_of_another_mix() -> None:
    """60:10 labels, 50:50 samples, two deviations apart: the labels' mix must not be taken for the samples'."""
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        y = np.repeat([0, 1], [1000, 1000])
        x = rng.normal(0, 1, (2000, 2)) + 2 * np.stack([y, 0 * y], 1)
        at = np.concatenate([rng.choice(np.flatnonzero(y == c), n, replace=False) for c, n in ((0, 60), (1, 10))])
        few = p.FewLabels([p.regression(x / x.std())], p.Labels(at, y[at], 2), np.arange(2000))
        errors.append(float(np.abs(few.shares() - 0.5).sum()))
    assert np.mean(errors) < 0.25, errors


def test_sharpness_falls_to_plain_em_as_labels_grow() -> None:
    assert p.sharpness(20) > p.sharpness(600) > 1 and p.sharpness(10**8) == pytest.approx(1, abs=1e-3)
    rng = np.random.default_rng(0)
    x, y = bells(np.array([0.8, 0.2]), 200, rng)
    few = p.FewLabels([p.regression(x / x.std())], ten_of_each(y, rng), np.arange(200))
    np.testing.assert_array_equal(few.shares(), few.shares(power=p.sharpness(20)))
    assert not np.allclose(few.shares(), few.shares(power=1), atol=1e-4)


def test_sharpened_posteriors_still_count_the_held_out_labels() -> None:
    """Two classes that overlap on one side: sharpening decides for the likelier there, biases put the counts back."""
    rng = np.random.default_rng(0)
    y = rng.choice(2, 4000, p=[0.7, 0.3])
    doubt = (y == 1) | (rng.random(4000) < 0.3)  # of these .59 are of class 1, and all of it
    scores = np.where(doubt[:, None], np.log([0.41, 0.59]), np.log([0.97, 0.03]))
    for power in (1.0, 5.0):
        found = softmax(power * scores + p._biases(power * scores, y, np.ones(4000), np.zeros(2)), axis=1).mean(0)
        np.testing.assert_allclose(found, np.bincount(y) / 4000, atol=0.01)
    assert abs(softmax(5 * scores, axis=1).mean(0)[1] - y.mean()) > 0.1


@pytest.mark.parametrize("power", [1.0, 4.0])
def test_an_expert_that_leans_to_a_class_is_set_right_however_sharpened(power: float) -> None:
    """Overlapping bells, likelihoods e times too high for class 1; labels of an even mix, samples of another."""
    rng = np.random.default_rng(0)
    x, y = bell(6000, np.array([0.7, 0.3]), rng)
    at = np.concatenate([np.flatnonzero(y == c)[:300] for c in (0, 1)])
    leaning = lambda labels, weights, where: np.stack([-x, x + 1], 1)[where]  # noqa: E731
    found = p.FewLabels([leaning], p.Labels(at, y[at], 2), np.arange(6000)).shares(power=power)
    assert abs(found[1] - 0.3) < 0.04, found


@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
def test_sharpening_does_not_give_all_that_is_doubtful_to_one_class(power: float) -> None:
    """All of class 1 looks doubtful and .3 of class 0 does; random labels. Biases fitted before sharpening, and
    sharpened with the rest, would end at .46 (power 2) and .51 (power 4) in place of .3."""
    rng = np.random.default_rng(0)
    y = rng.choice(2, 6000, p=[0.7, 0.3])
    doubt = (y == 1) | (rng.random(6000) < 0.3)
    likely = np.log(np.where(doubt[:, None], [0.3, 1.0], [0.7, 1e-3]))
    at = rng.permutation(6000)[:600]
    found = p.FewLabels([lambda labels, weights, where: likely[where]], p.Labels(at, y[at], 2), np.arange(6000))
    assert abs(found.shares(power=power)[1] - 0.3) < 0.03


def test_plain_em_is_averaged_in_and_heard_more_the_more_labels_there_are() -> None:
    assert 0 < p.heard(20) < 0.1 and 0.5 < p.heard(600) < 1
    rng = np.random.default_rng(0)
    x, y = bells(np.array([0.8, 0.2]), 300, rng)
    labels, everything = ten_of_each(y, rng), np.arange(300)
    pool, plain = [p.regression(x[:, :1] / x[:, 0].std())], p.regression(x / x.std(), 1.0)
    alone = p.em(softmax(plain(labels, np.ones(20), everything), axis=1), np.array([0.5, 0.5]))
    expected = (1 - p.heard(20)) * p.FewLabels(pool, labels, everything).shares() + p.heard(20) * alone
    np.testing.assert_allclose(p.FewLabels(pool, labels, everything, plain=plain).shares(), expected, atol=1e-12)


def test_samples_that_stand_for_many_count_as_many() -> None:
    rng = np.random.default_rng(0)
    x, y = bells(np.array([0.5, 0.5]), 400, rng)
    labels = ten_of_each(y, rng)
    heavy = np.where(y == 1, 4.0, 1.0)
    few = p.FewLabels([p.regression(x / x.std())], labels, np.arange(400), heavy)
    np.testing.assert_allclose(few.shares(), [0.2, 0.8], atol=0.06)


def test_clusters_are_believed_where_they_foretell_the_labels() -> None:
    truth, everything = np.array([0.8, 0.2]), np.arange(300)
    errors: dict[str, list[float]] = {"without": [], "good": [], "useless": []}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, y = bells(truth, 300, rng)
        labels = ten_of_each(y, rng, 5)
        wrong = rng.random(300) < 0.03
        good = np.where((y == 0)[:, None] ^ wrong[:, None], [0.95, 0.05], [0.05, 0.95])
        for name, clusters in {"without": None, "good": good, "useless": rng.dirichlet([1, 1], 300)}.items():
            experts = [p.regression(x / x.std())] + ([] if clusters is None else [p.named_clusters(clusters)])
            found = p.FewLabels(experts, labels, everything).shares()
            errors[name].append(float(np.abs(found - truth).sum()))
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    assert mean["good"] < 0.85 * mean["without"] and mean["useless"] <= mean["without"] + 0.02, mean


def test_one_label_of_a_class_and_none_of_another() -> None:
    """What cannot be held out is not; a class without labels gets (nearly) nothing, and nothing is NaN."""
    rng = np.random.default_rng(0)
    x, y = bells(np.array([0.5, 0.3, 0.2]), 200, rng)
    for shown in ([0, 0, 0, 1], [0, 1], [0, 0, 1, 1]):
        at = np.array([np.flatnonzero(y == c)[i] for i, c in enumerate(shown)])
        few = p.FewLabels([p.regression(x / x.std())], p.Labels(at, y[at], 3), np.arange(200))
        for found in (few.shares(), few.shares(rng)):
            assert np.isfinite(found).all() and found.sum() == pytest.approx(1) and found[2] < 0.35


def test_what_a_bootstrap_draws_does_not_depend_on_earlier_draws() -> None:
    rng = np.random.default_rng(0)
    x, y = bells(np.array([0.8, 0.2]), 100, rng)
    few = p.FewLabels([p.regression(x)], ten_of_each(y, rng), np.arange(100))
    first = few.shares(np.random.default_rng(5))
    few.shares(np.random.default_rng(6))
    np.testing.assert_array_equal(few.shares(np.random.default_rng(5)), first)


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
