"""The inverter of colour images: contrastive features, the same vote on clusters, and a linear layer fitted to it.

Neighbours in pixels mislead where the same thing comes in any colour and pose. So h's trunk first learns to tell the
views of one image from those of others; neighbours, partitions and votes (``connected``, ``consensus``) are then of its
features. The clusters are cut into micro-modes, the modes of the latent, and h's mode layer is fitted to both with the
trunk as it is: training the trunk on its own clusters lets the small one grow.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional as F

from nemgan.consensus import parted
from nemgan.data.neighbours import project
from nemgan.models.base import LossResult, Optimiser, Phase, Stage
from nemgan.models.connected import NOTHING, Connection, cool_down
from nemgan.models.settling import LABEL_WEIGHT
from nemgan.prevalence import Labels, regression

REGRESSION, DOUBT = 0.01, 0.05
"""Inverse strength of the weight decay of the regression on labels, and how much the surest votes leave to
the other clusters together."""


class Contrast(Connection):
    """The stages of the contrastive inverter of ``model`` on ``pool``."""

    source = "own"
    meets_again = True

    def stages(self) -> list[Stage]:
        constants = self.model.settings.contrast
        head = Optimiser(1e-2, (0.9, 0.99), weight_decay=1e-3)
        fit = Phase("modes", ("inverter.mode",), self.fit_loss, head, schedule=cool_down)
        return [
            Stage("contrast", constants.steps, (self.views.phase(),), end=self.merge),
            Stage("fit", constants.fit_steps, (fit,), end=self.settle),
        ]

    def look(self, rng: torch.Generator) -> LossResult:
        """Find the neighbours in h's features."""
        index, weights = self._graph(project(self.over_pool(self.model.inverter.features).cpu().numpy(), 128))
        self.model.scratch.update(own_neighbours=index, own_weights=weights)
        return NOTHING

    def merge(self, rng: torch.Generator) -> Mapping[str, object]:
        """Step 2: centre the features, vote, and cut each cluster into its share of the micro-modes."""
        model, scratch = self.model, self.model.scratch
        model.inverter.centre_on(self.over_pool(model.inverter.trunk))
        found = self.vote(rng)
        scratch["features"] = self.over_pool(model.inverter.features)
        # of a cluster without labels the regression would leave nothing
        if self.told:
            scratch["votes"] = self._labels_heard(scratch["votes"])
        votes = scratch["votes"]
        if len(self.pool.labelled):
            votes[self.pool.labelled] = F.one_hot(self.pool.labels, model.n_clusters).to(votes.dtype)
        scratch["modes"] = self._cut(votes.argmax(1), rng)
        self._set_prior(torch.bincount(scratch["modes"], minlength=model.n_modes) / len(votes))
        return {"cost": found.cost, "agreement": found.agreement, "masses": model.masses().tolist()}

    def _labels_heard(self, votes: Tensor) -> Tensor:
        """``votes`` (N, M) times what a logistic regression on the labels makes of h's features.

        The regression is freed of the labels' mix, for masses are in the votes; so labels may be picked by class.
        """
        labels = Labels(self.pool.labelled.cpu().numpy(), self.pool.labels.cpu().numpy(), self.model.n_clusters)
        learn = regression(self.model.scratch["features"].cpu().numpy(), REGRESSION)
        said = softmax(learn(labels, np.ones(len(labels.y)), np.arange(len(votes))), axis=1)
        others = max(labels.n_classes - 1, 1)
        both = votes.clamp(DOUBT / others, 1 - DOUBT) * torch.from_numpy(said).to(votes)
        return both / both.sum(1, keepdim=True)

    def _cut(self, cluster: Tensor, rng: torch.Generator) -> Tensor:
        """Micro-mode of each sample (N,): K-means within each cluster, with modes in proportion to its mass."""
        model, m = self.model, self.model.n_clusters
        size = torch.bincount(cluster, minlength=m).cpu().numpy()
        modes = np.maximum(1, np.floor(size / size.sum() * model.n_modes).astype(int))
        while modes.sum() > model.n_modes:
            modes[int(modes.argmax())] -= 1
        while modes.sum() < model.n_modes:
            modes[int((size / modes).argmax())] += 1
        model.groups.copy_(torch.from_numpy(np.repeat(np.arange(m), modes)))
        points, found = project(model.scratch["features"].cpu().numpy()), np.zeros(len(cluster), np.int64)
        for k, first in enumerate(np.cumsum(modes) - modes):
            at = np.flatnonzero(cluster.cpu().numpy() == k)
            parts = min(int(modes[k]), len(at))
            if parts:
                start = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
                found[at] = first + parted(points[at], parts, start)
        return torch.from_numpy(found).to(model.device)

    def fit_loss(self, rng: torch.Generator) -> LossResult:
        """Step 3: the clusters are the votes', and within them the modes are the cuts'."""
        model, scratch = self.model, self.model.scratch
        i = self.pool.draw(512, rng)
        p = model.inverter.mode(scratch["features"][i]).softmax(1).clamp_min(1e-8)
        weight = torch.ones(len(self.pool), device=p.device)
        weight[self.pool.labelled] = LABEL_WEIGHT
        voted = -(weight[i] * (scratch["votes"][i] * model.merged(p).clamp_min(1e-8).log()).sum(1)).mean()
        cut = F.nll_loss(p.log(), scratch["modes"][i])
        return LossResult(voted + 0.1 * cut, {"votes": voted.detach(), "modes": cut.detach()})

    def settle(self, rng: torch.Generator) -> Mapping[str, object]:
        for key in ("features", "modes"):
            del self.model.scratch[key]
        return super().settle(rng)

    def sizes(self, logits: Tensor) -> Tensor:
        """Those of the votes, counted by what they decide: their doubt, a bound, draws masses to even ones."""
        return torch.bincount(self.model.scratch["votes"].argmax(1), minlength=self.model.n_clusters)

    def pace(self, found: Tensor) -> float:
        """Little: of what h is sure it stays sure."""
        return 0.5

    def target(self, shares: Tensor) -> Tensor:
        """Known masses, or those that were voted."""
        known = self.model.known
        return shares if known is None else torch.from_numpy(known).float().to(shares.device)
