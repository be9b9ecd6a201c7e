"""The cut against all there are, and against annealing."""

import numpy as np
import pytest

from nemgan import cutting
from nemgan.cutting import cut
from nemgan.merging import merges


def normalised_cut(w, groups, m):
    h = np.eye(m)[groups]
    g = h.T @ w @ h
    return np.mean(1 - np.diag(g) / g.sum(1))


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_is_the_optimum_that_enumeration_finds(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    m = 2 + seed % 3
    w = rng.random((9, 9)) ** 4
    w = w + w.T + np.diag(rng.random(9) * 9)
    w, sizes = w / w.sum(), rng.dirichlet(np.full(9, 5.0))
    best = merges(w, sizes, m, rng=rng)[0]  # tries all
    monkeypatch.setattr(cutting, "FEW", 0)
    found = cut(w, sizes, m, rng=rng)
    assert found.cost == pytest.approx(best.cost, abs=1e-9)
    assert normalised_cut(w, found.groups, m) == pytest.approx(found.cost, abs=1e-9)


@pytest.mark.parametrize(("k", "m"), [(20, 3), (24, 6), (30, 4)])
def test_a_cut_costs_no_more_than_the_merge(k, m):
    """Points on a plane, where blobs have to change sides and not micro-modes alone."""
    rng = np.random.default_rng(k)
    points = rng.integers(0, 4, (k, 2)) * 3 + rng.normal(0, 1, (k, 2))
    w = np.exp(-((points[:, None] - points) ** 2).sum(2) / 2)
    w, sizes = w / w.sum(), np.full(k, 1 / k)
    assert cut(w, sizes, m, rng=rng).cost <= merges(w, sizes, m, chains=8, rng=rng)[0].cost + 1e-12
