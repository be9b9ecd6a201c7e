"""Votes of many merges: right where the data are clear, honest where they are not."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from nemgan.consensus import consensus, counted, label_costs, rename, unity
from nemgan.data.neighbours import local_weights, nearest
from nemgan.smoothing import cost, links

NONE = np.zeros(0, np.int64)


def blobs(sizes, spread, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    corners = 8 * np.stack([np.cos(2 * np.pi * np.arange(len(sizes)) / len(sizes)), np.arange(len(sizes))], 1)
    return (corners[y] + rng.normal(0, spread, (len(y), 2))).astype(np.float32), y


def vote(x, m, masses=None, labelled=NONE, labels=NONE, runs=4, modes=20, seed=0):
    index, distance = nearest(x, 8)
    graph = index, local_weights(index, distance)
    rng = np.random.default_rng(seed)
    return consensus(x, graph, m, masses=masses, labelled=labelled, labels=labels, modes=modes, runs=runs, rng=rng)


def accuracy(found, y):
    table = np.zeros((found.max() + 1, y.max() + 1))
    np.add.at(table, (found, y), 1)
    return table[linear_sum_assignment(-table)].sum() / len(y)


def test_clear_clusters_get_every_vote_whatever_their_masses():
    x, y = blobs([300, 120, 30], 0.5)
    found = vote(x, 3)
    assert found.votes.shape == (450, 3) and found.votes.sum(1) == pytest.approx(1)
    assert (counted(found.voters, 3) == found.votes).all() and unity(found.voters) == 1
    assert accuracy(found.votes.argmax(1), y) == 1 and found.agreement == 1 and found.cost < 0.01
    for graph, sizes in found.partitions:
        assert graph.sum() == pytest.approx(1) and sizes.sum() == pytest.approx(1)


def test_one_cloud_cut_in_three_is_not_agreed_upon():
    x = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    assert vote(x, 3, runs=6).agreement < 0.9


def test_known_masses_name_the_clusters():
    x, y = blobs([300, 120, 30], 0.5)
    masses = np.array([30, 300, 120]) / 450
    assert (vote(x, 3, masses=masses).votes.argmax(1) == np.array([1, 2, 0])[y]).all()


def test_a_wrong_cluster_of_nearly_the_right_mass_is_found_out():
    """A blob between two others has more links to the one it is not with; only the masses tell, and by little."""
    sizes = [302, 290, 112, 150]
    x, y = blobs(sizes, 0.5)
    index = nearest(x, 8)[0]
    first = np.flatnonzero(y == 2)
    index[first[:2], 7], index[first[2:14], 7] = np.arange(2), 302 + np.arange(12)
    graph, wanted = (index, np.ones_like(index, np.float32)), np.array([0, 1, 0, 2])[y]
    masses = np.bincount(wanted) / len(y)
    between, wrong = links(*graph), np.array([1, 0, 0, 2])[y]
    assert cost(between, wrong, 3, masses) < cost(between, wanted, 3, masses)
    rng = np.random.default_rng(0)
    found = consensus(x, graph, 3, masses=masses, labelled=NONE, labels=NONE, modes=20, runs=4, rng=rng)
    assert (found.votes.argmax(1) == wanted).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_borders_lie_where_few_neighbours_are_parted_though_masses_told_are_a_little_off(seed):
    rng = np.random.default_rng(seed)
    parts = [((0, 0), 0.8, 345), ((4, 0), 0.8, 255), ((2, 30), 1, 200)]
    x = np.concatenate([rng.normal(at, spread, (n, 2)) for at, spread, n in parts]).astype(np.float32)
    index = nearest(x, 10)[0]
    graph, masses = (index, np.ones_like(index, np.float32)), np.array([0.375, 0.375, 0.25])
    rng = np.random.default_rng(0)
    found = consensus(x, graph, 3, masses=masses, labelled=NONE, labels=NONE, modes=30, runs=4, rng=rng)
    assert accuracy(found.votes.argmax(1), np.repeat([0, 1, 2], [345, 255, 200])) > 0.99  # were masses to be met: .95


def test_a_rare_cluster_keeps_nearly_the_mass_told():
    """Its core alone would be cheaper to cut off, and its mass hardly counts among merges alike."""
    rng = np.random.default_rng(1)
    tail = np.stack([rng.uniform(2.2, 3.2, 25), rng.normal(0, 0.4, 25)], 1)
    x = np.concatenate([rng.normal((0, 0), 1, (900, 2)), rng.normal((4, 0), 0.4, (75, 2)), tail]).astype(np.float32)
    index = nearest(x, 10)[0]
    graph, masses = (index, np.ones_like(index, np.float32)), np.array([0.9, 0.1])
    rng = np.random.default_rng(0)
    found = consensus(x, graph, 2, masses=masses, labelled=NONE, labels=NONE, modes=40, runs=4, rng=rng)
    assert (found.voters == 1).mean(1) == pytest.approx(0.1, rel=1 / 6)


def test_labels_name_the_clusters_and_choose_between_cuts():
    x, y = blobs([200, 200, 200, 200], 0.5)
    two = np.array([1, 0, 1, 0])[y]
    labelled = np.arange(0, 800, 20)
    assert (vote(x, 2, labelled=labelled, labels=two[labelled]).votes.argmax(1) == two).all()


def test_the_same_seed_votes_the_same():
    x, _ = blobs([60, 40], 2.0)
    assert (vote(x, 2, seed=3).votes == vote(x, 2, seed=3).votes).all()


def test_renaming_undoes_any_permutation():
    a = np.random.default_rng(0).integers(0, 4, 100)
    assert (rename(np.array([2, 0, 3, 1])[a], a, 4) == a).all()


def test_label_costs_by_hand():
    costs = label_costs(np.array([0, 0, 1]), np.array([0, 1, 1]), 3, 2)
    assert costs == pytest.approx(np.array([[1, 1], [1, 0], [0, 0]]) / 3)


@pytest.mark.parametrize("named", [[0], [0, 2], [3]])
def test_clusters_that_no_label_names_are_named_alike_in_every_vote(named):
    x, y = blobs([400, 300, 200, 100], 0.5)
    labelled = np.concatenate([np.flatnonzero(y == k)[:5] for k in named])
    found = vote(x, 4, labelled=labelled, labels=y[labelled], runs=8).votes
    assert accuracy(found.argmax(1), y) == 1 and found.max(1).mean() > 0.99
    assert (found.argmax(1)[labelled] == y[labelled]).all()
