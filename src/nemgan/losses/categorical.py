"""Entropies of a classifier without labels (Springenberg 2016), in nats."""

from __future__ import annotations

from torch import Tensor


def entropy(p: Tensor) -> Tensor:
    """H[p] of each row of ``p`` (…, M)."""
    return -(p * p.clamp_min(1e-8).log()).sum(-1)


def conditional_entropy(p: Tensor) -> Tensor:
    """E H[y | x] for posteriors ``p`` (n, M): 0 where each is one-hot, log M where each is level."""
    return entropy(p).mean()


def marginal_entropy(p: Tensor) -> Tensor:
    """H[E p(y | x)] for posteriors ``p`` (n, M): log M where the classes are used evenly."""
    return entropy(p.mean(0))
