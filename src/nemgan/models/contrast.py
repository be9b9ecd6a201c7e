"""The inverter of colour images: contrastive features, the same vote on clusters, and a linear layer fitted to it.

Neighbours in pixels mislead where the same thing comes in any colour and pose. So h's trunk first learns to tell the
views of one image from those of others; neighbours, partitions and votes (``connected``, ``consensus``) are then of its
features. The clusters are cut into micro-modes, the modes of the latent, and h's mode layer is fitted to both with the
trunk as it is: training the trunk on its own clusters lets the small one grow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional as F

from nemgan.data.augment import view
from nemgan.data.neighbours import project
from nemgan.losses.connectivity import contrast
from nemgan.models.base import LossResult, Optimiser, Phase, Stage
from nemgan.models.connected import NOTHING, Connection, cool_down
from nemgan.prevalence import Labels, regression, softmax

if TYPE_CHECKING:
    from nemgan.data.pool import Pool
    from nemgan.models.nemgan import NEMGAN

LABEL_WEIGHT = 10.0
"""Weight of a sample whose label is disclosed, the others' being 1."""
REGRESSION, DOUBT = 0.01, 0.05
"""Inverse strength of the weight decay of the regression on labels, and how much the surest votes leave to
the other clusters together."""


def half_cosine(progress: float) -> float:
    """Learning-rate factor: up over the first 4 %, then down a half cosine to 1 %."""
    return min(1.0, 25 * progress + 0.02, 0.01 + math.cos(math.pi / 2 * progress) ** 2)


class Contrast(Connection):
    """The stages of the contrastive inverter of ``model`` on ``pool``."""

    source = "own"

    def __init__(self, model: NEMGAN, pool: Pool) -> None:
        super().__init__(model, pool)
        self.constants = model.settings.contrast
        self.side = max(8, round(self.constants.crop * model.shape[1]))
        self.colour = model.shape[0] == 3

    def stages(self) -> list[Stage]:
        constants = self.constants
        views = Optimiser(constants.lr, (0.9, 0.99), weight_decay=1e-5)
        learn = Phase("views", ("inverter.trunk", "projector"), self.contrast_loss, views, schedule=half_cosine)
        head = Optimiser(1e-2, (0.9, 0.99), weight_decay=1e-3)
        fit = Phase("modes", ("inverter.mode",), self.fit_loss, head, schedule=cool_down)
        return [
            Stage("contrast", constants.steps, (learn,), end=self.merge),
            Stage("fit", constants.fit_steps, (fit,), end=self.settle),
        ]

    def contrast_loss(self, rng: torch.Generator) -> LossResult:
        """Step 1: find the other view of each image among the batch."""
        model = self.model
        assert model.projector is not None
        x = model.encode(self.pool.x[self.pool.draw(self.constants.batch, rng)])
        flip = self.colour or self.augment.flip
        views = torch.cat([view(x, self.side, rng, flip), view(x, self.side, rng, flip)])
        views = views.contiguous(memory_format=torch.channels_last)
        loss = contrast(model.projector(model.inverter.trunk(views)), self.constants.temperature)
        return LossResult(loss, {"contrast": loss.detach()})

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
        if len(torch.unique(self.pool.labels)) == model.n_clusters:
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
        said = softmax(learn(labels, np.ones(len(labels.y)), np.arange(len(votes))))
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
                found[at] = first + KMeans(parts, n_init=1, random_state=start).fit(points[at]).labels_
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
        """Let the biases meet the clusters' masses on the data, known or voted, then as for any inverter.

        Votes are counted by what they decide: their doubt, a bound and not a probability, draws masses to even ones.
        """
        model, scratch = self.model, self.model.scratch
        decided = torch.bincount(scratch["votes"].argmax(1), minlength=model.n_clusters)
        decided = decided[self.name_by_size(decided)] / len(scratch["votes"])
        known = decided if model.known is None else torch.from_numpy(model.known)
        target, bias = known.to(scratch["features"]), model.inverter.mode.bias
        with torch.no_grad():
            for step in range(100):
                p = model.inverter.mode(scratch["features"]).softmax(1)
                share = F.one_hot(model.merged(p).argmax(1), model.n_clusters).to(p.dtype).mean(0)
                move = (share.clamp_min(1e-3) / target.clamp_min(1e-3)).log() * 0.5 * 0.95**step
                bias.sub_(move[model.groups])
        for key in ("features", "modes"):
            del scratch[key]
        return super().settle(rng)
