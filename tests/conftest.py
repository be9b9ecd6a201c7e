"""What every test gets: no network, no data but its own, and one thread."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, by the first import of NumPy, torch or scikit-learn
settings.register_profile("nemgan", deadline=None, derandomize=True)
settings.load_profile("nemgan")

TINY = [
    "data=digits-demo",
    "latent.dim=8",
    "network.width=8",
    "network.inverter_width=8",
    "connect.micro_modes=5",
    "connect.steps=12",
    "connect.restarts=1",
    "connect.partitions=2",
    "connect.refine_steps=4",
    "connect.batch=32",
    "gan.steps=8",
    "gan.batch=16",
    "train.log_every=4",
    "train.checkpoint_every=5",
    "train.sample_every=8",
    "train.evaluate_every=6",
    "threads=1",
]
"""A configuration that trains in about a second."""

REAL_DATA = os.environ.get("NEMGAN_DATA")


@pytest.fixture(autouse=True)
def _data_root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    """An empty data root, so that results do not depend on the machine; tests marked ``data`` get the real one."""
    if request.node.get_closest_marker("data") is None:
        monkeypatch.setenv("NEMGAN_DATA", str(_no_data(tmp_path_factory)))


def _no_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "no-data"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to other machines fail, so that a test which needs one is noticed."""

    def refuse(self: socket.socket, address: object) -> NoReturn:
        raise OSError(f"tests use no network, but something connects to {address!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def real_data(request: pytest.FixtureRequest) -> Path:
    """The data root of the real image sets; skips where it is not there."""
    from nemgan.data.catalog import data_root

    root = Path(REAL_DATA).expanduser() if REAL_DATA else data_root()
    if not root.is_dir():
        pytest.skip(f"no data under {root}: set NEMGAN_DATA")
    return root


@pytest.fixture(scope="session")
def tiny_settings() -> tuple[str, ...]:
    """Settings of a run of seconds; the first is its data."""
    return tuple(TINY)


@pytest.fixture
def tiny() -> list[str]:
    return list(TINY)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; read it, do not change it."""
    from nemgan.experiments.run import configure, run

    with pytest.MonkeyPatch.context() as patch:  # made before the fixtures of any one test
        patch.setenv("NEMGAN_DATA", str(_no_data(tmp_path_factory)))
        return run(configure(TINY), out=tmp_path_factory.mktemp("runs"), quiet=True)


@pytest.fixture
def no_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs leave out the judge of generated samples, which takes longer than their training."""
    from nemgan.experiments import run

    monkeypatch.setattr(run, "judge_of", lambda *_: None)
