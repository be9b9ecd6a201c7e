"""What a report draws, taken from a model and its data once: the arrays of ``RUN/pictures.npz``."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data.dataset import Splits
from nemgan.errors import CheckpointError
from nemgan.evaluation.full_names import N_AMBIGUOUS
from nemgan.evaluation.grids import grid
from nemgan.evaluation.inference import embed, generate, predict
from nemgan.evaluation.margins import least_certain, margins
from nemgan.models.base import Model
from nemgan.seeding import derive, numpy_generator, torch_generator
from nemgan.storage import replace_file

__all__ = ["collect", "grid", "save"]

Array = NDArray[Any]
MOST_POINTS = 800
IMAGES_A_ROW, VECTORS_A_ROW = 12, 200


def collect(model: Model, splits: Splits, *, seed: int) -> dict[str, Array]:
    """Arrays to draw, from the test split and the model; raw as in a data set, random but fixed by ``seed``.

    Returns:
        real: test samples of each found cluster ``(M, R, *shape)``; rows are filled up with zeros.
        real_count: how many of each row are samples ``(M,)``.
        generated: samples of each mode ``(M, R, *shape)``; of a model without modes, any samples. Not there where the
            generator is not trained.
        points: test samples in two dimensions ``(n, 2)`` float32, n ≤ 800: 2-D data as they are, else t-SNE of the
            model's features.
        point_cluster, point_class: found cluster and class (−1 = unlabelled) of each point ``(n,)``.
        ambiguous: the test samples with the smallest margin between their two likeliest clusters ``(≤ 12, *shape)``,
            least certain first, as ``Result.ambiguous`` lists them.
    """
    test = splits.test
    rows = IMAGES_A_ROW if test.kind == "image" else VECTORS_A_ROW
    sure = margins(predict(model, test.x))
    found = sure.first
    real = np.zeros((model.n_clusters, rows, *test.shape), test.x.dtype)
    count = np.zeros(model.n_clusters, np.int64)
    generated = []
    for cluster in range(model.n_clusters):
        members = np.flatnonzero(found == cluster)
        chosen = numpy_generator(seed, "pictures", "real", cluster).permutation(members)[:rows]
        real[cluster, : len(chosen)], count[cluster] = test.x[chosen], len(chosen)
        if model.generates:
            rng = torch_generator(seed, "pictures", "generated", cluster, device=model.device)
            generated.append(generate(model, rows, rng, cluster if model.has_modes else None)[0])
    index = np.sort(numpy_generator(seed, "pictures", "points").permutation(len(test))[:MOST_POINTS])
    points = test.x[index] if test.shape == (2,) else flat_picture(embed(model, test.x[index]), seed)
    return {
        "real": real,
        "real_count": count,
        **({"generated": np.stack(generated)} if generated else {}),
        "points": points.astype(np.float32),
        "point_cluster": found[index].astype(np.int64),
        "point_class": test.y[index],
        "ambiguous": test.x[least_certain(sure, N_AMBIGUOUS)],
    }


def flat_picture(features: Array, seed: int) -> NDArray[np.float64]:
    """Features ``(n, F)`` in two dimensions ``(n, 2)`` by t-SNE started from their principal components.

    Fewer than ten different samples, or features that do not vary, are given by their first two principal components.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    centred = features.astype(np.float64) - features.mean(0)
    spread = centred.std()
    few = len(np.unique(features, axis=0)) < 10  # t-SNE crashes on samples that are all alike
    if spread <= 1e-6 * max(1.0, float(np.abs(features).max())) or len(features) < 2:
        return np.zeros((len(features), 2))
    centred /= spread
    n = min(50, *centred.shape)
    if n >= 2:
        centred = PCA(n, svd_solver="full", random_state=0).fit_transform(centred)
    if few or n < 2:
        return np.pad(centred[:, :2], ((0, 0), (0, max(0, 2 - centred.shape[1]))))
    perplexity = min(30.0, (len(features) - 1) / 3)
    tsne = TSNE(2, angle=0.7, perplexity=perplexity, init="pca", random_state=derive(seed, "pictures", "tsne") % 2**32)
    points: NDArray[np.float64] = tsne.fit_transform(centred)
    return points


def save(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write ``arrays`` as a compressed npz, wholly or not at all.

    Raises:
        CheckpointError: the disk is full or not writable; a file that was there is intact.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    try:
        replace_file(path, buffer.getvalue())
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}; make room or give permission") from None
