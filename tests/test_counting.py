"""The evidence for the number of clusters, on graphs whose number is known."""

import numpy as np
import pytest

from nemgan.counting import Count, agreed, best_split, evidence, fitting_better, pair_cut, suggest


def graph(blocks, leak=0.004, seed=0):
    """Micro-modes in blocks, each linked to two more of its block as on a ring, and a little to all others."""
    k = sum(blocks)
    block = np.repeat(np.arange(len(blocks)), blocks)
    w = np.where(block[:, None] == block, 0.5, leak) * np.random.default_rng(seed).uniform(0.5, 1, (k, k))
    w = w + w.T + np.eye(k)
    return w / w.sum(), np.full(k, 1 / k)


@pytest.mark.parametrize("blocks", [(10, 10), (12, 6, 4), (6, 6, 6, 6), (5, 5, 5, 5, 5)])
def test_the_number_of_blocks_is_suggested(blocks):
    counts = evidence(*graph(blocks), 6, np.random.default_rng(0))
    assert [count.m for count in counts] == list(range(2, 7))
    assert suggest(counts) == len(blocks)


def test_no_number_is_suggested_where_there_are_no_clusters():
    w = np.ones((20, 20)) + np.eye(20)
    assert suggest(evidence(w / w.sum(), np.full(20, 0.05), 5, np.random.default_rng(0))) is None
    assert suggest([]) is None


def test_empty_micro_modes_say_nothing():
    w, sizes = graph((6, 6))
    padded = np.pad(w, ((0, 8), (0, 8)))
    with_empty = evidence(padded, np.pad(sizes, (0, 8)), 3, np.random.default_rng(0))
    assert with_empty == evidence(w, sizes, 3, np.random.default_rng(0))


def test_another_number_is_better_only_where_all_agree():
    two, three = [Count(2, 0.1, 0.4), Count(3, 0.1, 0.05)], [Count(2, 0.1, 0.2), Count(3, 0.1, 0.7)]
    assert agreed([two, three], 2) == two and agreed([three, two], 3) == [three[0], three[1]]
    assert fitting_better(agreed([three], 2), 2) == three[1]
    assert fitting_better(agreed([three, three, two], 2), 2) is None
    assert agreed([], 2) == []


def test_parts_without_links_fall_apart_for_nothing():
    graph, inside = np.diag([0.0, 0.0, 1.0]), np.array([True, True, False])
    assert best_split(graph, np.full(3, 1 / 3), inside, np.random.default_rng(0)) == 0
    assert best_split(graph, np.full(3, 1 / 3), ~inside, np.random.default_rng(0)) == 1


def test_pair_cut_by_hand():
    assert pair_cut(3, 1, 1) == pytest.approx((1 / 4 + 1 / 2) / 2) and pair_cut(1, 0, 1) == 0
    assert Count(2, 0.1, 0.4).ratio == pytest.approx(4)


def test_another_number_is_named_only_where_it_is_clearly_better():
    counts = [Count(2, 0.1, 0.2), Count(3, 0.1, 0.23), Count(4, 0.1, 0.4)]
    assert fitting_better(counts, 4) is None and fitting_better(counts, 2) == counts[2]
    coarse = [Count(2, 0.01, 0.12), Count(3, 0.1, 0.19), Count(4, 0.1, 0.08)]
    assert fitting_better(coarse, 3) is None and fitting_better(coarse, 4) == coarse[0]
    assert fitting_better(counts[:2], 2) is None and fitting_better(counts, 9) is None and fitting_better([], 2) is None
