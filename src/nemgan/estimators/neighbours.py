"""How far a clustering keeps neighbours together: a score without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data.neighbours import flatten, nearest


def kept_together(samples: NDArray[Any], posterior: NDArray[np.float64], k: int = 5) -> float:
    """(H(mean p) − disagreement) / H(mean p), at most 1: the share of the clustering's entropy neighbours agree on.

    Disagreement is −E log ⟨p, p′⟩ over each sample's ``k`` nearest others. 0 where all samples are in one cluster.
    """
    mean = posterior.mean(0)
    entropy = float(-(mean * np.log(np.maximum(mean, 1e-12))).sum())
    if entropy < 1e-6:
        return 0.0
    index, _ = nearest(flatten(samples.astype(np.float32) if samples.ndim == 2 else samples), k)
    together = (posterior[:, None, :] * posterior[index]).sum(2)
    return 1 - float(-np.log(np.maximum(together, 1e-8)).mean()) / entropy
