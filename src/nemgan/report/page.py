"""The page: what a run folder's files say, put in order for the template."""

from __future__ import annotations

import base64
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nemgan.errors import CheckpointError
from nemgan.evaluation.grids import PALETTE, grid
from nemgan.evaluation.result import Result
from nemgan.evaluation.storage import replace
from nemgan.report.charts import scatter
from nemgan.report.curves import curves
from nemgan.report.diagnosis import diagnose, percent
from nemgan.report.repeat import command, flat

Array = NDArray[Any]


@dataclass(frozen=True)
class Cluster:
    """A found cluster as the page shows it; ``number`` is its mode in ``nemgan sample --mode``."""

    number: int
    mass: float
    found: float
    label: str | None
    purity: float | None
    diversity: float | None


def write(folder: Path) -> Path:
    """Write ``folder/report.html`` from the folder's files and return its path.

    ``result.json`` and ``config.json`` must be there; without ``metrics.jsonl`` or ``pictures.npz`` the page lacks the
    curves or the pictures.

    Raises:
        CheckpointError: a file that is missing, damaged, or cannot be written.
    """
    folder = Path(folder)
    result = Result.from_json(_read(folder / "result.json", "nemgan evaluate"))
    config = _json(folder / "config.json")
    path = folder / "report.html"
    html = render(result, config, _rows(folder / "metrics.jsonl"), _arrays(folder / "pictures.npz"), folder.name)
    try:
        replace(path, html.encode())
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}; make room or give permission") from None
    return path


def render(
    result: Result,
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    arrays: Mapping[str, Array],
    name: str = "",
) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nemgan.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["percent"] = percent
    found = clusters(result)
    return environment.get_template("template.html").render(
        r=result,
        name=name,
        style=Markup((Path(__file__).parent / "style.css").read_text(encoding="utf-8")),
        palette=PALETTE,
        headline=f"{len(found)} clusters: " + " / ".join(percent(each.mass) for each in found[:10]),
        more=max(0, len(found) - 10),
        clusters=found,
        settings=_settings(result),
        cards=cards(result),
        pictures=pictures(arrays, found),
        masses=masses(result, found),
        confusion=confusion(result, found),
        curves=curves(rows, result.n_clusters),
        findings=diagnose(result),
        config=flat(config),
        command=command(config, arrays["real"].shape[2:] if "real" in arrays else None),
    )


def clusters(result: Result) -> list[Cluster]:
    """Found clusters, heaviest first."""
    names: list[str | None] = [None] * result.n_clusters
    for k, c in enumerate(result.class_of_cluster or ()):
        names[k] = result.class_names[c] if c >= 0 else "no class"
    nothing = (None,) * result.n_clusters
    made = [
        Cluster(k, mass, result.found_masses[k], names[k], purity, diversity)
        for k, (mass, purity, diversity) in enumerate(
            zip(result.cluster_masses, result.mode_purities or nothing, result.mode_diversity or nothing, strict=True)
        )
    ]
    return sorted(made, key=lambda each: -each.mass)


def _settings(result: Result) -> list[str]:
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

    def third(value: float) -> str:
        return f"{value:.3f}"

    def duration(seconds: float) -> str:
        if seconds < 60:
            return f"{seconds:.1f}\u00a0s"
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}\u00a0min {rest:02d}\u00a0s" if minutes < 60 else f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min"

    wanted = [
        ("Accuracy", "acc", third),
        ("NMI", "nmi", third),
        ("ARI", "ari", third),
        ("Purity", "purity", third),
        ("Macro recall", "macro_recall", third),
        ("Mode purity", "mode_purity", third),
        ("Prior error (L1)", "prior_l1", third),
        ("Generated vs found (L1)", "generated_vs_found_l1", third),
        ("Confidence", "confidence", lambda value: f"{value:.2f}"),
        ("Training", "seconds", duration),
        ("To accuracy .95", "seconds_to_acc_95", duration),
        ("Steps", "steps", lambda value: f"{value:,}"),
    ]
    return [
        (short, show(getattr(result, key)), result.metrics.get(key, key))
        for short, key, show in wanted
        if getattr(result, key) is not None
    ]


def masses(result: Result, found: Sequence[Cluster]) -> list[tuple[str, list[tuple[str, str, float]]]]:
    """Bars: a name, and for each bar what it shows, its style and its share. By class where classes are known."""
    if result.true_masses is None or result.class_of_cluster is None:
        return [
            (f"Cluster {each.number}", [("prior", "learned", each.mass), ("found", "true", each.found)])
            for each in found
        ]
    bars = []
    for c, name in enumerate(result.class_names):
        rows = [("prior", "learned", result.learned_prior[c]), ("true", "true", result.true_masses[c])]
        if result.generated_masses is not None:
            rows.append(("generated", "generated", result.generated_masses[c]))
        bars.append((name, rows))
    left = [each for each in sorted(found, key=lambda each: each.number) if each.label == "no class"]
    for each, mass in zip(left, result.learned_prior[len(bars) :], strict=True):
        bars.append((f"Cluster {each.number}, no class", [("prior", "learned", mass)]))
    return bars


def confusion(result: Result, found: Sequence[Cluster]) -> dict[str, Any] | None:
    """Rows of ``(class, [(count, share of the class)])`` with the matched clusters on the diagonal."""
    if result.confusion is None or result.class_of_cluster is None:
        return None
    matched = {c: k for k, c in enumerate(result.class_of_cluster) if c >= 0}
    columns = [matched[c] for c in sorted(matched)] + [k for k, c in enumerate(result.class_of_cluster) if c < 0]
    rows = []
    for c, counts in enumerate(result.confusion):
        total = max(sum(counts), 1)
        rows.append((result.class_names[c], [(counts[k], counts[k] / total, matched.get(c) == k) for k in columns]))
    return {"columns": columns, "rows": rows}


def pictures(arrays: Mapping[str, Array], found: Sequence[Cluster]) -> dict[str, Any]:
    """Images as data URIs and scatter plots, by the name the template knows them by."""
    made: dict[str, Any] = {}
    wanted = {"real", "real_count", "generated"}
    if wanted <= arrays.keys() and arrays["real"].ndim == 5:
        made["strips"] = {
            each.number: (
                strip(arrays["real"][each.number][: arrays["real_count"][each.number]]),
                strip(arrays["generated"][each.number]),
            )
            for each in found
        }
        if "ambiguous" in arrays:
            made["ambiguous"] = strip(arrays["ambiguous"])
    elif wanted <= arrays.keys():
        made["planes"] = planes(arrays, found)
    if {"points", "point_cluster", "point_class"} <= arrays.keys() and len(arrays["points"]):
        made["map"] = _map(arrays, found)
    return made


def strip(images: Array) -> str | None:
    """A row of images ``(R, C, H, W)`` as a PNG data URI; None for no images."""
    if not len(images):
        return None
    return "data:image/png;base64," + base64.b64encode(grid(images[None], clear=True)).decode()


def planes(arrays: Mapping[str, Array], found: Sequence[Cluster]) -> dict[int, Markup]:
    """Per cluster, real vectors (faint) under generated ones (coloured), in one common frame.

    Vectors of more than two dimensions are shown in the plane of the real ones' first two principal components.
    """
    real = [arrays["real"][k][: arrays["real_count"][k]].astype(float) for k in range(len(arrays["real"]))]
    everything = np.concatenate(real)
    if everything.shape[1] != 2:
        centre = everything.mean(0)
        axes = np.linalg.svd(everything - centre, full_matrices=False)[2][:2]
        axes = np.pad(axes, ((0, 2 - len(axes)), (0, 0)))
    else:
        centre, axes = np.zeros(2), np.eye(2)
    project = [(points - centre) @ axes.T for points in real]
    fake = [(points.astype(float) - centre) @ axes.T for points in arrays["generated"]]
    all_points = np.concatenate([*project, *fake])
    frame = (all_points.min(0), all_points.max(0))
    made = {}
    for each in found:
        k = each.number
        points = np.concatenate([project[k], fake[k]])
        colours = np.repeat([-1, k], [len(project[k]), len(fake[k])])
        name = f"Cluster {k}: {len(project[k])} real samples and {len(fake[k])} generated ones"
        made[k] = scatter(points, colours, name, frame=frame, numbers=False, side=300)
    return made


def _map(arrays: Mapping[str, Array], found: Sequence[Cluster]) -> Markup:
    cluster, label = arrays["point_cluster"], arrays["point_class"]
    return scatter(
        arrays["points"].astype(float),
        cluster,
        f"{len(cluster)} test samples in two dimensions, coloured by the cluster they were put in",
    )


def _read(path: Path, verb: str) -> bytes:
    if not path.parent.is_dir():
        raise CheckpointError(f"no run folder {path.parent}: give one that nemgan train printed")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} has no {path.name}: make it with {verb} {path.parent}") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
