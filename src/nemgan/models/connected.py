"""The connected inverter: h learns the data's micro-modes from its neighbourhoods and merges them into clusters.

Three steps, none of which sees a generated sample (docs/theory.md):

1. *connect*: h gets K micro-modes, more than there are clusters, of equal mass. Neighbours agree, the mean stays
   balanced: L = −E log⟨ŷ(Tx), ŷ(T′x′)⟩ + λ KL(mean ŷ ‖ uniform), x′ a neighbour of x, T and T′ random changes.
2. *merge*: micro-modes are merged into M clusters by a minimum cut of the neighbour graph between them, under the
   clusters' masses where they are known, normalised by volume where they are not.
3. *refine*: the same loss on the M clusters, with the merged (or known) masses as the prior.

Where merges of raw neighbours disagree, a second network learns to tell views of images apart (``views``), and the
neighbours by its features, *seen* ones, join the raw ones in another merge and in what follows. Where merges are of one
family but not of one mind, the seen neighbours say which half of them is heard, and no more.

Labels, if some are disclosed, enter as a cross-entropy and a cost of the merge; without any that code is not reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nemgan import smoothing
from nemgan.consensus import Consensus, Graph, consensus, counted, rename, unity
from nemgan.data.augment import fitting
from nemgan.data.neighbours import flatten, local_weights, nearest, project
from nemgan.data.pool import Pool
from nemgan.losses.connectivity import disagreement, imbalance
from nemgan.models.base import LossResult, Optimiser, Phase, Stage
from nemgan.models.settling import AGREEING, Settling
from nemgan.models.views import Views

if TYPE_CHECKING:
    from nemgan.models.nemgan import NEMGAN


NOTHING = LossResult(torch.zeros(()), {})
LABELLED = 64
"""Labelled samples, drawn with replacement, in a batch of refining."""
KEPT = ("own_neighbours", "own_weights", "partitions", "voters", "votes")
"""What is kept of the best restart."""
LEAST = 3
"""Merges that are heard, at least, where views judge them."""
NEARLY = 1.25
"""A restart that costs at most so many times as much as the best one is another answer, nearly as good."""


def up_and_down(progress: float) -> float:
    """Learning-rate factor while connecting: up over the first tenth, down to a tenth over the last third."""
    return min(1.0, 10 * progress + 0.02, max(0.1, 3 * (1 - progress)))


def cool_down(progress: float) -> float:
    """Learning-rate factor while refining: down to nothing."""
    return 1.0 - progress


def nested(shares: Tensor) -> Tensor:
    """Cluster of each micro-mode (K,) from the probability (K, M) it shares with each; every cluster gets one."""
    groups = shares.argmax(1)
    part = shares / shares.sum(1, keepdim=True).clamp_min(1e-12)
    for k in range(shares.shape[1]):
        counts = torch.bincount(groups, minlength=shares.shape[1])
        if not counts[k]:
            groups[torch.where(counts[groups] > 1, part[:, k], -1.0).argmax()] = k
    return groups


class Connection(Settling):
    """The stages of the connected inverter of ``model`` on ``pool``.

    The neighbour graphs live in ``model.scratch``: positions (N, k) and their weights (N, k), by distance of the raw
    samples (``raw_…``), of h's features (``own_…``) and of contrastive ones (``seen_…``), where there are any. h's
    features know more, but on few samples they make things up, and a share of raw neighbours keeps them honest.
    """

    source = "raw"
    """The neighbour graph that is cut, with the seen one: h's own has learned from the micro-modes, and would confirm
    what they say."""

    def __init__(self, model: NEMGAN, pool: Pool) -> None:
        super().__init__(model, pool)
        self.settings = model.settings.connect
        self.augment = fitting(pool.glance(5000), self.settings.augment)  # it looks at no more
        self.views = Views(model, self.pool, flip=self.augment.flip or model.shape[0] == 3)

    def stages(self) -> list[Stage]:
        settings = self.settings
        optimiser, every = Optimiser(settings.lr, (0.9, 0.99)), settings.refresh
        soon = max(every // 2, 1)
        look = Phase("graph", (), self.look, every=every)
        connect = Phase("inverter", ("inverter",), self.connect_loss, optimiser, schedule=up_and_down)
        relook = Phase("graph", (), self.look, every=soon, first=soon)
        refine = Phase("inverter", ("inverter",), self.refine_loss, optimiser, schedule=cool_down)
        stages = [
            Stage(
                f"connect {i + 1}" if i else "connect",
                settings.steps,
                (look, connect),
                begin=self.start_again if i else None,
                end=partial(self.finish, i),
            )
            for i in range(settings.restarts)
        ]
        if self.model.viewer is not None:
            phases, steps = (self.views.phase(),), self.model.settings.contrast.steps
            stages.append(Stage("contrast", steps, phases, needed=self.unsettled, end=self.see))
        return [*stages, Stage("refine", settings.refine_steps, (relook, refine), end=self.settle)]

    def unsettled(self) -> bool:
        """Whether contrastive neighbours are needed, for another merge or to judge the merges there are."""
        return self.doubtful() or self.divided()

    def doubtful(self) -> bool:
        """Whether merges agree on less than they should."""
        return float(self.model.agreement) < self.model.settings.contrast.below

    def divided(self) -> bool:
        """Whether, without labels, the merges that vote agree on less than they should."""
        voters = self.model.scratch.get("voters")
        if voters is None or len(voters) <= LEAST:
            return False
        return unity(voters.cpu().numpy()) < self.model.settings.contrast.judged

    def see(self, rng: torch.Generator) -> Mapping[str, object]:
        """Find the neighbours by the directions of contrastive features; merge again, or judge the merges there are."""
        found = F.normalize(self.over_pool(self.views.trunk), dim=1)
        index, weights = self._graph(project(F.normalize(found - found.mean(0), dim=1).cpu().numpy(), 128))
        if not self.doubtful():
            return self.judge((index.cpu().numpy(), weights.cpu().numpy()))
        self.model.scratch.update(seen_neighbours=index, seen_weights=weights)
        return self.merge(rng)

    def judge(self, graph: Graph) -> Mapping[str, object]:
        """Hear only the half of the voting merges, ``LEAST`` at least, that cost least on ``graph``.

        On raw neighbours they cost alike. Which of two families is right views do not know (on MNIST-5 they prefer a
        wrong one), but of one family they know the borders.
        """
        model, scratch, between = self.model, self.model.scratch, smoothing.links(*graph)
        voters = scratch["voters"].cpu().numpy()
        costs = np.array([smoothing.cost(between, each, model.n_clusters, model.known) for each in voters])
        heard = voters[costs.argsort(kind="stable")[: max(LEAST, len(voters) // 2)]]
        scratch["votes"] = torch.from_numpy(counted(heard, model.n_clusters)).float().to(self.pool.device)
        return {"judged": costs.tolist(), **self._group()}

    def start_again(self, rng: torch.Generator) -> None:
        """A new h, and neighbours by the raw samples again."""
        seed = int(torch.randint(2**62, (1,), generator=rng, device=rng.device))
        self.model.inverter.load_state_dict(self.model.new_inverter(seed).state_dict())
        for key in [key for key in self.model.scratch if key.startswith("own_")]:
            del self.model.scratch[key]

    def finish(self, run: int, rng: torch.Generator) -> Mapping[str, object]:
        """Merge; keep the run whose clusters cost least; after the last, put it back.

        Runs that cost hardly more and disagree are a doubt that no run has of itself: ``agreement`` is then theirs.
        """
        model, scratch, restarts = self.model, self.model.scratch, self.settings.restarts
        logs = self.merge(rng)
        if restarts == 1:
            return logs
        # votes on vectors can be right and h's micro-modes straddle them; on images the votes' own cost tells more
        cost = self.cost() if len(model.shape) == 1 else float(logs["cost"])  # type: ignore[arg-type]
        scratch |= {f"cost/{run}": torch.tensor(cost), f"decided/{run}": scratch["votes"].argmax(1)}
        costs = [float(scratch[f"cost/{each}"]) for each in range(run + 1)]
        best = int(np.argmin(costs))
        if best == run:
            kept = model.state_dict() | {key: scratch[key] for key in KEPT if key in scratch}
            scratch.update({f"best/{key}": value.clone() for key, value in kept.items()})
        if run < restarts - 1:
            return logs
        kept = {key.removeprefix("best/"): scratch.pop(key) for key in list(scratch) if key.startswith("best/")}
        scratch.update({key: kept.pop(key) for key in KEPT if key in kept})
        model.load_state_dict(kept)
        decided = [scratch.pop(f"decided/{each}").cpu().numpy() for each in range(restarts)]
        for each in range(restarts):
            del scratch[f"cost/{each}"]
        rivals = [i for i in range(restarts) if i != best and costs[i] <= NEARLY * costs[best]]
        for i in rivals:
            same = (rename(decided[i], decided[best], model.n_clusters) == decided[best]).mean()
            model.agreement.clamp_(max=float(same))
        return {**logs, "best": costs[best], "agreement": float(model.agreement), "costs": costs}

    def look(self, rng: torch.Generator) -> LossResult:
        """Find the neighbours in the raw samples, and after the first time also in h's features, if they are used."""
        scratch = self.model.scratch
        if "raw_neighbours" not in scratch:
            index, weights = self._graph(flatten(self.pool.x[:].cpu().numpy(), metric=self.settings.metric))
            scratch.update(raw_neighbours=index, raw_weights=weights)
        elif "own_neighbours" not in scratch or self.settings.raw_share == 1:
            index, weights = scratch["raw_neighbours"], scratch["raw_weights"]
        else:
            index, weights = self._graph(project(self.over_pool(self.model.inverter.features).cpu().numpy()))
        scratch.update(own_neighbours=index, own_weights=weights)
        return NOTHING

    def _graph(self, points: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """Nearest neighbours of ``points`` (N, D) and their weights, both ``(N, k)`` on the device."""
        index, distance = nearest(points, self.neighbours(len(points)))
        weights = np.ones_like(distance) if self.settings.weights == "flat" else local_weights(index, distance)
        return torch.from_numpy(index).to(self.pool.device), torch.from_numpy(weights).to(self.pool.device)

    def neighbours(self, n: int) -> int:
        """Neighbours to look up for each of ``n`` samples: as many as a cluster has others to offer, two if asked for.

        Samples of a smaller cluster would be tied to other clusters, and it would be lost. Of fewer than 100 samples
        each has a tenth; where masses are known no more than the smallest cluster holds.
        """
        known = self.model.known
        others = n / 10 if known is None else min(n / 10, n * float(known.min()) - 1)
        return min(self.settings.neighbours, max(round(others), 2), n - 1)

    def joined(self, shares: Mapping[str, float], at: Tensor | slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Neighbours by several graphs and their weights, both (n, k), each graph's times its share; seen ones beside.

        ``at`` says of which samples, by default of all.
        """
        scratch = self.model.scratch
        if "seen_neighbours" in scratch:
            seen = self.model.settings.contrast.share
            shares = {name: (1 - seen) * share for name, share in shares.items()} | {"seen": seen}
        neighbours = torch.cat([scratch[f"{name}_neighbours"][at] for name in shares], 1)
        return neighbours, torch.cat([share * scratch[f"{name}_weights"][at] for name, share in shares.items()], 1)

    def pairs(self, rng: torch.Generator, also: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Positions of samples (batch,), and micro-mode posteriors (batch, K) of them and their neighbours, changed.

        Last come the logits (n, K) of the samples at ``also`` (n,), changed too. h sees all in one batch: by themselves
        they would be normalised by statistics of their own, which are not those of the data.
        """
        i, raw = self.pool.draw(self.settings.batch, rng), self.settings.raw_share
        neighbours, weights = self.joined({"raw": raw, "own": 1 - raw}, i)
        j = neighbours.gather(1, torch.multinomial(weights, 1, generator=rng)).flatten()
        at = torch.cat([i, j] if also is None else [i, j, also])
        logits = self.model.inverter.logits(self.augment(self.model.encode(self.pool.x[at]), rng))
        p, q = logits[: 2 * len(i)].softmax(1).chunk(2)
        return i, p, q, logits[2 * len(i) :]

    def agree(self, p: Tensor, q: Tensor, masses: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """−E log⟨p, q⟩ + λ KL(mean ‖ masses), and its parts."""
        apart, uneven = disagreement(p, q), imbalance(torch.cat([p, q]), masses)
        parts = {"disagreement": apart.detach(), "imbalance": uneven.detach()}
        return apart + self.settings.balance * uneven, parts

    def even(self) -> Tensor:
        """Equal masses of the micro-modes (K,)."""
        modes = self.model.n_modes
        return torch.full((modes,), 1 / modes, device=self.pool.device)

    def connect_loss(self, rng: torch.Generator) -> LossResult:
        """Step 1."""
        _, p, q, _ = self.pairs(rng)
        return LossResult(*self.agree(p, q, self.even()))

    def refine_loss(self, rng: torch.Generator) -> LossResult:
        """Step 3, the micro-modes kept apart beside it, and the disclosed labels if there are any."""
        model, scratch, pool = self.model, self.model.scratch, self.pool
        pick = None
        if len(pool.labelled):
            pick = torch.randint(len(pool.labelled), (LABELLED,), generator=rng, device=pool.device)
        i, p, q, logits = self.pairs(rng, None if pick is None else pool.labelled[pick])
        loss, logs = self.agree(model.merged(p), model.merged(q), model.masses())
        if self.settings.micro_weight:
            loss = loss + self.settings.micro_weight * self.agree(p, q, self.even())[0]
        if self.settings.votes_weight:
            voted = -(scratch["votes"][i] * model.merged(p).clamp_min(1e-8).log()).sum(1).mean()
            loss, logs["votes"] = loss + self.settings.votes_weight * voted, voted.detach()
        if pick is not None:  # L_cc of Eq. 5
            supervised = F.cross_entropy(model.merged_logits(logits), pool.labels[pick])
            loss, logs["supervised"] = loss + supervised, supervised.detach()
        return LossResult(loss, logs)

    def vote(self, rng: torch.Generator) -> Consensus:
        """Step 2: the clusters of the samples, by vote of several merges; ``scratch["votes"]`` (N, M)."""
        model, pool, scratch = self.model, self.pool, self.model.scratch
        self.look(rng)
        draw = np.random.default_rng(int(torch.randint(2**62, (1,), generator=rng, device=rng.device)))
        found = consensus(
            project(self.over_pool(model.inverter.features).cpu().numpy()),
            self.graph(),
            model.n_clusters,
            masses=model.known,
            labelled=pool.labelled.cpu().numpy(),
            labels=pool.labels.cpu().numpy(),
            modes=self.parts(),
            runs=self.settings.partitions,
            rng=draw,
        )
        scratch["votes"] = torch.from_numpy(found.votes).float().to(pool.device)
        if model.viewer is not None and not len(pool.labelled):  # it may be asked to judge them
            scratch["voters"] = torch.from_numpy(found.voters).to(pool.device)
        model.agreement.fill_(found.agreement)
        several = [np.column_stack(each) for each in found.partitions[:AGREEING]]
        scratch["partitions"] = torch.from_numpy(np.stack(several)).float().to(pool.device)
        return found

    def graph(self) -> Graph:
        """The neighbours by which samples are cut apart, and their weights, both ``(N, k)``."""
        index, weights = self.joined({self.source: 1.0})
        return index.cpu().numpy(), weights.cpu().numpy()

    def merge(self, rng: torch.Generator) -> Mapping[str, object]:
        """Vote, give each micro-mode its cluster, and set the prior over both."""
        found = self.vote(rng)
        return {"cost": found.cost, "agreement": found.agreement, **self._group()}

    def _group(self) -> Mapping[str, object]:
        """Give each micro-mode its cluster by the votes, and set the prior over both."""
        model = self.model
        p = self.over_pool(model.inverter.logits).softmax(1)
        model.groups.copy_(nested(p.T @ model.scratch["votes"]))
        self._set_prior(torch.bincount(p.argmax(1), minlength=model.n_modes) / len(p))
        return {"masses": model.masses().tolist()}

    def cost(self) -> float:
        """What h's clusters cut of the samples' graph, which is the same in all restarts; labels it gets wrong."""
        model, pool = self.model, self.pool
        found = self.over_pool(model.posterior).argmax(1)
        between = smoothing.links(*self.graph())
        wrong = float((found[pool.labelled] != pool.labels).float().mean()) if len(pool.labelled) else 0.0
        return smoothing.cost(between, found.cpu().numpy(), model.n_clusters, model.known) + wrong

    def parts(self) -> int:
        """Micro-modes of a partition: one for every hundred samples, from 20 to 40 for two clusters or 80 for many.

        Of few samples, at most a fifth.
        """
        n, m = len(self.pool), self.model.n_clusters
        return min(n, max(m, min(20, max(2 * m, n // 5)), min(20 + 10 * m, 80, n // 100)))
