"""Comparing runs: the same clusters under other numbers are the same, and what changes with the seed is named."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nemgan.cli import app
from nemgan.errors import CheckpointError, ConfigError
from nemgan.experiments import agreement
from nemgan.experiments.agreement import compare_runs
from nemgan.experiments.folder import Card
from nemgan.experiments.outputs import predict_run
from nemgan.experiments.run import configure, run

X = np.zeros((10, 1, 8, 8), np.uint8)
X[:, 0, 0, 0] = np.arange(10)  # which names the sample


class Fixed:
    """Stands for a model whose clusters are given by hand."""

    shape = (1, 8, 8)

    def __init__(self, clusters: list[int], n_clusters: int) -> None:
        self.clusters, self.n_clusters = np.array(clusters), n_clusters


@pytest.fixture()
def by_hand(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fixed]:
    """Runs by their folders' names; their samples are ``X``, six for training and four held out."""
    runs = {
        "first": Fixed([0, 0, 0, 0, 1, 1, 1, 2, 2, 2], 3),
        "renumbered": Fixed([2, 2, 2, 2, 0, 0, 0, 1, 1, 1], 3),
        "apart": Fixed([2, 2, 2, 0, 0, 0, 0, 1, 1, 1], 3),
        "apart12": Fixed([2, 2, 2, 0, 0, 0, 0, 1, 1, 1], 3),
        "merged": Fixed([0, 0, 0, 0, 1, 1, 1, 1, 1, 1], 2),
    }
    monkeypatch.setattr(agreement, "load_run", lambda folder: (None, runs[folder.name]))
    monkeypatch.setattr(agreement, "predict", lambda model, x: np.eye(3)[model.clusters[x[:, 0, 0, 0]]])
    white = {"apart12": 4095.0}
    monkeypatch.setattr(agreement, "model_card", lambda f: Card((1, 8, 8), 3, None, 0, white=white.get(f.name)))
    monkeypatch.setattr(agreement, "_samples", lambda *_: [(X[:6], list("abcdef")), (X[6:], None)])
    return runs


def test_numbers_do_not_matter(by_hand: dict[str, Fixed]) -> None:
    found = compare_runs([Path("first"), Path("renumbered")])
    assert found.stable.all() and found.own.tolist() == [[0, 1, 2], [2, 0, 1]]
    assert found.alike() == {("first", "renumbered"): 1.0}
    header, rows = found.table()
    assert header == ["cluster", "first", "renumbered", "all agree on"]
    assert rows[0] == ["0", "40.0% (0)", "40.0% (2)", "100.0%"] and [row[0] for row in rows] == ["0", "1", "2"]


def test_what_differs_is_named(by_hand: dict[str, Fixed]) -> None:
    found = compare_runs([Path("first"), Path("renumbered"), Path("apart")])
    assert np.flatnonzero(~found.stable).tolist() == [3] and found.table()[1][0][-1] == "75.0%"
    lines = list(csv.DictReader(found.csv().splitlines()))
    assert [line["id"] for line in lines] == [*"abcdef", "6", "7", "8", "9"]
    assert lines[3] == {"id": "d", "first": "0", "renumbered": "0", "apart": "1", "stable": "0"}
    assert found.summary()["stable"] == 0.9 and len(found.summary()["alike"]) == 3


def test_runs_may_differ_in_their_number_of_clusters(by_hand: dict[str, Fixed]) -> None:
    found = compare_runs([Path("merged"), Path("first")])
    assert found.own[0].tolist() == [0, 1, -1] and found.alike()[("merged", "first")] == 0.7
    rows = [["60.0% (1)", "30.0% (1)"], ["40.0% (0)", "40.0% (0)"], ["-", "30.0% (2)"]]
    assert [row[1:3] for row in found.table()[1]] == rows


def test_one_run_or_other_samples_are_refused(by_hand: dict[str, Fixed]) -> None:
    with pytest.raises(ConfigError, match="two runs or more"):
        compare_runs([Path("first")])
    by_hand["apart"].shape = (2,)
    with pytest.raises(ConfigError, match=r"apart takes samples of shape \(2,\)"):
        compare_runs([Path("first"), Path("apart")])


def test_runs_with_another_white_need_samples_to_compare(by_hand: dict[str, Fixed], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"white is another pixel.*--data"):
        compare_runs([Path("first"), Path("apart12")])
    assert compare_runs([Path("first"), Path("apart12")], tmp_path).alike()[("first", "apart12")] == 0.9


def test_two_seeds_from_the_command_line(tiny_settings: tuple[str, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 255, (90, 8, 8), dtype=np.uint8))
    usual = [word for word in tiny_settings[1:] if not word.startswith("gan.steps")]
    words = [*usual, f"data={tmp_path / 'x.npy'}", "n_clusters=3", "gan.steps=0"]
    folders = [run(configure([*words, f"seed={seed}"]), out=tmp_path / "runs", quiet=True) for seed in (0, 1)]
    out = tmp_path / "both.csv"
    done = CliRunner().invoke(app, ["compare", *map(str, folders), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "90 samples" in done.stdout and "of the samples alike" in done.stdout
    ids = [line["id"] for line in csv.DictReader(out.read_text().splitlines())]
    assert len(ids) == 90 and sorted(map(int, ids)) == list(range(90))  # held out or not
    asked = ["compare", *map(str, folders), "--data", str(tmp_path / "x.npy"), "--json"]
    found = json.loads(CliRunner().invoke(app, asked).stdout)
    assert found["n"] == 90 and len(found["clusters"]) == 3 and 0 < found["stable"] <= 1
    with pytest.raises(CheckpointError):
        compare_runs([folders[0], tmp_path])
    twins = compare_runs([folders[0], folders[1], folders[0].parent / "." / folders[0].name])
    assert twins.runs == tuple(map(str, [folders[0], folders[1], folders[0]])) and twins.alike()
    assert CliRunner().invoke(app, [*asked[:3], "--out", str(out)]).exit_code == 2  # nothing is overwritten
    np.save(tmp_path / "x.npy", rng.integers(0, 255, (90, 8, 8), dtype=np.uint8))
    with pytest.raises(ConfigError, match=r"is not what .* was started with"):
        compare_runs(folders)


def test_each_run_reads_a_table_in_its_own_way(tiny_settings: tuple[str, ...], tmp_path: Path) -> None:
    """Words are numbered by each run's own training rows, so what one has numbered another cannot read."""
    rng = np.random.default_rng(0)
    lines = [f"{30 * (i % 3) + rng.integers(9)},{['Graz', 'Linz', 'Wels'][i % 3]}" for i in range(90)]
    (tmp_path / "people.csv").write_text("\n".join(["age,town", *lines]) + "\n")
    usual = [word for word in tiny_settings[1:] if not word.startswith("gan.steps")]
    words = [*usual, f"data={tmp_path / 'people.csv'}", "n_clusters=3", "gan.steps=0"]
    folders = [run(configure([*words, f"seed={seed}"]), out=tmp_path / "runs", quiet=True) for seed in (0, 1)]
    found = compare_runs(folders, tmp_path / "people.csv")
    for folder, clusters, own in zip(folders, found.clusters, found.own, strict=True):
        lines = csv.DictReader(predict_run(folder, tmp_path / "people.csv").splitlines())
        assert own[clusters].tolist() == [int(line["cluster"]) for line in lines]
