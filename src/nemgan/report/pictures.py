"""The arrays of ``pictures.npz`` as images and scatter plots for the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nemgan.evaluation.grids import grid
from nemgan.evaluation.result import Result
from nemgan.report.charts import scatter

Array = NDArray[Any]


def pictures(arrays: Mapping[str, Array], result: Result) -> dict[str, Any]:
    """Images as data URIs and scatter plots, by the name the template knows them by."""
    made: dict[str, Any] = {}
    wanted = {"real", "real_count", "generated"}
    if wanted <= arrays.keys() and arrays["real"].ndim == 5:
        made["strips"] = {
            k: (strip(arrays["real"][k][: arrays["real_count"][k]]), strip(arrays["generated"][k]))
            for k in range(result.n_clusters)
        }
        if "ambiguous" in arrays:
            made["ambiguous"] = strip(arrays["ambiguous"])
    elif wanted <= arrays.keys():
        made["planes"] = planes(arrays)
    if {"points", "point_cluster", "point_class"} <= arrays.keys() and len(arrays["points"]):
        made["map"] = _map(arrays, result)
        made["itself"] = arrays.get("real", np.empty(0)).shape[2:] == (2,)
    return made


def strip(images: Array) -> str | None:
    """A row of images ``(R, C, H, W)`` as a PNG data URI; None for no images."""
    if not len(images):
        return None
    return "data:image/png;base64," + base64.b64encode(grid(images[None], clear=True)).decode()


def planes(arrays: Mapping[str, Array]) -> dict[int, Markup]:
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
    for k in range(len(real)):
        points = np.concatenate([project[k], fake[k]])
        colours = np.repeat([-1, k], [len(project[k]), len(fake[k])])
        name = f"Cluster {k}: {len(project[k])} real samples and {len(fake[k])} generated ones"
        made[k] = scatter(points, colours, name, frame=frame, numbers=False, side=300)
    return made


def _map(arrays: Mapping[str, Array], result: Result) -> Markup:
    """The picture of the test data, with a ring around samples whose cluster is matched to another class."""
    cluster, label = arrays["point_cluster"], arrays["point_class"]
    odd = None
    if result.class_of_cluster is not None:
        odd = (label >= 0) & (np.asarray(result.class_of_cluster)[cluster] != label)
    name = f"{len(cluster)} test samples in two dimensions, coloured by the cluster they were put in"
    return scatter(arrays["points"].astype(float), cluster, name, odd=odd)
