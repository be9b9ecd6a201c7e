from __future__ import annotations

from typing import Any

import pytest

from nemgan.terminal import print_shares, print_summary

RECORD = {
    "data": "pictures",
    "labels_used": 0,
    "n_clusters": 2,
    "prior": "learned",
    "learned_prior": [0.7, 0.3],
    "true_masses": None,
    "acc": None,
    "seconds": 18.2,
    "steps": 450,
}


def test_without_labels_no_score_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(RECORD)
    found = capsys.readouterr().out
    assert (
        "no labels used" in found
        and "cluster 0: .700, cluster 1: .300" in found
        and "not known: the samples held out have no labels" in found
    )
    assert "purity" not in found and "true" not in found and " -" not in found


def test_with_labels_scores_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    scores = {
        "acc": 0.98,
        "nmi": 0.9,
        "ari": 0.91,
        "purity": 0.98,
        "mode_purity": None,
        "true_masses": [0.6, 0.4],
        "macro_recall": 0.97,
    }
    scores |= {"class_names": ["cat", "dog"], "class_of_cluster": [1, 0]}
    print_summary({**RECORD, **scores})
    found = capsys.readouterr().out
    assert "0.980   (held-out; NMI 0.900, ARI 0.910; macro recall 0.970)" in found and "generated" not in found
    assert "masses true" in found
    print_summary({**RECORD, **scores, "mode_purity": 0.97})
    assert "(of generated samples 0.970)" in capsys.readouterr().out


def test_scores_of_few_samples_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"acc": 1.0, "nmi": 1.0, "ari": 1.0, "purity": 1.0, "macro_recall": 1.0, "n_test": 120}
    scores |= {"class_names": ["cat", "dog"], "class_of_cluster": [1, 0]}
    few, some = ({**scores, "confusion": [[0, n], [1, 0]]} for n in (3, 59))
    assert "of 4 held-out samples with labels, too few to say;" in line(capsys, "accuracy", **few)
    assert "(of 60 held-out samples with labels;" in line(capsys, "accuracy", **some)
    assert "(held-out;" in line(capsys, "accuracy", **{**few, "n_test": 4})


def test_agreement_is_whole_only_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for share, said in ((1.0, "100%"), (0.9997, "99.9%"), (0.973, "97.3%"), (0.84, "84%")):
        assert f"agree on {said} of" in line(capsys, "how sure", agreement=share)


def test_what_the_report_asks_to_look_at_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(RECORD, ["the masses are off", "low confidence"])
    found = capsys.readouterr().out.splitlines()[-1].split(maxsplit=2)
    assert found == ["look", "at", "the masses are off; low confidence (see the report)"]
    assert "look at" not in line(capsys, "data")


def line(capsys: pytest.CaptureFixture[str], key: str, **changes: Any) -> str:
    """What the summary of the record with ``changes`` says of ``key``."""
    print_summary({**RECORD, **changes})
    return next(each for each in capsys.readouterr().out.splitlines() if each.startswith(key)).removeprefix(key).strip()


def test_masses_carry_the_numbers_that_samples_are_drawn_by(capsys: pytest.CaptureFixture[str]) -> None:
    found = line(capsys, "masses learned", n_clusters=3, learned_prior=[0.185, 0.076, 0.739])
    assert found == "cluster 2: .739, cluster 0: .185, cluster 1: .076"
    assert line(capsys, "masses given", prior="matched", learned_prior=[0.5, 0.5]) == "cluster 0: .500, cluster 1: .500"
    assert line(capsys, "masses assumed", prior="uniform", learned_prior=[1.0]) == "cluster 0: 1.000"
    many = [(i + 1) / 465 for i in range(30)]
    assert line(capsys, "masses learned", n_clusters=30, learned_prior=many) == "30 from .002 to .065"


def test_masses_of_labelled_data_carry_the_names_of_classes(capsys: pytest.CaptureFixture[str]) -> None:
    labelled = {"learned_prior": [0.3, 0.6, 0.1], "true_masses": [0.28, 0.72], "class_names": ["cat", "7"], "acc": 0.9}
    changes = {**labelled, "n_clusters": 3, "class_of_cluster": [1, -1, 0]}
    assert (
        line(capsys, "masses learned", **changes) == "class 7 (cluster 0): .600, cat (cluster 2): .300, cluster 1: .100"
    )
    assert line(capsys, "masses true", **changes) == "class 7: .720, cat: .280"
    fewer = {**labelled, "learned_prior": [0.4, 0.0], "n_clusters": 1, "class_of_cluster": [0]}
    assert line(capsys, "masses learned", **fewer) == "cat (cluster 0): .400, class 7: .000"
    unmatched = {**labelled, "acc": None, "class_of_cluster": None, "n_clusters": 3}  # labels in training samples alone
    assert line(capsys, "masses learned", **unmatched) == "cluster 1: .600, cluster 0: .300, cluster 2: .100"
    assert line(capsys, "masses true", **unmatched) == "cat: .280, class 7: .720"


def test_names_that_training_was_told_go_before_those_of_the_test_split(capsys: pytest.CaptureFixture[str]) -> None:
    told = {
        "learned_prior": [0.3, 0.6, 0.1],
        "class_names": ["cat", "7"],
        "n_clusters": 3,
        "cluster_names": ["cat", "", ""],
    }
    assert line(capsys, "masses learned", **told) == "cluster 1: .600, cat (cluster 0): .300, cluster 2: .100"
    matched = {**told, "class_of_cluster": [-1, 1, 0], "acc": 0.4}  # by class, then what is left
    assert line(capsys, "masses learned", **matched) == "cluster 1: .600, cluster 2: .300, cat (cluster 0): .100"


@pytest.mark.parametrize(
    ("restarts", "confidence", "said"),
    [
        (1, [0.9], "one restart, nothing to compare it with"),
        (3, [0.9, 0.9, 0.8], "3 restarts agree to 0.97"),
        (3, [0.9, 0.9], "2 of 3 restarts used agree to 0.97"),
        (3, [0.9], "1 of 3 restarts used, nothing to compare with"),
    ],
)
def test_one_restart_agrees_with_none(
    capsys: pytest.CaptureFixture[str], restarts: int, confidence: list[float], said: str
) -> None:
    zero = {"masses": [0.7, 0.3], "interval": [[0.6, 0.8], [0.2, 0.4]]}
    found = {"classes": [0, 1], "zero_labels": zero, "few_labels": None, "counting": None, "level": 0.95}
    found |= {"n_samples": 330, "n_labels": 0, "agreement": 0.97, "restarts": restarts, "confidence": confidence}
    print_shares(found)
    assert capsys.readouterr().out.rstrip().endswith(f"95 % intervals; {said}")


def test_intervals_of_fewer_labels_than_were_tested_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    few = {"masses": [0.8, 0.2], "interval": [[0.7, 0.9], [0.1, 0.3]]}
    said = {"classes": ["a", "b"], "n_samples": 99, "level": 0.95, "restarts": 1, "confidence": [1.0]}
    found = {**said, "few_labels": few, "counting": few, "zero_labels": few}
    print_shares({**found, "n_labels": 20})
    assert "labels a kind and more, b has fewer: they may be too narrow" in capsys.readouterr().out
    print_shares({**found, "n_labels": 50})
    assert "too narrow" not in capsys.readouterr().out


def test_a_class_with_a_single_label_says_why_there_is_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    few = {"masses": [0.8, 0.2], "interval": [[0, 1], [0, 1]]}
    said = {"classes": ["a", "b"], "n_samples": 9, "n_labels": 5, "level": 0.95, "restarts": 1, "confidence": [1.0]}
    print_shares({**said, "few_labels": few, "counting": few, "zero_labels": few})
    assert "b has a single label, from which no interval can be told: label one more" in capsys.readouterr().out


def test_another_number_of_clusters_is_told_unless_labels_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    two = {"masses": [0.8, 0.2], "interval": [[0.7, 0.9], [0.1, 0.3]]}
    said = {"classes": ["a", "b"], "n_samples": 9, "n_labels": 9, "level": 0.95, "restarts": 1, "confidence": [1.0]}
    said |= {"few_labels": None, "zero_labels": two, "suggested_n_clusters": 3}
    print_shares({**said, "counting": None})
    assert "3 clusters may fit the data better than 2: try n_clusters=3" in capsys.readouterr().out
    print_shares({**said, "counting": two})
    assert "better" not in capsys.readouterr().out


def test_low_agreement_has_a_verdict_and_labels_say_how_many_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    counts = [{"m": 2, "joined": 0.1, "split": 0.05}, {"m": 3, "joined": 0.1, "split": 0.4}]
    low = line(capsys, "how sure", agreement=0.82, counts=counts)
    assert low == (
        "partitions agree on 82% of the samples: below 90% another answer would be nearly as good; 3 clusters may fit "
        "better (see the report)"
    )
    assert line(capsys, "how sure", agreement=0.8958).startswith("partitions agree on 89.6% of the samples: below 90%")
    named = line(capsys, "how sure", agreement=0.98, counts=counts, cluster_names=["a", "b"])
    assert named == "partitions agree on 98% of the samples"


def test_clusters_that_are_not_the_labelled_kinds_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    few = {"masses": [0.9, 0.1], "interval": [[0.7, 0.98], [0.02, 0.3]]}
    other = {"masses": [0.2, 0.8], "interval": [[0.16, 0.24], [0.76, 0.84]]}
    said = {"classes": ["a", "b"], "n_samples": 9, "n_labels": 4, "level": 0.95, "restarts": 1, "confidence": [1.0]}
    print_shares({**said, "few_labels": few, "counting": few, "zero_labels": other})
    assert "may not be these kinds" in capsys.readouterr().out
    print_shares({**said, "few_labels": few, "counting": few, "zero_labels": few})
    assert "may not be these kinds" not in capsys.readouterr().out
