"""A second look at images: where their edges run, what their patches are like, and what regressions make of both.

h learns what a few layers can tell from pixels and views. Histograms of oriented gradients (Dalal & Triggs 2005,
Histograms of Oriented Gradients for Human Detection) and images' own patches as filters (Coates, Lee & Ng 2011, An
Analysis of Single-Layer Networks in Unsupervised Feature Learning) are nothing it finds by itself. A logistic
regression on a kernel of each learns from labels, or from what h has decided; views of a sample that err apart teach
each other (co-training, Blum & Mitchell 1998). How much that gives:
docs/notebook.md, "Two looks that teach each other".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from nemgan.callers import silenced
from nemgan.parts import by_parts

BINS = 8
"""Directions that gradients are sorted into."""
PATCH, FILTERS = 4, 128
"""Side of the patches in pixels, two of which lie between one patch and the next, and how many are filters."""
SIDE = 28
"""Sides of twice as many pixels and more are made smaller, to this many at least."""
FLOOR, RIDGE = 0.01, 0.1
"""Variance of noise: what is added to that of a patch's pixels in [0, 1], and to that of whitened patches."""
LANDMARKS = 1000
"""Samples, at most, that others are compared with."""
GAMMA = 2.0
"""Of the kernel exp(−γ‖a − b‖²); what is compared is of unit length."""
SCALE = 10.0
"""What the kernel's components are multiplied with: weight decay is for numbers of unit size, about."""
PART = 64
"""Images at a time on a CPU: what comes of so few stays in its cache, which is four times as fast as a thousand."""
ALIKE = 1e-6
"""Components of the kernel that are smaller, beside the largest, are left out: of identical samples they are noise."""


def reduced(x: Tensor) -> Tensor:
    """Images ``x`` (n, C, S, S) made smaller in both directions alike, to sides of 28 to 55 pixels and a multiple of 4.

    >>> [reduced(torch.zeros(1, 1, s, s)).shape[-1] for s in (16, 28, 52, 56, 100, 256)]
    [16, 28, 52, 28, 32, 28]
    """
    shrink, side = x.shape[-1] // SIDE, _reduced_side(x.shape[-1])
    return x if shrink < 2 else F.avg_pool2d(x, shrink)[:, :, :side, :side]


def _reduced_side(side: int) -> int:
    """What ``reduced`` makes of a side: in quarters; what is over is cut off."""
    shrink = side // SIDE
    return side if shrink < 2 else side // shrink // 4 * 4


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
    edge = _bordered(x)
    right, down = edge[:, :, 1:-1, 2:] - edge[:, :, 1:-1, :-2], edge[:, :, 2:, 1:-1] - edge[:, :, :-2, 1:-1]
    size, most = (right.square() + down.square()).max(1, keepdim=True)
    angle = torch.atan2(down.gather(1, most), right.gather(1, most)) * (BINS / (2 * math.pi))
    bins = torch.arange(BINS, device=x.device).view(1, -1, 1, 1)
    apart = (angle - bins + BINS / 2).remainder(BINS) - BINS / 2
    counts = size.sqrt() * (1 - apart.abs()).clamp_min(0)
    parts = [F.avg_pool2d(counts, cell).sqrt().flatten(1) for cell in cells(x.shape[-1])]
    return torch.cat([F.normalize(part, dim=1) for part in parts], 1) / math.sqrt(len(parts))


def _few(x: Tensor) -> int:
    return PART if x.device.type == "cpu" else 1024


def _bordered(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="replicate")


class Edges(nn.Module):
    """``histograms`` of images of ``shape`` (C, H, W)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = sum(BINS * (shape[1] // cell) ** 2 for cell in cells(shape[1]))

    def learn(self, x: Tensor, rng: torch.Generator) -> None:
        """Nothing: it is the same for all images."""

    def forward(self, x: Tensor) -> Tensor:
        return histograms(x)


class Patches(nn.Module):
    """How much each quarter of an image of ``shape`` (C, H, W) is like each of ``FILTERS`` patches, ``(n, D)``.

    Patches are freed of brightness and contrast, and whitened; what counts is by how much an image is more like one
    patch than like the others. Of unit length, square roots as in ``histograms``.
    """

    filters: Tensor
    offset: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = 4 * FILTERS
        self.register_buffer("filters", torch.zeros(FILTERS, shape[0], PATCH, PATCH))
        self.register_buffer("offset", torch.zeros(FILTERS))

    def learn(self, x: Tensor, rng: torch.Generator) -> None:
        """Take the filters from images ``x`` (n, C, H, W) in [0, 1]: patches that have more contrast than most."""
        patches = F.unfold(_bordered(x), PATCH, stride=PATCH // 2).transpose(1, 2).flatten(0, 1)
        patches = patches[torch.randperm(len(patches), generator=rng, device=rng.device)[:40_000].to(x.device)]
        apart = patches - patches.mean(1, keepdim=True)
        variance = apart.var(1, keepdim=True)
        apart = apart / (variance + FLOOR).sqrt()
        mean, covariance = apart.mean(0), torch.cov(apart.T).cpu()  # so small that no device is needed
        values, axes = (part.to(x.device) for part in torch.linalg.eigh(covariance))
        white = axes @ ((values.clamp_min(0) + RIDGE).rsqrt()[:, None] * axes.T)
        half = variance.flatten().argsort(descending=True, stable=True)[: max(1, len(patches) // 2)]
        chosen = torch.randperm(len(half), generator=rng, device=rng.device).to(x.device)
        kept = half[chosen.repeat(-(-FILTERS // len(half)))[:FILTERS]]
        directions = F.normalize((apart[kept] - mean) @ white, dim=1) @ white
        self.offset.copy_(-directions @ mean)
        directions = directions - directions.mean(1, keepdim=True)  # brightness need not be taken from each patch
        self.filters.copy_(directions.view_as(self.filters))

    def forward(self, x: Tensor) -> Tensor:
        x = _bordered(x)
        step, n = PATCH // 2, self.filters[0].numel()
        mean, square = (F.avg_pool2d(part.mean(1, keepdim=True), PATCH, step) for part in (x, x.square()))
        variance = (square - mean.square()).clamp_min(0) * (n / (n - 1))
        alike = F.conv2d(x, self.filters, stride=step) / (variance + FLOOR).sqrt() + self.offset.view(1, -1, 1, 1)
        spread = (alike - alike.mean(1, keepdim=True)).square().sum(1, keepdim=True) / (FILTERS - 1)
        alike = (alike - spread.sqrt()).clamp_min(0)
        return F.normalize(F.avg_pool2d(alike, alike.shape[-1] // 2).sqrt().flatten(1), dim=1)


class Regression(nn.Module):
    """Logits of ``clusters`` by what one view makes of samples (n, size), ``(n, M)``.

    Attributes:
        landmarks: samples that others are compared with ``(LANDMARKS, size)``.
        weight: of the likeness to each in the logit of each cluster ``(LANDMARKS, M)``.
        bias: of each cluster ``(M,)``.
    """

    landmarks: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, size: int, clusters: int) -> None:
        super().__init__()
        self.register_buffer("landmarks", torch.zeros(LANDMARKS, size))
        self.register_buffer("weight", torch.zeros(LANDMARKS, clusters))
        self.register_buffer("bias", torch.zeros(clusters))

    def forward(self, found: Tensor) -> Tensor:
        square = found.square().sum(1, keepdim=True) + self.landmarks.square().sum(1) - 2 * found @ self.landmarks.T
        return torch.exp(-GAMMA * square.clamp_min(0)) @ self.weight + self.bias


class SecondLook(nn.Module):
    """Logits of ``clusters`` by the edges and the patches of images of ``shape`` (C, H, W), added up ``(n, M)``.

    It knows nothing until it has had its ``Lessons``.

    Attributes:
        learned: whether it has; ``taught``, 0 or 1, says so in a file.
    """

    taught: Tensor

    def __init__(self, shape: tuple[int, ...], clusters: int) -> None:
        super().__init__()
        self.learned = False
        shape = (shape[0], *map(_reduced_side, shape[1:]))
        self.edges, self.patches = Edges(shape), Patches(shape)
        self.by_edges, self.by_patches = (Regression(view.size, clusters) for view in (self.edges, self.patches))
        self.register_buffer("taught", torch.zeros(()))

    @property
    def ways(self) -> tuple[tuple[Edges | Patches, Regression], ...]:
        """Each view with what it is heard by."""
        return (self.edges, self.by_edges), (self.patches, self.by_patches)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, M)``; they pass no gradients on to ``x``, for the root of a count has none where it is 0."""
        return by_parts(lambda part: self.at_once(x[part]), len(x), _few(x))

    def at_once(self, x: Tensor) -> Tensor:
        """``forward`` without parts, for exporters."""
        x = reduced(x)
        return torch.stack([heard_by(view(x)) for view, heard_by in self.ways]).sum(0)

    def move(self, moves: Tensor) -> None:
        """Add ``moves`` (M,) to all that it says."""
        self.by_edges.bias.add_(moves)

    def reorder(self, order: Tensor) -> None:
        """Make cluster k what cluster ``order[k]`` is; ``order`` (M,) has each once."""
        for regression in (self.by_edges, self.by_patches):
            regression.weight.copy_(regression.weight[:, order])
            regression.bias.copy_(regression.bias[order])

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.learned = bool(self.taught)


class Lessons:
    """What a second ``look`` learns of ``n`` samples, the first of which are its landmarks.

    Args:
        x: the samples of a slice (n, C, H, W) in [0, 1].
        seed: draws patches.
    """

    def __init__(self, look: SecondLook, x: Callable[[slice], Tensor], n: int, seed: int) -> None:
        from sklearn.metrics.pairwise import rbf_kernel

        self.look = look
        self.seen: list[tuple[Regression, NDArray[np.float64], NDArray[np.float64]]] = []
        first = reduced(x(slice(0, min(n, 1000))))
        for view, regression in look.ways:
            view.learn(first, torch.Generator().manual_seed(seed))
            size = _few(first)
            found = by_parts(lambda part, view=view: view(reduced(x(part))), n, size).cpu().numpy()  # type: ignore[misc]
            marks = found[:LANDMARKS]
            values, axes = np.linalg.eigh(rbf_kernel(marks.astype(np.float64), gamma=GAMMA))
            kept = values > ALIKE * values[-1]
            normal = SCALE * (axes[:, kept] / np.sqrt(values[kept])) @ axes[:, kept].T  # Nyström's approximation
            regression.landmarks.zero_()[: len(marks)].copy_(torch.from_numpy(marks))
            self.seen.append((regression, rbf_kernel(found, marks, gamma=GAMMA) @ normal, normal))

    def learn(self, clusters: NDArray[np.int64], strength: float, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Learn which cluster samples are of; what the look then says of each ``(n, M)``.

        It is freed of how many of each cluster it has learned from: masses are h's to know, and of labels their mix is
        no more than how they were picked.

        Args:
            clusters: theirs (n,), of two different ones at least; −1 where it is not to learn from.
            strength: scikit-learn's C, the inverse of the weight decay.
            weights: how much each sample counts (n,).
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        at = np.flatnonzero(clusters >= 0)
        shares = np.bincount(clusters[at], weights[at]) / weights[at].sum()
        said = []
        for regression, seen, normal in self.seen:
            model = LogisticRegression(C=strength, max_iter=300)
            with silenced(ConvergenceWarning):  # of so many steps the last change nothing
                model.fit(seen[at], clusters[at], weights[at])
            slopes, bias = model.coef_, model.intercept_
            if len(model.classes_) == 2:
                slopes, bias = np.stack([-slopes[0], slopes[0]]) / 2, np.stack([-bias[0], bias[0]]) / 2
            m = len(regression.bias)
            all_slopes, all_bias = np.zeros((m, seen.shape[1])), np.zeros(m)  # of a cluster without samples: nothing
            all_slopes[model.classes_], all_bias[model.classes_] = slopes, bias - np.log(shares[model.classes_])
            weight = normal.T @ all_slopes.T
            regression.weight.zero_()[: len(weight)] = torch.from_numpy(weight).to(regression.weight)
            regression.bias.copy_(torch.from_numpy(all_bias))
            said.append(seen @ all_slopes.T + all_bias)
        self.look.learned = True
        self.look.taught.fill_(1)
        total: NDArray[np.float64] = np.sum(said, axis=0)
        return total
