"""Where training runs: the device, the versions of what it runs on, and signals that ask it to stop.

torch is imported only by the functions that need it, so the command line can import this file freely.
"""

from __future__ import annotations

import os
import platform
import signal
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from nemgan.errors import ConfigError, NemganError, unknown

if TYPE_CHECKING:
    import torch

_KINDS = ("cpu", "cuda", "mps")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def available_devices() -> list[str]:
    """Kinds of device this machine offers, fastest first; ``"cpu"`` is always the last."""
    import torch

    found = ["cuda"] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def pick_device(name: str = "auto") -> torch.device:
    """The device ``name``: ``"auto"`` (the fastest there is), ``"cpu"``, ``"mps"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        ConfigError: an unknown device, or one this machine does not have.
    """
    import torch

    name, offered = str(name), available_devices()  # a torch.device as well
    if name == "auto":
        return torch.device(offered[0])
    kind, colon, index = name.partition(":")
    if kind == "gpu":
        raise ConfigError(f"unknown device {name!r}: did you mean 'cuda'? (auto takes the fastest there is)")
    if kind not in _KINDS or (colon and not index.isdecimal()):
        raise unknown("device", name, ["auto", *_KINDS])
    counts = {"cpu": 1, "mps": 1, "cuda": torch.cuda.device_count()}
    if kind not in offered or int(index or 0) >= counts[kind]:
        have = ", ".join(f"{kind} ({counts[kind]})" if kind == "cuda" else kind for kind in offered)
        raise ConfigError(f"device {name!r} is not available here: choose auto or one of {have}")
    return torch.device(name)


def nearest_device(name: str) -> torch.device:
    """The device ``name``, for a model that was trained on it, or the CPU where this machine has no such one."""
    try:
        return pick_device(name)
    except ConfigError:
        return pick_device("cpu")


def versions(device: str = "auto") -> dict[str, Any]:
    """What a result depends on beside its configuration: versions, platform, device and CPU threads."""
    from importlib.metadata import version

    import torch

    from nemgan import __version__

    return {
        "python": platform.python_version(),
        "nemgan": __version__,
        "torch": str(torch.__version__),
        "numpy": version("numpy"),
        "scikit-learn": version("scikit-learn"),
        "platform": platform.platform(),
        "processor": _processor(),
        "device": str(pick_device(device)),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """The CPU's name and which of its instructions torch uses; another one rounds otherwise, and so ends otherwise."""
    import torch

    name = platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


class Stopped(NemganError):
    """Training ended early because a signal asked for it; a checkpoint was saved first.

    Attributes:
        signal: number of the signal.
        exit_code: what a shell expects of a process ended by it: 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number
        self.exit_code = 128 + number


class StopSignals:
    """Within this context SIGINT and SIGTERM are remembered in ``received`` instead of ending the process.

    A second SIGINT does interrupt at once, for the impatient. Only the main thread may install handlers; elsewhere
    (and with ``enabled=False``) this does nothing. The handlers that were there are put back on exit.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.received: int | None = None
        self._enabled = enabled and threading.current_thread() is threading.main_thread()
        self._owner = os.getpid()
        self._before: dict[int, Any] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a forked worker inherited the handler: it has nothing to save
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif number == signal.SIGINT and self.received == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = self.received or number

    def __enter__(self) -> StopSignals:
        if self._enabled:
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if before is not None:  # a handler from outside Python could not be put back
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
