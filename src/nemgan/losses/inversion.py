"""Losses of the latent inverter h(x) = (ẑ, ŷ) on generated samples (condition C2)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def mode_cross_entropy(logits: Tensor, mode: Tensor) -> Tensor:
    """CE(ŷ, y): logits ``(n, M)`` against modes ``(n,)``; the divergence D(P_Ŷ, P_Y) of Eq. 4 up to a constant."""
    return F.cross_entropy(logits, mode)


def mode_binary_cross_entropy(logits: Tensor, mode: Tensor) -> Tensor:
    """Binary cross-entropy of softmax(logits) against one-hot modes, as the paper's authors released it."""
    p = logits.softmax(1).clamp(1e-6, 1 - 1e-6)
    return F.binary_cross_entropy(p, F.one_hot(mode, logits.shape[1]).to(p.dtype))


def latent_error(found: Tensor, z: Tensor) -> Tensor:
    """Mean squared error of ẑ against z, both ``(n, dim)``."""
    return F.mse_loss(found, z)
