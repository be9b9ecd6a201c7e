"""Losses against worked values, closed forms and torch.func."""

import math

import pytest
import torch
from torch import nn

from nemgan.losses.adversarial import critic_loss, generator_loss, gradient_penalty, r1_penalty
from nemgan.losses.connectivity import contrast, disagreement, imbalance
from nemgan.losses.inversion import latent_error, mode_binary_cross_entropy, mode_cross_entropy


def test_adversarial_losses_by_hand():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])
    assert critic_loss("wgan-gp", real, fake) == pytest.approx(-2)
    assert critic_loss("hinge", real, fake) == pytest.approx(0.5 + 1.0)
    softplus = lambda v: math.log1p(math.exp(v))  # noqa: E731
    assert critic_loss("logistic", real, fake).item() == pytest.approx(
        (softplus(-2) + softplus(0) + softplus(-3) + softplus(1)) / 2, rel=1e-6
    )
    assert generator_loss("hinge", fake) == pytest.approx(1)
    assert generator_loss("logistic", fake).item() == pytest.approx((softplus(3) + softplus(-1)) / 2, rel=1e-6)


def test_penalties_of_a_linear_critic_are_known():
    w = torch.tensor([3.0, 4.0])  # gradient norm 5 everywhere
    x, y = torch.randn(7, 2), torch.randn(7, 2)
    assert gradient_penalty(lambda v: v @ w, x, y, torch.Generator().manual_seed(0)).item() == pytest.approx(
        16, rel=1e-5
    )
    assert r1_penalty(lambda v: v @ w, x).item() == pytest.approx(12.5, rel=1e-5)


def test_gradient_penalty_against_torch_func():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    real, fake = torch.randn(5, 3).double(), torch.randn(5, 3).double()
    t = torch.rand(5, generator=torch.Generator().manual_seed(1)).view(-1, 1)
    got = gradient_penalty(lambda v: net(v).flatten(), real, fake, torch.Generator().manual_seed(1))
    one = torch.func.vmap(torch.func.grad(lambda v: net(v).squeeze()))
    wanted = ((one(real + t * (fake - real)).norm(dim=1) - 1) ** 2).mean()
    assert torch.allclose(got, wanted)
    got_grad = torch.autograd.grad(got, list(net.parameters()), allow_unused=True)
    wanted_grad = torch.autograd.grad(wanted, list(net.parameters()), allow_unused=True)
    for a, b in zip(got_grad[:3], wanted_grad[:3], strict=True):
        assert a is not None and b is not None and torch.allclose(a, b)


def test_neighbours_that_agree_cost_nothing_and_a_balanced_mean_neither():
    p = torch.eye(3)
    assert disagreement(p, p) == pytest.approx(0)
    assert imbalance(p, torch.full((3,), 1 / 3)).item() == pytest.approx(0, abs=1e-6)


def test_the_constant_answer_is_cheap_for_neighbours_and_dear_for_balance():
    p = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
    assert disagreement(p, p) == pytest.approx(0)
    assert imbalance(p, torch.tensor([0.5, 0.5])).item() == pytest.approx(math.log(2), abs=1e-4)


def test_inversion_losses_by_hand():
    logits, mode = torch.tensor([[0.0, 0.0]]), torch.tensor([1])
    assert mode_cross_entropy(logits, mode).item() == pytest.approx(math.log(2))
    assert mode_binary_cross_entropy(logits, mode).item() == pytest.approx(math.log(2))
    assert latent_error(torch.zeros(2, 2), torch.ones(2, 2)) == 1


def test_contrast_by_hand():
    """Two images, views alike: exp(1/t) for the partner against it and two at right angles."""
    z = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 1.0]])
    wanted = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert contrast(z, 0.5).item() == pytest.approx(wanted, abs=1e-5)
    assert contrast(z[[0, 1, 3, 2]], 0.5) > contrast(z, 0.5)


@pytest.mark.parametrize("inplace", [False, True])
def test_slopes_held_constant_do_not_change_a_penalty_of_a_leaky_critic(inplace):
    """Against torch's own second derivative, which carries zeros through the layers before each slope."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(1, 4, 3),
        nn.LeakyReLU(0.2, inplace),
        nn.Flatten(),
        nn.Linear(64, 5),
        nn.LeakyReLU(0.1, inplace),
    ]
    net = nn.Sequential(*layers, nn.Linear(5, 1)).double()
    x = torch.rand(7, 1, 6, 6).double()
    got = torch.autograd.grad(r1_penalty(lambda v: net(v).flatten(), x), list(net.parameters()), allow_unused=True)
    x.requires_grad_(True)
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    wanted = torch.autograd.grad(slope.square().sum() / 14, list(net.parameters()), allow_unused=True)
    for a, b in zip(got[::2], wanted[::2], strict=True):  # the biases move slopes alone
        assert a is not None and b is not None and torch.allclose(a, b)
    assert all(a is None for a in got[1::2]) and all(b is None or not b.any() for b in wanted[1::2])
