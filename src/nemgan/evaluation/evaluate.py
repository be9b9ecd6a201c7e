"""A trained model and its data in, one ``Result`` out.

Clusters are matched to classes once, on the labelled samples of the test split, and every figure of a record uses
that match: accuracy, mode purity and masses speak of the same classes. (Choosing the best of M! matches on the very
samples that are scored is what Hungarian accuracy means; with tens of samples a class or more it flatters nobody.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nemgan.callers import as_by_default
from nemgan.counting import Count
from nemgan.data.dataset import Dataset, Splits
from nemgan.data.ondisk import Samples
from nemgan.errors import ConfigError, DataError
from nemgan.evaluation import clustering, modes
from nemgan.evaluation.compare import Pair, compare
from nemgan.evaluation.extractors import Extractor, Itself, OfJudge
from nemgan.evaluation.judge import Judge
from nemgan.evaluation.margins import Margins, least_certain, margins
from nemgan.evaluation.result import GENERATED, Ambiguous, Facts, Result, Separation
from nemgan.evaluation.separation import separation
from nemgan.models.base import Model, at_rest
from nemgan.parts import by_parts
from nemgan.seeding import numpy_generator, torch_generator

__all__ = ["Facts", "Result", "embed", "evaluate", "generate", "predict"]

Array = NDArray[Any]
BATCH = 512
N_GENERATED = 2000
N_AMBIGUOUS = 12
DOUBT = 0.5
"""Margin between the two likeliest clusters below which a sample is doubtful."""
MOST_SEPARATED = 2000
"""Training samples whose neighbour graph is cut, at most."""
PER_MODE, OF_ALL_MODES = 500, 10_000
"""Samples of each mode that are compared with real ones, at most; and of all modes together."""


def predict(model: Model, x: Samples, batch: int = BATCH) -> NDArray[np.float32]:
    """Posterior over clusters ``(N, M)`` of raw samples: uint8 images ``(N, C, H, W)`` or float vectors ``(N, D)``.

    Raises:
        DataError: the samples' shape or type is not the model's.
    """
    return _apply(model, x, batch, model.posterior, model.n_clusters)


def embed(model: Model, x: Samples, batch: int = BATCH) -> NDArray[np.float32]:
    """The model's features ``(N, F)`` of raw samples, as for ``predict``."""
    return _apply(model, x, batch, model.features, 0)


@as_by_default()
def _apply(
    model: Model, x: Samples, batch: int, function: Callable[[Tensor], Tensor], width: int
) -> NDArray[np.float32]:
    kind = "uint8" if len(model.shape) == 3 else "float32"
    if isinstance(x, np.ndarray):
        x = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
    if x.shape[1:] != model.shape or x.dtype != kind:
        raise DataError(
            f"the model takes {kind} samples of shape {model.shape}, not {x.dtype} of {x.shape[1:]}: convert them"
        )
    if not len(x):
        return np.zeros((0, width), np.float32)
    with at_rest(model):

        def part(at: slice) -> Tensor:
            return function(model.encode(torch.tensor(x[at], device=model.device))).flatten(1).float().cpu()

        found: NDArray[np.float32] = by_parts(part, len(x), batch).numpy()
    return found


@as_by_default()
def generate(
    model: Model, n: int, rng: torch.Generator, cluster: int | None = None, batch: int = BATCH, *, once: bool = False
) -> tuple[Array, NDArray[np.int64]]:
    """``n`` generated samples on the raw scale, ``(n, *shape)`` uint8 or float32, and their clusters ``(n,)``.

    ``cluster`` draws from that cluster alone; otherwise clusters follow the model's prior. ``once`` keeps samples that
    the model would draw again, for h puts them in another cluster than their mode's (``gan.redraws``).

    Raises:
        ConfigError: there is no such cluster, the model has no modes to draw from one by one, or its generator is not
            trained.
    """
    if not model.generates:
        raise ConfigError(
            "this model's generator was not trained (gan.steps=0): give it steps, or go on with a finished run by "
            "nemgan train --resume RUN gan.steps=1500"
        )
    if cluster is not None and not 0 <= cluster < model.n_clusters:
        raise ConfigError(f"there is no cluster {cluster}: the model has clusters 0 … {model.n_clusters - 1}")
    samples = [np.zeros((0, *model.shape), np.uint8 if len(model.shape) == 3 else np.float32)]
    clusters = [np.zeros(0, np.int64)]
    with at_rest(model):
        for start in range(0, n, batch):
            x, modes = (model.once if once else model.sample)(min(batch, n - start), rng, cluster)
            samples.append(model.decode(x).cpu().numpy())
            clusters.append(modes.cpu().numpy())
    return np.concatenate(samples), np.concatenate(clusters)


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
        metrics=_full_names(int(table.sum()), len(test), n_generated, judge, model),
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


def _full_names(n: int, n_test: int, n_generated: int, judge: Judge | None, model: Model) -> dict[str, str]:
    """What each figure is, in full, with the number of samples behind it."""
    again = f", drawn again up to {model.redraws} times where astray" if model.redraws else ""
    where = f"natural test split, n={n}"
    size = "" if judge is None or judge.accuracy is None else f" (test accuracy {judge.accuracy:.4f})"
    by_judge = f"by an independent classifier trained on the real labels{size}, n={n_generated}{again}"
    exact = ", each mode weighted to its mass" if model.has_modes else ""
    names = {
        "acc": f"Hungarian accuracy, {where}",
        "nmi": f"normalised mutual information (arithmetic mean), {where}",
        "ari": f"adjusted Rand index, {where}",
        "purity": f"purity: share in the commonest class of their cluster, {where}",
        "macro_recall": f"mean recall over classes of the Hungarian-matched labelling, {where}",
        "mode_purity": f"share of generated samples in the class matched to their mode, judged {by_judge}",
        "mode_purities": f"mode purity of each mode, judged {by_judge}",
        "generated_masses": f"masses of the classes of samples generated from the prior, judged {by_judge}{exact}",
        "true_masses": "masses of the classes in the training split's labels (test split's where it has none)",
        "learned_prior": "masses of the model's clusters, by matched class where there are labels",
        "cluster_masses": "masses of the model's clusters, by cluster",
        "found_masses": f"share of test samples put in each cluster, n={n_test}",
        "prior_l1": "L1 distance (sum of absolute differences) of learned prior and true masses",
        "generated_vs_found_l1": f"L1 distance of the clusters the model finds in its own samples (n={n_generated}"
        f"{again}{exact}) and in the test split (n={n_test})",
        "generated_found": f"share of generated samples (n={n_generated}{again}{exact}) that the model itself puts "
        "in each cluster",
        "mode_returns": f"share of a mode's samples (of n={n_generated}, each drawn once) that the model puts in its "
        "cluster",
        "separation": "normalised cuts of the neighbour graph of training samples in the model's features, between "
        f"clusters (joined) and through each (split), n={MOST_SEPARATED} at most (no labels)",
        "doubtful": f"share of test samples whose two likeliest clusters differ by less than {DOUBT}, n={n_test}",
        "ambiguous": f"the {N_AMBIGUOUS} test samples with the smallest margin, n={n_test}",
        "mode_diversity": "mean pairwise distance of generated samples of a mode, divided by that of as many real test "
        f"samples of the found cluster (up to {PER_MODE}), in the judge's features",
        "fidelity": "Fréchet distance (fd; fd_real: of training samples), KID, precision, recall, density, coverage "
        "and mean Fréchet distance within clusters (icfd), of generated and test samples, by extractor",
        "modes": "modes of the data that generated samples cover, KL(generated ‖ true) in nats, share within 3 sigma",
        "judge_accuracy": f"accuracy of the independent classifier, {where}",
        "agreement": "share of training samples that two merges of different partitions put alike, mean (no labels)",
        "counts": "by number of clusters: normalised cut of the closest pair, and of the best split; of up to three "
        "partitions the best answer for the number asked for, the worst for others (no labels)",
        "confidence": "share of the clustering's entropy on which neighbouring training samples agree (no labels)",
        "seconds": "seconds of training",
        "steps": "steps of training, all stages",
        "seconds_to_acc_95": "seconds, start-up included, until held-out Hungarian accuracy first reached .95",
        "labels_used": "training labels disclosed to the model",
    }
    left_out = () if n_generated else (*GENERATED, "judge_accuracy")
    return {key: name for key, name in names.items() if key not in left_out}
