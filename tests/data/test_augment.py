"""Augmentation keeps shapes and ranges, is seeded, and knows which sets may be mirrored."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nemgan.data import catalog
from nemgan.data.augment import Augmentation, around, fitting, mirror_ratio, view


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (5,)], ids=str)
def test_shape_range_and_seed(shape):
    x = torch.rand(16, *shape)
    change = Augmentation(1.0, flip=True, jitter=0.1)
    a, b = (change(x, torch.Generator().manual_seed(0)) for _ in range(2))
    assert a.shape == x.shape and torch.equal(a, b) and not torch.equal(a, x)
    if len(shape) == 3:
        assert a.min() >= -1e-6 and a.max() <= 1 + 1e-6


def test_strength_zero_changes_nothing_and_more_changes_more():
    x = torch.rand(64, 1, 28, 28)
    moved = [(Augmentation(s)(x, torch.Generator().manual_seed(0)) - x).abs().mean().item() for s in (0.0, 0.1, 1.0)]
    assert moved[0] == 0 < moved[1] < moved[2]


def test_a_symmetric_set_may_be_mirrored_and_digits_may_not():
    rng = np.random.default_rng(0)
    one_sided = np.zeros((300, 1, 8, 8), np.uint8)
    one_sided[:, :, :, :3] = rng.integers(100, 255, (300, 1, 8, 3))
    either = np.concatenate([one_sided, one_sided[..., ::-1]])
    either = either[rng.permutation(600)]
    assert mirror_ratio(either) < 1.1 < 1.4 < mirror_ratio(one_sided)
    assert fitting(either).flip and not fitting(one_sided).flip
    assert not fitting(catalog.load("digits").train.x).flip


def test_beyond_the_edge_of_paper_is_paper_and_beyond_black_is_black():
    ink = np.zeros((40, 1, 28, 28), bool)
    ink[:, :, 10:18, 10:18] = np.random.default_rng(0).random((40, 1, 8, 8)) < 0.3
    for paper, stroke in ((255, 0), (0, 255)):
        x = np.where(ink, stroke, paper).astype(np.uint8)
        found = fitting(x)
        moved = found(torch.from_numpy(x / 255.0).float(), torch.Generator().manual_seed(0))
        corners = moved[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert found.paper == (paper == 255) and float((corners - paper / 255).abs().max()) < 1e-5


def test_vectors_are_jittered_by_the_scale_of_their_neighbourhoods():
    x = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    dense, sparse = fitting(x), fitting(x[:50])
    assert 0 < dense.jitter < sparse.jitter < 0.5


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_parts_of_the_image_in_range(channels):
    x = torch.rand(6, channels, 32, 32)
    rng = torch.Generator().manual_seed(0)
    found = view(x, 20, rng)
    assert found.shape == (6, channels, 20, 20) and found.min() >= 0 and found.max() <= 1
    assert (view(x, 20, torch.Generator().manual_seed(0)) == found).all()
    flat = view(torch.full((50, channels, 32, 32), 0.5), 20, rng)
    assert flat.flatten(2).std(2).max() < 1e-6 and flat.std() > 0.01  # one colour stays one, but changes


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (2, 3, 16, 17), (1, 1, 3, 2)], ids=str)
def test_extremes_of_neighbourhoods_are_those_of_pooling(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(around(x, torch.maximum), F.max_pool2d(x, 3, 1, 1))
    assert torch.equal(around(x, torch.minimum), -F.max_pool2d(-x, 3, 1, 1))


def test_whether_images_may_be_mirrored_does_not_depend_on_their_order():
    """Sorted by class, the first five hundred are of one kind, which may be symmetric where others are not."""
    train = catalog.load("digits-demo").train
    rng = np.random.default_rng(0)
    blank = rng.integers(0, 40, (600, 1, 8, 8)).astype(np.uint8)  # noise may be mirrored
    assert fitting(blank).flip
    both = np.concatenate([blank, np.repeat(train.x, 6, 0)[:1400]])
    assert fitting(both) == fitting(both[::-1])
