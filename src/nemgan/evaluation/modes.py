"""How many of the data's modes a generator covers, and how evenly.

covered: modes that at least one generated sample shows. kl: KL(generated ‖ true) of the shares of the modes, in nats,
0 where they agree. Who says which mode a sample shows depends on the data:

    the ring         the nearest centre, which a sample covers if it lies within 3 σ of it (Srivastava et al. 2017)
    stacked MNIST    the judge of digits, on 26,000 samples (Metz et al. 2017)
    other sets       the judge; the modes are the classes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data import stacked
from nemgan.data.dataset import Splits
from nemgan.data.synthetic import RING_SIGMA, ring_centres
from nemgan.evaluation.judge import Judge
from nemgan.evaluation.result import Modes

Array = NDArray[Any]
RING = "ring-8"
RING_SAMPLES, STACKED_SAMPLES = 2500, 26_000
SIGMAS = 3.0


def count(splits: Splits, draw: Callable[[int], Array], judge: Judge | None, judged: Array | None) -> Modes | None:
    """Modes of the data ``splits`` in generated samples; None where nothing tells modes apart.

    Args:
        draw: gives that many generated samples from the prior, raw as in a data set.
        judged: classes ``(N,)`` that ``judge`` gave to the samples drawn already; used where the protocol of the data
            does not ask for a number of its own.
    """
    train = splits.train
    if train.name == RING:
        x = draw(RING_SAMPLES)
        mode, near = on_ring(x, ring_centres(), RING_SIGMA)
        shares = np.full(len(ring_centres()), 1 / len(ring_centres()))
        return Modes(
            covered=len(np.unique(mode[near])),
            of=len(shares),
            kl=divergence(mode, shares),
            within=float(near.mean()),
            n=len(x),
            told_by=f"the nearest centre; covered and within: {SIGMAS:g} standard deviations from it",
        )
    if judge is None or judged is None:
        return None
    told_by = "the judge"
    if train.name == stacked.NAME:
        judged = judge.predict(draw(STACKED_SAMPLES))
        digit = (
            "" if judge.accuracy is None else f", about {judge.accuracy ** (1 / stacked.CHANNELS):.3f} right a digit"
        )
        told_by = f"the judge of digits, each colour channel apart{digit}"
    told = next((data for data in (train, splits.test) if (data.y >= 0).all()), None)
    if told is None:  # of few labels the mix says nothing of the data's
        return None
    shares = told.masses
    return Modes(
        covered=len(np.unique(judged[shares[judged] > 0])),
        of=int((shares > 0).sum()),
        kl=divergence(judged, shares),
        within=None,
        n=len(judged),
        told_by=told_by if judge.accuracy is None else f"{told_by} (test accuracy {judge.accuracy:.4f})",
    )


def on_ring(x: Array, centres: Array, sigma: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The nearest centre ``(N,)`` of each point ``(N, 2)``, and whether it is at most 3 ``sigma`` away."""
    distance = np.linalg.norm(x[:, None].astype(np.float64) - centres, axis=2)
    return distance.argmin(1), distance.min(1) <= SIGMAS * sigma


def divergence(modes: Array, shares: Array) -> float:
    """KL(generated ‖ true) in nats, of modes ``(N,)`` against true shares ``(M,)``.

    A mode that occurs where its share is 0 (a class the training split lacks) is given half a sample's share, so that
    the figure stays finite.

    >>> divergence(np.array([0, 0, 1, 1]), np.array([0.5, 0.5]))
    0.0
    """
    found = np.bincount(modes, minlength=len(shares)) / max(len(modes), 1)
    there = found > 0
    true = np.maximum(shares[there], 0.5 / max(len(modes), 1) * (shares[there] == 0))
    return max(0.0, float((found[there] * np.log(found[there] / true)).sum()))
