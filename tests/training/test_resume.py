"""An interrupted training, resumed, ends with the same bits as one that was never interrupted."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from toy_model import Toy, run, same_state, timeless

import nemgan.training.checkpoint as checkpoint
from nemgan.errors import CheckpointError
from nemgan.storage import decode
from nemgan.training.loop import Hook
from nemgan.training.runtime import Stopped

SLOW = {"steps": (20, 60), "pause": 0.004}


def final_tensors(folder: Path) -> dict[str, torch.Tensor]:
    return dict(checkpoint.load_latest(folder).tensors)


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [decode(line) for line in (folder / "metrics.jsonl").read_bytes().splitlines()]


def assert_same_run(a: Path, b: Path) -> None:
    one, two = final_tensors(a), final_tensors(b)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert timeless(rows_of(a)) == timeless(rows_of(b))


def test_resume_from_every_checkpoint_equals_the_uninterrupted_run(tmp_path, monkeypatch):
    snapshots, real = [], checkpoint.save

    def spy(folder, state, previous=None):
        path = real(folder, state, previous)
        snapshots.append((state.content, tmp_path / f"at{len(snapshots)}"))
        shutil.copytree(folder, snapshots[-1][1])
        return path

    monkeypatch.setattr(checkpoint, "save", spy)
    whole, log = run(tmp_path / "whole", checkpoint_every=1)
    monkeypatch.undo()
    positions = [(c["stage"], c["stage_step"], c["begun"]) for c, _ in snapshots]
    split = [(0, k, True) for k in range(6)]  # before end() ran, too
    assert positions == [(0, 0, False), *split, (1, 0, False), *[(1, k, True) for k in range(1, 8)], (2, 0, False)]
    assert log.rows == rows_of(tmp_path / "whole")
    for _, folder in snapshots:
        with open(folder / "metrics.jsonl", "ab") as file:
            file.write(b'{"kind": "from after the checkpoi')
        resumed, again = run(folder, resume=True, checkpoint_every=1)
        assert same_state(whole, resumed)
        assert timeless(again.rows) == timeless(log.rows)
        assert again.steps == log.steps == 12
        assert_same_run(tmp_path / "whole", folder)
        assert len(list((folder / "checkpoints").iterdir())) <= 2


def test_a_run_without_folder_gives_the_same_model(tmp_path):
    (with_folder, log), (without, other) = run(tmp_path / "run"), run(None)
    assert same_state(with_folder, without)
    assert timeless(log.rows) == timeless(other.rows)


@pytest.fixture(scope="module")
def killer():
    """Runs trainings that are killed; see toy_model."""
    command = [sys.executable, str(Path(__file__).with_name("toy_model.py"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(**job: object) -> int:
        process.stdin.write(json.dumps({key: str(v) if key == "folder" else v for key, v in job.items()}) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    with process:
        yield ask
        process.stdin.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_kill_at_random_moments(tmp_path, killer):
    run(tmp_path / "whole", Toy(SLOW["steps"]))
    draw = random.Random(0)
    ends = [killer(folder=tmp_path / "run", after=draw.uniform(0.02, 0.25), **SLOW) for _ in range(5)]
    assert -signal.SIGKILL in ends
    assert killer(folder=tmp_path / "run", **SLOW) == 0
    assert_same_run(tmp_path / "whole", tmp_path / "run")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_kill_inside_saves(tmp_path, killer, call):
    run(tmp_path / "whole")
    for n in range(1, 60, 5):
        folder = tmp_path / f"run{n}"
        died = killer(folder=folder, call=call, n=n, steps=(5, 7))
        assert died in (-signal.SIGKILL, 0)
        assert killer(folder=folder, steps=(5, 7)) == 0
        assert_same_run(tmp_path / "whole", folder)
        assert not [path for path in (folder / "checkpoints").iterdir() if path.name.startswith(".")]
        if died == 0:
            break
    assert n > 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_save_and_stop(tmp_path, number):
    whole, log = run(tmp_path / "whole")
    before = signal.getsignal(number)

    def press(moment, model):
        if moment.step == 8:
            os.kill(os.getpid(), number)

    hooks = [Hook(1, press)]
    with pytest.raises(Stopped, match=f"{number.name} after step 8: saved in .*resume") as stopped:
        run(tmp_path / "run", hooks=hooks, checkpoint_every=1000)
    assert (stopped.value.signal, stopped.value.exit_code) == (number, 128 + number)
    assert signal.getsignal(number) is before
    assert checkpoint.load_latest(tmp_path / "run").content["step"] == 8
    resumed, _ = run(tmp_path / "run", resume=True)
    assert same_state(whole, resumed)
    assert log.steps == 12


def test_second_interrupt_does_not_wait(tmp_path):
    def press_twice(moment, model):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, hooks=[Hook(1, press_twice)])
    assert signal.getsignal(signal.SIGINT) is before


def test_training_works_outside_the_main_thread(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(run(tmp_path)[0]))
    thread.start()
    thread.join()
    assert same_state(found[0], run()[0])


def test_finished_run_resumes_to_itself(tmp_path):
    whole, log = run(tmp_path)
    again, same = run(tmp_path, resume=True)
    assert same_state(whole, again)
    assert same.rows == log.rows
    assert same.seconds >= checkpoint.load_latest(tmp_path).content["seconds"] >= log.rows[-1]["seconds"] - 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 6}, "seed = 5, now it is 6"),
        ({"model": Toy(lr=0.02)}, "lr = 0.01, now it is 0.02"),
        ({"model": Toy(steps=(5, 6))}, "gan.steps = 7, now it is 6"),
        ({"model": Toy(steps=(5, 9))}, "gan.steps = 7 cannot become 9: .* a schedule .* start a new run with 9"),
    ],
)
def test_changed_configuration_is_refused(tmp_path, change, message):
    run(tmp_path)
    with pytest.raises(CheckpointError, match=message) as refused:
        run(tmp_path, resume=True, **change)
    assert "\n" not in str(refused.value)


def test_nothing_to_resume_and_nothing_overwritten(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        run(tmp_path / "typo", resume=True)
    assert not (tmp_path / "typo").exists()
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        run(tmp_path, resume=True)
    assert not list(tmp_path.iterdir())
    run(tmp_path)
    with pytest.raises(CheckpointError, match="holds a training already"):
        run(tmp_path)


def test_lost_metrics_are_told_but_do_not_stop_a_resume(tmp_path):
    whole, _ = run(tmp_path)
    shutil.rmtree(sorted((tmp_path / "checkpoints").iterdir())[-1])
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.warns(RuntimeWarning, match="earlier rows are lost"):
        resumed, _ = run(tmp_path, resume=True)
    assert same_state(whole, resumed)


def test_damaged_newest_checkpoint_costs_one_interval_only(tmp_path):
    whole, log = run(tmp_path)
    newest = checkpoint.present(tmp_path)[-1]
    (newest / "tensors.safetensors").write_bytes(b"")
    with pytest.warns(RuntimeWarning, match="going on from the previous one"):
        resumed, again = run(tmp_path, resume=True)
    assert same_state(whole, resumed)
    assert timeless(again.rows) == timeless(log.rows)
    assert newest not in checkpoint.present(tmp_path)


def test_a_stage_begun_on_another_kind_of_device_goes_on_with_other_numbers(tmp_path, monkeypatch):
    class Cut(Exception):
        pass

    def cut(moment, model):
        if moment.step == 3:
            raise Cut

    with pytest.raises(Cut):
        run(tmp_path, checkpoint_every=2, hooks=[Hook(1, cut)])
    state = checkpoint.load_latest(tmp_path)
    assert state.content["begun"]
    foreign = {name: v[:16] if name.startswith(("rng/stage", "rng/phase")) else v for name, v in state.tensors.items()}
    there = checkpoint.Checkpoint(foreign, state.content, state.path)  # a GPU's generator has a state of 16 bytes
    ends = []
    for i in range(2):
        shutil.copytree(tmp_path, copy := tmp_path.with_name(f"copy{i}"))
        monkeypatch.setattr(checkpoint, "load_latest", lambda folder: there)
        with pytest.warns(RuntimeWarning, match="another kind of device"):
            ends.append(run(copy, resume=True)[0])
        monkeypatch.undo()
    assert same_state(*ends)
