"""The benchmark of baselines, on small data and without UMAP (an extra)."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nemgan.data.catalog import load
from nemgan.data.subsets import hide_labels
from nemgan.evaluation.inference import embed
from nemgan.experiments.reproduce.cells import Cell, read
from nemgan.seeding import numpy_generator

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "baselines.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("baselines", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pixels_are_clustered_and_the_record_is_readable(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "baselines.jsonl"
    words = ["baselines.py", "--data", "digits-demo", "--seeds", "0", "--methods", "kmeans-pixels", "label-count"]
    monkeypatch.setattr(sys, "argv", [*words, "--results", str(path)])
    script.main()
    (record,) = read(path).values()
    assert record["acc"] > 0.9 and record["n_train"] == 250 and record["labels_used"] == 0
    assert {"nmi", "ari", "macro_recall", "seconds", "versions"} <= record.keys()
    capsys.readouterr()
    script.main()
    assert "1 of 1 cells are done" in capsys.readouterr().out and len(path.read_text().splitlines()) == 1


def test_features_are_those_of_a_run_of_ours(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "CLUSTERS_ONLY", (*script.CLUSTERS_ONLY, "connect.steps=20", "connect.refine_steps=5"))
    seen = []
    monkeypatch.setattr(script, "embed", lambda model, x: seen.append(type(model).__name__) or embed(model, x))
    record = script.measure(Cell(script.FEATURES, "digits-demo", 0))
    assert seen == ["NEMGAN", "NEMGAN"] and record["labels_used"] == 0 and record["acc"] > 0.5


def test_controls_get_the_labels_of_our_runs(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "SHARE", 0.2)
    monkeypatch.setattr(script, "STEPS", 60)
    splits = load("digits-demo", seed=3)
    ours = hide_labels(splits.train, 0.2, numpy_generator(3, "labels"))
    few = script.disclosed(splits, 3)
    np.testing.assert_array_equal(few.x, ours.x[ours.y >= 0])
    counted = script.measure(Cell("label-count", "digits-demo", 3))
    assert counted["labels_used"] == 50
    assert counted["prior_l1"] == pytest.approx(np.abs(np.bincount(few.y) / 50 - splits.train.masses).sum())
    learned = script.measure(Cell("supervised", "digits-demo", 3))
    assert learned["acc"] > 0.8 and learned["labels_used"] == 50
    json.dumps([counted, learned], allow_nan=False)
