"""What a caller of ours may have told torch or Python, kept out of our own work and left as it was."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

_FILTERS = Lock()


@contextmanager
def silenced(category: type[Warning]) -> Iterator[None]:
    """No warnings of ``category``. One thread at a time: of two at once the later would leave the silence behind."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield


@contextmanager
def two_at_most() -> Iterator[None]:
    """Two OpenMP threads for this one, or fewer where torch has fewer, as the setting ``threads`` says.

    scikit-learn's K-means adds what its threads have found as they finish: of three numbers the sum depends on which
    comes first.
    """
    import torch
    from threadpoolctl import threadpool_limits

    with threadpool_limits(min(2, torch.get_num_threads()), "openmp"):
        yield


@contextmanager
def as_by_default() -> Iterator[None]:
    """Run torch code with gradients, in single precision and on the CPU unless told otherwise.

    Whatever the caller has switched on or off for itself (``no_grad``, ``inference_mode``, ``autocast``, another
    default type or device) holds again on exit. The default type is one for all threads of a process.
    """
    import torch

    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if (before := torch.get_default_dtype()) != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, before)
        yield
