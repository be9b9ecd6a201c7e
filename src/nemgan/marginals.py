"""Marginals of vectors: monotone curves that make each number of generated vectors as frequent as in the real ones.

A generator is continuous: of skewed amounts it makes too many at the end of the range, and a word that one row in five
has it may never make. Which numbers go together a critic of pairs tells it well; how often each occurs is counted in
each cluster, and mended by quantile mapping, which is to vectors what tones are to images.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

KNOTS = 65
"""Quantiles that a curve goes through, the ends among them."""
PART = 1 << 24
"""Numbers that ``apply_marginals`` may lay out at a time, ``KNOTS`` for each of a vector's."""


def marginal_curves(made: Tensor, real: Tensor) -> Tensor:
    """Quantiles of vectors ``made`` (n, D) and what those of the ``real`` ones (N, D) are more, ``(2, KNOTS, D)``."""
    at = np.linspace(0, 1, KNOTS)
    own, theirs = (np.quantile(x.cpu().double().numpy(), at, axis=0) for x in (made, real))
    return torch.from_numpy(np.stack([own, theirs - own])).float().to(made.device)


def apply_marginals(curves: Tensor, x: Tensor, clusters: Tensor) -> Tensor:
    """Vectors ``x`` (n, D) of ``clusters`` (n,), each number moved by the ``curves`` (2, M, KNOTS, D) of its cluster.

    Between quantiles as far as lies between, beyond the ends as far as these. Curves of zeros move nothing.
    """
    own, moves = curves[:, clusters]
    apart = own[:, 1:] - own[:, :-1]
    passed = ((x[:, None] - own[:, :-1]) / apart.clamp_min(1e-12)).clamp(0, 1)  # (n, KNOTS - 1, D)
    found: Tensor = x + moves[:, 0] + (passed * (moves[:, 1:] - moves[:, :-1])).sum(1)
    return found
