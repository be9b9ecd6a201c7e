"""Clusters of a model that has no inverter to name them: K-means on its features, fitted when training is over."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nemgan.callers import silenced, two_at_most

FIT = 10_000
"""Training samples, at most, that the centres are fitted to."""


class Centres(nn.Module):
    """K centres in feature space, held in buffers so that a saved model has them. All alike until fitted."""

    def __init__(self, n_clusters: int, size: int) -> None:
        super().__init__()
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.zeros(n_clusters, size))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """Posterior ``(n, K)`` of features ``(n, F)``: of K equal Gaussians around the centres."""
        distance = torch.cdist(features, self.centre, compute_mode="donot_use_mm_for_euclid_dist") ** 2
        return (-distance / self.spread).softmax(1)

    @torch.no_grad()
    def fit(self, features: Tensor, seed: int) -> None:
        """K-means of ``features`` (N, F), the best of ten starts by its own cost."""
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        points = features.cpu().double().numpy()
        with silenced(ConvergenceWarning), two_at_most():  # fewer different features than clusters
            found = KMeans(len(self.centre), n_init=10, random_state=seed).fit(points)
        self.centre.copy_(torch.from_numpy(found.cluster_centers_))
        self.spread.fill_(max(2 * found.inertia_ / points.size, 1e-12))

    @torch.no_grad()
    def follow(self, features: Tensor, mode: Tensor) -> None:
        """Number the centres as the modes whose generated samples, of ``features`` (N, F), fall to them most.

        No label is seen. A centre that is nobody's gets a number that is left.
        """
        from scipy.optimize import linear_sum_assignment

        k = len(self.centre)
        pairs = (mode * k + self(features).argmax(1)).cpu().numpy()
        counts: NDArray[np.int64] = np.bincount(pairs, minlength=k * k).reshape(k, k)
        order = linear_sum_assignment(-counts)[1]
        self.centre.copy_(self.centre[torch.from_numpy(order).to(self.centre.device)])
