"""Generated samples against real ones through one extractor: every distance of a record, with its counts.

The real side is the test split. ``fd_real`` is the distance between as many real training samples and the same test
samples: what a generator that draws from the training data would get, one draw of it. A judge that was trained on these
samples tells them apart a little from the test split's, so that a good generator can come out nearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.data.dataset import Splits
from nemgan.data.ondisk import Samples
from nemgan.evaluation.extractors import Extractor
from nemgan.evaluation.fidelity import frechet, kid, overlap
from nemgan.evaluation.result import Fidelity
from nemgan.seeding import numpy_generator

Array = NDArray[Any]
Pair = tuple[Array, Array]
"""Real samples of a found cluster and generated samples of its mode."""
FEWEST = 2


def compare(extractor: Extractor, splits: Splits, fake: Array, pairs: Sequence[Pair], seed: int) -> Fidelity | None:
    """Distances of the samples ``fake`` from the test split, and of each cluster; None where either has under two.

    As many real samples are drawn as there are generated ones, or the other way round; of each cluster likewise.
    """
    n = min(len(splits.test), len(splits.train), len(fake))
    if n < FEWEST:
        return None
    rng = numpy_generator(seed, "evaluate", "fidelity")
    test, train = (extractor.features(_some(data.x, n, rng)) for data in (splits.test, splits.train))
    generated = extractor.features(fake[:n])
    near = overlap(test, generated)
    found = [_within(extractor, real, made) for real, made in pairs]
    distances = [each[0] for each in found]
    known = [distance for distance in distances if distance is not None]
    return Fidelity(
        extractor=extractor.name,
        extractor_accuracy=extractor.accuracy,
        n=n,
        fd=frechet(test, generated),
        fd_real=frechet(test, train),
        kid=kid(test, generated),
        precision=near.precision if near else None,
        recall=near.recall if near else None,
        density=near.density if near else None,
        coverage=near.coverage if near else None,
        icfd=float(np.mean(known)) if known else None,
        fd_by_cluster=tuple(distances),
        diversity_by_cluster=tuple(each[1] for each in found),
        n_by_cluster=tuple(each[2] for each in found),
    )


def _within(extractor: Extractor, real: Array, fake: Array) -> tuple[float | None, float | None, int]:
    """FD and ratio of mean pairwise distances (generated over real) within one cluster, and the samples of each."""
    n = min(len(real), len(fake))
    if n < FEWEST:
        return None, None, n
    features, made = extractor.features(real[:n]), extractor.features(fake[:n])
    spread = _spread(features)
    return frechet(features, made), _spread(made) / spread if spread > 0 else None, n


def _spread(features: Array) -> float:
    """Mean Euclidean distance between two of the rows of ``features`` ``(n, F)``, n ≥ 2."""
    from scipy.spatial.distance import pdist

    return float(pdist(features.astype(np.float64)).mean())


def _some(x: Samples, n: int, rng: np.random.Generator) -> Array:
    """``n`` of the samples, at random, in their order."""
    return x[np.sort(rng.permutation(len(x))[:n])]
