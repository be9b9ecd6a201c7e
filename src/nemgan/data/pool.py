"""Training data on the device: all that a phase of training may draw from.

The pool is where the two tracks are kept apart: it holds the samples, and of the labels only those that were
disclosed. A run with zero labels builds its pool from ``train.unlabelled()``, so there is none to leak.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nemgan.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Pool:
    """Samples, disclosed labels and neighbours on one device.

    Attributes:
        x: images ``(N, C, H, W)`` uint8 or vectors ``(N, D)`` float32, as in the data set.
        labelled: positions of the disclosed labels, ``(L,)`` int64.
        labels: their classes, ``(L,)`` int64.
    """

    x: Tensor
    labelled: Tensor
    labels: Tensor

    @classmethod
    def of(cls, data: Dataset, device: torch.device | str = "cpu") -> Pool:
        """The pool of ``data``; labels of −1 stay hidden."""
        y = torch.from_numpy(data.y)
        labelled = (y >= 0).nonzero().flatten()
        return cls(torch.from_numpy(data.x).to(device), labelled.to(device), y[labelled].to(device))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def device(self) -> torch.device:
        return self.x.device

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Positions of ``n`` samples drawn with replacement, ``(n,)`` int64."""
        return torch.randint(len(self.x), (n,), generator=rng, device=self.device)
