"""The merge against brute force, and its invariants."""

from itertools import permutations, product

import numpy as np
import pytest

from nemgan import merging
from nemgan.merging import merges, mode_graph


def merge(*args, **named):
    return merges(*args, **named)[0]


def random_graph(k: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    w = rng.random((k, k)) ** 4
    w = w + w.T + np.diag(rng.random(k) * k)
    return w / w.sum(), rng.dirichlet(np.full(k, 5.0))


def cost(w, sizes, groups, m, masses, price):
    h = np.eye(m)[groups]
    g, mass = h.T @ w @ h, h.T @ sizes
    if masses is None:
        return np.mean([1 - g[c, c] / g[c].sum() if g[c].sum() > 0 else 1.0 for c in range(m)])
    empty = sum(g[c].sum() == 0 for c in range(m))
    return 1 - np.trace(g) + price * ((mass - masses) ** 2 / masses).sum() + empty


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("known", [False, True])
def test_finds_the_optimum_that_enumeration_finds(seed, known):
    rng = np.random.default_rng(seed)
    k, m = 8, 2 + seed % 2
    w, sizes = random_graph(k, rng)
    masses = rng.dirichlet(np.full(m, 3.0)) if known else None
    options = (masses, 1.0)
    best = min(cost(w, sizes, np.array(g), m, *options) for g in product(range(m), repeat=k))
    found = merge(w, sizes, m, masses=masses, rng=rng, chains=64)
    assert found.cost == pytest.approx(best, abs=1e-9)
    assert cost(w, sizes, found.groups, m, *options) == pytest.approx(found.cost, abs=1e-9)


def test_merges_that_differ_in_names_alone_are_tried_once():
    w, sizes = random_graph(7, np.random.default_rng(0))
    objective = merging._Objective(w, sizes, np.zeros((7, 3)), None, 0.3)
    (all_groups, all_costs), (groups, costs) = merging._every(objective), merging._every(objective, named=False)
    assert len(groups) == 1 + 63 + 301  # Stirling's S(7, 1), S(7, 2), S(7, 3)
    assert (groups[costs.argmin()] == all_groups[all_costs.argmin()]).all() and costs.min() == all_costs.min()


@pytest.mark.parametrize("known", [False, True])
def test_as_many_micro_modes_as_clusters_are_assigned_at_least_cost(known):
    rng = np.random.default_rng(1)
    m = 7  # 7⁷ merges are too many to try all
    w, sizes = random_graph(m, rng)
    masses, unary = (rng.dirichlet(np.full(m, 3.0)), rng.random((m, m)) / 9) if known else (None, None)
    found = merges(w, sizes, m, masses=masses, unary=unary, rng=rng)
    best = min(
        cost(w, sizes, np.array(g), m, masses, 1.0) + (unary[np.arange(m), list(g)].sum() if known else 0)
        for g in permutations(range(m))
    )
    assert len(found) == 1 and found[0].cost == pytest.approx(best, abs=1e-9)


def test_blocks_are_recovered_whatever_their_masses():
    rng = np.random.default_rng(0)
    block = np.repeat([0, 1, 2], [14, 4, 2])
    w = np.where(block[:, None] == block, 1.0, 0.01) + np.eye(20)
    found = merge(w / w.sum(), np.full(20, 0.05), 3, rng=rng).groups
    assert all(len(set(found[block == b])) == 1 for b in range(3)) and len(set(found)) == 3


def test_no_cluster_is_left_empty_to_save_a_cut():
    sizes = np.array([0.995 / 7] * 7 + [0.005])  # to part the last from the rest costs more than its mass is worth
    found = merge(np.full((8, 8), 1 / 64), sizes, 2, masses=np.array([0.995, 0.005]), rng=np.random.default_rng(0))
    assert found.groups.tolist() == [0] * 7 + [1]


def test_known_masses_order_the_clusters():
    rng = np.random.default_rng(0)
    block = np.repeat([0, 1], [3, 7])
    w = np.where(block[:, None] == block, 1.0, 0.01) + np.eye(10)
    found = merge(w / w.sum(), np.full(10, 0.1), 2, masses=np.array([0.7, 0.3]), rng=rng).groups
    assert (found == 1 - block).all()


def test_labels_decide_between_equal_cuts():
    w = np.full((4, 4), 1 / 16)
    unary = np.array([[0, 1.0], [0, 1.0], [1.0, 0], [1.0, 0]])
    found = merge(w, np.full(4, 0.25), 2, unary=unary, rng=np.random.default_rng(0)).groups
    assert found.tolist() == [0, 0, 1, 1]


def test_graph_is_symmetric_of_total_one_and_counts_neighbours():
    mode = np.array([0, 0, 1])
    graph = mode_graph(mode, np.array([[1], [2], [0]]), 3)
    assert graph.sum() == pytest.approx(1) and (graph == graph.T).all()
    assert graph[0, 0] == pytest.approx(1 / 3) and graph[0, 1] == pytest.approx(1 / 3) and graph[2].sum() == 0


def test_merges_differ_and_the_cheapest_comes_first():
    rng = np.random.default_rng(3)
    w, sizes = random_graph(24, rng)
    found = merges(w, sizes, 3, masses=np.array([0.5, 0.3, 0.2]), most=5, apart=0.1, rng=rng)
    costs = [each.cost for each in found]
    assert len(found) > 1 and costs == sorted(costs)
    for i, a in enumerate(found):
        for b in found[:i]:
            alike = max(sizes[a.groups == np.array(p)[b.groups]].sum() for p in permutations(range(3)))
            assert alike <= 0.9 + 1e-12
