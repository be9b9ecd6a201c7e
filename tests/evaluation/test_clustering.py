from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemgan.errors import DataError
from nemgan.evaluation.clustering import Scores, confusion, match_counts, scores


def test_worked_by_hand() -> None:
    # class 0: 3 in cluster 1, 1 in cluster 0; class 1: 2 in cluster 0. H(y) = H(4/6), I from the table below.
    y, found = np.array([0, 0, 0, 0, 1, 1]), np.array([1, 1, 1, 0, 0, 0])
    table = confusion(y, found)
    assert table.tolist() == [[1, 3], [2, 0]]
    assert match_counts(table).tolist() == [1, 0]
    joint, rows, columns = table / 6, np.array([4, 2]) / 6, np.array([3, 3]) / 6
    information = sum(
        joint[i, j] * np.log(joint[i, j] / (rows[i] * columns[j])) for i in range(2) for j in range(2) if joint[i, j]
    )
    entropies = -(rows * np.log(rows)).sum() - (columns * np.log(columns)).sum()
    expected_pairs = (6 + 1) * (3 + 3) / 15  # pairs within classes × pairs within clusters ÷ all pairs
    pairs = 3 + 1  # pairs together in both: three of cell (0, 1), one of cell (1, 0)
    result = scores(y, found)
    assert result.acc == pytest.approx(5 / 6)
    assert result.purity == pytest.approx(5 / 6)
    assert result.macro_recall == pytest.approx((3 / 4 + 1) / 2)
    assert result.nmi == pytest.approx(2 * information / entropies)
    assert result.ari == pytest.approx((pairs - expected_pairs) / ((7 + 6) / 2 - expected_pairs))


def test_matching_is_joint_not_greedy() -> None:
    # Cluster 0's favourite class is taken by cluster 1, which gains more from it: 4 + 6 beats 5 + 0.
    y = np.repeat([0, 0, 1], [5, 6, 4])
    found = np.repeat([0, 1, 0], [5, 6, 4])
    assert match_counts(confusion(y, found)).tolist() == [1, 0]
    assert scores(y, found).acc == pytest.approx(10 / 15)
    assert scores(y, found).purity == pytest.approx(11 / 15)


def test_one_cluster() -> None:
    assert scores(np.array([0, 0, 0, 1]), np.zeros(4, int)) == Scores(0.75, 0.0, 0.0, 0.75, 0.5)


def test_all_singletons() -> None:
    result = scores(np.repeat([0, 1], 50), np.arange(100))
    assert (result.acc, result.purity, result.macro_recall) == (0.02, 1.0, 0.02)
    assert result.ari == pytest.approx(0.0, abs=1e-12)
    assert result.nmi == pytest.approx(2 * np.log(2) / (np.log(2) + np.log(100)))


def test_of_equal_matches_the_one_with_higher_macro_recall_is_taken() -> None:
    # Either match gets 17 right; class 1 of three is worth more to macro recall than class 0 of eighteen.
    y, found = np.repeat([0, 0, 1, 1], [16, 2, 1, 2]), np.repeat([0, 1, 0, 1], [16, 2, 1, 2])
    assert scores(y, found).macro_recall == pytest.approx((16 / 18 + 2 / 3) / 2)
    tied = np.array([[9, 0, 0], [0, 1, 1], [0, 1, 0]])  # class 1 takes cluster 1 or 2; class 2 has only cluster 1
    assert match_counts(tied).tolist() == [0, 2, 1]


def test_more_classes_than_clusters_counts_the_rest_as_wrong() -> None:
    result = scores(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 1]))
    assert result.acc == pytest.approx(4 / 6)
    assert result.macro_recall == pytest.approx(2 / 3)


def test_more_clusters_than_classes_leaves_the_rest_unmatched() -> None:
    y, found = np.array([0, 0, 0, 1, 1]), np.array([3, 3, 1, 0, 0])
    assert match_counts(confusion(y, found, n_clusters=5)).tolist() == [1, -1, -1, 0, -1]
    assert scores(y, found).acc == pytest.approx(4 / 5)


def test_unlabelled_samples_are_left_out() -> None:
    y, found = np.array([0, -1, 1, -1, 1]), np.array([1, 0, 0, 1, 0])
    assert scores(y, found) == Scores(1.0, 1.0, 1.0, 1.0, 1.0)
    assert confusion(y, found).sum() == 3


def test_no_label_at_all_gives_none() -> None:
    assert scores(np.full(5, -1), np.arange(5)) == Scores(None, None, None, None, None)
    assert scores(np.zeros(0, int), np.zeros(0, int)).acc is None


def test_a_class_that_does_not_occur_does_not_lower_macro_recall() -> None:
    assert scores(np.array([0, 0, 2, 2]), np.array([0, 0, 1, 1])).macro_recall == 1.0


@pytest.mark.parametrize(
    ("y", "found"), [([0, 1], [0]), ([0, -2], [0, 0]), ([0, 1], [0, -1]), ([[0], [1]], [[0], [1]])]
)
def test_bad_input_is_refused(y: list[int], found: list[int]) -> None:
    with pytest.raises(DataError):
        scores(np.array(y), np.array(found))


def test_numbers_beyond_the_table_are_refused() -> None:
    with pytest.raises(DataError, match="clusters span 0 … 5"):
        confusion(np.array([0, 1]), np.array([0, 5]), 2, 3)
    with pytest.raises(DataError, match="classes span 0 … 2"):
        confusion(np.array([0, 2]), np.array([0, 1]), 2, 2)


labellings = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(-1, 3), min_size=n, max_size=n), st.lists(st.integers(0, 3), min_size=n, max_size=n)
    )
)


@given(labellings, st.permutations(range(4)), st.permutations(range(4)))
@settings(max_examples=60, deadline=None)
def test_names_do_not_matter(pair: tuple[list[int], list[int]], classes: list[int], clusters: list[int]) -> None:
    y, found = np.array(pair[0]), np.array(pair[1])
    renamed = np.where(y >= 0, np.array(classes)[y], -1)
    for before, after in zip(scores(y, found), scores(renamed, np.array(clusters)[found]), strict=True):
        assert before == pytest.approx(after, abs=1e-9)


@given(labellings)
@settings(max_examples=60, deadline=None)
def test_accuracy_is_the_best_of_all_matches(pair: tuple[list[int], list[int]]) -> None:
    y, found = np.array(pair[0]), np.array(pair[1])
    known = y >= 0
    result = scores(y, found)
    if not known.any():
        assert result.acc is None
        return
    best = max((np.array(names)[found] == y)[known].mean() for names in permutations(range(4)))
    assert result.acc == pytest.approx(best)
    assert result.purity is not None and result.acc is not None and result.purity >= result.acc - 1e-12
    assert result.nmi is not None and -1e-9 <= result.nmi <= 1 + 1e-9
