"""What a record says about a run, in words: modes that are empty, merged, split, impure or alike, and doubts."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from nemgan.counting import LOW_AGREEMENT, fitting_better, suggest
from nemgan.evaluation.result import Result
from nemgan.settings import GanConfig

EMPTY = 0.01
"""Share of the test split below which a cluster counts as empty."""
PART = 0.2
"""Share of a cluster that makes a second class a part of it, and of a class that makes a second cluster hold it."""
LOW_CONFIDENCE, LOW_PURITY, LOW_DIVERSITY, LOW_JUDGE, FAR = 0.7, 0.9, 0.5, 0.95, 0.1
LATE = 0.8
FEW = 30
"""Samples, at least, that have to be scored for a score to say much."""
CONNECTED = ("connected", "thorough")
"""Presets that train the generator for as long as ``GanConfig`` says."""
RARE = 1e-3
"""How often chance alone may set off an alarm about the shares of samples held out."""


class Finding(NamedTuple):
    """One remark: ``look`` asks for attention, ``note`` qualifies, ``good`` reassures."""

    level: Literal["good", "note", "look"]
    title: str
    text: str


def percent(value: float) -> str:
    """A share as a percentage, with a decimal where it is small or nearly whole: 52 %, 4.1 %, 99.5 %; 100 % is all."""
    figure = 100 * value if value >= 1 else min(100 * value, 99.9)
    whole = 10 <= figure < 95 or figure in (0, 100)
    return f"{figure:.{0 if whole else 1}f}\u00a0%"


def diagnose(result: Result, settled: float | None = None, steps: int | None = None) -> list[Finding]:
    """Remarks on ``result``, those that ask for attention first; never empty.

    ``settled`` is the share of the last stage after which the found masses moved no more (``curves.settled``).
    ``steps`` is how many the generator was to be trained for.
    """
    found = [
        *_empty(result),
        *_merged_and_split(result),
        *_certainty(result),
        *_number_of_clusters(result),
        *_doubtful(result),
        *_unsettled(settled),
        *_generated(result),
        *_masses(result),
        *_brief(result, steps),
    ]
    if not any(finding.level == "look" for finding in found):
        checked = "empty, merged or split" if not result.n_generated else "empty, merged, split, impure or collapsed"
        checked = checked if result.acc is not None else "empty or far off its mass"
        found.append(Finding("good", "Nothing stands out", f"No mode is {checked}."))
    if result.acc is None:
        text = (
            f"The {'samples held out' if result.labels_used else 'data'} have no labels, so how many samples are in "
            "the right cluster, and whether the clusters are the "
            "kinds you mean, cannot be measured: what is said here follows from the samples alone. Look at the "
            "pictures and compare a few seeds (nemgan compare). A split that changes with the seed is not in the data."
        )
        found.append(Finding("note", "No labels to score by", text))
    elif result.n_scored < min(FEW, result.n_test):
        text = (
            f"Of {result.n_test} samples held out {result.n_scored} have labels: too few for accuracy, NMI, ARI and "
            "recall to say much. A class that none of them is of is not counted."
        )
        found.append(Finding("note", "Scores of few samples", text))
    order = {"look": 0, "note": 1, "good": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _together(title: str, texts: list[str]) -> list[Finding]:
    """One remark for all that share a complaint."""
    return [Finding("look", title, " ".join(texts))] if texts else []


def _empty(result: Result) -> list[Finding]:
    texts = [
        f"Cluster {k} holds {percent(share)} of the test samples."
        for k, share in enumerate(result.found_masses)
        if share < EMPTY
    ]
    after = ["Fewer clusters (n_clusters) may fit the data better."] if texts else []
    return _together("Clusters that are nearly empty", texts + after)


def _merged_and_split(result: Result) -> list[Finding]:
    if result.confusion is None:
        return []
    table = np.asarray(result.confusion, float)
    of_cluster = table / np.maximum(table.sum(0), 1)
    of_class = table / np.maximum(table.sum(1, keepdims=True), 1)
    names = result.class_names
    merged, split = [], []
    for k in range(table.shape[1]):
        parts = [c for c in range(len(table)) if of_cluster[c, k] > PART and of_class[c, k] > 0.5]
        if len(parts) > 1:
            what = " and ".join(f"{names[c]} ({percent(of_cluster[c, k])})" for c in parts)
            merged.append(f"Cluster {k} consists of {what}.")
    for c in range(len(table)):
        parts = [k for k in range(table.shape[1]) if of_class[c, k] > PART]
        if len(parts) > 1:
            where = " and ".join(f"{k} ({percent(of_class[c, k])})" for k in parts)
            split.append(f"Class {names[c]} lies in clusters {where}.")
    return [
        *_together("Clusters that merge classes", merged),
        *_together("Classes that are split", split),
    ]


def _number_of_clusters(result: Result) -> list[Finding]:
    """Whether the neighbour graph speaks for another number of clusters, and which of those found it speaks against."""
    pair = result.separation.closest() if result.separation else None
    loose = result.separation.loosest() if result.separation else None
    best = fitting_better(list(result.counts), result.n_clusters)
    told = bool(result.cluster_names) and all(result.cluster_names)  # labels of every cluster say how many there are
    if best is not None and not told:
        more = best.m > result.n_clusters
        ours = next(count.ratio for count in result.counts if count.m == result.n_clusters)
        text = (
            f"{result.n_clusters} clusters may be too {'few' if more else 'many'}: with {best.m} of them, splitting "
            f"any one costs {best.ratio:.1f} times as much as telling the closest two apart, with {result.n_clusters} "
            f"only {ours:.1f} times. "
        )
        if more and loose:
            text += f"Cluster {loose[0]} falls in two most easily. "
        elif pair and not more:
            text += f"Clusters {pair[0]} and {pair[1]} are the least apart. "
        text += f"Nothing was changed; try n_clusters={best.m}."
        return [Finding("look", "Another number of clusters may fit better", text)]
    if pair and loose and pair[2] >= loose[1] and not told and suggest(list(result.counts)) != result.n_clusters:
        a, b, joined = pair
        text = (
            f"Telling cluster {a} from {b} takes a cut of {joined:.3f} through the neighbour graph, halving cluster "
            f"{loose[0]} one of {loose[1]:.3f}: {a} and {b} may be one kind, or {loose[0]} may be two."
        )
        return [Finding("look", "Clusters that may be merged or split", text)]
    return []


def _doubtful(result: Result) -> list[Finding]:
    if result.doubtful is None or result.doubtful <= FAR:
        return []
    text = (
        f"For {percent(result.doubtful)} of the test samples the two likeliest clusters are less than one half apart "
        "in probability; the least certain ones are listed below."
    )
    return [Finding("look", "Many samples lie between clusters", text)]


def _unsettled(settled: float | None) -> list[Finding]:
    if settled is None or settled <= LATE:
        return []
    text = f"The shares of the clusters still moved after {percent(LATE)} of the last stage: train longer."
    return [Finding("look", "The masses had not settled", text)]


def _certainty(result: Result) -> list[Finding]:
    if result.agreement is not None and result.agreement < LOW_AGREEMENT:
        text = (
            f"Clusters found from different partitions of the data agree on {percent(result.agreement)} of the samples "
            "only: another answer is nearly as good. Known masses, a few labels or more data would settle it."
        )
        return [Finding("look", "The clusters are not certain", text)]
    if result.confidence is None or result.confidence >= LOW_CONFIDENCE:
        return []
    text = (
        f"The model's own certainty is {result.confidence:.2f}: neighbouring samples often get different clusters. "
        "More training, or another number of clusters, may help."
    )
    return [Finding("look", "Low confidence", text)]


def _by_chance(result: Result) -> float:
    """The L1 distance that shares of the training and of the test split exceed once in a thousand, if nothing is wrong.

    Both are then drawn from the same masses, of which all samples together tell most. Generated samples add next to
    nothing: each mode is weighted to its mass.
    """
    n = np.array([result.n_train, result.n_test])
    p = n @ np.array([result.cluster_masses, result.found_masses])
    rng, times = np.random.default_rng(0), max(min(20_000, 2_000_000 // len(p)), 1000)
    train, test = (rng.multinomial(each, p / p.sum(), times) / each for each in n)
    return float(np.quantile(np.abs(train - test).sum(1), 1 - RARE))


def _generated(result: Result) -> list[Finding]:
    impure = {k: p for k, p in enumerate(result.mode_purities or ()) if p is not None and p < LOW_PURITY}
    alike = {k: r for k, r in enumerate(result.mode_diversity or ()) if r is not None and r < LOW_DIVERSITY}
    found = []
    if impure:
        text = "Share of generated samples judged to be of the mode's class: "
        text += ", ".join(f"mode {k} {percent(purity)}" for k, purity in impure.items()) + "."
        found.append(Finding("look", "Modes that generate other classes too", text))
    if alike:
        text = "Generated samples vary less than the real ones of the cluster: "
        text += ", ".join(f"mode {k} {ratio:.2f} times as much" for k, ratio in alike.items()) + "."
        found.append(Finding("look", "Modes that generate nearly the same sample", text))
    if result.judge_accuracy is not None and result.judge_accuracy < LOW_JUDGE:
        text = (
            f"The classifier that judges generated samples is right on {percent(result.judge_accuracy)} of real test "
            "samples, so mode purity and generated masses are no more exact than that."
        )
        found.append(Finding("note", "The judge errs", text))
    if result.generated_masses is not None and result.class_of_cluster is not None:
        made = np.pad(result.generated_masses, (0, len(result.learned_prior) - len(result.generated_masses)))
        apart = float(np.abs(made - result.learned_prior).sum())
        if apart > FAR:
            text = f"The classes of generated samples, as judged, and the prior differ (L1 {apart:.2f})."
            found.append(Finding("look", "Generated classes do not follow the prior", text))
    lost = {k: p for k, p in enumerate(result.mode_returns or ()) if p is not None and p < LOW_PURITY}
    if lost and result.mode_purities is None:  # what is said of classes says more
        text = "Share of samples, drawn once, that the model itself takes for samples of the mode's cluster: "
        text += ", ".join(f"mode {k} {percent(share)}" for k, share in lost.items()) + "."
        found.append(Finding("look", "Modes that generate other clusters too", text))
    apart = result.generated_vs_found_l1 or 0
    if apart > FAR and apart > (chance := _by_chance(result)):
        far = f"L1 {apart:.2f}, by chance {chance:.2f} at most"
        text = f"Generated and real samples fall into the clusters in different shares ({far})."
        if result.generated_found is not None:
            k = int(np.abs(np.subtract(result.generated_found, result.found_masses)).argmax())
            text += f" Most of it is cluster {k}: {percent(result.generated_found[k])} of the generated samples, "
            text += f"{percent(result.found_masses[k])} of the real ones held out."
        found.append(Finding("look", "Generated masses differ from those found", text))
    return found


def _masses(result: Result) -> list[Finding]:
    found = []
    off = np.abs(np.subtract(result.cluster_masses, result.found_masses))
    apart, k = float(off.sum()), int(off.argmax())
    if apart > FAR and apart > (chance := _by_chance(result)):
        does = "generates by" if result.n_generated else "goes by"
        text = (
            f"The masses the model {does} are not the shares it finds in the samples held out (L1 {apart:.2f}, by "
            f"chance {chance:.2f} at most), as they should be (condition C3). "
            f"Most of it is cluster {k}: {percent(result.cluster_masses[k])} against {percent(result.found_masses[k])}."
        )
        found.append(Finding("look", "The masses do not match the clusters found", text))
    if result.prior_l1 is not None and result.prior_l1 > FAR:
        text = f"The prior and the true masses differ (L1 {result.prior_l1:.2f})."
        found.append(Finding("look", "The masses are off", text))
    return found


def _brief(result: Result, steps: int | None) -> list[Finding]:
    """Whether our own generator was trained for less than its presets ask."""
    usual = GanConfig().steps
    ours = result.model == "nemgan" and result.preset in CONNECTED and result.n_generated > 0
    if not ours or steps is None or steps >= usual:
        return []
    text = (
        f"The generator was trained for {steps} steps, {usual} are usual: generated samples are rougher than they need "
        f"be. Go on: nemgan train --resume RUN gan.steps={usual}."
    )
    return [Finding("note", "A short training of the generator", text)]
