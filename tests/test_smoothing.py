"""The merge's last level: borders straightened sample by sample."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from nemgan.data.neighbours import local_weights, nearest
from nemgan.smoothing import cost, links, meet, smooth


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
    assert cost(between, clusters, 2) == pytest.approx(cut / -(share * np.log(share)).sum())
    three = np.arange(len(y)) % 3
    cuts = [dense[three == k][:, three != k].sum() / dense[three == k].sum() for k in range(3)]
    assert cost(between, three, 3) == pytest.approx(np.mean(cuts))


def test_the_weaker_link_is_cut_though_it_is_not_in_the_middle():
    """A chain of 100 with one weak link after its first quarter: .78/(2·¼·¾) > 1/(2·½·½), but .78/.562 < 1/.693."""
    weight = np.ones(99)
    weight[24] = 0.78
    index = np.arange(99)
    chain = csr_array((weight, (index, index + 1)), shape=(100, 100))
    between = (chain + chain.T) / (2 * weight.sum())
    half, quarter = (np.arange(100) >= 50).astype(int), (np.arange(100) >= 25).astype(int)
    assert cost(between, quarter, 2) < cost(between, half, 2)


def test_a_missing_cluster_costs_much():
    between, y = two_blobs()
    masses = np.array([0.75, 0.25])
    assert cost(between, np.zeros_like(y), 2, masses) > 1 > 0.01 > cost(between, y, 2, masses)
    assert cost(between, np.zeros_like(y), 2) >= 0.5


@pytest.mark.parametrize("masses", [[0.5, 0.3, 0.2], [0.98, 0.01, 0.01], [1.0, 0.0, 0.0]])
def test_biases_give_each_cluster_its_mass(masses):
    scores, biases = np.random.default_rng(4).random((1000, 3)), np.zeros(3)
    for _ in range(5):
        biases = meet(scores, np.array(masses), biases)
    shares = np.bincount((scores + biases).argmax(1), minlength=3) / 1000
    assert abs(shares - masses).max() < 0.003


def test_of_two_clusters_one_sweep_meets_the_masses_by_what_is_nearest():
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    biases = meet(scores, np.array([0.5, 0.5]), np.zeros(2))
    assert (scores + biases).argmax(1).tolist() == [0, 1, 0, 1]


def test_clusters_smoothed_to_masses_have_them_and_pay_in_links():
    x = np.random.default_rng(5).normal(size=(400, 2)).astype(np.float32)
    index, distance = nearest(x, 8)
    between, masses = links(index, local_weights(index, distance)), np.array([0.7, 0.3])
    half = (x[:, 0] > 0).astype(np.int64)
    met = smooth(between, half, 2, masses=masses)
    assert np.bincount(met) / 400 == pytest.approx(masses, abs=0.01)
    assert cost(between, met, 2, masses) < cost(between, half, 2, masses)


def test_clusters_far_apart_are_not_torn_for_their_masses():
    between, y = two_blobs()
    for masses in ([0.75, 0.25], [0.74, 0.26], [0.8, 0.2], [0.6, 0.4]):
        assert (smooth(between, y, 2, masses=np.array(masses)) == y).all()
