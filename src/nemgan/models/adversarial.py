"""What the rivals have in common: g, d, their latent space, and the one stage that trains them in turn.

    critic:     min_d  L(d(x), d(g(z)))  [+ λ E(‖∇d‖ − 1)²]  [+ terms]       ``critic_steps`` times
    generator:  min_g  L(d(g(z)))                            [+ terms]

A model is a final class that names its parts in ``build`` and adds terms, or states losses of its own
(docs/extending.md). Rivals see no label, and have as many modes as there are clusters.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nemgan.data.pool import Pool
from nemgan.latent import Latent
from nemgan.layers import STATISTICS, fresh_statistics
from nemgan.losses.adversarial import Adversarial, critic_loss, generator_loss, gradient_penalty, r1_penalty
from nemgan.models import catalog
from nemgan.models.base import LossResult, Model, Optimiser, Phase, Stage, at_rest
from nemgan.models.centres import FIT, Centres
from nemgan.networks import Critic, Encoder, Generator, channels_last, memoryless
from nemgan.seeding import isolated
from nemgan.settings import ModelSettings

Terms = dict[str, Tensor]
Value = TypeVar("Value")
PER_MODE = 100
"""Generated samples of each mode that say which centre is the mode's."""


class Rival(Model):
    """A GAN trained in one stage. Arguments as for ``NEMGAN``.

    Attributes:
        trained_by: networks (or parts) that each phase updates, by the phase's name.
        own_loss: the adversarial loss of a model that has no choice of one; else the settings' is its ``loss``.
        known: masses of the clusters ``(M,)`` where they are known; a model without C3 takes equal ones alone.
        centres: K-means centres on ``features``, for a model that does not state a ``posterior``.
    """

    averaged: Mapping[str, str] = {"generator": "generator_ema"}
    assigns_by = "K-means on the critic's features"
    trained_by: Mapping[str, tuple[str, ...]] = {"critic": ("critic",), "generator": ("generator",)}
    own_loss: Adversarial | None = None
    generator: nn.Module
    critic: nn.Module
    latent: Latent

    def __init__(
        self,
        settings: ModelSettings,
        shape: tuple[int, ...],
        n_clusters: int,
        prior: NDArray[np.float64] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(shape, n_clusters)
        self.name = catalog.name_of(type(self).__name__)
        if prior is not None and not self.conditions.C3 and not np.allclose(prior, 1 / n_clusters, atol=1e-6):
            raise catalog.lacking(self.name, "C3", "prior")
        self.settings, self.gan, self.rival, self.known = settings, settings.gan, settings.rival, prior
        self.loss: Adversarial = self.own_loss or settings.gan.loss
        self.ema_decay, self.has_modes = settings.gan.ema, self.conditions.C1
        self.generates = settings.gan.steps > 0
        with isolated(seed, "weights"):
            self.build()
        channels_last(self)
        self.one_pass = memoryless(self.critic)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.centres: Centres | None = None
        if type(self).posterior is Rival.posterior:
            with at_rest(self):
                self.centres = Centres(n_clusters, self.features(torch.zeros(2, *shape)).shape[1])

    @abstractmethod
    def build(self) -> None:
        """Make ``latent``, ``generator``, ``critic`` and what else the model has."""

    # parts

    def new_generator(self) -> Generator:
        """From points of ``latent``, in the settings' size."""
        return Generator(self.latent.dim, self.shape, self.settings.network.width, self.settings.network.style)

    def new_critic(self, spectral: bool | None = None) -> Critic:
        """Of samples, in the settings' size.

        Args:
            spectral: spectral normalisation; by default where the loss is hinge, as it is unless ``own_loss`` or
                ``gan.loss`` says otherwise. A model with a ``critic_loss`` of its own has to say.
        """
        net = self.settings.network
        return Critic(
            self.shape,
            net.width,
            style=net.style,
            spectral=self.loss == "hinge" if spectral is None else spectral,
            minibatch=bool(self.rival.minibatch),
        )

    def new_encoder(self, outputs: int, *, as_critic: bool = False) -> Encoder:
        """From samples to ``outputs`` numbers, in the size of an inverter or, without batch norm, of a critic."""
        net = self.settings.network
        width = net.width if as_critic else net.inverter_width
        return Encoder(self.shape, width, outputs, batch_norm=not as_critic, style=net.style)

    # what it has learned

    def features(self, x: Tensor) -> Tensor:
        found: Tensor = self.critic.features(x)  # type: ignore[operator]
        return found

    def posterior(self, x: Tensor) -> Tensor:
        assert self.centres is not None
        found: Tensor = self.centres(self.features(x))
        return found

    def masses(self) -> Tensor:
        return torch.full((self.n_clusters,), 1 / self.n_clusters, device=self.device)

    def generate(self, network: nn.Module, z: Tensor, mode: Tensor) -> Tensor:
        """Samples of ``network`` (the generator or its average) at ``z`` of the modes ``mode``."""
        x: Tensor = network(z)
        return x

    def sample(self, n: int, rng: torch.Generator, cluster: int | None = None) -> tuple[Tensor, Tensor]:
        """As ``Model.sample``; a model without modes can draw from all alone, and names clusters by its posterior.

        Raises:
            ConfigError: ``cluster`` asked of a model without modes.
        """
        if cluster is not None and not self.has_modes:
            raise catalog.lacking(self.name, "C1", f"mode {cluster}")
        z, mode = self.latent.sample(n, rng, cluster)
        x = self.generate(self.generator_ema, z, mode)
        return x, mode if self.has_modes else self.posterior(x).argmax(1)

    # how it learns

    def stages(self, pool: Pool) -> list[Stage]:
        if len(pool.labelled):
            raise catalog.without_labels(self.name)
        self.fit_scale(pool.x)
        return [Stage("generate", self.gan.steps, tuple(self.phases(pool)), end=partial(self.finish, pool))]

    def phases(self, pool: Pool) -> list[Phase]:
        """Critic, then generator."""
        return [
            self.phase("critic", partial(self.critic_loss, pool), self.gan.critic_lr, times=self.gan.critic_steps),
            self.phase("generator", partial(self.generator_loss, pool), self.gan.lr),
        ]

    def phase(self, name: str, loss: Callable[[torch.Generator], LossResult], lr: float, *, times: int = 1) -> Phase:
        """A phase with the settings' optimiser; the critic's weights are clipped where the settings say so."""
        constants = Optimiser(lr, self.gan.betas, self.rival.weight_decay, self.rival.optimiser)
        decay = self.rival.decay
        return Phase(
            name,
            self.trained_by[name],
            loss,
            constants,
            times=times,
            schedule=partial(fall, decay) if decay else None,
            after=self.clip if self.rival.clip and name == "critic" else None,
        )

    @torch.no_grad()
    def clip(self) -> None:
        bound = self.rival.clip or 0.0
        for weight in self.critic.parameters():
            weight.clamp_(-bound, bound)

    def real(self, pool: Pool, rng: torch.Generator) -> Tensor:
        """A batch of real samples."""
        return self.encode(pool.x[pool.draw(self.gan.batch, rng)])

    def fake(self, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of generated samples, their latent points and modes."""
        z, mode = self.latent.sample(self.gan.batch, rng)
        return self.generate(self.generator, z, mode), z, mode

    def scores(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The critic's, in one pass where that is the same: a pass over twice the samples costs less than two."""
        if self.one_pass:
            both: tuple[Tensor, Tensor] = self.critic(torch.cat([real, fake])).split([len(real), len(fake)])
            return both
        return self.critic(real), self.critic(fake)

    def critic_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        real = self.real(pool, rng)
        with torch.no_grad():
            fake, z, mode = self.fake(rng)
        loss = critic_loss(self.loss, *self.scores(real, fake))
        terms = self.critic_terms(fake, z, mode)
        if self.loss == "wgan-gp":
            terms["penalty"] = self.gan.penalty * gradient_penalty(self.critic, real, fake, rng)
        elif self.loss == "logistic" and self.gan.penalty:
            terms["r1"] = self.gan.penalty * r1_penalty(self.critic, real)
        return total("critic", loss, terms)

    def generator_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        fake, z, mode = self.fake(rng)
        return total("generator", generator_loss(self.loss, self.critic(fake)), self.generator_terms(fake, z, mode))

    def critic_terms(self, fake: Tensor, z: Tensor, mode: Tensor) -> Terms:
        """What the critic's phase minimises beside the adversarial loss, weighted; ``fake`` has no gradient."""
        return {}

    def generator_terms(self, fake: Tensor, z: Tensor, mode: Tensor) -> Terms:
        """What the generator's phase minimises beside the adversarial loss, weighted."""
        return {}

    def finish(self, pool: Pool, rng: torch.Generator) -> Mapping[str, object]:
        """The stage's end: batch statistics of the generator's average, and K-means where that assigns clusters."""
        if self.generates:
            with fresh_statistics(self.generator_ema):
                for _ in range(STATISTICS):
                    self.generate(self.generator_ema, *self.latent.sample(self.gan.batch, rng))
        return self.fit_centres(pool, rng) if self.centres is not None else {}

    def fit_centres(self, pool: Pool, rng: torch.Generator) -> Mapping[str, object]:
        """K-means on the features of the pool (at most 10,000 samples drawn from it), numbered as the modes."""
        assert self.centres is not None
        pick = torch.randperm(len(pool), generator=rng, device=pool.device)[:FIT]
        features = torch.cat([self.features(self.encode(pool.x[part])) for part in torch.split(pick, 1024)])
        self.centres.fit(features, int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
        if self.has_modes:
            z, mode = self.latent.sample(PER_MODE * self.n_clusters, rng)
            parts = zip(torch.split(z, 512), torch.split(mode, 512), strict=True)
            made = [self.generate(self.generator_ema, *part) for part in parts]
            self.centres.follow(torch.cat([self.features(x) for x in made]), mode)
        shares = torch.bincount(self.centres(features).argmax(1), minlength=self.n_clusters) / len(features)
        return {"shares": shares.tolist()}


def given(value: Value | None) -> Value:
    """A setting that the model's presets set (``catalog.create`` sees to it)."""
    assert value is not None
    return value


def fall(share: float, progress: float) -> float:
    """Learning-rate factor: 1, then over the last ``share`` of the stage straight down to nothing."""
    return min(1.0, (1 - progress) / share)


def total(name: str, loss: Tensor, terms: Terms) -> LossResult:
    """The sum, with every part logged under its name."""
    logs = {name: loss.detach(), **{key: value.detach() for key, value in terms.items()}}
    return LossResult(loss + sum(terms.values()), logs)
