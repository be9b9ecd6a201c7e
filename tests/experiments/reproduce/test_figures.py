"""A small run of a figure, from its cells to its picture and its table."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nemgan.errors import ConfigError, NemganError
from nemgan.evaluation import judge
from nemgan.experiments.reproduce import command, figures, paper_tables
from nemgan.experiments.reproduce.cells import Cell, append, configured
from nemgan.experiments.reproduce.drawing import finished
from nemgan.experiments.reproduce.paper import TABLE_1
from nemgan.experiments.reproduce.tables import Store
from nemgan.experiments.run import configure, run


def train_here(cell: Cell, runs: Path, minutes: float | None = None) -> dict[str, Any]:
    """``runner.train`` without a process of its own."""
    about: dict[str, Any] = {"model": cell.model, "data": cell.data, "seed": cell.seed, "settings": list(cell.settings)}
    about["configured"] = configured(cell)
    try:
        folder = run(configure(cell.words()), out=runs, quiet=True)
    except NemganError as error:
        return {**about, "failed": str(error)}
    return {**about, "run": folder.name, **json.loads((folder / "result.json").read_text())}


def test_moons_and_ring_are_run_drawn_and_shown(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MOON_MODELS", ("no-such-model", "nemgan"))
    monkeypatch.setattr(figures, "RING_MODELS", ("nemgan",))
    monkeypatch.setattr(command, "train", train_here)
    monkeypatch.setattr(judge, "FEWEST_STEPS", 40)
    monkeypatch.setattr(judge, "EPOCHS", 1)
    own = ("data=", "threads=", "gan.steps=", "connect.micro_modes=", "latent.dim=")
    short = [word for word in tiny if not word.startswith(own)]
    monkeypatch.setattr(figures, "STEPS", {"quick": ("gan.steps=8", "connect.micro_modes=9", "latent.dim=9", *short)})
    results, runs = tmp_path / "results", tmp_path / "runs"
    for name in ("figure-1", "figure-7"):
        asked = command.ask(name, "quick", "0", results)
        begun: list[str] = []
        said = list(command.run(asked, runs, jobs=1, minutes=None, again=False, tell=begun.append))
        assert (
            len(begun) == len(said) - 2
            and f"nemgan {figures.MOONS if name == 'figure-1' else figures.RING} s0" in begun[-1]
        )
        assert command.failures(asked) == (name == "figure-1")
        assert f"drew {name}.png" in said[-1], said
        (table,) = command.tables(asked)
        assert table.pictures == (f"{name}.png",)
        picture = np.asarray(Image.open(io.BytesIO((results / "figures" / f"{name}.png").read_bytes())))
        assert picture.std() > 5
        shown = {row[0]: row for row in table.rows}["nemgan"]
        assert shown[-1] == "1" and "–" not in shown[:3]
        if name == "figure-1":
            assert any("unknown model 'no-such-model'" in note for note in table.notes)
            assert {row[0]: row for row in table.rows}["no-such-model"][1] == "failed"
    assert {path.name for path in results.iterdir()} == {"quality.jsonl", "models.jsonl", "figures"}
    assert str(tmp_path) not in (results / "quality.jsonl").read_text()
    asked = command.ask("figure-7", "quick", "0", results)
    said = list(command.run(asked, runs, jobs=1, minutes=None, again=False, tell=print))
    assert "1 of 1 cells are done" in said[0] and len(said) == 2
    cell = figures.planar("nemgan", figures.RING, 0, "quick")
    assert finished(Store(results), runs, cell) is not None
    assert finished(Store(results), tmp_path / "elsewhere", cell) is None
    config = runs / str(Store(results).record(cell)["run"]) / "config.json"
    config.write_text(config.read_text().replace('"seed": 0', '"seed": 1'))
    assert finished(Store(results), runs, cell) is None  # another run in a folder of that name


def test_what_cannot_be_shown_says_why_and_figure_5_is_with_figure_4(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no records in .*: run from a clone of the repository, or say --results"):
        command.stored(command.ask("table-1", "quick", None, tmp_path))
    assert command.ask("figure-5", "quick", None, tmp_path).names == ["figure-4"]


def put(folder: Path, cell: Cell, acc: float, fd: float) -> None:
    fidelity = [{"extractor": "judge", "n": 2000, "fd": fd, "fd_real": 0.1, "icfd": None}]
    record = {"model": cell.model, "data": cell.data, "seed": cell.seed, "settings": list(cell.settings), "seconds": 9}
    append(folder / f"{cell.home}.jsonl", {**record, "acc": acc, "nmi": acc, "ari": acc, "fidelity": fidelity})


def test_ours_leads_only_by_two_deviations_and_in_fd_too(tmp_path: Path) -> None:
    cells, tables = paper_tables.model_table("Table I", TABLE_1, skewed=True)
    on = [cell for cell in cells("quick", (0, 1)) if cell.data == "mnist-5"]
    told = [cell for cell in on if "prior=matched" in cell.settings]
    assert {cell.model for cell in told} == {"nemgan", "slogan"}
    mine = [cell for cell in told if cell.model == "nemgan"]
    for cell in on:
        put(tmp_path, cell, 0.98 if cell in mine else 0.7 + cell.seed / 10, 2.9 if cell in mine else 3.0 + cell.seed)
    (table,) = tables(Store(tmp_path), "quick", (0, 1))
    rows = {(row[0], row[2]): dict(zip(table.header, row, strict=True)) for row in table.rows}
    best = rows["mnist-5", "nemgan"]
    assert best["ours leads"] == "yes"  # in FD its mean is enough
    assert best["paper ACC/NMI/ARI"] == ".96/.89/.89" and best["paper's FID"] == "1.13"
    rival = rows["mnist-5", "deligan"]
    assert rival["ACC"] == ".750 ± .071" and rival["ours leads"] == "" and rival["paper ACC/NMI/ARI"] == ".71/.55/.52"
    assert rows["mnist-5", "slogan"]["paper ACC/NMI/ARI"] == ""
    assert rows["mnist-2-3v5-90", "bigan"]["can be true"] == "not of one labelling"
    put(tmp_path, mine[0], 0.80, 9.0)
    (table,) = tables(Store(tmp_path), "quick", (0, 1))
    lead = next(row[-1] for row in table.rows if row[0] == "mnist-5" and row[2] == "nemgan")
    assert lead.startswith("no: ") and "FD of deligan 3.500" in lead and "ACC of deligan .750" in lead


def test_rivals_slower_runs_count_as_well(tmp_path: Path) -> None:
    cells, tables = paper_tables.model_table("Table I", TABLE_1, skewed=True)
    for cell in cells("quick", (0, 1)):
        put(tmp_path, cell, 0.98 if cell.model == "nemgan" else 0.7, 2.0)
    for seed in (0, 1):
        put(tmp_path, Cell("bigan", "mnist-5", seed, (*paper_tables.RIVALS["quick"], *paper_tables.SLOWER)), 0.99, 3.0)
    table, slower = tables(Store(tmp_path), "quick", (0, 1))
    lead = next(row[-1] for row in table.rows if row[0] == "mnist-5" and row[2] == "nemgan")
    assert "ACC of bigan (slower) .990" in lead
    assert [row[:2] for row in slower.rows] == [("mnist-5", "bigan")]


def test_learned_masses_stand_beside_labels_counted(tmp_path: Path) -> None:
    for seed, l1 in ((0, 0.02), (1, 0.04)):
        base = {"data": "cifar-2-70", "seed": seed, "acc": 0.9, "learned_prior": [0.7 + l1 / 2, 0.3 - l1 / 2]}
        ours = {**base, "model": "nemgan", "settings": list(paper_tables.LABELLED), "prior_l1": l1}
        append(tmp_path / "quality.jsonl", ours)
        append(tmp_path / "baselines.jsonl", {**base, "model": "label-count", "settings": [], "prior_l1": 0.068})
    (table,) = paper_tables.prior_tables(Store(tmp_path), "quick", None)
    row = {each[0]: dict(zip(table.header, each, strict=True)) for each in table.rows}["cifar-2-70"]
    assert row["ours, 1 % labels"] == ".715 .285" and row["L1 (1 %)"] == ".030 ± .014"
    assert row["nearer than counting"] == "2 of 2 seeds" and row["L1"] == ".042" and row["ours, no labels"] == "–"
    missing = {"model": "nemgan", "data": "celeba-black-hair", "seed": 0, "settings": list(paper_tables.LABELLED)}
    append(tmp_path / "quality.jsonl", {**missing, "failed": "no data"})
    (table,) = paper_tables.prior_tables(Store(tmp_path), "quick", None)
    row = {each[0]: dict(zip(table.header, each, strict=True)) for each in table.rows}["celeba-black-hair"]
    assert row["L1 (1 %)"] == "no data" and not any("celeba" in note for note in table.notes)
