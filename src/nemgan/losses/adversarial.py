"""Adversarial losses: tensors in, scalar out.

Scores are the critic's raw outputs ``(n,)``: high means "real".

    wgan       E[d(fake)] − E[d(real)], weights clipped                Arjovsky et al. 2017
    wgan-gp    E[d(fake)] − E[d(real)] + λ E[(‖∇d(x̂)‖₂ − 1)²]       Gulrajani et al. 2017
    hinge      E[(1 − d(real))₊] + E[(1 + d(fake))₊], spectral norm    Miyato et al. 2018
    logistic   E[softplus(−d(real))] + E[softplus(d(fake))] + γ/2 E‖∇d(real)‖²   Mescheder et al. 2018 (R1)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Adversarial = Literal["wgan", "wgan-gp", "hinge", "logistic"]


def critic_loss(kind: Adversarial, real: Tensor, fake: Tensor) -> Tensor:
    """What the critic minimises, without its penalty."""
    if kind in ("wgan", "wgan-gp"):
        return fake.mean() - real.mean()
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(kind: Adversarial, fake: Tensor) -> Tensor:
    """What the generator minimises (non-saturating for the logistic loss)."""
    return F.softplus(-fake).mean() if kind == "logistic" else -fake.mean()


def _gradient_norms(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """‖∇ₓ d(x)‖₂ for each sample ``(n,)``, differentiable in the critic's parameters."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return norms


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """E[(‖∇d(x̂)‖₂ − 1)²] at x̂ drawn uniformly on the lines between ``real`` and ``fake`` (same shape)."""
    t = torch.rand(len(real), generator=rng, device=real.device).view(-1, *[1] * (real.ndim - 1))
    return ((_gradient_norms(critic, real + t * (fake - real)) - 1) ** 2).mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """½ E‖∇d(real)‖²."""
    return 0.5 * (_gradient_norms(critic, real) ** 2).mean()
