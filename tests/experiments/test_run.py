"""A run from start to end: what it leaves, that it can be interrupted and resumed, and that no label gets in."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compared import result, same

from nemgan import report
from nemgan.data import catalog
from nemgan.data.dataset import Splits
from nemgan.errors import CheckpointError, ConfigError, NemganError
from nemgan.evaluation.extractors import Itself
from nemgan.evaluation.inference import generate, predict
from nemgan.experiments import prepare as preparing
from nemgan.experiments import run as running
from nemgan.experiments.hooks import seconds_to_good, stopwatch
from nemgan.experiments.outputs import rows, sample_run
from nemgan.experiments.prepare import configure, prepare
from nemgan.experiments.run import evaluate_run, load_run, resume_run, run
from nemgan.seeding import torch_generator
from nemgan.settings import show

FILES = (
    "config.json",
    "metrics.jsonl",
    "model.json",
    "model.safetensors",
    "pictures.npz",
    "report.html",
    "result.json",
)
DEMO = catalog.entry("digits-demo")
M = len(DEMO.masses)
ISSUE_KEYS = """model data preset seed labels_used prior acc nmi ari purity macro_recall mode_purity generated_masses
    true_masses learned_prior prior_l1 seconds steps seconds_to_acc_95 versions"""


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if not key.startswith("seconds")}


def test_a_run_leaves_everything_the_issue_asks_for(finished: Path) -> None:
    for name in FILES:
        assert (finished / name).stat().st_size > 0, name
    assert list((finished / "samples").glob("step-*.png"))
    record = result(finished)
    assert set(ISSUE_KEYS.split()) <= record.keys()
    assert record["labels_used"] == 0 and record["prior"] == "learned"
    assert sum(record["learned_prior"]) == pytest.approx(1, abs=1e-5)
    assert record["prior_l1"] == pytest.approx(
        sum(abs(a - b) for a, b in zip(record["learned_prior"], record["true_masses"], strict=True)), abs=1e-6
    )
    held_out = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    held_out = [row for row in held_out if "elapsed" in row]
    assert held_out and all({"acc", "nmi", "ari", "masses", "found"} <= row.keys() for row in held_out)
    assert [row["elapsed"] for row in held_out] == sorted(row["elapsed"] for row in held_out)


def test_the_same_configuration_gives_the_same_run(finished: Path, tmp_path: Path) -> None:
    config, _ = load_run(finished)
    again = run(config, out=tmp_path, quiet=True)
    assert same(finished, again)
    assert timeless(result(again)) == timeless(result(finished))


@pytest.mark.usefixtures("no_judge")
def test_another_seed_gives_another_run(finished: Path, tmp_path: Path) -> None:
    config, _ = load_run(finished)
    assert not same(finished, run(config.model_copy(update={"seed": 1}), out=tmp_path, quiet=True))


def test_a_loaded_run_gives_what_was_evaluated(finished: Path) -> None:
    config, model = load_run(finished)
    found = predict(model, catalog.load(config.data, seed=config.seed).test.x)
    assert found.shape[1] == result(finished)["n_clusters"]
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    assert result(finished)["cluster_masses"] == pytest.approx(model.masses().tolist())
    x, modes = generate(model, 5, torch_generator(0, "test"), 1)
    assert x.shape == (5, 1, 8, 8) and set(modes) == {1}
    assert timeless(json.loads(evaluate_run(finished).to_json())) == timeless(result(finished))


@pytest.mark.usefixtures("no_judge")
def test_what_is_damaged_is_written_anew_as_the_messages_say(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    record, pictures = folder / "result.json", folder / "pictures.npz"
    record.write_text(record.read_text()[:200])
    pictures.write_bytes(pictures.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="write it anew with nemgan evaluate"):
        report.write(folder)
    evaluate_run(folder)
    assert result(folder)["acc"] == result(finished)["acc"]
    assert pictures.read_bytes() == (finished / "pictures.npz").read_bytes()  # the report is written anew as well
    pictures.write_bytes(pictures.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=f"make it anew with nemgan train --resume {folder}"):
        report.write(folder)
    resume_run(folder, quiet=True)
    assert pictures.read_bytes() == (finished / "pictures.npz").read_bytes()
    record.write_text(record.read_text().replace("\n", " "))
    before = record.read_bytes()
    evaluate_run(folder)
    assert record.read_bytes() == before, "a record that can be read is left alone"


@pytest.mark.usefixtures("no_judge")
def test_distances_by_more_extractors_are_kept_in_the_record(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pixels(Itself):
        """Pixels as they are, under a name of their own."""

        def __init__(self, name: str) -> None:
            self.name = name

        def features(self, x: Any) -> Any:
            return x.reshape(len(x), -1).astype(np.float32)

    monkeypatch.setattr(running, "extractor", Pixels)
    folder = shutil.copytree(finished, tmp_path / "run")
    kept = result(finished)["fidelity"]
    for names in (["one"], ["two"], ["one", "two"]):
        evaluate_run(folder, names)
    assert sorted(each["extractor"] for each in result(folder)["fidelity"][len(kept) :]) == ["one", "two"]
    assert {**result(folder), "fidelity": kept} == result(finished)
    page = (folder / "report.html").read_text()
    assert all(f"Fréchet, {name}" in page for name in ("one", "two"))
    resume_run(folder, quiet=True)
    assert {each["extractor"] for each in result(folder)["fidelity"]} >= {"one", "two"}, "a finished run lost them"


def test_a_record_says_what_was_ablated(tiny: list[str], tmp_path: Path) -> None:
    words = ["data=moons-80", "gan.steps=0", *(word for word in tiny if not word.startswith(("data=", "gan.steps=")))]
    usual = result(run(configure(words), out=str(tmp_path), quiet=True))  # type: ignore[arg-type]
    assert usual["conditions"] == "C1 C2 C3" and "conditions.C3" not in usual["changed"]
    assert usual["changed"]["gan.steps"] == 0 and "connect.lr" not in usual["changed"]
    config = configure([*words, "conditions.C3=false", "conditions.C1=false", "latent.noise=.7"])
    assert config.prior == "uniform"
    found = result(run(config, out=tmp_path, quiet=True))
    assert found["conditions"] == "Ĉ1 C2 Ĉ3" and found["prior"] == "uniform"
    assert found["changed"] == {
        **usual["changed"],
        "conditions.C1": False,
        "conditions.C3": False,
        "latent.noise": 0.7,
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["conditions.C3=false", "prior=matched"], "assumes equal masses, and prior=matched does not"),
        (["conditions.C1=false"], r"changes nothing at latent.noise=0.3.*set latent.noise to 0.5 or more"),
        (["preset=paper", "connect.second_look=true"], r"connect.second_look changes nothing without a connected h"),
        (["conditions.C2=false", "gan.redraws=5"], r"gan.redraws changes nothing without conditions.C2=true: drop it"),
        (["gan.joint=false", "gan.even=.7"], r"gan.even changes nothing without a critic of pairs"),
        (["preset=paper", "gan.margin=.5"], r"gan.margin changes nothing without a critic of pairs"),
        (
            ["gan.train_inverter=true", "gan.even=.7"],
            r"gan.even changes nothing .* done \(gan.train_inverter=false\)",
        ),
    ],
)
def test_switches_that_contradict_or_do_nothing_are_refused(words: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        configure(["data=moons-80", *words])
    configure(["data=moons-80", "gan.even=0", "conditions.C2=false", "gan.redraws=0"])  # off is no contradiction


class Killed(BaseException):
    """Ends a run on the spot, as a kill would: nothing on the way out may rely on being told."""


def kill_after(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """Let the ``calls``-th save of a checkpoint be the last thing that happens."""
    from nemgan.training import checkpoint

    save, count = checkpoint.save, [0]

    def counted(*args: Any, **kwargs: Any) -> Path:
        count[0] += 1
        if count[0] > calls:
            raise Killed
        return save(*args, **kwargs)

    monkeypatch.setattr(checkpoint, "save", counted)


@pytest.mark.parametrize("calls", [1, 4])
def test_a_killed_run_goes_on_to_the_same_bits(
    calls: int, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = load_run(finished)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, calls)
        run(config, out=tmp_path, quiet=True)
    (folder,) = tmp_path.iterdir()
    assert not (folder / "result.json").exists()
    assert resume_run(folder, ["seed=0"], quiet=True) == folder
    assert same(folder, finished)
    assert timeless(result(folder)) == timeless(result(finished))
    assert all((folder / name).exists() for name in FILES)
    assert resume_run(folder, quiet=True) == folder, "a finished run is resumed to itself"
    assert same(folder, finished)


def test_resume_refuses_a_changed_configuration_and_changed_data(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: (finished / name).read_bytes() for name in FILES}
    for word, old in (("gan.steps=7", "gan.steps=8"), ("prior=uniform", "prior=learned"), ("threads=2", "threads=1")):
        with pytest.raises(ConfigError) as caught:
            resume_run(finished, [word], quiet=True)
        assert word in str(caught.value) and old in str(caught.value) and "\n" not in str(caught.value)
    load = catalog.load

    def other(*args: Any, **kwargs: Any) -> Splits:
        splits = load(*args, **kwargs)
        return Splits(splits.train.take(np.arange(len(splits.train) - 1)), splits.test)

    monkeypatch.setattr(catalog, "load", other)
    with pytest.raises(ConfigError, match=r"is not what .* was started with"):
        resume_run(finished, quiet=True)
    assert {name: (finished / name).read_bytes() for name in FILES} == before


@pytest.mark.parametrize("before", [8, 0])
def test_a_finished_run_is_trained_longer_to_the_same_bits(finished: Path, tmp_path: Path, before: int) -> None:
    config, _ = load_run(finished)
    config = config.model_copy(update={"gan": config.gan.model_copy(update={"steps": before})})
    longer = config.model_copy(update={"gan": config.gan.model_copy(update={"steps": 12})})
    whole = run(longer, out=tmp_path / "whole", quiet=True)
    folder = run(config, out=tmp_path / "grown", quiet=True)
    assert resume_run(folder, ["gan.steps=12"], quiet=True) == folder
    assert same(folder, whole) and timeless(result(folder)) == timeless(result(whole))
    assert load_run(folder)[0] == load_run(whole)[0]
    for name in ("result.json", "pictures.npz"):  # as if it had been killed before these were written
        shutil.copy(finished / name, folder / name)
    evaluate_run(folder)
    assert timeless(result(folder)) == timeless(result(whole))
    assert (folder / "pictures.npz").read_bytes() == (whole / "pictures.npz").read_bytes()


@pytest.mark.usefixtures("no_judge")
@pytest.mark.parametrize("calls", [0, 1])  # killed before the first checkpoint of the longer training, and after it
def test_training_longer_can_be_interrupted_and_gone_on_with(
    calls: int, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, calls)
        resume_run(folder, ["gan.steps=12"], quiet=True)
    assert resume_run(folder, quiet=True) == folder  # as the command says that is printed
    assert result(folder)["steps"] == result(finished)["steps"] + 4


@pytest.mark.usefixtures("no_judge")
def test_a_half_grown_run_is_what_it_was(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [word for word in tiny if not word.startswith("gan.steps=")]
    folder = run(configure([*words, "gan.steps=0"]), out=tmp_path, quiet=True)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 1)
        resume_run(folder, ["gan.steps=8"], quiet=True)
    assert not load_run(folder)[1].generates, "its generator has not learned: what it draws is noise"
    with pytest.raises(ConfigError, match=r"gan\.steps"):
        sample_run(folder, tmp_path / "noise.npz")
    resume_run(folder, quiet=True)
    assert load_run(folder)[1].generates and sample_run(folder, tmp_path / "samples.npz").exists()


def test_a_run_can_be_used_where_its_device_is_not(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    config = folder / "config.json"
    config.write_text(config.read_text().replace(f'"{json.loads(config.read_text())["device"]}"', '"cuda:7"'))
    assert str(load_run(folder)[1].device) == "cpu"
    with pytest.raises(ConfigError, match="not available here"):
        resume_run(folder, quiet=True)
    resume_run(folder, ["device=cpu"], quiet=True)
    assert json.loads(config.read_text())["device"] == "cpu"


@pytest.mark.usefixtures("no_judge")
def test_a_run_that_cannot_grow_stays_as_it_was(tiny: list[str], tmp_path: Path) -> None:
    words = [word for word in tiny if not word.startswith(("connect", "network.inverter"))]
    folder = run(configure([*words, "model=wgan", "rival.decay=.5"]), out=tmp_path, quiet=True)
    before = {name: (folder / name).read_bytes() for name in FILES}
    with pytest.raises(CheckpointError, match="schedule"):
        resume_run(folder, ["gan.steps=12"], quiet=True)
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_a_run_without_checkpoint_cannot_be_resumed(finished: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.json"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    with pytest.raises(CheckpointError, match="checkpoint"):
        resume_run(tmp_path, quiet=True)


def test_priors_are_settled_before_training(tiny: list[str]) -> None:
    def settled(*words: str) -> Any:
        return prepare(configure([*tiny, *words])).card

    given = [0.5, *[0.5 / (M - 1)] * (M - 1)]
    assert settled("prior=matched").prior == pytest.approx(DEMO.masses, abs=0.01)
    assert settled("prior=uniform").prior == pytest.approx((1 / M,) * M)
    assert settled(f"prior={show(given)}").prior == pytest.approx(given)
    assert settled("prior=learned").prior is None
    assert settled("n_clusters=2", "prior=.4,.6").n_clusters == 2


def test_data_of_ones_own_is_clustered_without_labels(tiny: list[str], tmp_path: Path) -> None:
    train = catalog.load("digits-demo").train
    np.save(tmp_path / "mine.npy", train.x)
    words = [*tiny[1:], f"data={tmp_path / 'mine.npy'}"]
    with pytest.raises(ConfigError, match="n_clusters=2 or more"):
        prepare(configure(words))
    folder = run(configure([*words, "n_clusters=3"]), out=tmp_path / "runs", quiet=True)
    record = result(folder)
    assert folder.name == "0001-nemgan-mine-s0"
    assert record["acc"] is None and record["true_masses"] is None
    assert len(record["cluster_masses"]) == 3


# what a run leaves alone, and what it says when it fails


@pytest.mark.usefixtures("no_judge")
def test_the_callers_state_is_left_alone(tiny: list[str], tmp_path: Path) -> None:
    before, n, running_before = torch.get_rng_state(), torch.get_num_threads(), set(threading.enumerate())
    run(configure(tiny), out=tmp_path, quiet=True)
    assert torch.equal(torch.get_rng_state(), before) and set(threading.enumerate()) <= running_before
    with running.threads(n + 1) as used:
        assert used == torch.get_num_threads() == n + 1
    assert torch.get_num_threads() == n


def test_an_error_while_training_names_the_folder(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(NemganError) as caught:
        patch.setattr(os, "fsync", full)
        run(configure(tiny), out=tmp_path, quiet=True)
    (folder,) = tmp_path.iterdir()
    assert "No space left" in str(caught.value)
    assert caught.value.__notes__ == [f"run folder: {folder}"]


def test_two_resumes_at_once_have_one_owner(finished: Path) -> None:
    from nemgan.storage import lock

    with lock(finished), pytest.raises(CheckpointError, match="in use"):
        resume_run(finished, quiet=True)
    assert threading.active_count() >= 1


# small parts


def test_seconds_to_good_reads_the_first_good_entry() -> None:
    log = [{"acc": 0.5, "elapsed": 1.0}, {"loss": 1}, {"acc": 0.95, "elapsed": 7.5}, {"acc": 0.99, "elapsed": 9.0}]
    assert seconds_to_good(log) == 7.5
    assert seconds_to_good(log[:2]) is None
    assert seconds_to_good([{"acc": None, "elapsed": 2.0}]) is None


def test_the_stopwatch_goes_on_after_a_resume(tmp_path: Path) -> None:
    import time

    assert 0 <= stopwatch(tmp_path, time.monotonic())() < 5
    (tmp_path / "metrics.jsonl").write_text('{"elapsed": 40.5}\n{"acc": 1}\n{"elapsed": 41.0}\n{"elap')
    assert 41 <= stopwatch(tmp_path, time.monotonic())() < 46


def test_rows_hold_one_mode_each_or_one_square() -> None:
    x = np.arange(7, dtype=np.uint8)[:, None, None, None]
    found = rows(x, np.array([0, 1, 1, 0, 1, 1, 3]))
    assert found.shape == (3, 4, 1, 1, 1)
    assert found[:, :, 0, 0, 0].tolist() == [[0, 3, 255, 255], [1, 2, 4, 5], [6, 255, 255, 255]]
    assert rows(x, np.zeros(7, int))[:, :, 0, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 255, 255]]
    vectors = np.arange(3, dtype=np.float32)[:, None]
    assert rows(vectors, np.array([0, 1, 1]))[:, :, 0].tolist() == [[0, 0], [1, 2]]


def test_preparing_needs_no_model_of_torch(tiny: list[str]) -> None:
    assert preparing.make_model(configure(tiny), prepare(configure(tiny)).card).n_clusters == M


def test_samples_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "same.npy", np.full((60, 1, 8, 8), 7, np.uint8))
    with pytest.raises(NemganError, match=r"training samples of .* are identical"):
        prepare(configure([f"data={tmp_path / 'same.npy'}", "n_clusters=2"]))
