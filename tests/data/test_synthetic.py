"""Moons and ring."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import kneighbors_graph

from nemgan.data.synthetic import moons, ring
from nemgan.errors import DataError


def test_moons_lie_on_their_circles_with_the_masses_asked_for():
    data = moons(1000, (0.8, 0.2), 0.0, 3)
    assert np.bincount(data.y).tolist() == [800, 200]
    centre = np.array([[0, 0], [1, 0.5]])[data.y]
    assert np.allclose(np.linalg.norm(data.x - centre, axis=1), 1, atol=1e-6)
    upper, lower = data.x[data.y == 0], data.x[data.y == 1]
    assert upper[:, 1].min() >= 0 and lower[:, 1].max() <= 0.5


def test_moons_are_two_connected_components():
    data = moons(4000, (0.8, 0.2), 0.05, 0)
    n, component = connected_components(kneighbors_graph(data.x, 10), directed=False)
    assert n == 2
    assert len(set(zip(component, data.y, strict=True))) == 2


def test_moons_noise_has_the_standard_deviation_asked_for():
    clean, noisy = moons(4000, (0.5, 0.5), 0.0, 7), moons(4000, (0.5, 0.5), 0.1, 7)
    assert (clean.y == noisy.y).all()
    assert (noisy.x - clean.x).std() == pytest.approx(0.1, rel=0.05)


def test_ring_has_its_modes_where_they_belong():
    data = ring(4000, seed=1)
    assert np.bincount(data.y).tolist() == [500] * 8
    for k in range(8):
        mode = data.x[data.y == k]
        angle = 2 * np.pi * k / 8
        assert np.allclose(mode.mean(0), [2 * np.cos(angle), 2 * np.sin(angle)], atol=5 * 0.02 / np.sqrt(500))
        assert mode.std(0) == pytest.approx([0.02, 0.02], rel=0.15)
    assert np.bincount(ring(100, 3, masses=(0.5, 0.3, 0.2)).y).tolist() == [50, 30, 20]


@pytest.mark.parametrize("make", [moons, ring])
def test_same_seed_same_samples_and_no_global_randomness(make):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = make(64, seed=5), make(64, seed=5), make(64, seed=6)
    assert (one.x == two.x).all() and (one.y == two.y).all()
    assert (one.x != other.x).any()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_too_few_samples_and_bad_masses():
    with pytest.raises(DataError, match="more samples"):
        ring(5)
    with pytest.raises(DataError, match="sum to"):
        moons(10, (0.5, 0.6))
