"""How many of each kind: estimated with no labels, and from few, each with an interval, and counting beside them.

>>> from nemgan.priors import estimate_priors
>>> found = estimate_priors(X, y)  # doctest: +SKIP
>>> found.masses, found.interval  # doctest: +SKIP

No label reaches the networks: several clusterings are learned from the samples alone. Their connectedness gives the
zero-label estimate (mean posterior of each cluster, the minimiser of Eq. 5). Few labels then name the clusters and
train regressions on what the networks see; held-out labels decide how much to believe each (``nemgan.prevalence``).
"""

from __future__ import annotations

import numbers
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import issparse
from scipy.stats import t as student
from sklearn.utils.validation import check_array

from nemgan import prevalence
from nemgan.data.neighbours import project
from nemgan.errors import ConfigError, DataError, unknown
from nemgan.estimators.clusterer import NEMGANClusterer
from nemgan.estimators.fitting import Question, ask
from nemgan.estimators.labels import encode
from nemgan.estimators.layout import learn, naming_words
from nemgan.estimators.parameters import seed_of
from nemgan.seeding import derive, numpy_generator
from nemgan.storage import plain

Array = NDArray[Any]
Float = NDArray[np.float64]
Int = NDArray[np.int64]
MOST, DIMS = 20_000, 50
"""Samples whose shares few labels tell; of more, a random draw, whose own error the intervals then hold. Principal
components of their features."""


@dataclass(frozen=True, eq=False)
class Shares:
    """Estimated masses ``(M,)`` and their intervals ``(M, 2)``."""

    masses: Float
    interval: Float


@dataclass(frozen=True, eq=False)
class Prevalence:
    """What ``estimate_priors`` found.

    Attributes:
        classes: name of each mass: the labels' classes, or cluster numbers without labels.
        masses, interval: the best estimate at hand ``(M,)``: from the few labels, else from none.
        zero_labels: from connectedness alone. Where there are as many clusters as classes, labels say which is which
            and nothing else; otherwise by cluster, from the largest, with a length of its own.
        few_labels: from labels, clusters and features together, corrected for the labels' mix; None without labels.
        counting: share of each class among the labels themselves, with Wilson's intervals, which hold only for labels
            drawn at random; None without labels.
        n_samples, n_labels: how many were used; level: of the intervals.
        agreement: 1 − half the mean L1 distance between the zero-label masses of the restarts used, in [0, 1]; None
            where only one was used.
        restarts: how many were asked for; ``len(confidence)`` of them were used.
        confidence: of each restart that was used, see ``NEMGANClusterer.confidence_``. One on which neighbours disagree
            more than twice as much as on the best is left out, which needs no labels.
        suggested_n_clusters: a number of clusters that fits the data clearly better than the one used, by the surest
            restart and without labels (``NEMGANClusterer.suggested_n_clusters_``); None where there is none.
    """

    classes: tuple[Any, ...]
    zero_labels: Shares
    few_labels: Shares | None
    counting: Shares | None
    n_samples: int
    n_labels: int
    level: float
    agreement: float | None
    restarts: int
    confidence: tuple[float, ...]
    suggested_n_clusters: int | None = None

    @property
    def masses(self) -> Float:
        return (self.few_labels or self.zero_labels).masses

    @property
    def interval(self) -> Float:
        return (self.few_labels or self.zero_labels).interval

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        found: dict[str, Any] = plain(asdict(self))
        return {
            "classes": found.pop("classes"),
            "masses": plain(self.masses),
            "interval": plain(self.interval),
            **found,
        }


def estimate_priors(
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    unlabelled: ArrayLike | None = None,
    n_clusters: int | None = None,
    restarts: int = 3,
    level: float = 0.95,
    n_bootstrap: int = 200,
    random_state: Any = 0,
    tell: Callable[[str], None] | None = None,
    **clusterer: Any,
) -> Prevalence:
    """Masses of the classes or clusters of X, or, under label shift, of ``unlabelled``.

    Args:
        X: samples as ``NEMGANClusterer.fit`` takes them.
        y: labels ``(N,)``, −1 where unknown; none is needed. Class-balanced labels are as good as random ones.
        unlabelled: other samples of the same kinds in another mix, whose masses are wanted instead of those of X.
        n_clusters: by default the number of classes in y. With more, ``few_labels`` still knows the labelled classes
            alone, and counts kinds without a label among them; ``zero_labels`` has all clusters. A warning says so.
        restarts: clusterings from different seeds; intervals hold what they disagree on.
        level: of the intervals.
        n_bootstrap: draws of labels and samples.
        tell: called with a line whenever a clustering is done.
        clusterer: further parameters of ``NEMGANClusterer``.

    Raises:
        ValueError: bad data or parameters; one labelled class only; neither labels nor ``n_clusters``; more clusters
            than samples.
    """
    _check_names(clusterer)
    _check(X, unlabelled, n_clusters, restarts, level, n_bootstrap)
    if unlabelled is not None:
        _check_values(X, unlabelled, clusterer.get("image_shape"))
    random_state = seed_of(random_state)
    n = len(X)  # type: ignore[arg-type]
    codes, classes = encode(y, n) if y is not None else (np.full(n, -1, np.int64), np.empty(0))
    m = _kinds(n, len(classes), n_clusters)
    if 0 < len(classes) < m:
        warnings.warn(
            f"{m} kinds but labels of {len(classes)}: the masses are of the labelled classes, with the other kinds "
            "counted among them; label one of each kind, or see zero_labels",
            UserWarning,
            stacklevel=2,
        )
    seeds = [derive(random_state, "restart", i) % 2**31 for i in range(restarts)]
    fits = _clusterings(X, [NEMGANClusterer(m, generate=False, random_state=seed, **clusterer) for seed in seeds], tell)
    zero, apart, posteriors = _zero(fits, X, unlabelled, level, n_bootstrap, random_state)
    few = counted = None
    if len(classes):
        few = _few(fits, X, codes, len(classes), unlabelled, level, n_bootstrap, random_state)
        counts = np.bincount(codes[codes >= 0], minlength=len(classes))
        counted = Shares(counts / counts.sum(), prevalence.wilson(counts, level))
        if len(classes) == m:
            zero = _named(zero, posteriors, codes)
    return Prevalence(
        classes=tuple(classes.tolist()) if len(classes) else tuple(range(m)),
        zero_labels=zero,
        few_labels=few,
        counting=counted,
        n_samples=n if unlabelled is None else len(unlabelled),  # type: ignore[arg-type]
        n_labels=int((codes >= 0).sum()),
        level=level,
        agreement=1 - apart / 2 if len(fits) > 1 else None,
        restarts=int(restarts),
        confidence=tuple(fit.confidence_ for fit in fits),
        suggested_n_clusters=fits[0].suggested_n_clusters_,
    )


def _kinds(n: int, n_classes: int, n_clusters: int | None) -> int:
    """Kinds among ``n`` samples with labels of ``n_classes``: as many as are asked for, or labelled."""
    m = n_clusters or n_classes
    if m < 2 or n_classes == 1:
        raise ConfigError("cannot tell kinds apart: give n_clusters=2 or more, or labels of at least two classes")
    if m > n:
        raise ConfigError(f"{n} samples are too few for n_clusters={m}: lower n_clusters or give more samples")
    if m < n_classes:
        raise ConfigError(f"n_clusters={m} is less than the {n_classes} labelled classes: set it to that or more")
    return m


def _check_names(clusterer: Iterable[str]) -> None:
    """Refuse parameters that there are not, or that mean nothing here."""
    if "generate" in clusterer:
        raise ConfigError("generate has no meaning here, for masses are learned without the generator: leave it out")
    usual = {*NEMGANClusterer().get_params(), *signature(estimate_priors).parameters} - {"generate", "clusterer"}
    for name in clusterer:
        if name not in usual:
            raise unknown("parameter of estimate_priors", name, usual)


def _check(X: Any, other: Any, n_clusters: Any, restarts: Any, level: float, n_bootstrap: Any) -> None:
    """Refuse, before anything is trained, what could not be used after it."""
    for name, each in (("X", X), ("unlabelled", other)):
        if issparse(each):
            raise DataError(f"{name} is sparse: give {name}.toarray()")
    if len(X) < 2:
        raise DataError(f"X has {'one sample' if len(X) else 'no samples'}: give many, or nothing can be told")
    whole = {"restarts": (restarts, 1), "n_bootstrap": (n_bootstrap, 20)}
    if n_clusters is not None:
        whole["n_clusters"] = (n_clusters, 2)
    for name, (value, least) in whole.items():
        if not isinstance(value, numbers.Integral) or value < least:
            raise ConfigError(f"{name}={value!r}: give a whole number of {least} or more")
    if not isinstance(level, numbers.Real) or not 0.5 <= level < 1:
        raise ConfigError(f"level={level!r}: give .5 or more, and less than 1")
    if other is None:
        return
    shapes = [np.shape(each)[1:] for each in (X, other)]
    if not len(other) or shapes[0] != shapes[1]:
        raise DataError(f"unlabelled has {len(other)} samples of shape {shapes[1]}, X has shape {shapes[0]}: match X")
    names = [list(getattr(each, "columns", ())) for each in (X, other)]
    if all(names) and names[0] != names[1]:
        raise DataError("unlabelled has other columns than X, or in another order: give unlabelled[X.columns]")


def _check_values(X: ArrayLike, other: ArrayLike, image_shape: Any) -> None:
    """Refuse, before anything is trained, what in ``other`` is no number, or on another scale than X."""
    with naming_words(X):
        here = np.asarray(check_array(X, allow_nd=True))
    with naming_words(other):
        there = np.asarray(check_array(other, allow_nd=True, input_name="unlabelled"))
    learn(here, image_shape).to_model(there)


def _clusterings(
    X: ArrayLike, asked: Sequence[NEMGANClusterer], tell: Callable[[str], None] | None
) -> list[NEMGANClusterer]:
    """The clusterings learned from X, the surest first; one that lost its way is left out, which needs no labels."""
    fits = []
    for i, one in enumerate(asked):
        since = time.monotonic()
        fits.append(one._fit(X, None))  # without the warning of another number of clusters, which is told once
        if tell is not None:
            tell(f"restart {i + 1} of {len(asked)}: {time.monotonic() - since:.0f} s")
    worst = 2 * (1 - max(fit.confidence_ for fit in fits)) + 1e-4
    return sorted([fit for fit in fits if 1 - fit.confidence_ <= worst] or fits, key=lambda fit: -fit.confidence_)


def _zero(
    fits: Sequence[NEMGANClusterer], X: ArrayLike, other: ArrayLike | None, level: float, times: int, seed: int
) -> tuple[Shares, float, Float]:
    """The zero-label estimate, the mean L1 distance between restarts, and the first one's posterior on X."""
    rng = numpy_generator(seed, "priors", "data")
    first = fits[0].predict_proba(X)
    points, draws = [], []
    for fit in fits:
        own = fit.predict_proba(X)
        order = linear_sum_assignment(first.T @ own, maximize=True)[1]  # number clusters as the first restart does
        own = own[:, order]
        if other is None:
            points.append(own.mean(0))
            draws.append(prevalence.data_bootstrap(own, times, rng))
            continue
        trained, shifted = np.maximum(own.mean(0), 1e-6), fit.predict_proba(other)[:, order]
        points.append(prevalence.em(shifted, trained))
        draws.append(
            np.stack([prevalence.em(shifted, trained, rng.standard_exponential(len(shifted))) for _ in range(times)])
        )
    stacked = np.stack(points)
    spread, apart = None, 0.0
    if len(fits) > 1:
        factor = float(student.ppf(0.5 + level / 2, len(fits) - 1) / student.ppf(0.5 + level / 2, 1000))
        spread = stacked.std(0, ddof=1) * factor
        apart = float(np.mean([np.abs(a - b).sum() for i, a in enumerate(stacked) for b in stacked[:i]]))
    mean = stacked.mean(0)
    around = np.concatenate([draw - point for draw, point in zip(draws, points, strict=True)]) + mean
    found, n = prevalence.interval(mean, around, level, spread), len(X if other is None else other)  # type: ignore[arg-type]
    return Shares(mean, _at_least_sampled(found, mean, n, level)), apart, first


def _named(zero: Shares, posterior: Float, codes: Int) -> Shares:
    """The zero-label shares in the order of the classes that labels match the clusters to."""
    order = prevalence.naming(posterior, codes)
    return Shares(zero.masses[order], zero.interval[order])


def experts_on(
    features: Array, modes: Float, clusters: Float | None, learned: Float | None = None
) -> tuple[list[prevalence.Expert], prevalence.Expert]:
    """What few labels are learned with: h's features (N, F), its micro-modes (N, K), and its clusters (N, M).

    The experts of the pool, and the one on all features that is averaged with it. ``learned`` (M,) are the masses of
    the clusters where h learned, if these samples are others.
    """
    spread = features.std(0)
    whole = ((features - features.mean(0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
    points = project(whole, DIMS)
    logits = np.log(np.maximum(modes, 1e-4))
    logits -= logits.mean(1, keepdims=True)
    found = [prevalence.regression(points / max(points.std(0).max(), 1e-9))]
    found.append(prevalence.regression(logits / max(logits.std(), 1e-9), 1.0))
    if clusters is not None:
        found.insert(0, prevalence.named_clusters(clusters, learned))
    return found, prevalence.regression(whole, 1.0)


def _few(
    fits: Sequence[NEMGANClusterer],
    X: ArrayLike,
    codes: Int,
    n_classes: int,
    other: ArrayLike | None,
    level: float,
    times: int,
    seed: int,
) -> Shares:
    """The few-label estimate: mean over restarts, interval from draws of labels and samples in all of them.

    What the sharpening of ``FewLabels`` moved counts as a standard deviation. A class with a single label has none that
    could be hidden, so that nothing is known of how far off the estimate is: the intervals are then [0, 1].
    """
    rng = numpy_generator(seed, "priors", "labels")
    known, of_known = _at_most(np.flatnonzero(codes >= 0), codes, rng)
    rest = np.flatnonzero(codes < 0) if other is None else np.arange(len(other))  # type: ignore[arg-type]
    keep = rest if len(rest) <= MOST else rng.choice(rest, MOST, replace=False)
    among = np.arange(len(known) + len(keep))
    stand_for = np.concatenate([of_known, np.full(len(keep), len(rest) / max(len(keep), 1))])
    if other is not None:  # the labels are not of the samples in question
        among, stand_for = among[len(known) :], stand_for[len(known) :]
    labels = prevalence.Labels(np.arange(len(known)), codes[known], n_classes)
    points, plain, draws = [], [], []
    for fit in fits:

        def of(what: Question, fit: NEMGANClusterer = fit) -> Float:
            parts = [_asked(fit, X, what, known), _asked(fit, X if other is None else other, what, keep)]
            return np.concatenate(parts)

        clusters = of("posterior") if fit.n_clusters == n_classes else None
        learned = _asked(fit, X, "posterior").mean(0)
        experts, alone = experts_on(of("features"), of("mode_posterior"), clusters, learned)
        few = prevalence.FewLabels(experts, labels, among, stand_for, alone)
        points.append(few.shares())
        plain.append(few.shares(power=1))
        draws += [few.shares(draw) for draw in rng.spawn(max(times // len(fits), 20))]
    mean = np.mean(points, 0)
    if np.bincount(codes[known]).min() < 2:
        return Shares(mean, np.tile([0.0, 1.0], (n_classes, 1)))
    moved, factor = np.abs(np.mean(plain, 0) - mean), prevalence.stretch(codes[known], level)
    found = prevalence.interval(mean, np.stack(draws), level, moved, factor)
    return Shares(mean, _at_least_sampled(found, mean, len(X if other is None else other), level))  # type: ignore[arg-type]


def _at_most(known: Int, codes: Int, rng: np.random.Generator) -> tuple[Int, Float]:
    """Positions of labelled samples, ``MOST`` or so of many, of each class its share; how many each stands for."""
    if len(known) <= MOST:
        return known, np.ones(len(known))
    kept, of = [], []
    for at in (known[codes[known] == c] for c in np.unique(codes[known])):
        n = min(len(at), max(round(len(at) * MOST / len(known)), 10))
        kept.append(rng.choice(at, n, replace=False))
        of.append(np.full(n, len(at) / n))
    return np.concatenate(kept), np.concatenate(of)


def _at_least_sampled(interval: Float, masses: Float, n: int, level: float) -> Float:
    """``interval`` (M, 2), no narrower than that of shares ``masses`` (M,) counted among ``n`` samples.

    Posteriors of few samples vary less, from one draw of them to the next, than the samples do.
    """
    sampled = prevalence.wilson(masses * n, level)
    return np.stack([np.minimum(interval[:, 0], sampled[:, 0]), np.maximum(interval[:, 1], sampled[:, 1])], 1)


def _asked(fit: NEMGANClusterer, X: ArrayLike, what: Question, rows: Int | None = None) -> Float:
    """What a fitted model says of samples, all or those at ``rows``, ``(n, …)``."""
    x = fit._validate(X)
    samples = fit._layout.to_model(x)  # all of them, for which scale they are on is told by all
    return ask(fit.model_, samples if rows is None else samples[rows], what)
