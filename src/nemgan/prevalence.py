"""How many of each: class shares of unlabelled samples from few labels, with intervals.

Posteriors p(c | x) are learned from labels of one mix of classes; the samples in question have another, π. If a class
looks alike in both (label shift), then

    counting         share of each class among the labels          right only if labels were drawn at random
    EM               π ← mean of p(c | x) π_c / π⁰_c, normalised    Saerens, Latinne & Decaestecker 2002
    calibrated EM    the same, once held-out labels have fitted the posteriors' temperature and biases
                                                                    Alexandari, Kundaje & Shrikumar 2020

Ours (``FewLabels``) is EM on a pool of experts: the clusters, which saw no label and need but names, and a logistic
regression on each view of the samples (h's features, its micro-modes). Their logarithms are added with weights and
biases that fit held-out labels (stacking, Wolpert 1992; logarithmic pooling, Genest & Zidek 1986). What it finds is
averaged with plain EM on all of h's features, whose mistakes are others (combined forecasts, Bates & Granger 1969).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize
from scipy.special import logsumexp, softmax
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression

Float = NDArray[np.float64]
Int = NDArray[np.int64]
TINY, FLOOR = 1e-12, -12.0
FOLDS, PULL, EASE = 5, 10.0, 3.0
"""Parts of the labels that are hidden in turn, and with the force of how many labels weights and biases are pulled."""


def counting(y: Int, n_classes: int) -> Float:
    """Share of each class among the labels ``y`` (L,), shape ``(M,)``; even where there are none."""
    counts = np.bincount(y, minlength=n_classes).astype(np.float64)
    return counts / counts.sum() if counts.sum() else np.full(n_classes, 1 / n_classes)


def naming(posterior: Float, codes: Int) -> Int:
    """Cluster of each class ``(M,)``, the match likeliest on the labelled samples (codes (N,), −1 = none)."""
    votes = np.zeros((posterior.shape[1], posterior.shape[1]))
    np.add.at(votes, codes[codes >= 0], posterior[codes >= 0])
    return _matched(votes)


def _matched(votes: Float) -> Int:
    """Cluster of each class ``(M,)``, from the labelled samples' posteriors summed by class ``(M, M)``."""
    order = linear_sum_assignment(votes / np.maximum(votes.sum(1, keepdims=True), 1e-9), maximize=True)[1]
    return np.asarray(order, np.int64)


def em(posterior: Float, trained: Float, weights: Float | None = None, steps: int = 1000) -> Float:
    """Class shares ``(M,)`` that make posteriors learned under ``trained`` likeliest (EM of Saerens et al. 2002).

    Args:
        posterior: p(c | x) of the samples in question ``(N, M)``.
        trained: class shares under which they were learned ``(M,)``, all above 0.
        weights: of the samples ``(N,)``, for bootstraps.
    """
    n = len(posterior)
    w = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    likelihood = posterior / trained
    pi = np.asarray(trained, np.float64)
    for _ in range(steps):
        mix = likelihood @ pi
        new = pi * (likelihood.T @ (w / np.maximum(mix, TINY)))
        new /= new.sum()
        if np.abs(new - pi).sum() < 1e-7:
            return np.asarray(new)
        pi = new
    return pi


@dataclass(frozen=True)
class Labels:
    """Positions of the labelled samples ``(L,)``, their classes ``(L,)``, and how many classes there are."""

    at: Int
    y: Int
    n_classes: int

    def log_shares(self, weights: Float) -> Float:
        """Of the classes ``(M,)``; of one without a label, as of half a label."""
        counts = np.bincount(self.y, weights, self.n_classes)
        return np.asarray(np.log(np.maximum(counts, 0.5) / max(counts.sum(), 1)))


Expert = Callable[[Labels, Float, Int], Float]
"""Learns from labels and their weights ``(L,)``; tells how likely each class makes the samples at the
positions ``(n,)``: logarithms ``(n, M)``, up to a number a sample."""


def named_clusters(posterior: Float, learned: Float | None = None) -> Expert:
    """The expert of a clustering ``(N, M)`` that saw no label: labels only tell which cluster is which class.

    Args:
        learned: masses of the clusters ``(M,)`` among the samples they were learned from; by default these.
    """
    learned = posterior.mean(0) if learned is None else learned
    even = np.log(np.maximum(posterior, 1e-4) / np.maximum(learned, 1e-4))

    def logits(labels: Labels, weights: Float, where: Int) -> Float:
        votes = np.zeros((labels.n_classes, posterior.shape[1]))
        np.add.at(votes, labels.y, posterior[labels.at] * weights[:, None])
        return np.asarray(even[where][:, _matched(votes)])

    return logits


def regression(points: NDArray[np.floating], strength: float = 10.0) -> Expert:
    """The expert of a logistic regression on ``points`` (N, F), of unit scale; ``strength`` is scikit-learn's C."""
    points = np.asarray(points, np.float64)  # in single precision 1 − p becomes 0

    def logits(labels: Labels, weights: Float, where: Int) -> Float:
        seen, found = np.unique(labels.y[weights > 0]), np.full((len(where), labels.n_classes), FLOOR)
        if len(seen) > 1:
            model = LogisticRegression(C=strength, max_iter=1000)
            model.fit(points[labels.at], labels.y, weights)
            found[:, model.classes_] = model.predict_log_proba(points[where])
        elif len(seen):
            found[:, seen] = 0
        found -= labels.log_shares(weights)
        return np.asarray(np.maximum(found - logsumexp(found, 1, keepdims=True), FLOOR))

    return logits


def sharpness(n_labels: int) -> float:
    """Factor on the pooled logits. Above 1 the estimate leans from EM towards counting decisions.

    EM is right of exact posteriors; where classes overlap it multiplies every error of a calibration, which falls with
    the root of the number of labels. The constant: docs/notebook.md, "few labels, pooled".
    """
    return 1 + 6 / float(np.sqrt(n_labels))


def heard(n_labels: int) -> float:
    """Weight of plain EM on all features beside the pool: the fewer the labels, the worse it learns so many numbers.

    The constant: docs/notebook.md, "few labels, averaged".
    """
    return n_labels / (n_labels + 300)


class FewLabels:
    """Class shares from few labels.

    Args:
        experts: of the pool; each is asked for the labelled samples as if their labels were hidden, in ``FOLDS`` parts.
        labels: the labels, at least two.
        among: positions of the samples whose shares are wanted ``(n,)``.
        stand_for: how many samples each of these stands for ``(n,)``; by default one.
        plain: the expert whose own EM is averaged with the pool's, weighed as ``heard`` says; None for the pool alone.
    """

    def __init__(
        self,
        experts: Sequence[Expert],
        labels: Labels,
        among: Int,
        stand_for: Float | None = None,
        plain: Expert | None = None,
    ) -> None:
        self.experts, self.labels, self.among, self.plain = experts, labels, among, plain
        self.stand_for = np.ones(len(among)) if stand_for is None else stand_for
        y, once = labels.y, np.ones(len(labels.y))
        turn = np.zeros(len(y), np.int64)  # of each label among those of its class: a fold has its share of each
        for c in range(labels.n_classes):
            turn[y == c] = np.arange((y == c).sum())
        fold = turn % FOLDS
        self.held_out = np.zeros((len(experts), len(y), labels.n_classes))
        for out in range(min(FOLDS, int(turn.max()) + 1)):
            rest = Labels(labels.at[fold != out], y[fold != out], labels.n_classes)
            if len(rest.y):
                for j, expert in enumerate(experts):
                    self.held_out[j, fold == out] = expert(rest, once[: len(rest.y)], labels.at[fold == out])
        self.usable = np.bincount(y, minlength=labels.n_classes)[y] > 1  # another of its class is left to learn from

    def shares(self, rng: np.random.Generator | None = None, power: float | None = None) -> Float:
        """Estimated shares ``(M,)``.

        Args:
            rng: draw labels (within classes) and samples anew: a bootstrap.
            power: of the pooled posteriors, by default ``sharpness``; 1 is plain EM.
        """
        labels, m = self.labels, self.labels.n_classes
        times, weights = np.ones(len(labels.y)), self.stand_for
        if rng is not None:
            weights = weights * rng.standard_exponential(len(self.among))
            for c in range(m):
                at = np.flatnonzero(labels.y == c)
                times[at] = rng.multinomial(len(at), np.full(len(at), 1 / max(len(at), 1))) if len(at) else 1
        power = sharpness(len(labels.y)) if power is None else power
        scale, bias = self._pool(times, power)
        logits = sum(a * expert(labels, times, self.among) for a, expert in zip(scale, self.experts, strict=True))
        found = self._em(logits + bias, weights)
        if self.plain is None:
            return found
        part = heard(len(labels.y))
        return (1 - part) * found + part * self._em(self.plain(labels, times, self.among), weights)

    def _em(self, logits: Float, weights: Float) -> Float:
        """Shares (M,) by EM, of log-likelihoods (n, M)."""
        return em(softmax(logits, axis=1), np.full(self.labels.n_classes, 1 / self.labels.n_classes), weights)

    def _pool(self, times: Float, power: float) -> tuple[Float, Float]:
        """Weights of the experts, times ``power``, and biases of the classes, that fit the held-out labels.

        Biases are fitted to what was sharpened: those of before would leave its counts off, one class's for another's.
        """
        y, held = self.labels.y[self.usable], self.held_out[:, self.usable]
        offset, times = self.labels.log_shares(times * self.usable), times[self.usable]
        even = np.full(len(self.experts), 1 / len(self.experts))
        if not times.sum():
            return power * even, np.zeros(self.labels.n_classes)
        losses = [_stack(held[j : j + 1], y, times, offset, np.ones(1))[2] for j in range(len(self.experts))]
        likelihood = np.exp(min(losses) - np.array(losses))
        scale = power * _stack(held, y, times, offset, likelihood / likelihood.sum())[0]
        return scale, _biases(np.tensordot(scale, held, 1), y, times, offset)


def _stack(held_out: Float, y: Int, weights: Float, offset: Float, around: Float) -> tuple[Float, Float, float]:
    """Weights a ≥ 0 and biases b that make softmax(Σ aⱼ Eⱼ + b + offset) fit labels, and its negative log-likelihood.

    Args:
        held_out: log-likelihoods of the classes by each expert, for labelled samples ``(J, L, M)``.
        y, weights: of the labels ``(L,)``.
        offset: log-shares of the classes among the labels ``(M,)``.
        around: weights ``(J,)`` to which few labels pull a, as they pull b to 0, with the force of ``PULL`` labels.
    """
    experts, rows = len(held_out), np.arange(len(y))
    start = np.concatenate([around, np.zeros(held_out.shape[2])])

    def fit(theta: Float) -> tuple[float, Float]:
        p = softmax(np.tensordot(theta[:experts], held_out, 1) + theta[experts:] + offset, axis=1)
        nll = -float(weights @ np.log(np.maximum(p[rows, y], TINY)))
        p[rows, y] -= 1
        p *= weights[:, None]
        return nll, np.concatenate([(held_out * p).sum((1, 2)), p.sum(0)])

    def loss(theta: Float) -> tuple[float, Float]:
        nll, slope = fit(theta)
        rest = theta - start
        return nll + PULL / 2 * float(rest @ rest), slope + PULL * rest

    bounds = [(0, 5)] * experts + [(-5, 5)] * held_out.shape[2]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:experts], found[experts:], fit(found)[0]


def _biases(scores: Float, y: Int, weights: Float, offset: Float) -> Float:
    """Biases b (M,), pulled to 0, that make softmax(scores (L, M) + b + offset) fit labels as ``_stack`` does."""
    rows = np.arange(len(y))

    def loss(b: Float) -> tuple[float, Float]:
        p = softmax(scores + b + offset, axis=1)
        nll = -float(weights @ np.log(np.maximum(p[rows, y], TINY)))
        p[rows, y] -= 1
        return nll + EASE / 2 * float(b @ b), weights @ p + EASE * b

    bounds = [(-5, 5)] * scores.shape[1]
    return np.asarray(minimize(loss, np.zeros(scores.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x)


def data_bootstrap(values: Float, times: int, rng: np.random.Generator) -> Float:
    """Means of ``values`` (N, M) under ``times`` random weightings of the rows (Rubin's Bayesian bootstrap)."""
    draws = np.empty((times, values.shape[1]))
    for i in range(times):
        w = rng.standard_exponential(len(values))
        draws[i] = (w / w.sum()) @ values
    return draws


def stretch(y: Int, level: float = 0.95) -> float:
    """Student's quantile over the normal one for the labels of the rarest class: few vary less when drawn anew.

    The degrees of freedom are that class's labels less one, and at least four.
    """
    counts = np.bincount(y)
    freedom = max(int(counts[counts > 0].min()) - 1, 4)
    return float(student.ppf(0.5 + level / 2, freedom) / norm.ppf(0.5 + level / 2))


def interval(
    point: Float, draws: Float, level: float = 0.95, spread: Float | None = None, factor: float = 1.0
) -> Float:
    """Interval ``(M, 2)`` around ``point`` (M,) from bootstrap ``draws`` (B, M), within [0, 1].

    Half-widths are those of the draws' quantiles around their median, times ``factor``. ``spread`` (M,) is a further
    standard deviation, such as that between restarts, added in quadrature.
    """
    low, middle, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
    more = 0.0 if spread is None else (norm.ppf(0.5 + level / 2) * spread) ** 2
    low, high = factor * (middle - low), factor * (high - middle)
    down, up = np.sqrt(low**2 + more), np.sqrt(high**2 + more)
    return np.asarray(np.clip(np.stack([point - down, point + up], 1), 0, 1))


def wilson(counts: Int | Float, level: float = 0.95) -> Float:
    """Wilson's interval ``(M, 2)`` of each class's share among labels drawn at random."""
    z = float(norm.ppf(0.5 + level / 2))
    n = max(float(counts.sum()), 1.0)
    p = counts / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return np.asarray(np.clip(np.stack([middle - half, middle + half], 1), 0, 1))
