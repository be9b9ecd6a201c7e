"""The connected inverter: h learns the data's micro-modes from its neighbourhoods and merges them into clusters.

Three steps, none of which sees a generated sample (docs/theory.md):

1. *connect*: h gets K micro-modes, more than there are clusters, of equal mass. Neighbours agree, the mean stays
   balanced: L = −E log⟨ŷ(Tx), ŷ(T′x′)⟩ + λ KL(mean ŷ ‖ uniform), x′ a neighbour of x, T and T′ random changes.
2. *merge*: micro-modes are merged into M clusters by a minimum cut of the neighbour graph between them, under the
   clusters' masses where they are known, normalised by volume where they are not.
3. *refine*: the same loss on the M clusters, with the merged (or known) masses as the prior.

Labels, if some are disclosed, enter as a cross-entropy and a cost of the merge; without any that code is not reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nemgan.data.augment import fitting
from nemgan.data.neighbours import flatten, local_weights, nearest, project
from nemgan.data.pool import Pool
from nemgan.losses.connectivity import disagreement, imbalance
from nemgan.merging import merge, mode_graph
from nemgan.models.base import LossResult, Optimiser, Phase, Stage, at_rest

if TYPE_CHECKING:
    from nemgan.models.nemgan import NEMGAN


NOTHING = LossResult(torch.zeros(()), {})


def warm_up(progress: float) -> float:
    """Learning-rate factor while connecting: up over the first sixth of the stage, then level."""
    return min(1.0, progress * 6 + 0.02)


def cool_down(progress: float) -> float:
    """Learning-rate factor while refining: down to nothing."""
    return 1.0 - progress


class Connection:
    """The stages of the connected inverter of ``model`` on ``pool``.

    The neighbour graph lives in ``model.scratch``: positions ``neighbours`` (N, k) and their ``weights`` (N, k), those
    in the raw samples followed by those in h's features. Features know more, but on few samples they make things up,
    and a share of raw neighbours keeps them honest.
    """

    def __init__(self, model: NEMGAN, pool: Pool) -> None:
        self.model, self.pool, self.settings = model, pool, model.settings.connect
        self.augment = fitting(pool.x.cpu().numpy(), self.settings.augment)

    def stages(self) -> list[Stage]:
        settings = self.settings
        optimiser, every = Optimiser(settings.lr, (0.9, 0.99)), settings.refresh
        soon = max(every // 2, 1)
        connect = Phase("inverter", ("inverter",), self.connect_loss, optimiser, schedule=warm_up)
        refine = Phase("inverter", ("inverter",), self.refine_loss, optimiser, schedule=cool_down)
        return [
            Stage("connect", settings.steps, (Phase("graph", (), self.look, every=every), connect), end=self.merge),
            Stage(
                "refine",
                settings.refine_steps,
                (Phase("graph", (), self.look, every=soon, first=soon), refine),
                end=self.settle,
            ),
        ]

    def look(self, rng: torch.Generator) -> LossResult:
        """Find the neighbours in the raw samples, and after the first time also in h's features."""
        model, pool = self.model, self.pool
        if not model.scratch:
            raw = self._graph(flatten(pool.x.cpu().numpy()))
            model.scratch.update(raw_neighbours=raw[0], raw_weights=raw[1], neighbours=raw[0], weights=raw[1])
        else:
            found = self._graph(project(self.over_pool(model.inverter.features).cpu().numpy()))
            share = self.settings.raw_share
            model.scratch["neighbours"] = torch.cat([model.scratch["raw_neighbours"], found[0]], 1)
            model.scratch["weights"] = torch.cat([share * model.scratch["raw_weights"], (1 - share) * found[1]], 1)
        return NOTHING

    def _graph(self, points: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """Nearest neighbours of ``points`` (N, D) and their weights, both ``(N, k)`` on the device."""
        index, distance = nearest(points, self.settings.neighbours)
        weights = local_weights(index, distance)
        return torch.from_numpy(index).to(self.pool.device), torch.from_numpy(weights).to(self.pool.device)

    def pairs(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Micro-mode posteriors (batch, K) of changed samples, and of a changed neighbour of each."""
        scratch = self.model.scratch
        i = self.pool.draw(self.settings.batch, rng)
        pick = torch.multinomial(scratch["weights"][i], 1, generator=rng)
        j = scratch["neighbours"][i].gather(1, pick).flatten()
        x = self.augment(self.model.encode(self.pool.x[torch.cat([i, j])]), rng)
        p, q = self.model.inverter.logits(x).softmax(1).chunk(2)
        return p, q

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
        return LossResult(*self.agree(*self.pairs(rng), self.even()))

    def refine_loss(self, rng: torch.Generator) -> LossResult:
        """Step 3, the micro-modes kept apart beside it, and the disclosed labels if there are any."""
        model = self.model
        p, q = self.pairs(rng)
        loss, logs = self.agree(model.merged(p), model.merged(q), model.masses())
        if self.settings.micro_weight:
            loss = loss + self.settings.micro_weight * self.agree(p, q, self.even())[0]
        if len(self.pool.labelled):
            supervised = self.supervised_loss(rng)
            loss, logs["supervised"] = loss + supervised, supervised.detach()
        return LossResult(loss, logs)

    def supervised_loss(self, rng: torch.Generator) -> Tensor:
        """Cross-entropy of the clusters on disclosed labels (L_cc of Eq. 5)."""
        pool = self.pool
        pick = torch.randint(len(pool.labelled), (64,), generator=rng, device=pool.device)
        x = self.augment(self.model.encode(pool.x[pool.labelled[pick]]), rng)
        return F.nll_loss(self.model.posterior(x).clamp_min(1e-8).log(), pool.labels[pick])

    def over_pool(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """``function`` of every sample of the pool, unchanged, with h at rest, ``(N, …)``."""
        with at_rest(self.model.inverter):
            return torch.cat([function(self.model.encode(x)) for x in torch.split(self.pool.x, 1024)])

    def modes(self) -> Tensor:
        """Micro-mode of every sample of the pool, ``(N,)`` int64."""
        return self.over_pool(self.model.inverter.logits).argmax(1)

    def merge(self, rng: torch.Generator) -> Mapping[str, object]:
        """Step 2: choose the clusters of the micro-modes and set the prior over both."""
        model = self.model
        self.look(rng)
        mode = self.modes().cpu().numpy()
        sizes = np.bincount(mode, minlength=model.n_modes) / len(mode)
        index, weights = (model.scratch[key].cpu().numpy() for key in ("neighbours", "weights"))
        seed = int(torch.randint(2**62, (1,), generator=rng, device=rng.device))
        found = merge(
            mode_graph(mode, index, model.n_modes, weights),
            sizes,
            model.n_clusters,
            masses=model.known,
            unary=self._label_costs(mode),
            rng=np.random.default_rng(seed),
        )
        model.groups.copy_(torch.from_numpy(found.groups))
        self._place_unused(torch.from_numpy(sizes).to(model.device) == 0)
        self._set_prior(torch.from_numpy(sizes).float().to(model.device))
        return {"cost": found.cost, "agreement": found.agreement, "masses": model.masses().tolist()}

    def _place_unused(self, unused: Tensor) -> None:
        """Put micro-modes that no sample prefers, which the graph says nothing of, where their probability lies."""
        model = self.model
        p = self.over_pool(lambda x: model.inverter.logits(x).softmax(1))
        cluster = model.groups[p.masked_fill(unused, 0).argmax(1)]
        shares = p.T @ F.one_hot(cluster, model.n_clusters).to(p.dtype)
        model.groups.copy_(torch.where(unused, shares.argmax(1), model.groups))

    def _label_costs(self, mode: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Share of the disclosed labels put wrong if micro-mode i became cluster k, ``(K, M)``; None without labels."""
        pool, model = self.pool, self.model
        if not len(pool.labelled):
            return None
        labels, at = pool.labels.cpu().numpy(), mode[pool.labelled.cpu().numpy()]
        counts = np.zeros((model.n_modes, model.n_clusters))
        np.add.at(counts, (at, labels), 1)
        return np.asarray((counts.sum(1, keepdims=True) - counts) / len(labels), np.float64)

    def settle(self, rng: torch.Generator) -> Mapping[str, object]:
        """Step 3's end: the prior that minimises ‖E h(x) − P_Y‖₁ (Eq. 5) is E h(x) itself; known masses are kept."""
        model = self.model
        p = self.over_pool(model.inverter.logits).softmax(1)
        self._set_prior(p.mean(0))
        merged = model.merged(p)
        neighbours = merged[model.scratch["neighbours"][:, 0]]
        mean = merged.mean(0)
        entropy = -(mean * mean.clamp_min(1e-8).log()).sum()
        confidence = 1 - disagreement(merged, neighbours) / entropy.clamp_min(1e-8)
        model.confidence.copy_(confidence)
        return {"confidence": float(confidence), "masses": model.masses().tolist()}

    def _set_prior(self, sizes: Tensor) -> None:
        """Prior over micro-modes from their sizes (K,), scaled within each cluster to the cluster's mass if known."""
        model = self.model
        if model.known is not None:
            target = torch.from_numpy(model.known).float().to(sizes.device)
            sizes = sizes.clamp_min(1e-6)
            total = torch.zeros_like(target).index_add_(0, model.groups, sizes)
            sizes = sizes * (target / total.clamp_min(1e-8))[model.groups]
        model.prior.set(sizes)
