"""Which real samples a critic of pairs (x, mode) is shown, and how often.

It matches every mode to the mode's own samples, so a rare cluster is generated as well as a common one only if it is
seen often enough, and as purely as it was found only if the doubtful samples on its border are not its model.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 0.5
"""Share of a mode's samples that are shown however doubtful they are: its surest ones."""


class Shown:
    """The real samples of each mode that are shown.

    Args:
        modes: of all samples ``(N,)``.
        margins: between each sample's two likeliest clusters ``(N,)``, in [0, 1].
        least: samples of a smaller margin are not shown, unless they are in the surer half of their mode.
        chances: of the modes ``(K,)``; one without samples is never drawn.

    Attributes:
        modes: as given.
        positions: of the samples that are shown, by mode.
    """

    def __init__(self, modes: Tensor, margins: Tensor, least: float, chances: Tensor) -> None:
        self.modes = modes
        surest = (-margins).argsort(stable=True)
        by_mode = surest[modes[surest].argsort(stable=True)]  # each mode's samples, the surest first
        size = torch.bincount(modes, minlength=len(chances))
        rank = torch.arange(len(modes), device=modes.device) - (size.cumsum(0) - size)[modes[by_mode]]
        kept = (margins[by_mode] >= least) | (rank < LEAST * size[modes[by_mode]])
        self.positions = by_mode[kept]
        self._size = torch.bincount(modes[self.positions], minlength=len(chances))
        self._first = self._size.cumsum(0) - self._size
        self._chances = chances * (size > 0)

    def of_clusters(self, groups: Tensor) -> Tensor:
        """Whether the cluster of each mode (K,) has samples, as 0 or 1; ``groups`` (K,) says which cluster that is."""
        return torch.zeros_like(self._chances).index_add_(0, groups, self._size.to(self._chances))[groups].sign()

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Positions of ``n`` samples drawn with replacement, ``(n,)`` int64: modes by chance, samples of one evenly."""
        mode = torch.multinomial(self._chances, n, replacement=True, generator=rng)
        size = self._size[mode]
        turn = (torch.rand(n, generator=rng, device=rng.device) * size).long().minimum(size - 1)
        return self.positions[self._first[mode] + turn]
