"""A second look at images: what its histograms and patches count, and what it learns."""

import numpy as np
import pytest
import torch

from nemgan.errors import ConfigError
from nemgan.models import catalog
from nemgan.second_look import BINS, FILTERS, LANDMARKS, Edges, Lessons, Patches, SecondLook, cells, histograms
from nemgan.settings import ModelSettings


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def step(side=28, at=14, channels=1):
    """An image that is dark to the left of column ``at``, and light from there."""
    x = torch.zeros(1, channels, side, side)
    x[..., at:] = 1
    return x


@pytest.mark.parametrize("side", [8, 16, 20, 28, 32, 44, 64, 100, 256])
def test_cells_fill_images_of_every_side(side):
    assert all(side % cell == 0 for cell in cells(side)) and cells(side)[0] > cells(side)[1]
    for view in (Edges((1, side, side)), Patches((1, side, side))):
        x = torch.rand(2, 1, side, side)
        view.learn(x, rng())
        found = view(x)
        assert found.shape == (2, view.size) and torch.allclose(found.norm(dim=1), torch.ones(2))


def test_an_edge_counts_where_it_is_and_in_its_direction():
    found = histograms(step())[0, : BINS * 16].view(BINS, 4, 4)
    assert (found[0, :, 1:3] > 0).all()  # it runs between the second and the third column of large cells
    assert found[1:].sum() == 0 and found[0, :, 0].sum() == 0 and found[0, :, 3].sum() == 0


def test_light_to_dark_is_another_direction_than_dark_to_light():
    there, back = histograms(step()), histograms(1 - step())
    assert torch.allclose(there.norm(), torch.tensor(1.0)) and (there * back).sum() == 0


def test_contrast_and_brightness_change_nothing_and_turning_does():
    x = torch.rand(5, 1, 28, 28, generator=rng())
    assert torch.allclose(histograms(x), histograms(0.3 + 0.5 * x), atol=1e-4)
    assert not torch.allclose(histograms(step()), histograms(step().transpose(2, 3)), atol=0.05)


def test_of_each_pixel_the_channel_that_changes_most_counts():
    colour = torch.cat([0.1 * step(), step().transpose(2, 3), torch.zeros(1, 1, 28, 28)], 1)
    assert (histograms(colour) * histograms(step().transpose(2, 3))).sum() > 0.95


def test_a_blank_image_has_no_edges():
    assert histograms(torch.full((1, 3, 32, 32), 0.5)).abs().sum() == 0


def grain(n, seed, fine):
    """Images of fine or coarse grain, of any brightness and contrast."""
    gen = np.random.default_rng(seed)
    size = 32 if fine else 8
    x = torch.from_numpy(gen.random((n, 1, size, size))).float()
    return (0.4 + 0.2 * x.repeat_interleave(32 // size, 2).repeat_interleave(32 // size, 3)).clamp(0, 1)


def test_patches_are_of_the_images_and_whitened():
    patches = Patches((3, 32, 32))
    patches.learn(torch.rand(50, 3, 32, 32), rng())
    assert patches.filters.shape == (FILTERS, 3, 4, 4) and not torch.equal(patches.filters[0], patches.filters[1])
    assert torch.allclose(patches.filters.sum((1, 2, 3)), torch.zeros(FILTERS), atol=1e-4)


def test_patches_tell_grain_apart_whatever_its_brightness_and_contrast():
    fine, coarse = grain(40, 0, True), grain(40, 1, False)
    patches = Patches((1, 32, 32))
    patches.learn(torch.cat([fine, coarse]), rng())
    a, b = patches(fine), patches(coarse)
    assert (a @ a.T).mean() > (a @ b.T).mean() + 0.05 and (b @ b.T).mean() > (a @ b.T).mean() + 0.05
    assert (patches(fine) * patches(0.6 * fine + 0.1)).sum(1).min() > 0.95


def test_large_images_are_looked_at_as_small_ones():
    x, y = two_kinds(20, 0)
    large = x.repeat_interleave(4, 2).repeat_interleave(4, 3)
    small, other = SecondLook((1, 28, 28), 2), SecondLook((1, 112, 112), 2)
    learned(small, x, y)
    learned(other, large, y)
    assert torch.allclose(small(x), other(large), atol=1e-3)


def test_few_blank_images_have_patches_too():
    patches = Patches((1, 28, 28))
    patches.learn(torch.zeros(1, 1, 28, 28), rng())
    assert torch.isfinite(patches(torch.rand(2, 1, 28, 28))).all()


def test_a_look_needs_no_gradients():
    look = SecondLook((1, 28, 28), 2)
    learned(look, *two_kinds(20, 0))
    blank = torch.zeros(1, 1, 28, 28, requires_grad=True)
    assert not look(blank).requires_grad


def two_kinds(n, seed):
    """Images of upright (0) and level (1) edges, and their kinds."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    images = [
        step(at=int(at)) if kind == 0 else step(at=int(at)).transpose(2, 3)
        for kind, at in zip(y, rng.integers(6, 22, n), strict=True)
    ]
    return (torch.cat(images) + 0.05 * torch.from_numpy(rng.random((n, 1, 28, 28))).float()).clamp(0, 1), y


def learned(look, x, y, weights=None):
    """What ``look`` says of ``x``, whose kinds ``y`` it has been told, by its lesson; and the lesson."""
    lesson = Lessons(look, lambda part: x[part], len(x), 0)
    return lesson.learn(y, 1.0, np.ones(len(x)) if weights is None else weights), lesson


def test_it_learns_kinds_from_few_samples():
    look = SecondLook((1, 28, 28), 2)
    assert not look.learned
    learned(look, *two_kinds(12, 0))
    new, kinds = two_kinds(100, 1)
    assert look.learned and (look(new).argmax(1).numpy() == kinds).mean() > 0.9


def test_what_it_says_in_lessons_it_says_afterwards():
    x, y = two_kinds(50, 0)
    look = SecondLook((1, 28, 28), 3)
    said, lesson = learned(look, x, y)
    np.testing.assert_allclose(look(x).numpy(), said, atol=1e-3)
    assert (said[:, 2] == 0).all()  # of a cluster without samples it says nothing
    said = lesson.learn(np.where(np.arange(50) < 40, y, 2), 1.0, np.ones(50))
    np.testing.assert_allclose(look(x).numpy(), said, atol=1e-3)


@pytest.mark.parametrize("times", [2, 10, 50])
def test_identical_images_make_no_noise(times):
    x, y = two_kinds(100 // times, 0)
    x, y = x.repeat(times, 1, 1, 1), np.tile(y, times)
    y[:2] = 0, 1
    look = SecondLook((1, 28, 28), 2)
    said, _ = learned(look, x, y)
    np.testing.assert_allclose(look(x).numpy(), said, atol=2e-3)


def test_a_look_that_sees_no_difference_is_loaded_as_one_that_has_learned():
    x, y = torch.full((10, 1, 28, 28), 0.5), np.arange(10) % 2
    first, other = SecondLook((1, 28, 28), 2), SecondLook((1, 28, 28), 2)
    learned(first, x, y)
    other.load_state_dict(SecondLook((1, 28, 28), 2).state_dict())
    assert not other.learned
    other.load_state_dict(first.state_dict())
    assert other.learned


def test_samples_of_no_kind_are_not_learned_from():
    x, y = two_kinds(60, 0)
    hidden = np.where(np.arange(60) < 20, y, -1)
    one, other = SecondLook((1, 28, 28), 2), SecondLook((1, 28, 28), 2)
    learned(one, x, hidden)
    learned(other, x, hidden, weights=np.where(hidden < 0, 50.0, 1.0))
    assert torch.equal(one(x), other(x)) and (one(x).argmax(1).numpy() == y).mean() > 0.9


def test_how_many_there_are_of_a_kind_is_not_what_it_learns():
    x, y = two_kinds(200, 0)
    blank = torch.full((1, 1, 28, 28), 0.5)  # of neither kind
    many, few = np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:10]
    at = np.concatenate([many, few])
    look = SecondLook((1, 28, 28), 2)
    learned(look, x[at], y[at])
    said = look(blank)[0]
    assert abs(float(said[0] - said[1])) < 0.5 * np.log(len(many) / len(few))


def test_more_samples_than_landmarks():
    x, y = two_kinds(LANDMARKS + 20, 0)
    look = SecondLook((1, 28, 28), 2)
    said, _ = learned(look, x, y)
    assert look.by_edges.landmarks.any(1).all() and (said.argmax(1) == y).mean() > 0.95


def test_vectors_are_not_looked_at():
    with pytest.raises(ConfigError, match=r"connect\.second_look is at images"):
        catalog.create("nemgan", ModelSettings(connect={"second_look": True}), (5,), 2, None, 0)


def test_images_of_16_pixels_and_more_are_looked_at_twice():
    for shape, n in (((1, 28, 28), 2), ((1, 16, 16), 5), ((3, 32, 32), 2)):
        assert catalog.entry("nemgan").defaults("connected", shape, n)["connect.second_look"]
    for shape, preset in (((1, 28, 28), "paper"), ((1, 8, 8), "connected"), ((5,), "connected")):
        assert "connect.second_look" not in catalog.entry("nemgan").defaults(preset, shape, 2)
