"""A second look at images: where their edges run, and what a regression makes of that.

h learns what a few layers can tell from pixels and views; histograms of oriented gradients (Dalal & Triggs 2005,
Histograms of Oriented Gradients for Human Detection) are nothing it finds by itself, and with a kernel on them a few
labels go a long way. So a logistic regression on such a kernel learns from the labels or, where clusters have none,
from what h has decided, and its logits are added to h's: two views of a sample that err apart, each of which can teach
the other (co-training, Blum & Mitchell 1998). How much it gives: docs/notebook.md, "a second look".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from nemgan.callers import silenced

BINS = 8
"""Directions that gradients are sorted into."""
LANDMARKS = 1000
"""Samples, at most, that others are compared with."""
GAMMA = 2.0
"""Of the kernel exp(−γ‖a − b‖²); histograms are of unit length."""
SCALE = 10.0
"""What the kernel's components are multiplied with: weight decay is for numbers of unit size, about."""


def cells(side: int) -> tuple[int, int]:
    """Sides in pixels of the cells that gradients are counted in: 4 × 4 large ones, and about 7 × 7 small ones.

    >>> cells(28), cells(32)
    ((7, 4), (8, 4))
    """
    return side // 4, max(d for d in range(1, side // 7 + 1) if side % d == 0)


def histograms(x: Tensor) -> Tensor:
    """Histograms of oriented gradients of images ``x`` (n, C, H, W) in [0, 1], of unit length ``(n, D)``.

    Of each pixel the channel counts that changes most. Directions are whole ones (light to dark is not dark to light),
    shared between the two nearest bins; square roots of the counts, so that one strong edge is not all.
    """
    edge = F.pad(x, (1, 1, 1, 1), mode="replicate")
    right, down = edge[:, :, 1:-1, 2:] - edge[:, :, 1:-1, :-2], edge[:, :, 2:, 1:-1] - edge[:, :, :-2, 1:-1]
    size, most = (right.square() + down.square()).max(1, keepdim=True)
    angle = torch.atan2(down.gather(1, most), right.gather(1, most)) * (BINS / (2 * math.pi))
    bins = torch.arange(BINS, device=x.device).view(1, -1, 1, 1)
    apart = (angle - bins + BINS / 2).remainder(BINS) - BINS / 2
    counts = size.sqrt() * (1 - apart.abs()).clamp_min(0)
    parts = [F.avg_pool2d(counts, cell).sqrt().flatten(1) for cell in cells(x.shape[-1])]
    return torch.cat([F.normalize(part, dim=1) for part in parts], 1) / math.sqrt(len(parts))


def size(side: int) -> int:
    """Length of ``histograms`` of images of ``side`` pixels."""
    return sum(BINS * (side // cell) ** 2 for cell in cells(side))


class SecondLook(nn.Module):
    """Logits of h's modes ``(n, K)`` by the edges of images; nothing before it has learned.

    Attributes:
        learned: whether it has learned.
        landmarks: histograms of samples that others are compared with ``(LANDMARKS, D)``.
        weight: of the likeness to each in the logit of each mode ``(LANDMARKS, K)``.
        bias: of each mode ``(K,)``.
    """

    landmarks: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, side: int, modes: int) -> None:
        super().__init__()
        self.learned = False
        self.register_buffer("landmarks", torch.zeros(LANDMARKS, size(side)))
        self.register_buffer("weight", torch.zeros(LANDMARKS, modes))
        self.register_buffer("bias", torch.zeros(modes))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, K)``; they pass no gradients on to ``x``, for the root of a count has none where it is 0."""
        found = histograms(x)
        square = found.square().sum(1, keepdim=True) + self.landmarks.square().sum(1) - 2 * found @ self.landmarks.T
        return torch.exp(-GAMMA * square.clamp_min(0)) @ self.weight + self.bias

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.learned = bool(self.weight.any())

    def learn(
        self, found: NDArray[np.float32], clusters: NDArray[np.int64], groups: Tensor, strength: float, seed: int
    ) -> None:
        """Learn which cluster samples are of, freed of how many of each there are among them: masses are h's to know.

        Args:
            found: their ``histograms`` (n, D).
            clusters: theirs (n,), two different ones at least.
            groups: cluster of each mode (K,); of a cluster that no sample is of, nothing is said.
            strength: scikit-learn's C, the inverse of the weight decay.
            seed: draws the landmarks.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import LogisticRegression

        kernel = Nystroem(gamma=GAMMA, n_components=min(LANDMARKS, len(found)), random_state=seed).fit(found)
        model = LogisticRegression(C=strength, max_iter=300)
        with silenced(ConvergenceWarning):  # of so many steps the last change nothing
            model.fit(SCALE * kernel.transform(found).astype(np.float64), clusters)
        slopes, bias = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            slopes, bias = np.stack([-slopes[0], slopes[0]]) / 2, np.stack([-bias[0], bias[0]]) / 2
        bias = bias - np.log(np.bincount(clusters)[model.classes_] / len(clusters))
        m = int(groups.max()) + 1
        weights, biases = np.zeros((m, len(kernel.components_))), np.zeros(m)
        weights[model.classes_], biases[model.classes_] = SCALE * slopes @ kernel.normalization_, bias
        self.landmarks.zero_()[: len(kernel.components_)] = torch.from_numpy(kernel.components_).to(self.landmarks)
        self.weight.zero_()[: weights.shape[1]] = torch.from_numpy(weights.T).to(self.weight)[:, groups]
        self.bias.copy_(torch.from_numpy(biases).to(self.bias)[groups])
        self.learned = True
