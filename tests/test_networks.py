"""Networks fit every shape we promise, and initialise from their own stream."""

import pytest
import torch

from nemgan.errors import ConfigError
from nemgan.layers import fresh_statistics
from nemgan.networks import (
    Closeness,
    Critic,
    Dropout,
    Encoder,
    Generator,
    Generators,
    Inverter,
    PairCritic,
    memoryless,
    sides,
)
from nemgan.seeding import isolated

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (2,)]


@pytest.mark.parametrize("style", ["compact", "reference"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_network_fits_every_shape(shape, style):
    generator, critic = Generator(10, shape, 8, style), Critic(shape, 8, modes=3, style=style)
    inverter = Inverter(shape, 8, 3, 10, style)
    x = generator(torch.randn(4, 10))
    assert x.shape == (4, *shape)
    assert critic(x, torch.eye(3)[[0, 1, 2, 0]]).shape == (4,)
    z, logits = inverter(x)
    assert z.shape == (4, 10) and logits.shape == (4, 3)
    if len(shape) == 3:
        assert x.min() >= 0 and x.max() <= 1


def test_a_joint_critic_scores_modes_apart():
    critic = Critic((1, 8, 8), 8, modes=2)
    x = torch.rand(1, 1, 8, 8)
    assert critic(x, torch.tensor([[1.0, 0]])) != critic(x, torch.tensor([[0, 1.0]]))


def test_spectral_normalisation_bounds_every_layer():
    with isolated(0, "critic"):  # of some first weights the power iteration takes longer
        critic = Critic((2,), 8, spectral=True)
        for _ in range(50):
            critic(torch.randn(4, 2))
    critic.eval()
    weights = [m.weight for m in critic.modules() if isinstance(m, torch.nn.Linear)]
    assert weights and all(torch.linalg.matrix_norm(w.detach(), 2) <= 1.01 for w in weights)


def test_dropout_draws_from_the_generator_it_is_given():
    layer, x = Dropout(0.5), torch.ones(1000)
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        layer.rng = torch.Generator().manual_seed(3)
        draws.append(layer(x))
    assert torch.equal(*draws) and torch.equal(torch.get_rng_state(), before)
    assert draws[0].mean().item() == pytest.approx(1, abs=0.15)
    assert torch.equal(layer.eval()(x), x)


def test_sides_and_odd_images():
    assert sides(28) == [28, 14, 7] and sides(8) == [8, 4, 2] and sides(64) == [64, 32, 16, 8, 4]
    with pytest.raises(ConfigError, match="30×30"):
        Generator(4, (1, 30, 30), 8)


@pytest.mark.parametrize("style", ["compact", "reference"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_networks_of_the_rivals_fit_every_shape(shape, style):
    several = Generators(10, shape, 8, style, modes=3, shared=True)
    x = several(torch.randn(6, 10), torch.arange(6) % 3)
    assert x.shape == (6, *shape)
    assert PairCritic(shape, 10, 8, spectral=True, style=style)(x, torch.randn(6, 10)).shape == (6,)
    for batch_norm in (True, False):
        assert Encoder(shape, 8, 5, batch_norm=batch_norm, style=style)(x).shape == (6, 5)


def test_closeness_counts_the_samples_that_are_alike():
    layer = Closeness(4)
    far = torch.cat([torch.zeros(3, 4), 1e4 * torch.ones(1, 4)])
    assert torch.equal(layer(far)[:, 4:].round(), torch.tensor([2.0, 2, 2, 0])[:, None].expand(4, 32))


def test_a_network_without_memory_gives_each_sample_its_own_result():
    x, alone = torch.rand(6, 1, 28, 28), Critic((1, 28, 28), 8)
    assert memoryless(alone) and torch.allclose(alone(x), torch.cat([alone(x[:2]), alone(x[2:])]), atol=1e-5)
    others = [Critic((2,), 8, spectral=True), Critic((2,), 8, minibatch=True), Encoder((2,), 8, 1)]
    assert not any(memoryless(other) for other in others)


def test_statistics_taken_anew_are_the_means_over_the_batches():
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).eval()
    x = torch.randn(6, 50, 3, generator=torch.Generator().manual_seed(0)) * 4 + 2
    with fresh_statistics(network), torch.no_grad():
        for part in x:
            network(part)
        inside = network[0](x)
    assert torch.allclose(network[1].running_mean, inside.mean((0, 1)), atol=1e-5)
    assert torch.allclose(network[1].running_var, inside.var(1).mean(0), rtol=1e-5)
    assert network[1].momentum == 0.1 and not network.training and not network[1].training
