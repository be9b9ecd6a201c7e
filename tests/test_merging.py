"""The merge against brute force, and its invariants."""

from itertools import product

import numpy as np
import pytest

from nemgan.merging import merge, mode_graph


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


def test_blocks_are_recovered_whatever_their_masses():
    rng = np.random.default_rng(0)
    block = np.repeat([0, 1, 2], [14, 4, 2])
    w = np.where(block[:, None] == block, 1.0, 0.01) + np.eye(20)
    found = merge(w / w.sum(), np.full(20, 0.05), 3, rng=rng).groups
    assert all(len(set(found[block == b])) == 1 for b in range(3)) and len(set(found)) == 3


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
