"""Marginals of generated vectors: those of the real ones of their cluster, in the same order; without any, unmoved."""

from __future__ import annotations

import pytest
import torch

from nemgan.marginals import KNOTS, apply_marginals, marginal_curves


def vectors(n: int, seed: int) -> torch.Tensor:
    """A skewed amount that starts at 0, and a word that a tenth of the rows have."""
    rng = torch.Generator().manual_seed(seed)
    amount = -torch.rand(n, generator=rng).log()
    return torch.stack([amount, (torch.rand(n, generator=rng) < 0.1).float()], 1)


def test_amounts_and_words_become_as_frequent_as_in_the_real_rows() -> None:
    real, made = vectors(500, 0), torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    curves = marginal_curves(made, real)[:, None]
    new = torch.randn(4000, 2, generator=torch.Generator().manual_seed(2))
    found = apply_marginals(curves, new, torch.zeros(4000, dtype=torch.long))
    at = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    assert (found[:, 0].quantile(at) - real[:, 0].quantile(at)).abs().max() < 0.1
    assert float((found[:, 1] > 0.5).float().mean()) == pytest.approx(float(real[:, 1].mean()), abs=0.015)
    assert (found.gather(0, new.argsort(0)).diff(dim=0) >= -1e-5).all()  # in the same order


def test_each_cluster_has_its_own_curves_and_without_any_vectors_stay_as_they_are() -> None:
    made = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    curves = torch.zeros(2, 2, KNOTS, 2)
    curves[:, 1] = marginal_curves(made, made + 5)
    clusters = torch.arange(300) % 2
    found = apply_marginals(curves, made, clusters)
    assert torch.equal(found[clusters == 0], made[clusters == 0])
    torch.testing.assert_close(found[clusters == 1], made[clusters == 1] + 5)
    far = torch.tensor([[-100.0, 100.0]])
    torch.testing.assert_close(apply_marginals(curves, far, torch.ones(1, dtype=torch.long)), far + 5)


def test_numbers_that_never_vary_stay_finite() -> None:
    curves = marginal_curves(torch.zeros(50, 1), torch.ones(30, 1))[:, None]
    found = apply_marginals(curves, torch.tensor([[-1.0], [0.0], [1.0]]), torch.zeros(3, dtype=torch.long))
    assert found.flatten().tolist() == [0.0, 1.0, 2.0]
