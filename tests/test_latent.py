"""The latent space has disjoint modes (condition C1)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nemgan.errors import ConfigError
from nemgan.latent import AdditiveLatent
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
