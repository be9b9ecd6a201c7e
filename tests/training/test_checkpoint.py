"""Checkpoints: damage is found, failures lose nothing, and nothing that is read can run."""

from __future__ import annotations

import builtins
import errno
import json
import os
import pickle
import random
import shutil
import struct
import time
import tracemalloc
from pathlib import Path

import pytest
import torch
from toy_model import Toy, run, same_state

import nemgan.storage as storage
import nemgan.training.checkpoint as checkpoint
from nemgan.errors import CheckpointError
from nemgan.training.checkpoint import Checkpoint, load_latest, load_model, save, save_model


def state(step: int) -> Checkpoint:
    shared = torch.arange(6.0)
    values = {"a": shared, "view": shared[2:4], "flag": torch.tensor(True), "half": torch.ones(3).bfloat16()}
    return Checkpoint({**values, "n": torch.tensor(step)}, {"step": step, "text": "µ", "value": 0.1})


def same(found: Checkpoint, wanted: Checkpoint) -> bool:
    return dict(found.content) == dict(wanted.content) and all(
        torch.equal(found.tensors[name], value) for name, value in wanted.tensors.items()
    )


@pytest.fixture
def two(tmp_path) -> Path:
    """A run folder with checkpoints of steps 1 and 2."""
    save(tmp_path, state(1))
    save(tmp_path, state(2))
    return tmp_path


def test_round_trip_and_only_two_are_kept(two):
    assert same(load_latest(two), state(2))
    save(two, state(3))
    assert [path.name for path in checkpoint.present(two)] == ["0002-step-2", "0003-step-3"]
    assert same(load_latest(two), state(3))


def test_the_good_one_is_kept_rather_than_the_newest(two):
    good, _ = checkpoint.present(two)
    path = save(two, state(3), previous=good)
    assert checkpoint.present(two) == [good, path]


def test_every_flip_and_truncation_is_found(two, tmp_path_factory):
    draw = random.Random(0)
    newest = checkpoint.present(two)[-1]
    for case in range(200):
        path = newest / draw.choice(["tensors.safetensors", "manifest.json"])
        whole = path.read_bytes()
        if case % 2:
            at, bit = draw.randrange(len(whole)), 1 << draw.randrange(8)
            damaged = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
        else:
            damaged = whole[: draw.randrange(len(whole))]
        path.write_bytes(damaged)
        with pytest.warns(RuntimeWarning, match="going on from the previous one, 0001-step-1"):
            assert same(load_latest(two), state(1)), (path, case)
        path.write_bytes(whole)
    assert same(load_latest(two), state(2))


@pytest.mark.parametrize("name", ["tensors.safetensors", "manifest.json"])
def test_lost_and_lengthened_files_are_found(two, name):
    path = checkpoint.present(two)[-1] / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.warns(RuntimeWarning):
        assert same(load_latest(two), state(1))
    path.unlink()
    with pytest.warns(RuntimeWarning):
        assert same(load_latest(two), state(1))


def test_both_damaged_and_none(two, tmp_path):
    for path in checkpoint.present(two):
        (path / "manifest.json").write_bytes(b"{}")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* is good: .*0002-step-2 is damaged"):
        load_latest(two)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_latest(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"no checkpoint in .*empty: .*checkpoints is missing; start a new run"):
        load_latest(tmp_path / "empty")


class FailingFile:
    """A file on a full disk: half of what is written arrives."""

    def __init__(self, file) -> None:
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


def fail_at(monkeypatch, call: str, n: int) -> list[int]:
    """Make the n-th call of open, write, fsync, replace or mkdir fail; returns a count of calls."""
    count = [0]

    def failing(real, broken):
        def wrapper(*arguments, **options):
            count[0] += 1
            return (broken if count[0] == n else real)(*arguments, **options)

        return wrapper

    def raises(code):
        def broken(*_, **__):
            raise OSError(code, os.strerror(code))

        return broken

    if call == "write":
        broken = failing(open, lambda *a, **k: FailingFile(open(*a, **k)))  # noqa: SIM115
        monkeypatch.setattr(storage, "open", broken, raising=False)
    elif call == "open":
        monkeypatch.setattr(storage, "open", failing(builtins.open, raises(errno.EACCES)), raising=False)
    elif call == "mkdir":
        monkeypatch.setattr(Path, "mkdir", failing(Path.mkdir, raises(errno.EACCES)))
    else:
        monkeypatch.setattr(os, call, failing(getattr(os, call), raises(errno.EIO)))
    return count


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace", "mkdir"])
def test_failed_saves_lose_nothing(two, call, monkeypatch):
    for n in range(1, 20):
        with monkeypatch.context() as patch:
            count = fail_at(patch, call, n)
            try:
                save(two, state(3))
            except CheckpointError as error:
                text = str(error)
                assert "cannot save a checkpoint" in text
                assert "(0002-step-2) is intact" in text
                assert "\n" not in text
            else:
                assert count[0] < n or call == "replace"  # a failed clean-up after the save does no harm
                break
        # A folder whose rename was not synced may have arrived all the same, and is complete then.
        assert same(load_latest(two), state(2)) or same(load_latest(two), state(3))
        assert not list((two / "checkpoints").glob(".tmp*"))
        for path in checkpoint.present(two):
            if path.name.endswith("step-3"):
                shutil.rmtree(path)
        assert len(checkpoint.present(two)) == 2
    assert n > 1
    assert same(load_latest(two), state(3))


def test_a_save_waits_for_the_disk(tmp_path, monkeypatch):
    """Files before the folder they are in, and everything (metrics too) before the rename that makes it count."""
    events, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (events.append(os.fstat(file).st_ino), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append(Path(b).name), replace(a, b)))
    run(tmp_path)
    newest = checkpoint.present(tmp_path)[-1]
    parts = (tmp_path / "metrics.jsonl", newest / "tensors.safetensors", newest / "manifest.json", newest)
    files = [path.stat().st_ino for path in parts]
    at = events.index(newest.name)
    assert events[at - 4 : at] == files
    assert events[at + 1] == newest.parent.stat().st_ino
    save_model(Toy(), tmp_path)
    assert events[-2:] == ["model.safetensors", tmp_path.stat().st_ino]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_training_on_a_full_disk_stops_and_resumes_to_the_same(tmp_path, call, monkeypatch):
    whole, _ = run()
    with monkeypatch.context() as patch:
        fail_at(patch, call, 8)
        with pytest.raises(CheckpointError, match=r"(is|are) intact"):
            run(tmp_path)
    assert same_state(whole, run(tmp_path, resume=True)[0])


class Gadget:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5, "zip"])
def test_pickles_are_refused_and_not_run(tmp_path, protocol):
    evil, trace = tmp_path / "model.safetensors", tmp_path / "executed"
    if protocol == "zip":
        torch.save({"a": Gadget(trace)}, evil)
    else:
        evil.write_bytes(pickle.dumps(Gadget(trace), protocol=protocol))
    with pytest.raises(CheckpointError, match="is a pickle" if protocol else "not a safetensors file|damaged"):
        load_model(Toy(), tmp_path)
    save(tmp_path, state(1))
    shutil.copy(evil, checkpoint.present(tmp_path)[0] / "tensors.safetensors")
    with pytest.raises(CheckpointError, match="is a pickle" if protocol else "no checkpoint in .* is good"):
        load_latest(tmp_path)
    assert not trace.exists()


def test_a_pickle_in_place_of_a_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(Gadget(tmp_path / "executed")))
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt is not read: a pickle could run any code"):
        load_latest(tmp_path)
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt is not read"):
        load_model(Toy(), tmp_path)
    assert not (tmp_path / "executed").exists()


def header(entries: object, size: int = 0) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


HOSTILE = {
    "empty": b"",
    "short": b"\x01\x00",
    "larger than the file": struct.pack("<Q", 1 << 20) + b"{}",
    "enormous": struct.pack("<Q", 1 << 62) + b"{}",
    "above the limit": struct.pack("<Q", 9 << 20) + b" " * (9 << 20),
    "no object": header([1, 2]),
    "deep": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "NaN": struct.pack("<Q", 10) + b'{"a": NaN}',
    "two names": struct.pack("<Q", 18) + b'{"a": {}, "a": {}}',
    "overlap": header(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        },
        12,
    ),
    "outside": header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1 << 40]}}, 8),
    "bomb": header({"a": {"dtype": "F32", "shape": [1 << 31, 1 << 31], "data_offsets": [0, 8]}}, 8),
    "unlike": header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, 8),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_refused_quickly_and_cheaply(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    model = Toy()
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(CheckpointError) as refused:
        load_model(model, tmp_path)
    assert time.process_time() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert "\n" not in str(refused.value)
    assert same_state(model, Toy())


def test_checkpoints_of_another_release_say_which(two, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 7)
    with pytest.raises(CheckpointError, match=r"format 1, written by nemgan .* resume with that release"):
        load_latest(two)


def test_model_round_trip(tmp_path):
    model, _ = run()
    path = save_model(model, tmp_path, {"shape": (4,), "masses": model.masses()})
    assert path == tmp_path / "model.safetensors"
    for where in (tmp_path, path):
        fresh = Toy()
        info = load_model(fresh, where)
        assert same_state(fresh, model)
        assert info["shape"] == [4]
    again = save_model(model, tmp_path / "again", {"shape": (4,), "masses": model.masses()})
    assert again.read_bytes() == path.read_bytes()


def test_models_that_do_not_fit_leave_the_model_alone(tmp_path):
    save_model(run()[0], tmp_path)
    other = Toy()
    other.h = torch.nn.Linear(4, 3)
    before = [value.clone() for value in other.state_dict().values()]
    with pytest.raises(CheckpointError, match="use the model and configuration it was made with"):
        load_model(other, tmp_path)
    wide = Toy()
    wide.alpha = torch.nn.Parameter(torch.zeros(5))
    with pytest.raises(CheckpointError, match=r"'alpha' of \(3,\), but the model's is \(5,\)"):
        load_model(wide, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(before, other.state_dict().values(), strict=True))


def test_a_damaged_model_file_is_found(tmp_path):
    path = save_model(run()[0], tmp_path, {"note": "text"})
    whole, draw = path.read_bytes(), random.Random(1)
    padding = struct.unpack("<Q", whole[:8])[0] + 8
    for _ in range(100):
        at = draw.randrange(len(whole))
        if whole[at : at + 1] == b" " and at < padding:
            continue  # spaces after the header mean nothing
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << draw.randrange(8))]) + whole[at + 1 :])
        fresh = Toy()
        with pytest.raises(CheckpointError):
            load_model(fresh, tmp_path)
        assert same_state(fresh, Toy())
        path.write_bytes(whole[:at])
        with pytest.raises(CheckpointError):
            load_model(fresh, tmp_path)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_failed_model_saves_keep_the_old_file(tmp_path, call, monkeypatch):
    model, _ = run()
    path = save_model(model, tmp_path)
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        fail_at(patch, call, 1)
        with pytest.raises(CheckpointError, match="cannot write"):
            save_model(Toy(), tmp_path)
    assert path.read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
