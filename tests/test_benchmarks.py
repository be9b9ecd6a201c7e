"""The grids of benchmarks: what their cells are, that labels only score, and that tables come from stored records."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nemgan.experiments.reproduce.cells import append

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCORES = {"nmi": 0.5, "ari": 0.4, "purity": 0.9, "macro_recall": 0.9}


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(module: ModuleType, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["script", "--show", "--results", str(path)])
    module.main()
    return capsys.readouterr().out


def store(path: Path, model: str, data: str, seed: int, settings: list[str], **figures: Any) -> None:
    append(path, {"model": model, "data": data, "seed": seed, "settings": settings, **figures})


def test_small_tables_are_judged_from_their_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables, path = script("tables", monkeypatch), tmp_path / "tables.jsonl"
    cells = [
        c for data in tables.WANTED for m in ("nemgan", *tables.RIVALS) for way in tables.cells(data, m) for c in way
    ]
    assert len(set(cells)) == len(cells) == 5 * (6 * 6 + 6 + 2)
    for data, ours in {"wine": 0.95, "moons": 0.99}.items():
        for seed in tables.SEEDS:
            store(path, "nemgan", data, seed, ["x=raw"], acc=ours, **SCORES)
            for rival in tables.RIVALS:
                store(path, rival, data, seed, ["x=raw"], acc=0.7, **SCORES)
                store(path, rival, data, seed, ["x=standardised"], acc=1.0 if data == "moons" else 0.96, **SCORES)
    for name in ("nemgan", *tables.RIVALS):
        for way in ("x=raw", "x=standardised"):
            store(path, name, "breast_cancer", 0, [way], acc=0.9, **SCORES)
    lines = {line.split("  ")[0]: line for line in shown(tables, path, monkeypatch, capsys).splitlines()}
    assert lines["wine"].endswith("−.010, as wanted") and ".700" not in lines["wine"]  # within .02 of the better way
    assert "1 (4 to do)" in lines["breast_cancer"] and lines["breast_cancer"].endswith("–")  # not judged by one seed
    assert lines["moons"].endswith("−.010, not as wanted") and lines["digits (as rows)"].endswith("–")


def test_labels_of_small_tables_only_score(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = script("tables", monkeypatch)
    seen: list[tuple[Any, ...]] = []

    class Spy:
        def __init__(self, n_clusters: int, **given: Any) -> None:
            self.given, self.confidence_ = (n_clusters, given), 1.0

        def fit(self, *data: Any) -> Spy:
            seen.append((self.given, *data))
            self.labels_ = np.zeros(len(data[0]), int)
            return self

    monkeypatch.setattr(tables, "NEMGANClusterer", Spy)
    for cell in (tables.cells(data, "nemgan")[0][0] for data in tables.WANTED):
        x, y = tables.samples(cell.data, cell.seed)
        record = tables.measure(cell)
        assert record["n"] == len(x) and 0 < record["acc"] < 1
        given, *data = seen[-1]
        assert len(data) == 1 and np.array_equal(data[0], x)  # no labels, and nothing but defaults
        assert given[0] == len(np.unique(y)) and given[1].keys() == {"generate", "image_shape", "random_state"}
        again = tables.samples(cell.data, cell.seed)
        assert np.array_equal(again[0], x) and np.array_equal(again[1], y)
    counts = np.sort(np.bincount(tables.samples("digits-tail", 3)[1]))
    assert len(counts) == 10 and counts[-1] == 174 and counts[0] == 17


def test_prevalence_is_drawn_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, path = script("prevalence", monkeypatch), tmp_path / "prevalence.jsonl"
    y = np.repeat([0, 1], [900, 100])
    even = module.draw(y, 60_000, "labels=10-a-class", 0)
    assert np.bincount(y[even]).tolist() == [10, 10]
    some = module.draw(y, 60_000, "labels=1%", 0)
    assert len(np.unique(some)) == 600 and not np.array_equal(some, module.draw(y, 60_000, "labels=1%", 1))
    for data, mix in module.MIXES.items():
        sizes = [np.bincount(module.drawn(data, seed)[1]) for seed in range(40)]
        np.testing.assert_allclose(np.mean(sizes, 0) / 300, mix, atol=0.02)
        assert np.std(sizes, 0).min() > 3  # drawn, not shared out: intervals are for the mix
    for seed in (0, 1):
        for name in module.ESTIMATORS:
            store(path, name, "mnist-5", seed, ["labels=1%"], prior_l1=0.1 * (seed + 1))
        hit = {"covered": [True, seed == 0], "prior_l1": 0.1, "width": 0.2}
        store(path, "coverage", "moons-70", seed, [], few_labels=hit, zero_labels=hit)
    text = shown(module, path, monkeypatch, capsys)
    assert "2 (18 to do)" in text and text.count(".150 ± .071") == len(module.ESTIMATORS)
    assert any(line.split()[:1] == ["moons-70"] and ".750" in line for line in text.splitlines())


def test_rebalancing_is_skewed_and_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("imblearn")
    module, path = script("rebalance", monkeypatch), tmp_path / "rebalance.jsonl"
    x, y = module.skew(np.arange(1000)[:, None], np.arange(1000) % 2, 1, 0.05, np.random.default_rng(0))
    assert np.bincount(y).tolist() == [500, 26] and (x[:, 0] % 2 == y).all()
    train, natural, even, rare = module.sets("breast_cancer-95", 0)
    assert rare == 1 and np.ptp(np.bincount(even[1])) == 0
    assert all(abs((part[1] == 1).mean() - 0.05) < 0.01 for part in (train, natural))
    for name, score in {"nothing": 0.8, "smote": 0.9, "nemgan": 0.904}.items():
        figures = dict.fromkeys(module.FIGURES, score) | {"rare recall natural": 0.5 if name == "nemgan" else score}
        store(path, name, "breast_cancer-95", 0, ["classifier=forest"], **figures)
    text = shown(module, path, monkeypatch, capsys)
    assert text.count("tied +.004 (SMOTE)") == 3 and text.count("lost −.400 (SMOTE)") == 1


def test_the_page_shows_what_is_stored(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(script("tables", monkeypatch), FOLDER / "results" / "tables.jsonl", monkeypatch, capsys)
    page = (FOLDER.parent / "docs" / "benchmarks.md").read_text("utf-8")
    assert found.strip() and f"```text\n{found.strip()}\n```" in page
