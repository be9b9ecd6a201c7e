"""How many of each: class shares of unlabelled samples from few labels, with intervals. NumPy and SciPy alone.

Posteriors p(c | x) are learned from labels of one mix of classes; the samples in question have another, π. If a class
looks alike in both (label shift), then

    counting         share of each class among the labels          right only if labels were drawn at random
    adjusted count   q = C π, q the mean posterior, C its mean over held-out labels of each class      (ACC, PACC)
    EM               π ← mean of p(c | x) π_c / π⁰_c, normalised    Saerens, Latinne & Decaestecker 2002
    calibrated EM    the same, once held-out labels have fitted the posteriors' temperature and biases
                                                                    Alexandari, Kundaje & Shrikumar 2020

Ours (``few_labels``) is calibrated EM on posteriors that spread from the labels along the samples' neighbour graph
(Zhou et al. 2003), classes weighted alike. Spreading is linear in the labels, so that leaving each label out, and every
draw of a bootstrap, costs one small matrix product. Where the posteriors of a clustering that saw no label foretell the
labels better than the labels do each other, these are calibrated in their place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize
from scipy.sparse import coo_array, diags_array

Float = NDArray[np.float64]
Int = NDArray[np.int64]
TINY = 1e-12


def counting(y: Int, n_classes: int) -> Float:
    """Share of each class among the labels ``y`` (L,), shape ``(M,)``; even where there are none."""
    counts = np.bincount(y, minlength=n_classes).astype(np.float64)
    return counts / counts.sum() if counts.sum() else np.full(n_classes, 1 / n_classes)


def naming(posterior: Float, codes: Int) -> Int:
    """Cluster of each class ``(M,)``, the match likeliest on the labelled samples (codes (N,), −1 = none)."""
    votes = np.zeros((posterior.shape[1], posterior.shape[1]))
    np.add.at(votes, codes[codes >= 0], posterior[codes >= 0])
    order = linear_sum_assignment(votes / np.maximum(votes.sum(1, keepdims=True), 1e-9), maximize=True)[1]
    return np.asarray(order, np.int64)


def confusion_rates(posterior: Float, y: Int, smoothing: float = 0.0) -> Float:
    """Mean posterior ``C[k, c]`` of cluster k over labelled samples of class c, ``(K, M)``; columns sum to one.

    Args:
        posterior: of held-out labelled samples ``(L, K)``; one-hot for plain counts.
        y: their classes ``(L,)``.
        smoothing: pseudo-samples a class that are spread evenly.
    """
    n_classes = int(y.max()) + 1
    sums = np.stack([posterior[y == c].sum(0) for c in range(n_classes)], 1) + smoothing / posterior.shape[1]
    return np.asarray(sums / np.maximum(sums.sum(0), TINY))


def adjusted_count(rates: Float, found: Float) -> Float:
    """π on the simplex that minimises ‖C π − q‖² (adjusted classify & count).

    Args:
        rates: C ``(K, M)`` from ``confusion_rates``.
        found: q ``(K,)``, mean posterior (or share of decisions) over the samples in question.
    """
    m = rates.shape[1]

    def error(pi: Float) -> tuple[float, Float]:
        rest = rates @ pi - found
        return float(rest @ rest), np.asarray(2 * rates.T @ rest)

    solved = minimize(
        error,
        np.full(m, 1 / m),
        jac=True,
        bounds=[(0, 1)] * m,
        constraints={"type": "eq", "fun": lambda pi: pi.sum() - 1},
        method="SLSQP",
    )
    pi = np.maximum(solved.x, 0)
    return np.asarray(pi / pi.sum())


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


def balanced_weights(y: Int, n_classes: int) -> Float:
    """Weight of each label ``(L,)`` that makes all classes present count alike; the mean is one."""
    counts = np.bincount(y, minlength=n_classes)
    return np.asarray(len(y) / (np.maximum(counts[y], 1) * max((counts > 0).sum(), 1)))


def fit_calibration(logits: Float, y: Int, weights: Float, ridge: float = 3.0) -> tuple[float, Float]:
    """Temperature and biases (a, b) that make softmax(a · logits + b) fit held-out labels (Alexandari et al. 2020).

    Args:
        logits: log-posteriors of held-out labelled samples ``(L, M)``.
        weights: of the labels ``(L,)``.
        ridge: pull of log a and b towards 0, in labels: few labels change little.
    """
    m = logits.shape[1]

    def loss(theta: Float) -> tuple[float, Float]:
        a, b = np.exp(theta[0]), theta[1:]
        p = softmax(a * logits + b)
        nll = -(weights * np.log(np.maximum(p[np.arange(len(y)), y], TINY))).sum()
        rest = p.copy()
        rest[np.arange(len(y)), y] -= 1
        rest *= weights[:, None]
        grad = np.concatenate([[a * (rest * logits).sum()], rest.sum(0)]) + ridge * theta
        return float(nll + 0.5 * ridge * (theta @ theta)), grad

    found = minimize(loss, np.zeros(m + 1), jac=True, method="L-BFGS-B", bounds=[(-3, 3)] + [(-5, 5)] * m).x
    return float(np.exp(found[0])), np.asarray(found[1:])


def softmax(logits: Float) -> Float:
    """Rows that sum to one ``(N, M)``."""
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))


def spread(neighbours: Int, labelled: Int, alpha: float = 0.95, steps: int = 40) -> Float:
    """How much of each label reaches each sample, ``(N, L)``: Σ_t (1 − α) αᵗ Wᵗ at the labelled positions.

    Args:
        neighbours: nearest others of each sample ``(N, k)``; W is their graph, symmetric and normalised by degree.
        labelled: positions of the labels ``(L,)``.
    """
    n, k = neighbours.shape
    rows = np.repeat(np.arange(n), k)
    graph = coo_array((np.ones(n * k), (rows, neighbours.ravel())), (n, n)).tocsr()
    graph = graph.maximum(graph.T)
    degree = diags_array(1 / np.sqrt(np.maximum(graph.sum(1), TINY)))
    walk = (degree @ graph @ degree).tocsr()
    start = np.zeros((n, len(labelled)))
    start[labelled, np.arange(len(labelled))] = 1 - alpha
    reached = start
    for _ in range(steps):
        reached = alpha * (walk @ reached) + start
    return np.asarray(reached)


def few_labels(
    reach: Float,
    labelled: Int,
    y: Int,
    n_classes: int,
    among: Int,
    rng: np.random.Generator | None = None,
    clusters: Float | None = None,
) -> Float:
    """Class shares ``(M,)`` of the samples ``among``, from labels that spread along the neighbour graph.

    Args:
        reach: of the labels, from ``spread`` ``(N, L)``.
        labelled, y: positions and classes of the labels ``(L,)``.
        among: positions of the samples whose shares are wanted ``(n,)``.
        rng: draw labels (within each class) and samples anew, for a bootstrap.
        clusters: posterior of a clustering that saw no label ``(N, M)``, columns in the order of the classes. It is
            used where it gives held-out labels the higher likelihood.
    """
    counts = np.bincount(y, minlength=n_classes)
    times, w = np.ones(len(y)), None
    if rng is not None:
        w = rng.standard_exponential(len(among))
        for c in np.flatnonzero(counts):
            at = np.flatnonzero(y == c)
            times[at] = rng.multinomial(len(at), np.full(len(at), 1 / len(at)))
    votes = (y[:, None] == np.arange(n_classes)) * (times / np.maximum(counts[y], 1))[:, None]
    floor = 1e-4 * float((reach @ votes).mean()) + TINY

    def logits(mass: Float) -> Float:
        return np.asarray(np.log(mass + floor) - np.log((mass + floor).sum(1, keepdims=True)))

    own = reach[labelled]
    others = own - np.diag(np.diag(own))
    left = np.maximum(counts[y] - 1, 1) / np.maximum(counts[y], 1)  # a class that loses a label keeps its weight
    held_out = others @ votes
    held_out[np.arange(len(y)), y] /= left
    usable = (counts[y] > 1) & (times > 0)
    weights = times * balanced_weights(y, n_classes)
    found = [_calibrated(logits(held_out), logits(reach[among] @ votes), y, weights, usable)]
    if clusters is not None:
        even = np.log(np.maximum(clusters, 1e-4) / np.maximum(clusters.mean(0), 1e-4))
        found.append(_calibrated(even[labelled], even[among], y, weights, usable if usable.any() else times > 0))
    _, posterior = min(found, key=lambda each: each[0])
    return em(posterior, np.full(n_classes, 1 / n_classes), w)


def _calibrated(
    held_out: Float, wanted: Float, y: Int, weights: Float, usable: NDArray[np.bool_]
) -> tuple[float, Float]:
    """Mean negative log-likelihood of the ``usable`` labels by their held-out logits, and the posteriors of ``wanted``.

    Both are calibrated on these labels; without any, the likelihood is that of a guess.
    """
    if not usable.any():
        return float(np.log(held_out.shape[1])), softmax(wanted)
    scale, bias = fit_calibration(held_out[usable], y[usable], weights[usable])
    right = softmax(scale * held_out[usable] + bias)[np.arange(int(usable.sum())), y[usable]]
    loss = -np.average(np.log(np.maximum(right, TINY)), weights=weights[usable])
    return float(loss), softmax(scale * wanted + bias)


def data_bootstrap(values: Float, times: int, rng: np.random.Generator) -> Float:
    """Means of ``values`` (N, M) under ``times`` random weightings of the rows (Rubin's Bayesian bootstrap)."""
    draws = np.empty((times, values.shape[1]))
    for i in range(times):
        w = rng.standard_exponential(len(values))
        draws[i] = (w / w.sum()) @ values
    return draws


def interval(point: Float, draws: Float, level: float = 0.95, spread: Float | None = None) -> Float:
    """Interval ``(M, 2)`` around ``point`` (M,) from bootstrap ``draws`` (B, M), within [0, 1].

    Half-widths are those of the draws' quantiles around their median. ``spread`` (M,) is a further standard deviation,
    such as that between restarts, added in quadrature.
    """
    low, middle, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
    more = 0.0 if spread is None else (1.96 * spread) ** 2
    down, up = np.sqrt((middle - low) ** 2 + more), np.sqrt((high - middle) ** 2 + more)
    return np.asarray(np.clip(np.stack([point - down, point + up], 1), 0, 1))


def wilson(counts: Int, z: float = 1.959964) -> Float:
    """Wilson's interval ``(M, 2)`` of each class's share among labels drawn at random."""
    n = max(int(counts.sum()), 1)
    p = counts / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return np.asarray(np.clip(np.stack([middle - half, middle + half], 1), 0, 1))
