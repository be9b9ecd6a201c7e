"""Neighbours against brute force, their weights against the definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemgan.data.neighbours import flatten, local_weights, nearest, project


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 1000))
def test_nearest_are_those_of_brute_force(n, k, seed):
    points = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    index, distance = nearest(points, k)
    full = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(full, np.inf)
    k = min(k, n - 1)
    assert index.shape == distance.shape == (n, k) and (index != np.arange(n)[:, None]).all()
    assert np.sort(full, 1)[:, :k] == pytest.approx(distance, abs=1e-3)


def test_twins_do_not_hide_a_point_from_itself():
    index, distance = nearest(np.zeros((8, 2), np.float32), 3)
    assert index.shape == (8, 3) and (index != np.arange(8)[:, None]).all() and (distance == 0).all()


def test_weights_are_locally_scaled():
    """The same picture ten times as large has the same weights; the nearest weighs one, all lie in (0, 1]."""
    points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    index, distance = nearest(points, 10)
    weights = local_weights(index, distance)
    assert weights[:, 0] == pytest.approx(1) and (weights > 0).all() and (weights <= 1 + 1e-6).all()
    assert local_weights(index, 10 * distance) == pytest.approx(weights, abs=1e-3)


def test_mutual_neighbours_weigh_the_same_from_both_sides():
    points = np.random.default_rng(1).normal(size=(60, 2)).astype(np.float32)
    index, distance = nearest(points, 6)
    weights = local_weights(index, distance)
    pairs = {(i, int(j)): w for i, row in enumerate(index) for j, w in zip(row, weights[i], strict=True)}
    mutual = [(pair, w) for pair, w in pairs.items() if pair[::-1] in pairs]
    assert mutual and all(pairs[pair[::-1]] == pytest.approx(w, abs=1e-5) for pair, w in mutual)


def test_projection_keeps_distances_that_fit():
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) @ np.ones((3, 9), np.float32)
    inside = project(points, 4)
    assert inside.shape == (50, 4)
    assert np.linalg.norm(inside[0] - inside[1]) == pytest.approx(np.linalg.norm(points[0] - points[1]), rel=1e-3)


def test_flatten_standardises_vectors_and_survives_constant_columns():
    x = np.c_[np.arange(10.0), np.full(10, 3.0)].astype(np.float32)
    found = flatten(x)
    assert found[:, 0].std() == pytest.approx(1) and (found[:, 1] == 0).all()


def test_a_column_of_words_is_no_farther_than_one_of_numbers():
    """Squared: rows are 2 apart in a number on average, with different words 2 as well, of two words alone 1."""
    rng = np.random.default_rng(0)
    word = rng.choice(3, 1000, p=[0.9, 0.07, 0.03])
    found = flatten(np.c_[rng.normal(0, 50, 1000), np.eye(3)[word]].astype(np.float32))
    assert np.square(found[word == 0][0, 1:] - found[word == 2][0, 1:]).sum() == pytest.approx(2)
    assert 2 * found[:, 0].var() == pytest.approx(2, rel=1e-3)
    two = flatten(np.c_[rng.normal(0, 50, 1000), word == 2].astype(np.float32))[:, 1]
    assert np.ptp(two) == pytest.approx(1)


def test_the_cosine_metric_does_not_see_brightness():
    bright = np.random.default_rng(0).integers(100, 250, (40, 1, 8, 8)).astype(np.uint8)
    bright[0] = 0  # of no direction
    x = np.concatenate([bright, bright // 4])
    by_angle, _ = nearest(flatten(x, metric="cosine"), 1)
    assert (by_angle[1:40, 0] == np.arange(41, 80)).all()
    by_distance, _ = nearest(flatten(x), 1)
    assert not (by_distance[1:40, 0] == np.arange(41, 80)).any()
    assert np.isfinite(flatten(np.zeros((3, 4), np.float32), metric="cosine")).all()


def test_cells_find_most_neighbours_of_many_points_and_their_true_distances():
    points = np.random.default_rng(0).normal(size=(3000, 5)).astype(np.float32)
    points[:40] = 9.0  # twins, more than a cell's share
    wanted, _ = nearest(points, 10)
    index, distance = nearest(points, 10, exact_to=100)
    assert (index != np.arange(3000)[:, None]).all() and (np.diff(distance, axis=1) >= 0).all()
    assert all(len(set(row)) == 10 for row in index.tolist())
    assert distance == pytest.approx(np.linalg.norm(points[:, None] - points[index], axis=-1), abs=2e-2)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(wanted[40:], index[40:], strict=True)]) > 0.8


def test_projection_of_wide_points_is_theirs_and_repeats():
    """A covariance of 12,288 dimensions, a colour photograph's, would take minutes and gigabytes."""
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(80, 5)) @ rng.normal(size=(5, 5000))).astype(np.float32)
    found = project(points, 8)
    assert found.shape == (80, 8)
    np.testing.assert_array_equal(found, project(points, 8))
    far = np.linalg.norm(points[0] - points[1])
    np.testing.assert_allclose(np.linalg.norm(found[0] - found[1]), far, rtol=1e-3)
