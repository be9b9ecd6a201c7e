"""Random changes of a sample that leave its cluster as it is.

Images are ``(n, C, H, W)`` floats in [0, 1], vectors ``(n, D)`` standardised. All randomness comes from ``rng``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nemgan.data.dataset import Array
from nemgan.data.neighbours import flatten, nearest


@dataclass(frozen=True)
class Augmentation:
    """What may be changed, and how much.

    Attributes:
        strength: factor on every range; 0 changes nothing.
        flip: mirror images left-right half the time. Such images show things that stand upright, not slanted writing,
            so they are also turned, sheared and thickened half as much.
        jitter: standard deviation of Gaussian noise on vectors.
        paper: whether what lies beyond the edge of a grey image is black (0), or goes on as the edge is.
    """

    strength: float = 1.0
    flip: bool = False
    jitter: float = 0.0
    paper: bool = False

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Changed copies of ``x``, same shape."""
        if self.strength == 0:
            return x
        if x.ndim == 2:
            noise = torch.randn(x.shape, generator=rng, device=x.device, dtype=x.dtype)
            return x + noise * (self.jitter * self.strength)
        x = self._move(x, rng)
        return self._recolour(x, rng) if x.shape[1] == 3 else self._restroke(x, rng)

    def _uniform(self, x: Tensor, reach: float, rng: torch.Generator) -> Tensor:
        return (torch.rand(len(x), generator=rng, device=x.device) * 2 - 1) * (reach * self.strength)

    def _move(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Rotation ±20°, scale ±15 %, shear ±.4 and shift ±6 % of the side; things that stand: half turn and shear."""
        reach = 0.5 if self.flip or x.shape[1] == 3 else 1.0
        turn, shear = self._uniform(x, 0.35 * reach, rng), self._uniform(x, 0.4 * reach, rng)
        wide, high = 1 + self._uniform(x, 0.15, rng), 1 + self._uniform(x, 0.15, rng)
        right, down = self._uniform(x, 0.12, rng), self._uniform(x, 0.12, rng)
        cos, sin = turn.cos(), turn.sin()
        if self.flip:
            mirrored = torch.rand(len(x), generator=rng, device=x.device) < 0.5
            wide = torch.where(mirrored, -wide, wide)
        rows = [cos * wide, cos * shear - sin * high, right, sin * wide, sin * shear + cos * high, down]
        theta = torch.stack(rows, 1).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        padding = "reflection" if x.shape[1] == 3 else "border" if self.paper else "zeros"
        return F.grid_sample(x, grid, align_corners=False, padding_mode=padding)

    def _restroke(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Thicker or thinner strokes: a blend towards the 3×3 maximum or minimum. Small images are left alone."""
        if x.shape[-1] < 16:
            return x
        t = self._uniform(x, 0.5 if self.flip else 1.0, rng).view(-1, 1, 1, 1).clamp(-1, 1)
        thick, thin = around(x, torch.maximum), around(x, torch.minimum)
        return torch.where(t > 0, x + (thick - x) * t, x + (thin - x) * (-0.7 * t))

    def _recolour(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Saturation ±60 %, contrast ±40 %, brightness ±.3."""
        saturation = 1 + self._uniform(x, 0.6, rng).view(-1, 1, 1, 1)
        contrast = 1 + self._uniform(x, 0.4, rng).view(-1, 1, 1, 1)
        light = self._uniform(x, 0.3, rng).view(-1, 1, 1, 1)
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * saturation
        mean = x.mean((1, 2, 3), keepdim=True)
        return ((x - mean) * contrast + mean + light).clamp(0, 1)


def around(x: Tensor, pick: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The greatest (``pick`` torch.maximum) or least (torch.minimum) of the 3×3 pixels around each pixel.

    ``x`` is (n, C, H, W). As torch's pooling finds it, in a tenth of the time: down the columns, then along the rows.
    """
    for dim in (2, 3):
        n = x.shape[dim]
        pair = pick(x.narrow(dim, 0, n - 1), x.narrow(dim, 1, n - 1))
        inner = pick(pair.narrow(dim, 0, n - 2), pair.narrow(dim, 1, n - 2))
        x = torch.cat([pair.narrow(dim, 0, 1), inner, pair.narrow(dim, n - 2, 1)], dim)
    return x


def view(x: Tensor, side: int, rng: torch.Generator, flip: bool = True, area: float = 0.25) -> Tensor:
    """A random part of each image ``(n, C, H, W)`` at ``side`` pixels, mirrored half the time, its colours changed.

    Area from ``area`` to 1, aspect e^±.25, brightness and contrast ±.2; in colour, saturation ±.3, grey .15 of the
    time, and gains of 5 % on the channels, which is a cheap change of hue.
    """
    n = len(x)

    def uniform(reach: float, *shape: int) -> Tensor:
        return (torch.rand(n, *shape, generator=rng, device=x.device) * 2 - 1) * reach

    size, aspect = ((1 + area) / 2 + uniform((1 - area) / 2)).sqrt(), uniform(0.25).exp()
    wide, high, zero = (size * aspect).clamp_max(1), (size / aspect).clamp_max(1), torch.zeros(n, device=x.device)
    mirror = uniform(1.0).sign() if flip else 1.0
    rows = [wide * mirror, zero, uniform(1.0) * (1 - wide), zero, high, uniform(1.0) * (1 - high)]
    grid = F.affine_grid(torch.stack(rows, 1).view(n, 2, 3), [n, x.shape[1], side, side], align_corners=False)
    x = F.grid_sample(x, grid, align_corners=False, padding_mode="reflection")
    x = x * (1 + uniform(0.2, 1, 1, 1))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (1 + uniform(0.2, 1, 1, 1)) + mean
    if x.shape[1] == 3:
        grey, saturation = x.mean(1, keepdim=True), 1 + uniform(0.3, 1, 1, 1)
        x = grey + (x - grey) * torch.where(uniform(1.0, 1, 1, 1) < -0.7, 0.0, saturation)
        x = x * (1 + 0.05 * torch.randn(n, 3, 1, 1, generator=rng, device=x.device))
    return x.clamp(0, 1)


def mirror_ratio(x: Array, sample: int = 500) -> float:
    """How far mirrored images lie from the data: their median nearest-neighbour distance over that of the originals.

    About 1 means that the set is as it is under a left-right flip. Uses the first ``sample`` images against the
    first ``10 · sample``.
    """
    base = x[: 10 * sample]
    probe = base[:sample]
    points = flatten(np.concatenate([base, probe[..., ::-1]]), dims=32)
    real, mirrored = points[: len(base)], points[len(base) :]
    own = nearest(real, 1)[1][: len(probe), 0]
    across = np.sqrt(np.maximum(((mirrored**2).sum(1)[:, None] + (real**2).sum(1) - 2 * mirrored @ real.T), 0))
    np.fill_diagonal(across, np.inf)  # a symmetric image is near its own mirror image
    return float(np.median(across.min(1)) / max(float(np.median(own)), 1e-9))


def fitting(x: Array, strength: float = 1.0, mirror_limit: float = 1.4) -> Augmentation:
    """The augmentation that suits raw samples ``x``, decided without labels.

    Images may be mirrored where mirrored ones lie among the data (``mirror_ratio`` ≤ ``mirror_limit``). Vectors are
    jittered by half the median distance to the nearest neighbour, a coordinate. Grey images whose left and right edges
    are mostly not black lie on paper.
    """
    if x.ndim == 4:
        x = x[np.random.default_rng(0).permutation(len(x))]  # the first ones may be of one kind
        edge = np.concatenate([x[:500, ..., 0].ravel(), x[:500, ..., -1].ravel()])
        return Augmentation(strength, flip=mirror_ratio(x) <= mirror_limit, paper=bool(np.median(edge) > 8))
    points, scale = x[:5000], x[:5000].std(0)
    points = np.asarray((points - points.mean(0)) / np.where(scale > 0, scale, 1), np.float32)  # as h is given them
    distance = float(np.median(nearest(points, 1)[1]))
    return Augmentation(strength, jitter=0.5 * distance / float(np.sqrt(points.shape[1])))
