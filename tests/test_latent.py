"""The latent space has disjoint modes (condition C1)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nemgan.errors import ConfigError
from nemgan.latent import AdditiveLatent, Coded, Mixture, Noise
from nemgan.prior import Prior


@settings(max_examples=20)
@given(st.integers(2, 6), st.floats(0.01, 0.49), st.integers(0, 5))
def test_modes_are_disjoint_and_readable_from_z(modes, noise, extra):
    latent = AdditiveLatent(Prior(modes), modes + extra, noise)
    z, mode = latent.sample(200, torch.Generator().manual_seed(0))
    assert z.shape == (200, modes + extra)
    assert (z[:, extra:].argmax(1) == mode).all()
    for k in range(modes):  # inside its mode's box, and outside every other
        box = torch.nn.functional.one_hot(torch.tensor(k), modes)
        inside = ((z[:, extra:] - box).abs() <= noise + 1e-6).all(1)
        assert (inside == (mode == k)).all()


def test_overlapping_modes_are_refused_unless_c1_is_switched_off():
    with pytest.raises(ConfigError, match=r"noise=0\.5 makes the modes overlap"):
        AdditiveLatent(Prior(2), 10, 0.5)
    AdditiveLatent(Prior(2), 10, 0.5, disjoint=False)


def test_too_few_dimensions():
    with pytest.raises(ConfigError, match="cannot hold 4 modes"):
        AdditiveLatent(Prior(4), 3, 0.3)


RNG = torch.Generator


def test_noise_has_its_law_and_even_modes():
    z, mode = Noise(3, "uniform", 4).sample(4000, RNG().manual_seed(0))
    assert z.abs().max() <= 1 and z.std().item() == pytest.approx(1 / 3**0.5, abs=0.02)
    assert torch.bincount(mode).tolist() == [1000] * 4
    z, mode = Noise(3).sample(4000, RNG().manual_seed(0))
    assert z.std().item() == pytest.approx(1, abs=0.03) and (mode == 0).all()


def test_a_code_is_noise_then_one_hot_then_codes():
    z, mode = Coded(4, 3, sigma=0.1, codes=2).sample(600, RNG().manual_seed(0))
    assert z.shape == (600, 9) and z[:, :4].std().item() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(z[:, 4:7], torch.nn.functional.one_hot(mode, 3).float())
    assert z[:, 7:].abs().max() <= 1
    assert (Coded(4, 3).sample(5, RNG().manual_seed(0), 2)[1] == 2).all()


def test_a_mixture_s_responsibilities_are_bayes_rule():
    prior = Prior(2)
    prior.set(torch.tensor([0.8, 0.2]))
    mixture = Mixture(torch.tensor([[0.0, 1.0], [1.0, -1.0]]), 0.7, prior)
    z, mode = mixture.sample(3000, RNG().manual_seed(0))
    assert (mode == 0).float().mean().item() == pytest.approx(0.8, abs=0.03)
    normal = torch.distributions.Normal(mixture.mean, mixture.log_sigma.exp())
    density = normal.log_prob(z[:, None]).sum(2).exp() * torch.tensor([0.8, 0.2])
    assert torch.allclose(mixture.responsibilities(z), density / density.sum(1, keepdim=True), atol=1e-5)
