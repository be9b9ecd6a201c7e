"""The merge's last level: borders straightened sample by sample."""

import numpy as np
import pytest

from nemgan.data.neighbours import local_weights, nearest
from nemgan.smoothing import cost, links, smooth


def two_blobs(n=(150, 50), seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], n)
    x = (rng.normal(0, 1, (sum(n), 2)) + 9 * y[:, None]).astype(np.float32)
    index, distance = nearest(x, 8)
    return links(index, local_weights(index, distance)), y


def test_links_are_symmetric_and_of_total_one():
    between, _ = two_blobs()
    assert between.sum() == pytest.approx(1) and abs(between - between.T).max() < 1e-12


def test_links_leave_the_graph_as_it_was():
    draw = np.random.default_rng(3)
    index = np.stack([draw.permutation(200)[:8] for _ in range(200)])
    weights = draw.random(index.shape).astype(np.float32)
    index_before, weights_before = index.copy(), weights.copy()
    links(index, weights)
    assert (index == index_before).all() and (weights == weights_before).all()


def test_the_border_is_put_right_and_the_truth_stays():
    between, y = two_blobs()
    wrong = y.copy()
    wrong[np.random.default_rng(1).permutation(len(y))[:40]] ^= 1  # islands of one's own kind may stay
    assert (smooth(between, wrong, 2) == y).mean() > 0.97 and (smooth(between, y, 2) == y).all()


def test_smoothing_lowers_the_cut():
    between, y = two_blobs()
    draw = np.random.default_rng(2).integers(0, 2, len(y))
    assert cost(between, smooth(between, draw, 2), 2) < cost(between, draw, 2)


def test_the_cost_is_the_cut_and_the_masses_distance():
    between, y = two_blobs()
    dense, masses = between.toarray(), np.array([0.5, 0.5])
    clusters = np.arange(len(y)) % 3 % 2
    cut = dense[clusters[:, None] != clusters].sum()
    share = np.bincount(clusters) / len(y)
    assert cost(between, clusters, 2, masses, 2.0) == pytest.approx(cut + 2 * ((share - masses) ** 2 / masses).sum())
    volume = [dense[clusters == k].sum() for k in (0, 1)]
    assert cost(between, clusters, 2) == pytest.approx(np.mean([cut / 2 / v for v in volume]))


def test_a_missing_cluster_costs_much():
    between, y = two_blobs()
    masses = np.array([0.75, 0.25])
    assert cost(between, np.zeros_like(y), 2, masses) > 1 > 0.01 > cost(between, y, 2, masses)
    assert cost(between, np.zeros_like(y), 2) >= 0.5
