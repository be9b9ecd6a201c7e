"""A trained model and its data in, one ``Result`` out.

Clusters are matched to classes once, on the labelled samples of the test split, and every figure of a record uses
that match: accuracy, mode purity and masses speak of the same classes. (Choosing the best of M! matches on the very
samples that are scored is what Hungarian accuracy means; with tens of samples a class or more it flatters nobody.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nemgan.callers import as_by_default
from nemgan.counting import Count
from nemgan.data.dataset import Dataset, Splits
from nemgan.evaluation import clustering, modes
from nemgan.evaluation.compare import Pair, compare
from nemgan.evaluation.extractors import Extractor, Itself, OfJudge
from nemgan.evaluation.full_names import DOUBT, MOST_SEPARATED, N_AMBIGUOUS, PER_MODE, full_names
from nemgan.evaluation.inference import embed, generate, predict
from nemgan.evaluation.judge import Judge
from nemgan.evaluation.margins import Margins, least_certain, margins
from nemgan.evaluation.result import Ambiguous, Facts, Result, Separation
from nemgan.evaluation.separation import separation
from nemgan.models.base import Model
from nemgan.seeding import numpy_generator, torch_generator

Array = NDArray[Any]
N_GENERATED = 2000
OF_ALL_MODES = 10_000
"""Samples of all modes together that are compared with real ones, at most."""


@as_by_default()
def evaluate(
    model: Model,
    splits: Splits,
    *,
    judge: Judge | None,
    facts: Facts,
    n_generated: int = N_GENERATED,
    extractors: Sequence[Extractor] = (),
) -> Result:
    """Measure ``model`` on the test split and on ``n_generated`` samples of its own.

    Without labels in the test split every figure that needs them is None, and so are those of generated samples where
    the generator is not trained (``model.generates``). The same model, data and seed give the same
    record; the model's training mode and the caller's random state are left as they were.

    Args:
        judge: from ``judge_of``; None leaves out what needs one.
        facts: what the run knows of itself; its seed names the random streams.
        extractors: give more Fréchet distances, beside the judge's and those of vectors as they are.
    """
    test, n_clusters = splits.test, model.n_clusters
    sure = margins(predict(model, test.x))
    found = sure.first
    prior = model.masses().detach().cpu().double().numpy()
    table = clustering.confusion(test.y, found, test.n_classes, n_clusters)
    scores = clustering.scores_of_counts(table)
    of_cluster = clustering.match_counts(table) if scores.acc is not None else None
    learned = _by_class(prior, of_cluster, test.n_classes)
    true = next((data.masses for data in (splits.train, splits.test) if (data.y >= 0).all()), None)  # few are picked
    n_generated = n_generated if model.generates else 0
    seen = _Seen(splits, found, of_cluster, facts.seed)
    return Result(
        **vars(facts),
        **scores._asdict(),
        true_masses=_floats(true) if true is not None else None,
        learned_prior=_floats(learned),
        prior_l1=float(np.abs(learned - np.pad(true, (0, len(learned) - len(true)))).sum())
        if true is not None and of_cluster is not None
        else None,
        judge_accuracy=judge.accuracy if judge is not None else None,
        n_train=len(splits.train),
        n_test=len(test),
        n_generated=n_generated,
        n_clusters=n_clusters,
        class_names=tuple(test.class_names),
        conditions=str(model.conditions),
        class_of_cluster=tuple(of_cluster.tolist()) if of_cluster is not None else None,
        confusion=tuple(map(tuple, table.tolist())) if of_cluster is not None else None,
        cluster_masses=_floats(prior),
        found_masses=_floats(_shares(found, n_clusters)),
        confidence=_number(model, "confidence"),
        agreement=_number(model, "agreement"),
        counts=_counts(model),
        assigns_by=model.assigns_by,
        has_modes=model.has_modes,
        separation=_separation(model, splits.train, facts.seed),
        doubtful=float((sure.margin < DOUBT).mean()),
        ambiguous=_ambiguous(test, sure),
        metrics=full_names(int(table.sum()), len(test), n_generated, judge, model),
        **(_generation(model, seen, judge, n_generated, extractors) if n_generated else {}),
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is known of the real samples when generated ones are measured: clusters found, classes of clusters."""

    splits: Splits
    found: Array
    of_cluster: Array | None
    seed: int


def _generation(
    model: Model, seen: _Seen, judge: Judge | None, n: int, extractors: Sequence[Extractor]
) -> dict[str, Any]:
    """The fields of a record that are about ``n`` generated samples."""
    test, n_clusters = seen.splits.test, model.n_clusters
    fake, drawn = generate(model, n, torch_generator(seen.seed, "evaluate", "prior", device=model.device))
    judged = judge.predict(fake) if judge is not None else None
    right = None
    if seen.of_cluster is not None and judged is not None and model.has_modes:
        right = seen.of_cluster[drawn] == judged
    strata = (drawn, model.masses().detach().cpu().double().numpy()) if model.has_modes else None
    fake_cluster = predict(model, fake).argmax(1)
    fake_found = _shares(fake_cluster, n_clusters, strata)
    own = ([OfJudge(judge)] if judge is not None else []) + ([Itself()] if test.kind == "vector" else [])
    pairs = _pairs(model, test, seen.found, seen.seed) if model.has_modes and (own or extractors) else []
    compared = [compare(each, seen.splits, fake, pairs, seen.seed) for each in (*own, *extractors)]
    fidelity = tuple(each for each in compared if each is not None)
    return {
        "mode_purity": float(right.mean()) if right is not None else None,
        "generated_masses": _floats(_shares(judged, test.n_classes, strata)) if judged is not None else None,
        "mode_purities": _means(right, drawn, n_clusters) if right is not None else None,
        "mode_diversity": fidelity[0].diversity_by_cluster
        if judge is not None and fidelity and model.has_modes
        else None,
        "generated_vs_found_l1": float(np.abs(fake_found - _shares(seen.found, n_clusters)).sum()),
        "generated_found": _floats(fake_found),
        "mode_returns": _returns(model, n, seen.seed) if model.has_modes else None,
        "fidelity": fidelity,
        "modes": modes.count(seen.splits, lambda more: _more(model, more, seen.seed), judge, judged),
    }


def _returns(model: Model, n: int, seed: int) -> tuple[float | None, ...]:
    """Share of each mode's samples, of ``n`` that are drawn once, that the model puts in its cluster."""
    x, drawn = generate(model, n, torch_generator(seed, "evaluate", "returns", device=model.device), once=True)
    return _means(predict(model, x).argmax(1) == drawn, drawn, model.n_clusters)


def _number(model: Model, name: str) -> float | None:
    """What the model says of its own certainty, where it has such an attribute and that is a number by now."""
    value = float(getattr(model, name, float("nan")))
    return value if np.isfinite(value) else None


def _counts(model: Model) -> tuple[Count, ...]:
    """The model's evidence for each number of clusters, where it has any."""
    rows = getattr(model, "counts", torch.zeros(0, 3)).tolist()
    return tuple(Count(int(m), joined, split) for m, joined, split in rows if m == m)


def _separation(model: Model, train: Dataset, seed: int) -> Separation | None:
    """Cuts of the training samples' neighbour graph in the model's features (a seeded draw of at most 2,000)."""
    rng = numpy_generator(seed, "evaluate", "separation")
    x = train.x[np.sort(rng.permutation(len(train))[:MOST_SEPARATED])]
    return separation(embed(model, x), predict(model, x).argmax(1), model.n_clusters, rng)


def _ambiguous(test: Dataset, sure: Margins) -> tuple[Ambiguous, ...]:
    """The least certain test samples."""
    ids = test.ids if test.ids is not None else np.arange(len(test))
    return tuple(
        Ambiguous(str(ids[i]), int(sure.first[i]), int(sure.second[i]), float(sure.margin[i]))
        for i in least_certain(sure, N_AMBIGUOUS)
    )


def _by_class(prior: Array, of_cluster: Array | None, n_classes: int) -> Array:
    """Masses by matched class, then of clusters left over by the match; unchanged where there is no match."""
    if of_cluster is None:
        return prior
    left = of_cluster < 0
    masses = np.zeros(n_classes)
    masses[of_cluster[~left]] = prior[~left]
    return np.concatenate([masses, prior[left]])


def _pairs(model: Model, test: Dataset, found: Array, seed: int) -> list[Pair]:
    """Of each cluster, up to 500 real test samples that were put in it and as many samples of its mode."""
    most = max(20, min(PER_MODE, OF_ALL_MODES // model.n_clusters))
    pairs = []
    for cluster in range(model.n_clusters):
        real = np.flatnonzero(found == cluster)
        pick = numpy_generator(seed, "evaluate", "real", cluster).permutation(real)[:most]
        rng = torch_generator(seed, "evaluate", "mode", cluster, device=model.device)
        pairs.append((test.x[pick], generate(model, len(pick), rng, cluster)[0]))
    return pairs


def _more(model: Model, n: int, seed: int) -> Array:
    """``n`` samples from the prior, for a protocol that asks for a number of its own."""
    return generate(model, n, torch_generator(seed, "evaluate", "modes", device=model.device))[0]


def _shares(index: Array, size: int, strata: tuple[Array, NDArray[np.float64]] | None = None) -> NDArray[np.float64]:
    """Share of each value ``0 … size − 1`` in ``index`` (n,), shape ``(size,)``; zeros if it is empty.

    Args:
        strata: cluster that each was drawn from (n,), and the clusters' masses (M,): shares as they would be had each
            cluster been drawn in exactly its share (post-stratification), unless some were not drawn that together
            have the mass of one sample or more.
    """
    weights = np.ones(len(index))
    if strata is not None:
        drawn, masses = strata
        counts = np.bincount(drawn, minlength=len(masses))
        if masses[counts == 0].sum() < 1 / max(len(index), 1):
            weights = (masses / np.maximum(counts, 1))[drawn]
    shares: NDArray[np.float64] = np.bincount(index, weights, size) / max(weights.sum(), 1e-12)
    return shares


def _means(right: Array, modes: Array, n_clusters: int) -> tuple[float | None, ...]:
    """Mean of ``right`` within each mode; None for modes that drew nothing."""
    return tuple(
        float(right[modes == cluster].mean()) if (modes == cluster).any() else None for cluster in range(n_clusters)
    )


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
