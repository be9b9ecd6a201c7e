"""The prior over modes: a multinoulli reparameterised from one uniform variable (paper, Eq. 1–2 and Lemma 2).

With a_i = Σ_{j≤i} softmax(α)_j and ν₁ ~ U[0, 1],

    f_i = σ(a_i − ν₁) − σ(a_{i−1} − ν₁),   a_{−1} = 0,   σ the unit step,

is a one-hot vector y whose mode i has probability softmax(α)_i. The forward pass is exact; α has no useful gradient
through the step, so it is fitted through softmax(α) alone (Eq. 5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nemgan.errors import ConfigError, unknown


def check_masses(values: Sequence[float] | NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Masses of ``n`` clusters, checked, as float64 ``(n,)`` that sum to one exactly.

    Raises:
        ConfigError: wrong length, a mass that is not above zero, or a sum further than 1e-3 from one.
    """
    masses = np.asarray(values, np.float64)
    if masses.shape != (n,):
        many = "1 mass is" if masses.size == 1 else f"{masses.size} masses are"
        raise ConfigError(f"{many} given for {n} clusters: give each cluster one")
    if not np.isfinite(masses).all() or (masses <= 0).any():
        shown = ", ".join(f"{m:g}" for m in masses)
        raise ConfigError(f"of the masses {shown} one is not above zero: drop that cluster or give it a share")
    if abs(masses.sum() - 1) > 1e-3:
        raise ConfigError(f"the masses sum to {masses.sum():g}, not 1: scale the masses so that they do")
    return np.asarray(masses / masses.sum(), np.float64)


def masses_by_class(given: Sequence[tuple[str, float]], classes: Sequence[str], n: int) -> NDArray[np.float64]:
    """Masses of ``n`` clusters (n,), of which the first are the ``classes``, checked, from pairs of class and mass.

    One cluster more than there are classes has what these leave.

    Raises:
        ConfigError: a class that is unknown, missing or given twice, several clusters without a class, or no masses.
    """
    names = [name for name, _ in given]
    if not classes:
        raise ConfigError(
            f"prior names classes ({', '.join(names[:3])}), and there are none: give labels, or masses alone such as "
            ".7,.3"
        )
    for name in names:
        if name not in classes:
            raise unknown("class in prior", name, classes)
        if names.count(name) > 1:
            raise ConfigError(f"prior names class {name!r} twice: give it one mass")
    if absent := [name for name in classes if name not in names]:
        raise ConfigError(f"no mass of {', '.join(absent)} is given: give every class one")
    if n > len(classes) + 1:
        raise ConfigError(
            f"prior names {len(classes)} classes, and {n - len(classes)} of {n} clusters have no label: give masses "
            f"alone, first those of {', '.join(classes)}"
        )
    place = dict(given)
    masses = [place[name] for name in classes]
    if n > len(classes):
        masses.append(1 - sum(masses))
    return check_masses(masses, n)


def multinoulli(alpha: Tensor, nu: Tensor) -> Tensor:
    """Eq. 1–2: one-hot ``y`` (n, M) from logits ``alpha`` (M,) and uniform variables ``nu`` (n,) in [0, 1]."""
    a = alpha.softmax(0).cumsum(0)
    a = torch.cat([a[:-1], a.new_ones(1)])  # rounding must not leave a gap below one
    below = (a >= nu[:, None]).to(alpha.dtype)  # σ(a_i − ν)
    return torch.diff(below, dim=1, prepend=below.new_zeros(len(nu), 1))


class Prior(nn.Module):
    """P_Y = softmax(α) over M modes.

    >>> prior = Prior(2)
    >>> prior.set(torch.tensor([0.9, 0.1]))
    >>> prior.masses().detach()
    tensor([0.9000, 0.1000])
    """

    def __init__(self, n_modes: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(n_modes))

    def masses(self) -> Tensor:
        """Mode probabilities ``(M,)``."""
        return self.alpha.softmax(0)

    @torch.no_grad()
    def set(self, masses: Tensor) -> None:
        """Make the masses (M,), all ≥ 0 with a positive sum, those given; a zero becomes 1e-6."""
        shares = masses.clamp_min(1e-6)
        self.alpha.copy_((shares / shares.sum()).log())

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """``n`` one-hot draws ``(n, M)``."""
        return multinoulli(self.alpha, torch.rand(n, generator=rng, device=self.alpha.device))
