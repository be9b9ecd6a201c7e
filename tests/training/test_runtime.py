"""Devices, versions, and locks across processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch

from nemgan.errors import CheckpointError, ConfigError
from nemgan.storage import decode, encode, lock, plain
from nemgan.training.runtime import pick_device, versions


def test_devices(monkeypatch):
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match="'cuda' is not available here: choose auto or one of cpu"):
        pick_device("cuda")
    with pytest.raises(ConfigError, match="unknown device 'gpu': did you mean 'cuda'"):
        pick_device("gpu")
    with pytest.raises(ConfigError, match="unknown device"):
        pick_device("cuda:x")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device() == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ConfigError, match=r"'cuda:2' is not available here: .*cuda \(2\), cpu"):
        pick_device("cuda:2")


def test_versions_are_json():
    found = versions("cpu")
    keys = "python nemgan torch numpy scikit-learn platform processor device threads"
    assert set(found) == set(keys.split())
    assert re.fullmatch(r"\S.*, [A-Z0-9 ]+", found["processor"])
    assert decode(encode(found)) == found


def test_importing_runtime_does_not_import_torch():
    code = "import sys, nemgan.training.runtime; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="uses POSIX signals")
def test_eight_starts_one_owner_and_a_dead_owner_is_no_owner(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from nemgan.storage import lock\n"
        "try:\n with lock(Path(sys.argv[1])):\n  print('owner', flush=True); time.sleep(60)\n"
        "except Exception as error: print(error, flush=True)"
    )
    starts = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    said = [process.stdout.readline().strip() for process in starts]
    assert said.count("owner") == 1
    assert sum("is in use by process" in line for line in said) == 7
    owner = starts[said.index("owner")]
    with pytest.raises(CheckpointError, match=f"in use by process {owner.pid}: wait"), lock(tmp_path):
        pass
    owner.kill()
    for process in starts:
        process.wait()
        process.stdout.close()
    with lock(tmp_path):
        pass


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write in run folder"), lock(tmp_path / "file"):
        pass


def test_strict_json():
    for text in (b"NaN", b"[Infinity]", b'{"a": 1, "a": 2}', b"\xff", b"[" * 100_000):
        with pytest.raises(ValueError):
            decode(text)
    with pytest.raises(ValueError):
        encode(float("nan"))
    value = {"t": torch.tensor([1.0, float("inf")]), "s": (1, "a", None, True)}
    assert plain(value) == {"t": [1.0, None], "s": [1, "a", None, True]}
    with pytest.raises(TypeError, match="cannot log a set"):
        plain({1, 2})
