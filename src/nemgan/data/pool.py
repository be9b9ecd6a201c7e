"""Training data on the device: all that a phase of training may draw from.

The pool is where the two tracks are kept apart: it holds the samples, and of the labels only those that were
disclosed. A run with zero labels builds its pool from ``train.unlabelled()``, so there is none to leak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nemgan.data.dataset import Dataset
from nemgan.data.ondisk import Rows


class OnDisk:
    """Stands for the tensor ``(N, …)`` of samples that stay on disk: what is indexed is read, and put on the device."""

    def __init__(self, rows: Rows, device: torch.device) -> None:
        self.rows, self.device, self.shape = rows, device, torch.Size(rows.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Tensor | slice) -> Tensor:
        found = self.rows[at.cpu().numpy() if isinstance(at, Tensor) else at]
        return torch.from_numpy(found).to(self.device)


@dataclass(frozen=True, eq=False)
class Pool:
    """Samples and disclosed labels on one device.

    Attributes:
        x: images ``(N, C, H, W)`` uint8 or vectors ``(N, D)`` float32, as in the data set, and on disk where those are.
        labelled: positions of the disclosed labels, ``(L,)`` int64.
        labels: their classes, ``(L,)`` int64.
    """

    x: Tensor | OnDisk
    labelled: Tensor
    labels: Tensor

    @classmethod
    def of(cls, data: Dataset, device: torch.device | str = "cpu") -> Pool:
        """The pool of ``data``; labels of −1 stay hidden."""
        y = torch.from_numpy(data.y)
        labelled = (y >= 0).nonzero().flatten()
        if isinstance(data.x, Rows):
            x: Tensor | OnDisk = OnDisk(data.x, torch.device(device))
        else:
            x = torch.from_numpy(np.require(data.x, requirements="W")).to(device)
        return cls(x, labelled.to(device), y[labelled].to(device))

    def some(self, n: int) -> Pool:
        """A pool of at most ``n`` samples, none on disk: all that are labelled, others in a fixed shuffled order."""
        if n >= len(self.x):
            return self if isinstance(self.x, Tensor) else Pool(self.x[:], self.labelled, self.labels)
        first = torch.ones(len(self.x))
        first[self.labelled.cpu()] = 0
        shuffled = torch.from_numpy(np.random.default_rng(0).permutation(len(self.x)))
        kept = (
            shuffled[first[shuffled].argsort(stable=True)][: max(n, len(self.labelled))].sort().values.to(self.device)
        )
        return Pool(self.x[kept], torch.searchsorted(kept, self.labelled), self.labels)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def device(self) -> torch.device:
        return self.x.device

    def glance(self, n: int) -> NDArray[Any]:
        """At most ``n`` of the samples ``(n, …)``, the same each time and from everywhere: data may come sorted."""
        chosen = np.sort(np.random.default_rng(0).permutation(len(self))[:n])
        found: NDArray[Any] = self.x[torch.from_numpy(chosen).to(self.device)].cpu().numpy()
        return found

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Positions of ``n`` samples drawn with replacement, ``(n,)`` int64."""
        return torch.randint(len(self.x), (n,), generator=rng, device=self.device)
