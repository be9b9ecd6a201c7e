"""Tones of generated images: as frequent as in real ones, in the same order, unchanged where they are right."""

from __future__ import annotations

import torch

from nemgan.tones import apply_curves, tone_curves


def images(blank: float, low: float, high: float, seed: int) -> torch.Tensor:
    """Two channels: nearly blank pixels up to ``low``, the rest from ``high`` to 1."""
    rng = torch.Generator().manual_seed(seed)
    paper = torch.rand(60, 2, 12, 12, generator=rng) < blank
    shade = torch.rand(60, 2, 12, 12, generator=rng)
    return torch.where(paper, shade * low, high + shade * (1 - high))


def test_tones_become_as_frequent_as_in_the_real_images() -> None:
    real, made = images(0.8, 0, 1, 0), images(0.75, 0.03, 0.4, 1)
    curves = tone_curves(made, real)
    assert curves.shape == (2, 256) and (curves.diff(dim=1) >= 0).all()
    found = (apply_curves(curves, made) * 255).round()
    assert abs(float((found == 0).float().mean()) - 0.8) < 0.06
    assert float(((found == 0) | (found == 255)).float().mean()) > 0.98


def test_images_of_the_same_tones_stay_as_they_are() -> None:
    made = (images(0.5, 0.2, 0.3, 0) * 255).round() / 255
    torch.testing.assert_close(apply_curves(tone_curves(made, made), made), made, atol=1e-6, rtol=0)
    straight = torch.linspace(0, 1, 256).repeat(2, 1)
    torch.testing.assert_close(apply_curves(straight, images(0.5, 0.2, 0.3, 1)), images(0.5, 0.2, 0.3, 1))


def test_each_channel_has_its_own_curve_and_values_out_of_range_are_clamped() -> None:
    curves = torch.stack([torch.zeros(256), torch.ones(256)])
    found = apply_curves(curves, torch.tensor([-1.0, 2.0]).view(1, 2, 1, 1).expand(3, 2, 4, 4))
    assert (found[:, 0] == 0).all() and (found[:, 1] == 1).all()
