"""The arrays of ``pictures.npz`` as images and scatter plots for the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nemgan.evaluation.grids import grid
from nemgan.evaluation.result import Result
from nemgan.report.charts import corners, scatter

Array = NDArray[Any]
Frame = tuple[Array, Array]


def pictures(arrays: Mapping[str, Array], result: Result) -> dict[str, Any]:
    """Images as data URIs and scatter plots, by the name the template knows them by; None for what is not there.

    strips: per cluster its real and its generated images. ambiguous: one for each sample of ``result.ambiguous``.
    planes: real and generated vectors. map: the test data in two dimensions. itself: whether that map is the data.
    generated: whether anything was, which a model that only clusters does not.
    """
    made: dict[str, Any] = dict.fromkeys(("strips", "planes", "ambiguous", "map", "itself"))
    made["generated"] = "generated" in arrays
    if {"real", "real_count"} <= arrays.keys():
        real = [rows[:count] for rows, count in zip(arrays["real"], arrays["real_count"], strict=True)]
        fake = arrays["generated"] if made["generated"] else arrays["real"][:, :0]
        if arrays["real"].ndim == 5:
            made["strips"] = [(strip(some), strip(others)) for some, others in zip(real, fake, strict=True)]
        else:
            made["planes"] = planes(real, list(fake))
    if "ambiguous" in arrays and arrays["ambiguous"].ndim == 4 and len(arrays["ambiguous"]) == len(result.ambiguous):
        made["ambiguous"] = [strip(each[None]) for each in arrays["ambiguous"]]
    if {"points", "point_cluster", "point_class"} <= arrays.keys() and len(arrays["points"]):
        made["itself"] = made["planes"] is not None and arrays["real"].shape[2:] == (2,)
        frame = made["planes"][2] if made["itself"] else None
        made["map"] = _map(arrays, result, frame)
    return made


def strip(images: Array) -> str | None:
    """A row of images ``(R, C, H, W)`` as a PNG data URI; None for no images."""
    if not len(images):
        return None
    return "data:image/png;base64," + base64.b64encode(grid(images[None], clear=True)).decode()


def planes(real: Sequence[Array], fake: Sequence[Array]) -> tuple[Markup, Markup, Frame]:
    """Real and generated vectors, each cluster's ``(R, D)``, as two scatter plots, and the frame of both.

    Vectors of other than two dimensions are shown in the plane of the real ones' first two principal components.
    """
    everything = np.concatenate(real).astype(float)
    centre, axes = np.zeros(2), np.eye(2)
    if everything.shape[1] != 2:
        centre = everything.mean(0)
        axes = np.linalg.svd(everything - centre, full_matrices=False)[2][:2]
        axes = np.pad(axes, ((0, 2 - len(axes)), (0, 0)))
    found = [np.repeat(np.arange(len(rows)), [len(each) for each in rows]) for rows in (real, fake)]
    points = [(np.concatenate(rows).astype(float) - centre) @ axes.T for rows in (real, fake)]
    frame = corners(np.concatenate(points))
    return (
        scatter(points[0], found[0], f"{len(points[0])} real test samples by found cluster", frame=frame),
        scatter(points[1], found[1], f"{len(points[1])} generated samples by mode", frame=frame),
        frame,
    )


def _map(arrays: Mapping[str, Array], result: Result, frame: Frame | None = None) -> Markup:
    """The picture of the test data, with a ring around samples whose cluster is matched to another class."""
    cluster, label = arrays["point_cluster"], arrays["point_class"]
    odd = None
    if result.class_of_cluster is not None:
        odd = (label >= 0) & (np.asarray(result.class_of_cluster)[cluster] != label)
    name = f"{len(cluster)} test samples in two dimensions, coloured by the cluster they were put in"
    return scatter(arrays["points"].astype(float), cluster, name, frame=frame, odd=odd)
