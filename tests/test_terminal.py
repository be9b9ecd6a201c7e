from __future__ import annotations

import pytest

from nemgan.terminal import print_summary

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
    assert "no labels used" in found and ".700 .300" in found and "not known: the data have no labels" in found
    assert "purity" not in found and "true" not in found and " -" not in found


def test_with_labels_scores_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"acc": 0.98, "nmi": 0.9, "ari": 0.91, "purity": 0.98, "mode_purity": None, "true_masses": [0.6, 0.4]}
    print_summary({**RECORD, **scores})
    found = capsys.readouterr().out
    assert "0.980   (held-out; NMI 0.900, ARI 0.910)" in found and "generated" not in found
    assert "masses true" in found
    print_summary({**RECORD, **scores, "mode_purity": 0.97})
    assert "(of generated samples 0.970)" in capsys.readouterr().out
