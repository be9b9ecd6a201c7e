"""Cells, their records and how they are run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemgan.experiments.reproduce.cells import Cell, append, cell_of, code, configured, drifted, due, failed, read, todo
from nemgan.experiments.reproduce.runner import describe, interrupted, run_all, train

A, B = Cell("nemgan", "digits-demo", 0, ("prior=learned",)), Cell("nemgan", "digits-demo", 1, ("prior=learned",))


def record(cell: Cell, **more: Any) -> dict[str, Any]:
    return {"model": cell.model, "data": cell.data, "seed": cell.seed, "settings": list(cell.settings), **more}


def made(cell: Cell, **more: Any) -> dict[str, Any]:
    return record(cell, configured=configured(cell), **more)


def test_settings_have_no_order_and_records_name_their_cell() -> None:
    cell = Cell("nemgan", "mnist", 2, ("b=1", "a=2"))
    assert cell == Cell("nemgan", "mnist", 2, ("a=2", "b=1")) == cell_of(record(cell))
    assert cell.words() == ["model=nemgan", "data=mnist", "seed=2", "threads=1", "a=2", "b=1"]


def test_a_failure_is_tried_again_and_never_hides_a_success(tmp_path: Path) -> None:
    path = tmp_path / "results" / "x.jsonl"
    assert read(path) == {} and todo([A, B, A], {}) == [A, B]
    append(path, record(A, failed="no reason"))
    assert failed(read(path)[A]) and todo([A, B], read(path)) == [A, B]
    append(path, record(A, acc=0.5))
    append(path, record(A, failed="later"))
    with path.open("a") as file:
        file.write('{"model": "nemgan", "data": "dig')  # cut short by a crash
    assert read(path)[A]["acc"] == 0.5 and todo([A, B], read(path)) == [B]
    append(path, record(B, acc=0.7))
    assert read(path)[B]["acc"] == 0.7


def test_the_stored_records_of_the_project_are_readable() -> None:
    path = Path(__file__).parents[3] / "benchmarks" / "results" / "quality.jsonl"
    found = read(path)
    assert found[A]["acc"] > 0.9 and len(found) >= 8


def test_cells_are_run_once_and_stored_as_they_come(tmp_path: Path) -> None:
    path, calls = tmp_path / "x.jsonl", []

    def run(cell: Cell, runs: Path) -> Mapping[str, Any]:
        calls.append(cell)
        return record(cell, failed="broken") if cell == B and len(calls) < 3 else made(cell, acc=0.9)

    seen = dict(run_all([A, B], lambda _: path, tmp_path, jobs=2, run=run))
    assert set(calls) == {A, B} and failed(seen[B]) and "failed: broken" in describe(B, seen[B])
    assert [cell for cell, _ in run_all([A, B], lambda _: path, tmp_path, run=run)] == [B]
    assert list(run_all([A, B], lambda _: path, tmp_path, run=run)) == [] and len(calls) == 3
    assert len(list(run_all([A, B], lambda _: path, tmp_path, again=True, run=run))) == 2
    assert len(path.read_text().splitlines()) == 5


def test_a_run_of_other_defaults_than_today_s_is_due_again() -> None:
    then = {**(configured(A) or {}), "connect.refine_steps": 7, "connect.no_longer": 1}
    then.pop("connect.votes_weight")  # did not exist, and is off
    assert drifted(A, record(A, configured=then)) == ("connect.refine_steps",)
    assert drifted(A, record(A)) == ("?",) and drifted(A, made(A)) == ()
    assert due([A, B], {A: record(A, configured=then), B: made(B)}) == [A]
    clusters = A.clusters_only()
    assert "gan.lr" in (configured(A) or {}) and "gan.lr" not in (configured(clusters) or {})
    assert "latent.dim" in (configured(A) or {}) and "latent.dim" not in (configured(clusters) or {})
    assert drifted(Cell("umap-gmm", "mnist", 0), record(A)) == ()  # no model of ours
    few = Cell("nemgan", "mnist-5", 0, ("labels=0.01",))
    assert "contrast.judged" in (configured(Cell("nemgan", "mnist-5", 0)) or {})
    assert "contrast.judged" not in (configured(few) or {})


def test_a_cell_is_trained_in_a_process_of_its_own(tiny: list[str], tmp_path: Path) -> None:
    cell = Cell("nemgan", "moons-80", 3, tuple(word for word in tiny if not word.startswith(("data=", "threads="))))
    tmp_path = tmp_path / "my runs"
    found = train(cell, tmp_path)
    assert not failed(found), found
    assert cell_of(found) == cell and found["versions"]["threads"] == "1" and found["code"] == code()
    assert (tmp_path / str(found["run"]) / "report.html").exists() and found["fidelity"]
    json.dumps(found, allow_nan=False)


def test_an_interrupted_cell_goes_on_where_it_was(tiny: list[str], tmp_path: Path) -> None:
    cell = Cell("nemgan", "moons-80", 3, tuple(word for word in tiny if not word.startswith(("data=", "threads="))))
    whole = train(cell, tmp_path / "whole")
    place = tmp_path / "parts" / code()
    begun = shutil.copytree(tmp_path / "whole" / str(whole["run"]), place / "0007-nemgan-moons-80-s3")
    other = shutil.copytree(begun, place / "0006-nemgan-moons-80-s3")
    (other / "config.json").write_text((other / "config.json").read_text().replace('"seed": 3', '"seed": 4'))
    for folder in (begun, other):
        for name in ("result.json", "model.safetensors", "report.html"):
            (folder / name).unlink()
    shutil.rmtree(max((begun / "checkpoints").iterdir()))  # the last one: it has steps to repeat
    assert interrupted(cell, place) == begun and interrupted(Cell("nemgan", "moons-80", 5), place) is None
    found = train(cell, tmp_path / "parts")
    assert found["run"] == f"{code()}/{begun.name}" and interrupted(cell, place) is None
    unlike = {key for key in whole if found[key] != whole[key]}
    assert unlike <= {"run", "seconds", "seconds_to_acc_95"}


def test_refusals_and_time_limits_are_records_without_paths(tmp_path: Path) -> None:
    refused = train(Cell("nemgan", "digits-demo", 0, ("gan.stepz=1",)), tmp_path)
    assert refused["failed"].startswith("unknown setting 'gan.stepz': did you mean 'gan.steps'")
    late = train(Cell("nemgan", "digits-demo", 0), tmp_path, minutes=0.001)
    assert late["failed"] == "not finished after 0.001 minutes" and str(tmp_path) not in json.dumps(late)
