"""Losses that make the inverter see which real samples are connected (docs/theory.md).

The paper defines clusters as the connected components of the data's support. Neighbours lie in one component, so
their modes should agree; and the shares of the modes over the data should be the prior's, which excludes the
constant answer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def disagreement(p: Tensor, q: Tensor) -> Tensor:
    """−E log ⟨p, q⟩ for posteriors ``p`` and ``q`` (n, M) of neighbours; zero if both are one-hot and equal.

    Neighbours that share less than 1e-8 are held to be on two sides of a border: they have no gradient.
    """
    return -(p * q).sum(1).clamp_min(1e-8).log().mean()


def imbalance(p: Tensor, prior: Tensor) -> Tensor:
    """KL(mean p ‖ prior) for posteriors ``p`` (n, M) and masses ``prior`` (M,), in nats."""
    mean = p.mean(0).clamp_min(1e-8)
    return (mean * (mean / prior.clamp_min(1e-8)).log()).sum()


def contrast(z: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding the other view of each of ``z`` (2n, D) among all; rows i and i + n are one image's.

    NT-Xent (Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations, Eq. 1).
    """
    z = F.normalize(z, dim=1)
    alike = (z @ z.T / temperature).fill_diagonal_(-1e4)
    return F.cross_entropy(alike, torch.arange(len(z), device=z.device).roll(len(z) // 2))
