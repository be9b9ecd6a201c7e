"""A second look at images: what its histograms count, and whom it learns from."""

import numpy as np
import pytest
import torch

from nemgan.edges import BINS, SecondLook, cells, histograms, size
from nemgan.errors import ConfigError
from nemgan.models import catalog
from nemgan.models.catalog import fitted
from nemgan.networks import Inverter
from nemgan.settings import ModelSettings


def step(side=28, at=14, channels=1):
    """An image that is dark to the left of column ``at``, and light from there."""
    x = torch.zeros(1, channels, side, side)
    x[..., at:] = 1
    return x


@pytest.mark.parametrize("side", [8, 16, 20, 28, 32, 44, 64, 256])
def test_cells_fill_images_of_every_side(side):
    assert all(side % cell == 0 for cell in cells(side)) and cells(side)[0] > cells(side)[1]
    assert histograms(torch.rand(2, 1, side, side)).shape == (2, size(side))


def test_an_edge_counts_where_it_is_and_in_its_direction():
    found = histograms(step())[0, : BINS * 16].view(BINS, 4, 4)
    assert (found[0, :, 1:3] > 0).all()  # it runs between the second and the third column of large cells
    assert found[1:].sum() == 0 and found[0, :, 0].sum() == 0 and found[0, :, 3].sum() == 0


def test_light_to_dark_is_another_direction_than_dark_to_light():
    there, back = histograms(step()), histograms(1 - step())
    assert torch.allclose(there.norm(), torch.tensor(1.0)) and (there * back).sum() == 0


def test_contrast_and_brightness_change_nothing_and_turning_does():
    x = torch.rand(5, 1, 28, 28)
    assert torch.allclose(histograms(x), histograms(0.3 + 0.5 * x), atol=1e-4)
    assert not torch.allclose(histograms(x), histograms(x.transpose(2, 3)), atol=0.05)


def test_of_each_pixel_the_channel_that_changes_most_counts():
    colour = torch.cat([0.1 * step(), step().transpose(2, 3), torch.zeros(1, 1, 28, 28)], 1)
    assert (histograms(colour) * histograms(step().transpose(2, 3))).sum() > 0.95


def test_a_blank_image_has_no_edges():
    assert histograms(torch.full((1, 3, 32, 32), 0.5)).abs().sum() == 0


def two_kinds(n, seed):
    """Images of upright (0) and level (1) edges, and their kinds."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    images = [
        step(at=int(at)) if kind == 0 else step(at=int(at)).transpose(2, 3)
        for kind, at in zip(y, rng.integers(6, 22, n), strict=True)
    ]
    return (torch.cat(images) + 0.05 * torch.from_numpy(rng.random((n, 1, 28, 28))).float()).clamp(0, 1), y


def test_it_learns_kinds_from_few_samples_and_gives_every_mode_its_clusters_logit():
    x, y = two_kinds(12, 0)
    groups = torch.tensor([1, 0, 1])
    look = SecondLook(28, 3)
    assert not look.learned
    look.learn(histograms(x).numpy(), y, groups, 1.0, 0)
    new, kinds = two_kinds(100, 1)
    found = look(new)
    assert look.learned and torch.equal(found[:, 0], found[:, 2])
    assert (groups[found.argmax(1)].numpy() == kinds).mean() > 0.9


def test_how_many_of_a_kind_are_labelled_is_not_what_it_learns():
    x, y = two_kinds(200, 0)
    blank = torch.full((1, 1, 28, 28), 0.5)  # of neither kind
    many, few = np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:10]
    at = np.concatenate([many, few])
    look = SecondLook(28, 2)
    look.learn(histograms(x[at]).numpy(), y[at], torch.arange(2), 1.0, 0)
    plain = np.log(len(many) / len(few))
    said = look(blank)[0]
    assert abs(float(said[0] - said[1])) < 0.5 * plain


def test_before_it_has_learned_h_is_as_it_would_be_without():
    torch.manual_seed(0)
    h = Inverter((1, 28, 28), 4, 3, 5, edges=True).eval()
    x = torch.rand(4, 1, 28, 28)
    alone = h.mode(h.features(x))
    assert torch.equal(h.logits(x), alone)
    samples, y = two_kinds(20, 0)
    h.second.learn(histograms(samples).numpy(), y, torch.tensor([0, 1, 1]), 1.0, 0)
    assert torch.allclose(h.logits(x), alone + h.second(x)) and torch.equal(h(x)[1], h.logits(x))


def test_what_it_has_learned_is_loaded_with_the_weights():
    x, y = two_kinds(20, 0)
    first, other = Inverter((1, 28, 28), 4, 3, 5, edges=True).eval(), Inverter((1, 28, 28), 4, 3, 5, edges=True).eval()
    first.second.learn(histograms(x).numpy(), y, torch.tensor([0, 1, 1]), 1.0, 0)
    other.load_state_dict(first.state_dict())
    assert other.second.learned and torch.equal(first.logits(x), other.logits(x))


def test_no_gradient_passes_through_it():
    h = Inverter((1, 28, 28), 4, 2, 5, edges=True).eval()
    x, y = two_kinds(20, 0)
    h.second.learn(histograms(x).numpy(), y, torch.arange(2), 1.0, 0)
    blank = torch.zeros(1, 1, 28, 28, requires_grad=True)
    h.logits(blank).sum().backward()
    assert torch.isfinite(blank.grad).all()


def test_vectors_have_no_edges():
    with pytest.raises(ConfigError, match=r"connect\.edges needs images"):
        catalog.create("nemgan", ModelSettings(connect={"edges": True}), (5,), 2, None, 0)


def test_images_with_labels_are_looked_at_twice():
    grey = catalog.entry("nemgan").defaults("connected", (1, 28, 28), 2)
    assert "connect.edges" not in grey and fitted(grey, (1, 28, 28), labelled=True)["connect.edges"]
    assert catalog.entry("nemgan").defaults("connected", (3, 32, 32), 2)["connect.edges"]
    for shape, preset in (((1, 28, 28), "paper"), ((1, 8, 8), "connected"), ((5,), "connected")):
        assert "connect.edges" not in fitted(catalog.entry("nemgan").defaults(preset, shape, 2), shape, labelled=True)
