"""Training a model in memory and asking it: the same catalogue and the same loop as an experiment's, and no files."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from nemgan.callers import as_by_default
from nemgan.counting import Count, fitting_better
from nemgan.data.dataset import Dataset
from nemgan.data.pool import Pool
from nemgan.estimators.plan import MODEL
from nemgan.evaluation.inference import generate
from nemgan.experiments.config import Config
from nemgan.models import catalog
from nemgan.models.base import Model, at_rest
from nemgan.seeding import torch_generator
from nemgan.training.loop import train
from nemgan.training.runtime import pick_device

Array = NDArray[Any]
Float = NDArray[np.float64]
Int = NDArray[np.int64]
Question = Literal["posterior", "mode_posterior", "invert", "features"]


@as_by_default()
def fit_model(
    x: Array,
    labels: Int,
    classes: tuple[str, ...],
    config: Config,
    n_clusters: int,
    prior: Float | None,
    seed: int,
    *,
    verbose: bool = False,
) -> Model:
    """A model trained on the samples ``x`` (as ``Layout.to_model`` gives them) and their labels, −1 = hidden.

    Raises:
        NemganError: whatever the model or the training refuses.
    """
    data = Dataset(x if x.ndim == 4 else x.astype(np.float32), labels, classes, "X")
    device = pick_device(config.device)
    model = catalog.create(MODEL, config, data.shape, n_clusters, prior, seed).to(device)
    train(model, Pool.of(data, device), seed=seed, progress=verbose)
    model.scratch.clear()
    return model


@as_by_default()
def ask(model: Model, x: Array, what: Question, batch: int = 1024) -> Float:
    """``model.what`` of samples ``x`` as ``Layout.to_model`` gives them, ``(N, …)`` float64.

    Vectors go through the model in double precision, so that a sample's answer does not depend on its company.
    """
    double = x.ndim == 2
    if double:
        model = copy.deepcopy(model).cpu().double()
    parts = []
    with at_rest(model):
        for rows in np.split(x, range(batch, len(x), batch)):
            raw = torch.from_numpy(np.ascontiguousarray(rows)).to(model.device)
            encoded = model.encode(raw) if not double else (raw - model.offset) / model.scale
            parts.append(getattr(model, what)(encoded).flatten(1).cpu().double().numpy())
    return np.concatenate(parts)


@as_by_default()
def draw(model: Model, clusters: Int, seed: int) -> Array:
    """A generated sample of each cluster named in ``clusters`` ``(n,)``, as the model makes them."""
    kind = np.uint8 if len(model.shape) == 3 else np.float32
    x = np.empty((len(clusters), *model.shape), kind)
    for cluster in np.unique(clusters).tolist():
        rng = torch_generator(seed, "sample", cluster, device=model.device)
        where = np.flatnonzero(clusters == cluster)
        x[where] = generate(model, len(where), rng, cluster)[0]
    return x


def suggested(model: Model, n_clusters: int) -> int | None:
    """The number of clusters that by the model's evidence fits clearly better than ``n_clusters``, if any."""
    rows = getattr(model, "counts", torch.zeros(0, 3)).tolist()
    best = fitting_better([Count(int(m), joined, split) for m, joined, split in rows if m == m], n_clusters)
    return None if best is None else best.m


def mass_interval(posterior: Float, seed: int, level: float = 0.95, times: int = 400) -> Float:
    """Interval ``(M, 2)`` of the mean of ``posterior`` (N, M) over draws of the N samples (Bayesian bootstrap)."""
    from nemgan.prevalence import data_bootstrap
    from nemgan.seeding import numpy_generator

    draws = data_bootstrap(posterior, times, numpy_generator(seed, "interval"))
    return np.asarray(np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0).T)
