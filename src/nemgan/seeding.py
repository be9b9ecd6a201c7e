"""One door for randomness: a seed and a name make a generator.

Streams of different names are independent, so adding one consumer of randomness never shifts another. The global
generators of torch, NumPy and Python are neither read nor moved.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_ONE_AT_A_TIME = threading.RLock()


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream ``names`` of the run ``seed``; the same on every machine."""
    text = "/".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """NumPy generator of the stream ``names``."""
    return np.random.default_rng(derive(seed, *names))


def torch_generator(seed: int, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """torch generator of the stream ``names`` on ``device``."""
    import torch

    return torch.Generator(device=device).manual_seed(derive(seed, *names))


@contextmanager
def isolated(seed: int, *names: str | int) -> Iterator[None]:
    """Run torch code that insists on the global generator (module constructors) from a stream of its own.

    The caller's CPU generator is put back on exit, also after an error; threads of ours wait for each other, for there
    is but one. Only the CPU generator is covered, so build modules on the CPU and move them afterwards.
    """
    import torch

    with _ONE_AT_A_TIME:
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(derive(seed, *names))
        try:
            yield
        finally:
            torch.set_rng_state(before)
