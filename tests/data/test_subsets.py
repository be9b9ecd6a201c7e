"""Merged classes, imposed masses, hidden labels."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nemgan.data.dataset import Dataset
from nemgan.data.subsets import apart, counts_for, hide_labels, impose_masses, merge_classes, share_out
from nemgan.errors import DataError

counts = st.lists(st.integers(1, 200), min_size=2, max_size=5)


def rng(seed=0):
    return np.random.default_rng(seed)


def data_of(class_counts, seed=0):
    """Vectors that carry their own position, in random order, so that a subset shows where its samples came from."""
    y = rng(seed).permutation(np.repeat(np.arange(len(class_counts)), class_counts))
    names = tuple(f"c{k}" for k in range(len(class_counts)))
    return Dataset(np.arange(len(y), dtype=np.float32)[:, None], y, names, "toy")


@given(counts, st.data())
def test_round_masses_are_met_exactly_with_as_many_samples_as_possible(available, draw):
    parts = draw.draw(st.lists(st.integers(1, 20), min_size=len(available), max_size=len(available)))
    parts = [p // int(np.gcd.reduce(parts)) for p in parts]
    total = sum(parts)
    assume(all(n >= p for n, p in zip(available, parts, strict=True)))
    got = counts_for(available, [p / total for p in parts])
    assert [n * total for n in got] == [p * sum(got) for p in parts]
    more = [n + p for n, p in zip(got, parts, strict=True)]
    assert any(m > n for m, n in zip(more, available, strict=True)), "another helping of each class would have fitted"


@given(counts, st.data())
def test_any_masses_are_met_to_within_a_sample(available, draw):
    raw = np.array(draw.draw(st.lists(st.floats(0.01, 1), min_size=len(available), max_size=len(available))))
    masses = raw / raw.sum()
    try:
        got = np.array(counts_for(available, masses.tolist()))
    except DataError as error:
        assert "leaves class" in str(error)
        return
    assert (got >= 1).all() and (got <= available).all()
    assert (np.abs(got - got.sum() * masses) < 1 + 1e-6).all()


@given(st.integers(0, 10_000), st.lists(st.floats(0.001, 1), min_size=1, max_size=8))
def test_share_out_loses_nothing(total, raw):
    masses = np.array(raw) / sum(raw)
    got = share_out(total, masses.tolist())
    assert sum(got) == total
    assert np.abs(np.array(got) - total * masses).max() < 1 + 1e-6


@given(counts, st.integers(0, 3))
def test_impose_masses_draws_without_replacement_in_order_and_by_seed(available, seed):
    data = data_of(available)
    masses = [1 / len(available)] * len(available)
    one, two = (impose_masses(data, masses, rng(seed)) for _ in range(2))
    where = one.x[:, 0].astype(int)
    assert (np.diff(where) > 0).all()
    assert (one.y == data.y[where]).all()
    assert np.bincount(one.y).tolist() == [min(available)] * len(available)
    assert (one.x == two.x).all()


def test_impose_masses_by_hand():
    assert counts_for([6131, 5421], [0.7, 0.3]) == (6125, 2625)
    assert counts_for([6131, 5421], [0.9, 0.1]) == (6129, 681)
    assert counts_for([50, 50, 50], [1 / 3, 1 / 3, 1 / 3]) == (50, 50, 50)
    assert counts_for([3, 3], [0.7, 0.3]) == (3, 1)  # seven of the first are not to be had: the nearest instead


@pytest.mark.parametrize(
    ("masses", "why"),
    [
        ([0.5, 0.3], "sum to 0.8"),
        ([1.0, 0.0], "positive"),
        ([1.5, -0.5], "positive"),
        ([float("nan"), 1.0], "positive"),
        ([0.5, 0.3, 0.2], "3 masses"),
        ([0.99999, 0.00001], "leaves class 1 none"),
    ],
)
def test_bad_masses(masses, why):
    with pytest.raises(DataError, match=why):
        impose_masses(data_of([20, 20]), masses, rng())


def test_empty_class_and_hidden_labels_have_no_masses():
    data = data_of([10, 10])
    only = data.take(data.y == 0)
    with pytest.raises(DataError, match="class 1 has no samples"):
        impose_masses(only, [0.5, 0.5], rng())
    with pytest.raises(DataError, match="20 samples are unlabelled"):
        impose_masses(data.unlabelled(), [0.5, 0.5], rng())


def test_merge_keeps_each_sample_of_the_groups_once():
    data = data_of([5, 6, 7, 8])
    merged = merge_classes(data, ((3, 1), (0,)))
    assert merged.class_names == ("c3 + c1", "c0")
    where = merged.x[:, 0].astype(int)
    assert (where == np.flatnonzero(data.y != 2)).all()
    assert ((merged.y == 1) == (data.y[where] == 0)).all()
    assert merge_classes(data, ((0,), (1,)), ["a", "b"]).class_names == ("a", "b")


@pytest.mark.parametrize(
    ("groups", "names", "why"),
    [
        (((0,), (9,)), None, "no class 9"),
        (((0,), (-1,)), None, "no class -1"),
        (((0, 1), (1,)), None, "class 1 .* more than one group"),
        (((0,), ()), None, "at least one class"),
        ((), None, "at least one class"),
        (((0,), (1,)), ["a"], "1 names"),
    ],
)
def test_bad_groups(groups, names, why):
    with pytest.raises(DataError, match=why):
        merge_classes(data_of([5, 5]), groups, names)


@given(counts, st.floats(0, 1))
def test_hide_labels_discloses_the_share_and_nothing_false(available, share):
    data = data_of(available)
    if share > 0 and round(share * len(data)) == 0:
        with pytest.raises(DataError, match="discloses no label"):
            hide_labels(data, share, rng())
        return
    hidden = hide_labels(data, share, rng(1))
    shown = hidden.y >= 0
    assert shown.sum() == round(share * len(data))
    assert (hidden.y[shown] == data.y[shown]).all()
    assert (hidden.y == hide_labels(data, share, rng(1)).y).all()
    assert hidden.x is data.x


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_bad_share(share):
    with pytest.raises(DataError, match="between 0 and 1"):
        hide_labels(data_of([5, 5]), share, rng())


def test_share_of_data_without_labels():
    with pytest.raises(DataError, match="it has none"):
        hide_labels(data_of([5, 5]).unlabelled(), 0.5, rng())


@given(st.integers(2, 300), st.integers(0, 5))
def test_sparing_samples_changes_no_more_of_those_set_aside_than_it_must(n, seed):
    spare = rng(seed + 9).random(n) < 0.3
    plain, sparing = (apart(n, 0.2, rng(seed), "toy", which) for which in (None, spare))
    assert sparing.sum() == plain.sum() == max(1, round(0.2 * n))
    assert (sparing & ~plain).sum() == (plain & ~sparing).sum() == min((plain & spare).sum(), (~plain & ~spare).sum())
    assert not (plain & ~spare & ~sparing).any()


def test_setting_aside_needs_two():
    with pytest.raises(DataError, match="at least 2"):
        apart(1, 0.2, rng(), "toy")
