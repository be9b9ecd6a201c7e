"""Eq. 1–2 and Lemma 2 of the paper."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nemgan.errors import ConfigError
from nemgan.prior import Prior, check_masses, masses_by_class, multinoulli

logits = st.lists(st.floats(-6, 6), min_size=2, max_size=8)


@given(logits, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_every_draw_is_exactly_one_hot(alpha, nu):
    y = multinoulli(torch.tensor(alpha), torch.tensor(nu))
    assert ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()


def test_frequencies_are_softmax_alpha():
    """Lemma 2 by a χ² test: 200,000 draws, rejected at the 0.1 % level."""
    alpha = torch.tensor([0.0, 1.0, -1.5, 2.0])
    nu = torch.rand(200_000, generator=torch.Generator().manual_seed(0))
    counts = multinoulli(alpha, nu).sum(0).numpy()
    assert (
        chisquare(counts, alpha.softmax(0).double().numpy() / float(alpha.softmax(0).double().sum()) * 200_000).pvalue
        > 1e-3
    )


def test_matches_the_equation_term_by_term():
    alpha, nu = torch.tensor([0.3, -0.2, 1.0]), torch.tensor([0.05, 0.4, 0.99])
    a = alpha.softmax(0).cumsum(0)
    for row, v in zip(multinoulli(alpha, nu), nu, strict=True):
        step = [float(a_i - v >= 0) for a_i in a]
        assert row.tolist() == [step[0], step[1] - step[0], step[2] - step[1]]


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6))
def test_set_and_masses_are_inverse(shares):
    wanted = torch.tensor(shares) / sum(shares)
    prior = Prior(len(shares))
    prior.set(torch.tensor(shares))
    assert torch.allclose(prior.masses(), wanted, atol=1e-5)


def test_gradient_of_alpha_comes_from_softmax():
    prior = Prior(3)
    (prior.masses() - torch.tensor([0.5, 0.3, 0.2])).abs().sum().backward()
    assert prior.alpha.grad is not None and prior.alpha.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("values", "n", "words"),
    [
        ([0.5, 0.6], 2, "sum to 1.1"),
        ([0.5, 0.5], 3, "2 masses are given for 3 clusters"),
        ([1.0, 0.0], 2, "not above zero"),
        ([1.5, -0.5], 2, "not above zero"),
        ([float("nan"), 1.0], 2, "not above zero"),
    ],
)
def test_masses_that_are_none(values, n, words):
    with pytest.raises(ConfigError, match=words):
        check_masses(values, n)


def test_masses_are_scaled_to_one():
    assert check_masses([0.2391, 0.7612], 2).sum() == pytest.approx(1, abs=1e-12) and isinstance(
        check_masses([0.5, 0.5], 2), np.ndarray
    )


def test_masses_by_class():
    given = [("legit", 0.96), ("fraud", 0.04)]
    assert masses_by_class(given, ("fraud", "legit"), 2).tolist() == [0.04, 0.96]
    np.testing.assert_allclose(masses_by_class(given[1:], ("fraud",), 2), [0.04, 0.96])
    for pairs, classes, n, why in (
        (given, (), 2, r"names classes \(legit, fraud\), and there are none: give labels"),
        (given, ("fraude", "legit"), 2, "'fraud': did you mean 'fraude'"),
        ([*given, given[0]], ("fraud", "legit"), 2, "'legit' twice"),
        (given[:1], ("fraud", "legit"), 2, "no mass of fraud"),
        (given[:1], ("fraud", "legit", "odd"), 3, "no mass of fraud, odd"),
        (given, ("fraud", "legit"), 4, "2 of 4 clusters have no label: give masses alone, first those of fraud, legit"),
        (given, ("fraud", "legit"), 3, "not above zero"),
        ([("fraud", 0.1), ("legit", 0.1)], ("fraud", "legit"), 2, "sum to 0.2"),
    ):
        with pytest.raises(ConfigError, match=why):
            masses_by_class(pairs, classes, n)
