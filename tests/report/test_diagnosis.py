"""What the report says of a run in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_up import UNLABELLED, record

from nemgan.counting import Count
from nemgan.evaluation.result import Separation
from nemgan.report.curves import settled
from nemgan.report.diagnosis import _by_chance, diagnose, percent


def titles(**changes: Any) -> list[str]:
    return [finding.title for finding in diagnose(record(**changes))]


def test_a_good_run_is_said_to_be_good() -> None:
    assert titles() == ["Nothing stands out"]


def test_merged_and_split_modes_are_named() -> None:
    merged = diagnose(record(confusion=((0, 0, 100), (5, 0, 55), (0, 40, 0))))
    assert merged[0].title == "Clusters that merge classes"
    assert merged[0].text == "Cluster 2 consists of zero (65\u00a0%) and one (35\u00a0%)."
    split = diagnose(record(confusion=((0, 0, 100), (35, 25, 0), (0, 40, 0))))
    assert "Class one lies in clusters 0 (58\u00a0%) and 1 (42\u00a0%)." in [finding.text for finding in split]


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"found_masses": (0.004, 0.4, 0.596)}, "Clusters that are nearly empty"),
        ({"confidence": 0.5}, "Low confidence"),
        ({"agreement": 0.7}, "The clusters are not certain"),
        ({"counts": (Count(2, 0.1, 0.9), Count(3, 0.1, 0.2))}, "Another number of clusters fits better"),
        (
            {"separation": Separation((1, 0, None), (0.1, 0.1, None), (0.05, None, None)), "counts": ()},
            "Clusters that may be merged or split",
        ),
        ({"doubtful": 0.3}, "Many samples lie between clusters"),
        ({**UNLABELLED, "mode_returns": (0.96, None, 0.6)}, "Modes that generate other clusters too"),
        ({"mode_purities": (0.96, None, 0.6)}, "Modes that generate other classes too"),
        ({"mode_diversity": (0.2, None, 1.0)}, "Modes that generate nearly the same sample"),
        ({"judge_accuracy": 0.8}, "The judge errs"),
        ({"generated_vs_found_l1": 0.3}, "Generated masses differ from those found"),
        ({"found_masses": (0.2, 0.3, 0.5)}, "The prior does not match the clusters found"),
        ({"generated_masses": (0.8, 0.2, 0.0)}, "Generated classes do not follow the prior"),
        ({"prior_l1": 0.3}, "The masses are off"),
        (UNLABELLED, "No labels"),
    ],
)
def test_trouble_is_said_in_words(changes: dict[str, Any], title: str) -> None:
    assert title in titles(**changes)


def test_another_number_of_clusters_names_those_it_speaks_against() -> None:
    counts = (Count(2, 0.1, 0.9), Count(3, 0.1, 0.2), Count(4, 0.1, 0.9))
    fewer, more = (diagnose(record(counts=some))[0].text for some in (counts[:2], counts[1:]))
    assert "may be too many" in fewer and "Clusters 0 and 1 are the least apart" in fewer and "n_clusters=2" in fewer
    assert "may be too few" in more and "Cluster 1 falls in two most easily" in more and "n_clusters=4" in more


def test_generated_masses_that_differ_name_the_cluster() -> None:
    found = diagnose(record(generated_vs_found_l1=0.3, generated_found=(0.3, 0.35, 0.35)))
    assert "cluster 1: 35\u00a0% of the generated samples, 20\u00a0% of the real ones" in found[0].text


def test_small_test_splits_differ_by_chance() -> None:
    """Of 60 samples in shares of .5, .3 and .2, the shares drawn are .14 off in the mean."""
    off = {"found_masses": (0.36, 0.2, 0.44), "generated_vs_found_l1": 0.2}
    assert set(titles(**off, n_test=2000)) >= {"The prior does not match the clusters found"}
    assert titles(**off, n_test=60) == ["Nothing stands out"]
    drawn = np.random.default_rng(0).multinomial(60, [0.5, 0.3, 0.2], 2000) / 60
    assert np.abs(drawn - [0.5, 0.3, 0.2]).sum(1).mean() == pytest.approx(
        _by_chance(record(found_masses=(0.5, 0.3, 0.2), n_test=60)), rel=0.03
    )


def test_masses_that_still_move_at_the_end_are_said_to() -> None:
    def rows(moves_until: int) -> list[dict[str, Any]]:
        return [{"step": s, "found": [0.5, 0.5] if s > moves_until else [0.7, 0.3]} for s in range(10, 101, 10)]

    assert settled(rows(0), 2) == 0.0 and settled(rows(50), 2) == 0.6 and settled(rows(90), 2) == 1.0
    assert settled(rows(90), 3) is None and settled(rows(0)[:4], 2) is None
    assert "The masses had not settled" in [each.title for each in diagnose(record(), 1.0)]
    assert [each.title for each in diagnose(record(), 0.5)] == ["Nothing stands out"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 %"), (1, "100 %"), (0.5151, "52 %"), (0.041, "4.1 %"), (0.995, "99.5 %"), (0.1, "10 %")]
)
def test_percent(value: float, text: str) -> None:
    assert percent(value) == text.replace(" ", "\u00a0")


def test_nothing_reassures_about_samples_that_were_not_generated() -> None:
    found = diagnose(record(n_generated=0, mode_purities=None, mode_diversity=None, generated_masses=None))
    assert not any("collapsed" in each.text for each in found)
