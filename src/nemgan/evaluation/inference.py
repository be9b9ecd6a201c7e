"""What a trained model says of samples, and what it generates: raw arrays in and out, in batches on its device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nemgan.callers import as_by_default
from nemgan.data.ondisk import Samples
from nemgan.errors import ConfigError, DataError
from nemgan.models.base import Model, at_rest
from nemgan.parts import by_parts

BATCH = 512


def predict(model: Model, x: Samples, batch: int = BATCH) -> NDArray[np.float32]:
    """Posterior over clusters ``(N, M)`` of raw samples: uint8 images ``(N, C, H, W)`` or float vectors ``(N, D)``.

    Raises:
        DataError: the samples' shape or type is not the model's.
    """
    return _apply(model, x, batch, model.posterior, model.n_clusters)


def embed(model: Model, x: Samples, batch: int = BATCH) -> NDArray[np.float32]:
    """The model's features ``(N, F)`` of raw samples, as for ``predict``."""
    return _apply(model, x, batch, model.features, 0)


@as_by_default()
def _apply(
    model: Model, x: Samples, batch: int, function: Callable[[Tensor], Tensor], width: int
) -> NDArray[np.float32]:
    kind = "uint8" if len(model.shape) == 3 else "float32"
    if isinstance(x, np.ndarray):
        x = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
    if x.shape[1:] != model.shape or x.dtype != kind:
        raise DataError(
            f"the model takes {kind} samples of shape {model.shape}, not {x.dtype} of {x.shape[1:]}: convert them"
        )
    if not len(x):
        return np.zeros((0, width), np.float32)
    with at_rest(model):

        def part(at: slice) -> Tensor:
            return function(model.encode(torch.tensor(x[at], device=model.device))).flatten(1).float().cpu()

        found: NDArray[np.float32] = by_parts(part, len(x), batch).numpy()
    return found


@as_by_default()
def generate(
    model: Model, n: int, rng: torch.Generator, cluster: int | None = None, batch: int = BATCH, *, once: bool = False
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """``n`` generated samples on the raw scale, ``(n, *shape)`` uint8 or float32, and their clusters ``(n,)``.

    ``cluster`` draws from that cluster alone; otherwise clusters follow the model's prior. ``once`` keeps samples that
    the model would draw again, for h puts them in another cluster than their mode's (``gan.redraws``).

    Raises:
        ConfigError: there is no such cluster, the model has no modes to draw from one by one, or its generator is not
            trained.
    """
    if not model.generates:
        raise ConfigError(
            "this model's generator was not trained (gan.steps=0): give it steps, or go on with a finished run by "
            "nemgan train --resume RUN gan.steps=1500"
        )
    if cluster is not None and not 0 <= cluster < model.n_clusters:
        raise ConfigError(f"there is no cluster {cluster}: the model has clusters 0 … {model.n_clusters - 1}")
    samples = [np.zeros((0, *model.shape), np.uint8 if len(model.shape) == 3 else np.float32)]
    clusters = [np.zeros(0, np.int64)]
    with at_rest(model):
        for start in range(0, n, batch):
            x, modes = (model.once if once else model.sample)(min(batch, n - start), rng, cluster)
            samples.append(model.decode(x).cpu().numpy())
            clusters.append(modes.cpu().numpy())
    return np.concatenate(samples), np.concatenate(clusters)
