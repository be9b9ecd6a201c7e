"""GANMM: a mixture of K GANs fitted by an EM of its own (Yu and Zhou 2018). C1 alone.

    M   pair (g_k, d_k), a clipped WGAN, trains on a batch that is mostly samples assigned to k
    E   a classifier learns from generated samples which g_k made them, and assigns the real ones

A batch of d_k takes a share ε_t of samples whose likeliest component is k, the rest drawn ∝ P(k | x). ε_t rises from a
half to 48 in 50, so that an early wrong assignment can be left again. Before, the pairs train on an initial split.
"""

from __future__ import annotations

from functools import partial
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nemgan.data.pool import Pool
from nemgan.latent import Noise
from nemgan.losses.adversarial import critic_loss
from nemgan.models.adversarial import Rival, given, total
from nemgan.models.base import Conditions, LossResult, Phase, Stage, at_rest
from nemgan.models.centres import FIT, Centres
from nemgan.networks import Critic, Generators

SCHEDULE = ((500, 25 / 50), (1000, 40 / 50), (2000, 45 / 50))
LAST = 48 / 50
CANDIDATES = 8
"""Samples, per sample of a batch, that all pairs' batches are picked from."""


@final
class GANMM(Rival):
    """``gan.batch`` is that of each pair. The initial split is K-means on the samples themselves."""

    conditions = Conditions(True, False, False)
    assigns_by = "the classifier of generated samples"
    own_loss = "wgan"
    trained_by = {  # noqa: RUF012
        "critic": ("critic",),
        "generator": ("generator",),
        "classifier": ("classifier",),
    }

    def build(self) -> None:
        net, k = self.settings.network, self.n_clusters
        self.latent = Noise(self.settings.latent.dim, given(self.rival.noise), k)
        self.generator = Generators(self.latent.dim, self.shape, net.width, net.style, modes=k, shared=False)
        self.critic: nn.ModuleList = nn.ModuleList(Critic(self.shape, net.width, style=net.style) for _ in range(k))
        self.classifier = self.new_encoder(k)
        self.split = Centres(k, int(torch.tensor(self.shape).prod()))

    def generate(self, network: nn.Module, z: Tensor, mode: Tensor) -> Tensor:
        x: Tensor = network(z, mode)
        return x

    def posterior(self, x: Tensor) -> Tensor:
        found: Tensor = self.classifier(x).softmax(1)
        return found

    def features(self, x: Tensor) -> Tensor:
        return self.classifier.features(x)

    def stages(self, pool: Pool) -> list[Stage]:
        (stage,) = super().stages(pool)
        classifier = self.phase("classifier", self.classifier_loss, self.gan.lr)
        count = Phase("count", (), self.count)
        split = min(given(self.rival.pretrain), self.gan.steps)
        return [
            Stage("split", split, stage.phases, begin=partial(self.fit_split, pool)),
            Stage("generate", self.gan.steps - split, (count, classifier, *stage.phases), end=stage.end),
        ]

    def fit_split(self, pool: Pool, rng: torch.Generator) -> None:
        self.scratch.clear()
        pick = torch.randperm(len(pool), generator=rng, device=pool.device)[:FIT]
        seed = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
        self.split.fit(self.encode(pool.x[pick]).flatten(1), seed)

    def count(self, rng: torch.Generator) -> LossResult:
        """EM steps begun, in ``scratch``."""
        self.scratch["em"] = self.scratch.get("em", torch.zeros((), device=self.device)) + 1
        return LossResult(self.scratch["em"], {})

    def assigned(self, pool: Pool, rng: torch.Generator) -> list[Tensor]:
        """A batch of real samples for each pair: before the EM by the split, in it by the classifier and ε_t."""
        batch = self.gan.batch
        x = self.encode(pool.x[pool.draw(CANDIDATES * batch, rng)])
        if "em" not in self.scratch:
            p, share = self.split(x.flatten(1)), 1.0
        else:
            step = float(self.scratch["em"]) - 1
            share = next((share for end, share in SCHEDULE if step < end), LAST)
            with at_rest(self.classifier):
                p = self.posterior(x)
        batches = []
        for k, mine in enumerate(p.argmax(1) == torch.arange(self.n_clusters, device=p.device)[:, None]):
            likely, sure = p[:, k] + 1e-8, round(share * batch) if mine.any() else 0
            picks = [torch.multinomial(likely, batch - sure, True, generator=rng)] if sure < batch else []
            picks += [torch.multinomial(mine.float(), sure, True, generator=rng)] if sure else []
            batches.append(x[torch.cat(picks)])
        return batches

    def critic_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        real = self.assigned(pool, rng)
        z, mode = self.latent.sample(self.n_clusters * self.gan.batch, rng)
        with torch.no_grad():
            fake = self.generator(z, mode)
        losses = [
            critic_loss(self.loss, critic(x), critic(fake[mode == k]))
            for k, (critic, x) in enumerate(zip(self.critic, real, strict=True))
        ]
        return total("critic", torch.stack(losses).sum(), {})

    def generator_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        z, mode = self.latent.sample(self.n_clusters * self.gan.batch, rng)
        fake = self.generator(z, mode)
        scores = [critic(fake[mode == k]).mean() for k, critic in enumerate(self.critic)]
        return total("generator", -torch.stack(scores).sum(), {})

    def classifier_loss(self, rng: torch.Generator) -> LossResult:
        z, mode = self.latent.sample(self.n_clusters * self.gan.batch, rng)
        with torch.no_grad():
            fake = self.generator(z, mode)
        return total("classifier", F.cross_entropy(self.classifier(fake), mode), {})
