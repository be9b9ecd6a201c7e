"""Tones of images: a monotone curve a channel makes those of generated images as frequent as those of real ones.

Blank paper is exactly blank in real images and nearly so in generated ones. An eye does not see it; a classifier that
is trained on both tells them apart by little else, and distances of distributions count it.
"""

from __future__ import annotations

import torch
from torch import Tensor

TONES = 256


def tone_curves(made: Tensor, real: Tensor) -> Tensor:
    """Tone in [0, 1] to give each of the 256 tones of each channel ``(C, 256)``: histogram matching.

    Args:
        made, real: images ``(n, C, H, W)`` and ``(N, C, H, W)`` in [0, 1].
    """
    return torch.stack([_curve(made[:, c], real[:, c]) for c in range(made.shape[1])])


def _curve(made: Tensor, real: Tensor) -> Tensor:
    own, theirs = (torch.bincount(_tone(x).flatten(), minlength=TONES).cpu().double() / x.numel() for x in (made, real))
    middle = own.cumsum(0) - own / 2  # of the pixels of a tone, half are taken to be darker
    place = torch.searchsorted(theirs.cumsum(0), middle).clamp_max(TONES - 1)
    return (place.float() / (TONES - 1)).to(made.device)


def _tone(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * (TONES - 1)).round().long()


def apply_curves(curves: Tensor, x: Tensor) -> Tensor:
    """Images ``(n, C, H, W)`` in [0, 1] with each channel's tones taken through its curve, linear between tones."""
    exact = x.clamp(0, 1) * (TONES - 1)
    low = exact.floor().clamp_max(TONES - 2)
    at = low.long() + TONES * torch.arange(len(curves), device=x.device).view(1, -1, 1, 1)
    flat = curves.flatten()
    below, above = flat[at], flat[at + 1]
    return below + (above - below) * (exact - low)
