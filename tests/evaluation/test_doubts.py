from __future__ import annotations

import numpy as np
import pytest

from nemgan.counting import pair_cut
from nemgan.data.neighbours import local_weights, nearest
from nemgan.evaluation.margins import least_certain, margins
from nemgan.evaluation.separation import separation
from nemgan.merging import mode_graph


def test_margins_are_those_of_the_sorted_posterior() -> None:
    posterior = np.random.default_rng(0).dirichlet(np.ones(5), 50)
    found = margins(posterior)
    ordered = np.sort(posterior, 1)
    np.testing.assert_array_equal(found.margin, ordered[:, -1] - ordered[:, -2])
    np.testing.assert_array_equal(posterior[np.arange(50), found.second], ordered[:, -2])
    np.testing.assert_array_equal(found.first, posterior.argmax(1))
    worst = least_certain(found, 3)
    assert found.margin[worst].tolist() == sorted(found.margin)[:3]


def test_ties_and_a_single_cluster() -> None:
    found = margins(np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]))
    assert (found.first.tolist(), found.second.tolist(), found.margin.tolist()) == ([0, 2], [1, 0], [0, 1])
    assert margins(np.ones((2, 1))).margin.tolist() == [1, 1]


def blobs(*centres: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal((c, 0), 0.5, (100, 2)) for c in centres]).astype(np.float32)


def test_a_cluster_of_two_kinds_falls_in_two_and_halves_of_one_are_joined() -> None:
    points, kind = blobs(0, 4, 8), np.repeat([0, 1, 2], 100)
    right = separation(points, kind, 3, np.random.default_rng(0))
    assert right and right.closest()[2] < 0.01 < 0.03 < min(right.split)  # type: ignore[index,type-var]
    merged = separation(points, np.minimum(kind, 1), 2, np.random.default_rng(0))
    assert merged and merged.loosest()[0] == 1 and merged.split[1] < 0.01  # type: ignore[index,operator]
    halves = np.where((kind == 2) & (points[:, 1] > 0), 3, kind)
    split = separation(points, halves, 5, np.random.default_rng(0))
    assert split and split.closest()[:2] == (2, 3) and split.closest()[2] > 0.03  # type: ignore[index]
    assert split.split[4] is None and split.joined[4] is None and split.nearest[4] is None  # no samples


@pytest.mark.parametrize(("n", "told"), [(49, False), (50, True)])
def test_of_few_samples_it_is_not_said_how_they_fall_in_two(n: int, told: bool) -> None:
    points, kind = blobs(0, 4)[: 100 + n], np.repeat([0, 1], 100)[: 100 + n]
    found = separation(points, kind, 2, np.random.default_rng(0))
    assert found and found.split[0] is not None and (found.split[1] is not None) is told


def test_cuts_are_those_of_counting() -> None:
    """Ten parts of a chain: the cut between two clusters is the pair's own, whatever the third does."""
    points, kind = blobs(0, 1.5, 3), np.repeat([0, 1, 2], 100)
    found = separation(points, kind, 3, np.random.default_rng(0))
    index, distance = nearest(points, 10)
    graph = mode_graph(kind, index, 3, local_weights(index, distance))
    cuts = [pair_cut(graph[a, a], graph[a, b], graph[b, b]) for a, b in ((0, 1), (1, 2))]
    assert found and [found.joined[0], found.joined[2]] == pytest.approx(cuts)
    assert (found.nearest[0], found.nearest[2]) == (1, 1)


@pytest.mark.parametrize("points", [np.zeros((50, 3), np.float32), blobs(0)[:19]])
def test_nothing_is_said_of_few_samples_or_collapsed_features(points: np.ndarray) -> None:
    assert separation(points, np.zeros(len(points), np.int64), 2, np.random.default_rng(0)) is None
