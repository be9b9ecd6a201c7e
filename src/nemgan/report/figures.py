"""A record's figures in the order and the words of the page. Nothing is computed here that a record does not hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nemgan.counting import CLEARLY, LOW_AGREEMENT, Count, fitting_better, suggest
from nemgan.evaluation.result import Result
from nemgan.report.diagnosis import percent

NO_CLASS = "no class"
MOST_CLUSTERS = 30
"""Clusters whose neighbours are listed, the heaviest ones."""
MOST_SHOWN = 60
"""Clusters or classes that a table of both has room for."""


@dataclass(frozen=True)
class Cluster:
    """A found cluster as the page shows it; ``number`` is its mode in ``nemgan sample --cluster``.

    ``samples`` is how many of the training samples its mass stands for; None where masses were given, not learned.
    """

    number: int
    mass: float
    samples: int | None
    found: float
    label: str | None
    purity: float | None
    diversity: float | None

    @property
    def name(self) -> str:
        """Its number, and its class where that is known."""
        return str(self.number) if self.label in (None, NO_CLASS) else f"{self.number} · {self.label}"


def clusters(result: Result) -> list[Cluster]:
    """Found clusters, heaviest first."""
    names: list[str | None] = [None] * result.n_clusters
    for k, c in enumerate(result.class_of_cluster or ()):
        names[k] = f"class {result.class_names[c]}" if c >= 0 else NO_CLASS
    for k, name in enumerate(result.cluster_names):  # by labels that training was given
        names[k] = f"class {name}" if name else NO_CLASS
    nothing = (None,) * result.n_clusters
    made = [
        Cluster(
            k,
            mass,
            round(mass * result.n_train) if result.prior == "learned" else None,
            result.found_masses[k],
            names[k],
            purity,
            diversity,
        )
        for k, (mass, purity, diversity) in enumerate(
            zip(result.cluster_masses, result.mode_purities or nothing, result.mode_diversity or nothing, strict=True)
        )
    ]
    return sorted(made, key=lambda each: -each.mass)


def headline(found: Sequence[Cluster]) -> str:
    """What was found, in a line: every mass where they are few, else their range."""
    if len(found) <= 5:
        return f"{len(found)} clusters: " + " / ".join(percent(each.mass) for each in found)
    return f"{len(found)} clusters of {percent(found[-1].mass)} to {percent(found[0].mass)}"


def certainty(result: Result) -> str:
    """How sure the clusters are and what that tells, in two sentences; nothing where it is not known."""
    if result.agreement is None:
        return ""
    return (
        f"How sure: different partitions of the data agree on {percent(result.agreement)} of the samples; below "
        f"{percent(LOW_AGREEMENT)} another answer would be nearly as good. It does not tell a stable wrong answer "
        "from a right one: train another seed and ask nemgan compare RUN RUN."
    )


def settings(result: Result) -> list[str]:
    """The run in a few words each."""
    share = f"{result.labels_used:,} labels ({percent(result.labels_used / result.n_train)})"
    prior = {
        "learned": "masses unknown, learned",
        "matched": "masses known",
        "uniform": "equal masses assumed",
    }.get(str(result.prior), "masses given")
    return [
        result.data,
        f"{result.model}, preset {result.preset}",
        "zero labels" if result.labels_used == 0 else share,
        prior,
        f"seed {result.seed}",
    ]


def cards(result: Result) -> list[tuple[str, str, str]]:
    """Key figures: short name, value, full name. Figures that are not known are left out."""

    wanted: list[tuple[str, str, Callable[[Any], str]]] = [
        ("Accuracy", "acc", "{:.3f}".format),
        ("NMI", "nmi", "{:.3f}".format),
        ("ARI", "ari", "{:.3f}".format),
        ("Purity", "purity", "{:.3f}".format),
        ("Macro recall", "macro_recall", "{:.3f}".format),
        ("Mode purity", "mode_purity", "{:.3f}".format),
        ("Prior error, L1", "prior_l1", "{:.3f}".format),
        ("Sampling shift, L1", "generated_vs_found_l1", "{:.3f}".format),
        ("Confidence", "confidence", "{:.2f}".format),
        ("How sure (agreement)", "agreement", percent),
        ("Training", "seconds", _duration),
        ("To accuracy .95", "seconds_to_acc_95", _duration),
        ("Steps", "steps", "{:,}".format),
    ]
    found = [
        (short, show(getattr(result, key)), result.metrics.get(key, key))
        for short, key, show in wanted
        if getattr(result, key) is not None
    ]
    return found + _distances(result)


def _distances(result: Result) -> list[tuple[str, str, str]]:
    """Cards of the generated samples' distances, one an extractor, and of the modes that they cover."""
    found = []
    for each in result.fidelity:
        others = {key: getattr(each, key) for key in ("kid", "precision", "recall", "density", "coverage", "icfd")}
        beside = ", ".join(f"{key} {value:.3g}" for key, value in others.items() if value is not None)
        full = f"{each.name('Fréchet distance')}; as many real training samples: {each.fd_real:.3g}; {beside}"
        found.append((f"Fréchet, {each.extractor}", f"{each.fd:.2f}", full))
    if result.modes is not None:
        modes = result.modes
        within = "" if modes.within is None else f", {percent(modes.within)} within 3 sigma"
        full = f"modes among {modes.n:,} generated samples, told by {modes.told_by}; KL {modes.kl:.3g} nats{within}"
        found.append(("Modes covered", f"{modes.covered:,} of {modes.of:,}", full))
    return found


def _duration(seconds: float) -> str:
    """Seconds below 100, then minutes, then hours."""
    if seconds < 100:
        return f"{seconds:.1f}\u00a0s"
    return f"{seconds / 60:.1f}\u00a0min" if seconds < 6000 else f"{seconds / 3600:.1f}\u00a0h"


def masses(result: Result, found: Sequence[Cluster]) -> list[tuple[str, list[tuple[str, str, float]]]]:
    """Bars: a name, and for each bar what it shows, its style and its share. By class where classes are known."""
    if result.true_masses is None or result.class_of_cluster is None:
        made = result.generated_found
        return [
            (
                f"Cluster {each.number}",
                [("prior", "learned", each.mass), ("found", "true", each.found)]
                + ([("generated", "generated", made[each.number])] if made else []),
            )
            for each in found
        ]
    bars = []
    for c, name in enumerate(result.class_names):
        rows = [("prior", "learned", result.learned_prior[c]), ("true", "true", result.true_masses[c])]
        if result.generated_masses is not None:
            rows.append(("generated", "generated", result.generated_masses[c]))
        bars.append((name, rows))
    left = [each for each in sorted(found, key=lambda each: each.number) if result.class_of_cluster[each.number] < 0]
    for each, mass in zip(left, result.learned_prior[len(bars) :], strict=True):
        bars.append((f"Cluster {each.number}, no class", [("prior", "learned", mass)]))
    return bars


def confusion(result: Result) -> dict[str, Any] | None:
    """Rows of ``(class, [(count, share of the class)])`` with the matched clusters on the diagonal.

    Of more than ``MOST_SHOWN`` clusters or classes there are no rows and no columns.
    """
    if result.confusion is None or result.class_of_cluster is None:
        return None
    if max(len(result.confusion), len(result.class_of_cluster)) > MOST_SHOWN:
        return {"columns": [], "rows": []}
    matched = {c: k for k, c in enumerate(result.class_of_cluster) if c >= 0}
    columns = [matched[c] for c in sorted(matched)] + [k for k, c in enumerate(result.class_of_cluster) if c < 0]
    rows = []
    for c, counts in enumerate(result.confusion):
        total = max(sum(counts), 1)
        rows.append((result.class_names[c], [(counts[k], counts[k] / total, matched.get(c) == k) for k in columns]))
    return {"columns": columns, "rows": rows}


def evidence(result: Result) -> list[tuple[Count, str]]:
    """The evidence for each number of clusters, and what that number is: asked for, fits best, or nothing.

    A number that is ahead, but not clearly, is only about as good as the one asked for; a smaller one that is clearly
    ahead of one that is natural too is a coarser level.
    """
    counts, m = list(result.counts), result.n_clusters
    ratios = {count.m: count.ratio for count in counts}
    best = suggest(counts)
    near = m in ratios and fitting_better(counts, m) is None
    coarse = near and best is not None and ratios[best] >= CLEARLY * ratios[m]
    said = {m: "asked for", best: "a coarser level" if coarse else "about as good" if near else "fits best"}
    if best == m:
        said[m] = "asked for, fits best"
    return [(count, said.get(count.m, "")) for count in result.counts]


def neighbours(
    result: Result, found: Sequence[Cluster]
) -> list[tuple[Cluster, int | None, float | None, float | None]]:
    """Of each cluster: the one least apart from it, the cut between them, and the cut of its own best split."""
    if result.separation is None:
        return []
    apart = result.separation
    return [
        (each, apart.nearest[each.number], apart.joined[each.number], apart.split[each.number])
        for each in found[:MOST_CLUSTERS]
    ]
