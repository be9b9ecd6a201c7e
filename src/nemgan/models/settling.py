"""What h has learned, settled: the clusters' numbers, h's borders where masses are known, and the prior.

Every way of learning h on real samples (``connected``, ``contrast``) ends here, before anything is generated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from nemgan.counting import agreed, evidence
from nemgan.data.pool import Pool
from nemgan.losses.connectivity import disagreement
from nemgan.models.base import at_rest
from nemgan.parts import by_parts
from nemgan.second_look import Lessons

if TYPE_CHECKING:
    from nemgan.models.nemgan import NEMGAN

COUNTED = 100
"""Parts of a partition, at most, that are merged into every other number of clusters too: of more it takes hours."""
AGREEING = 3
"""Partitions that have to agree on evidence for another number of clusters."""
ENOUGH = 20_000
"""Samples, at most, that the second look learns from."""
TOLD, DECIDED = 10.0, 0.1
"""scikit-learn's C of its regressions, of labels and of decisions, which are wrong at times."""
LABEL_WEIGHT = 10.0
"""Weight of a sample whose label is disclosed, the others' being 1."""


class Settling:
    """The end of learning h: of ``model``, on the samples ``all``, of which ``pool`` are those it has learned from.

    ``model.scratch`` holds the votes (N, M) and the neighbours by h's own features (N, k), as ``connected`` left them.
    """

    meets_again = False
    """Whether masses are met once more after the second look, or left to where samples are few."""

    def __init__(self, model: NEMGAN, pool: Pool) -> None:
        self.model = model
        self.all, self.pool = pool, pool.some(model.settings.connect.samples)

    def over_pool(self, function: Callable[[Tensor], Tensor], pool: Pool | None = None) -> Tensor:
        """``function`` of every sample of ``pool`` (by default its own), unchanged, with h at rest, ``(N, …)``."""
        x = (pool or self.pool).x
        with at_rest(self.model):
            return by_parts(lambda at: function(self.model.encode(x[at])), len(x), 1024)

    def settle(self, rng: torch.Generator) -> Mapping[str, object]:
        """Step 3's end: the prior that minimises ‖E h(x) − P_Y‖₁ (Eq. 5) is E h(x) itself; known masses are kept.

        Where merges disagreed h's biases are moved first until its decisions have the known masses (``target``).
        Within a cluster the micro-modes have the masses of the samples they are likeliest for: these are what the
        critic of pairs is shown, and a mode that it never saw real samples of would be drawn at random (C3).
        """
        model = self.model
        model.scratch.pop("voters", None)
        self.count()
        logits = self.over_pool(model.logits)
        sizes = self.sizes(logits)
        sizes = sizes[self.name_by_size(sizes)]
        target = self.target(sizes / sizes.sum())
        if target is not None:
            self.meet(logits, target)
        voted = model.known is None and self.told  # labels may know better than what was voted
        if self.look_again(rng) and self.meets_again and target is not None and not voted:
            self.meet(self.over_pool(model.logits), target)
        logs = self.measure()
        if model.known is None:  # in which order they are now
            self.name_by_size(model.masses())
        return {**logs, "masses": model.masses().tolist()}

    def count(self) -> None:
        """Ask the partitions that were merged how many clusters there are, unless labels of all samples say it."""
        model, several, draw = self.model, self.model.scratch.pop("partitions", None), np.random.default_rng(0)
        model.counts.fill_(float("nan"))
        if several is None or several.shape[1] > COUNTED or len(self.pool.labelled) == len(self.pool):
            return
        graphs = several.cpu().double().numpy()  # not every device has doubles
        asked = (evidence(each[:, :-1], each[:, -1], len(model.counts) + 1, draw) for each in graphs)
        for row, count in enumerate(agreed(asked, model.n_clusters)):
            model.counts[row] = torch.tensor([count.m, count.joined, count.split])

    @property
    def told(self) -> bool:
        """Whether every cluster has labels."""
        return len(torch.unique(self.pool.labels)) == self.model.n_clusters

    def look_again(self, rng: torch.Generator) -> bool:
        """Teach h's second look, if it is to have one; whether it has.

        It learns twice: from labels of every cluster and then from what h and it decide together; or else from h's
        decisions and then from its own, for on the samples that h was fitted to h would repeat its mistakes. What it
        says is freed of masses: h's logits bring them, and without h those of h's decisions stand in (Bayes).
        """
        model, pool, told = self.model, self.pool, self.told
        if model.second is None or model.n_clusters < 2:
            return False
        labels = torch.full((len(pool),), -1, device=pool.device)
        labels[pool.labelled] = pool.labels
        at = torch.randperm(len(pool), generator=rng, device=rng.device).to(pool.device)
        seed = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
        if told:  # labelled ones first: landmarks
            at = at[(labels[at] < 0).long().argsort(stable=True)]
        at = at[:ENOUGH]
        labels = labels[at]

        def samples(part: slice) -> Tensor:
            return model.encode(pool.x[at[part]])

        with at_rest(model):
            own = by_parts(lambda part: model.inverter.logits(samples(part)), len(at), 1024)
        found = own = model.merged_logits(own).log_softmax(1)
        shares = torch.bincount(own.argmax(1), minlength=model.n_clusters) / len(own)
        if not told and shares.max() == 1:
            return False
        before = own if told else shares.clamp_min(1e-3).log()
        lessons = Lessons(model.second, samples, len(at), seed)
        weights = torch.where(labels >= 0, LABEL_WEIGHT, 1.0)
        for by_labels in (told, False):
            decided = labels if by_labels else torch.where(labels >= 0, labels, found.argmax(1))
            if len(torch.unique(decided[decided >= 0])) < 2:
                break
            strength, counted = (TOLD, torch.ones_like(weights)) if by_labels else (DECIDED, weights)
            said = lessons.learn(decided.cpu().numpy(), strength, counted.cpu().double().numpy())
            found = before + torch.from_numpy(said).to(own)
        return model.second.learned

    def measure(self) -> Mapping[str, object]:
        """Take confidence and prior from what h makes of the samples now."""
        model = self.model
        merged, modes = self.asked(self.pool)
        neighbours = merged[model.scratch["own_neighbours"][:, 0]]
        mean = merged.mean(0)
        entropy = -(mean * mean.clamp_min(1e-8).log()).sum()
        share = 1 - disagreement(merged, neighbours) / entropy.clamp_min(1e-6)
        confidence = torch.where(entropy < 1e-6, 0.0, share)  # all in one cluster: nothing to agree on
        model.confidence.copy_(confidence)
        if len(self.all) > len(self.pool):  # whose labelled samples are in another mix, and whose number is smaller
            merged, modes = self.asked(self.all)
        self._set_prior(torch.bincount(modes, minlength=model.n_modes) / len(modes), merged.mean(0))
        return {"confidence": float(confidence)}

    def sizes(self, logits: Tensor) -> Tensor:
        """Samples that are decided to be of each cluster (M,), from h's ``logits`` of them (N, K)."""
        found = self.model.merged_logits(logits).argmax(1)
        return torch.bincount(found, minlength=self.model.n_clusters)

    def target(self, shares: Tensor) -> Tensor | None:
        """Masses (M,) that h's decisions are to have, which now have ``shares``: known ones where merges disagreed.

        Elsewhere borders lie where samples are few, and h knows better by how many these data miss the masses.
        """
        known = self.model.known
        if known is None or len(self.pool.labelled) or "seen_neighbours" not in self.model.scratch:
            return None
        return torch.from_numpy(known).float().to(shares.device)

    def pace(self, found: Tensor) -> float:
        """How fast biases move, in nats for each nat that a mass is off: half of what decisions by the logits ``found``
        of clusters (N, M) are sure by, on average."""
        best = found.topk(min(2, self.model.n_clusters), 1).values
        return 0.5 * float((best[:, 0] - best[:, -1]).mean())

    def moves(self, found: Tensor, target: Tensor) -> Tensor:
        """What to add to logits ``found`` of clusters (N, M), so that decisions by them have the masses ``target``."""
        moves, pace = torch.zeros_like(found[0]), self.pace(found)
        for step in range(100):
            shares = torch.bincount((found + moves).argmax(1), minlength=len(moves)) / len(found)
            moves -= pace * 0.95**step * (shares.clamp_min(1e-3) / target.clamp_min(1e-3)).log()
        return moves

    def meet(self, logits: Tensor, target: Tensor) -> None:
        """Move biases until decisions on the samples of ``logits`` (N, K) have the masses ``target`` (M,)."""
        model = self.model
        moves = self.moves(model.merged_logits(logits), target)
        if model.second is not None and model.second.learned:
            model.second.move(moves)
        else:
            model.inverter.mode.bias.add_(moves[model.groups])

    def name_by_size(self, sizes: Tensor) -> Tensor:
        """Number the clusters from the largest, or so that the larger has the larger of the known masses; what each was
        before (M,).

        Labels say which mass is whose; without any the merge does, which hardly ever swaps those of two whole clusters
        of nearly equal mass, for that takes many moves at once.

        Args:
            sizes: samples of each cluster as numbered so far, or their masses, ``(M,)``.
        """
        model, scratch = self.model, self.model.scratch
        if len(self.pool.labelled):
            return torch.arange(model.n_clusters, device=sizes.device)
        order = sizes.argsort(descending=True, stable=True)
        if model.known is not None:
            by_mass = torch.from_numpy(-model.known).argsort(stable=True).to(sizes.device)  # sorted here: doubles
            order = torch.empty_like(order).scatter_(0, by_mass, order)
        model.groups.copy_(order.argsort()[model.groups])
        scratch["votes"] = scratch["votes"][:, order]
        if model.second is not None:
            model.second.reorder(order)
        return order

    def asked(self, pool: Pool) -> tuple[Tensor, Tensor]:
        """Posterior over clusters (N, M) and likeliest micro-mode (N,) of every sample of ``pool``.

        Of a labelled sample, the likeliest in its own cluster: so a cluster is matched to its own labelled samples,
        however rare they are.
        """
        model = self.model

        def ask(x: Tensor) -> Tensor:
            p = model.mode_posterior(x)
            return torch.cat([model.merged(p), p.argmax(1, keepdim=True).to(p.dtype)], 1)

        found = self.over_pool(ask, pool)
        merged, modes = found[:, :-1], found[:, -1].long()
        with at_rest(model):
            for at, label in zip(torch.split(pool.labelled, 1024), torch.split(pool.labels, 1024), strict=True):
                logits = model.logits(model.encode(pool.x[at]))
                modes[at] = logits.masked_fill(model.groups != label[:, None], -torch.inf).argmax(1)
        return merged, modes

    def _set_prior(self, sizes: Tensor, masses: Tensor | None = None) -> None:
        """Prior over micro-modes from their sizes (K,), in each cluster scaled to its mass (M,): known, or as given."""
        model = self.model
        target = torch.from_numpy(model.known).float().to(sizes.device) if model.known is not None else masses
        if target is not None:
            sizes = sizes.clamp_min(1e-6)
            total = torch.zeros_like(target).index_add_(0, model.groups, sizes)
            sizes = sizes * (target / total)[model.groups]
        model.prior.set(sizes)
