"""NEMGAN: clusters, masses and generation from one latent space (paper, Eq. 1–5), and its connected inverter.

    z = y + ν₂,  y ~ P_Y              latent modes, disjoint (C1)
    h(x) = (ẑ, ŷ)                     the inverter (C2)
    P_Y of the clusters = the data's  known, or learned (C3)

    min_{g,h} max_d  E[log d(x)] + E[log(1 − d(g(z)))] + D(P_Ŷ, P_Y)          (Eq. 3–4)

Presets ``paper`` and ``reference`` train g, h and d together, h on generated samples alone. ``connected`` first trains
h on the data's neighbourhoods (``models.connected``): the latent then has one mode for each of h's micro-modes, a
cluster is a group of modes, and the critic sees pairs (x, mode) so that every mode is matched to its own real samples.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nemgan.data.augment import Augmentation, fitting
from nemgan.data.pool import Pool
from nemgan.errors import ConfigError
from nemgan.latent import AdditiveLatent
from nemgan.layers import STATISTICS, fresh_statistics
from nemgan.losses.adversarial import critic_loss, generator_loss, gradient_penalty, r1_penalty
from nemgan.losses.inversion import latent_error, mode_binary_cross_entropy, mode_cross_entropy
from nemgan.models.base import Conditions, LossResult, Model, Optimiser, Phase, Stage, at_rest
from nemgan.models.connected import Connection
from nemgan.models.contrast import Contrast
from nemgan.models.shown import Shown
from nemgan.networks import Critic, Generator, Inverter, Projector, channels_last, trunk
from nemgan.prior import Prior, multinoulli
from nemgan.seeding import isolated
from nemgan.settings import ModelSettings
from nemgan.tones import apply_curves, tone_curves

TONED_PIXELS = 2_000_000
"""Pixels of a channel from which tones are counted, about; of 2,000 images at most."""


class NEMGAN(Model):
    """The model of the paper, with its connected inverter.

    Args:
        settings: sizes, losses, lengths and switched-off conditions.
        shape: shape of a sample.
        n_clusters: M.
        prior: masses of the clusters ``(M,)`` where known, None to learn them.
        seed: of the initial weights.

    Attributes:
        groups: cluster of each latent mode ``(K,)``.
        confidence: share of the assignment's entropy on which neighbours agree, in (−∞, 1]; NaN before it is measured.
        agreement: mean share of samples that two merges put alike (``consensus``), in (0, 1]; NaN before a merge.
        counts: evidence for each number of clusters up to M + 3, rows (m, joined, split) of ``counting.Count``.
    """

    conditions = Conditions(True, True, True)
    averaged: Mapping[str, str] = {"generator": "generator_ema"}

    def __init__(
        self,
        settings: ModelSettings,
        shape: tuple[int, ...],
        n_clusters: int,
        prior: NDArray[np.float64] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(shape, n_clusters)
        self.settings, self.generates = settings, settings.gan.steps > 0
        on, gan, net = settings.conditions, settings.gan, settings.network
        self.conditions = Conditions(on.C1, on.C2, on.C3)
        self.connected = settings.connected
        self.known = np.full(n_clusters, 1 / n_clusters) if not on.C3 else prior
        self.n_modes = settings.connect.micro_modes if self.connected else n_clusters
        views, pooled = settings.contrast.steps > 0, settings.pooled
        if self.n_modes < n_clusters:
            raise ConfigError(f"connect.micro_modes={self.n_modes} is less than {n_clusters} clusters: set it higher")
        _check_views(settings, shape)
        self.joint = gan.joint and on.C2 and self.connected
        self.ema_decay = gan.ema
        with isolated(seed, "weights"):
            self.prior = Prior(self.n_modes)
            self.critic = Critic(
                shape,
                net.width,
                modes=self.n_modes if self.joint else 0,
                spectral=gan.loss == "hinge",
                style=net.style,
            )
            self.generator = Generator(settings.latent.dim, shape, net.width, net.style)
        with isolated(seed, "views"):  # h's numbers are not to depend on what is generated with
            beside = views and not pooled and settings.connect.steps > 0
            width = settings.contrast.width if beside else net.inverter_width
            self.viewer = trunk(shape, width, style="pooled", batch_norm=True)[0] if beside else None
            self.projector = Projector(8 * width) if beside or pooled else None
        self.inverter = self.new_inverter(seed)
        channels_last(self)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.latent = AdditiveLatent(self.prior, settings.latent.dim, settings.latent.noise, disjoint=on.C1)
        self.groups: Tensor
        self.confidence: Tensor
        self.agreement: Tensor
        self.counts: Tensor
        self.tones: Tensor
        self.register_buffer("groups", torch.arange(self.n_modes) % n_clusters)
        self.register_buffer("tones", torch.linspace(0, 1, 256).repeat(shape[0] if len(shape) == 3 else 0, 1))
        self.register_buffer("confidence", torch.tensor(float("nan")))
        self.register_buffer("agreement", torch.tensor(float("nan")))
        self.register_buffer("counts", torch.full((n_clusters + 2, 3), float("nan")))
        if self.known is not None:
            shares = torch.from_numpy(self.known).float()[self.groups]
            self.prior.set(shares / torch.bincount(self.groups)[self.groups])

    def new_inverter(self, seed: int) -> Inverter:
        """An untrained h for this model, on the CPU, with weights from ``seed``."""
        net = self.settings.network
        style = "pooled" if net.inverter_style == "pooled" and len(self.shape) == 3 else net.style
        with isolated(seed, "inverter"):
            return Inverter(self.shape, net.inverter_width, self.n_modes, self.settings.latent.dim, style)

    # what it has learned

    def merged(self, p: Tensor) -> Tensor:
        """Posterior over clusters (n, M) from one over modes (n, K)."""
        return p @ F.one_hot(self.groups, self.n_clusters).to(p.dtype)

    def merged_logits(self, logits: Tensor) -> Tensor:
        """Logits of clusters (n, M) from those of modes (n, K)."""
        groups = self.groups.expand_as(logits)
        best = logits.new_full((len(logits), self.n_clusters), -torch.inf)
        best = best.scatter_reduce(1, groups, logits.detach(), "amax")
        return self.merged((logits - best.gather(1, groups)).exp()).log() + best

    def mode_posterior(self, x: Tensor) -> Tensor:
        """Probability of each latent mode (n, K), of samples ``x``."""
        found: Tensor = self.inverter.logits(x).softmax(1)
        return found

    def posterior(self, x: Tensor) -> Tensor:
        return self.merged(self.mode_posterior(x))

    def features(self, x: Tensor) -> Tensor:
        return self.inverter.features(x)

    def invert(self, x: Tensor) -> Tensor:
        """The latent point ẑ (n, dim) of samples ``x``."""
        found: Tensor = self.inverter(x)[0]
        return found

    def masses(self) -> Tensor:
        return self.merged(self.prior.masses()[None]).flatten().detach()

    def sample(self, n: int, rng: torch.Generator, cluster: int | None = None) -> tuple[Tensor, Tensor]:
        if cluster is None:
            y = self.prior.sample(n, rng)
        else:
            modes = (self.groups == cluster).nonzero().flatten()
            y = torch.zeros(n, self.n_modes, device=self.device)
            y[:, modes] = multinoulli(self.prior.alpha[modes], torch.rand(n, generator=rng, device=self.device))
        return self.draw(self.latent.at(y, rng)), self.groups[y.argmax(1)]

    def draw(self, z: Tensor) -> Tensor:
        """Samples of latent points (n, dim), on the model's scale; images in their tones."""
        x: Tensor = self.generator_ema(z)
        return apply_curves(self.tones, x) if len(self.shape) == 3 else x

    # how it learns

    def stages(self, pool: Pool) -> list[Stage]:
        self.fit_scale(pool.x)
        if not self.connected:
            return [Adversary(self, pool, None).stage()]
        connection = (Contrast if self.settings.pooled else Connection)(self, pool)
        return [*connection.stages(), Adversary(self, pool, connection).stage()]


def _check_views(settings: ModelSettings, shape: tuple[int, ...]) -> None:
    """See that what learns from views of images can: that there are images, and one way of learning h.

    Raises:
        ConfigError: two settings that exclude each other, or views of vectors.
    """
    views, pooled = settings.contrast.steps > 0, settings.pooled
    if views and len(shape) != 3:
        raise ConfigError("contrast.steps needs images, of which there are views: use contrast.steps=0 on vectors")
    if views and not pooled and shape[0] == 3 and not settings.connect.steps:
        raise ConfigError(
            "contrast.steps finds neighbours for connect.steps, which is 0: use contrast.steps=0, or set "
            "connect.steps or network.inverter_style=pooled"
        )
    if pooled and settings.connect.steps:
        raise ConfigError(
            "network.inverter_style=pooled with contrast.steps learns h from views alone, without connect.steps: "
            "set one of these two to 0"
        )
    if pooled and settings.gan.train_inverter:
        raise ConfigError(
            "gan.train_inverter needs neighbours in pixels, which a pooled h with contrast.steps does without: set "
            "one of them"
        )


class Adversary:
    """The adversarial stage of ``model`` on ``pool``."""

    def __init__(self, model: NEMGAN, pool: Pool, connection: Connection | None) -> None:
        self.model, self.pool, self.connection = model, pool, connection
        self.gan = model.settings.gan
        self.frozen = connection is not None and not self.gan.train_inverter
        self.augment = self._changes() if self.gan.augment else None
        self._shown: Shown | None = None

    def stage(self) -> Stage:
        gan = self.gan
        critic = Optimiser(gan.critic_lr, gan.betas)
        others = Optimiser(gan.lr, gan.betas)
        phases = [Phase("critic", ("critic",), self.critic_loss, critic, times=gan.critic_steps)]
        phases.append(Phase("generator", ("generator",), self.generator_loss, others))
        if self.frozen:
            phases.append(Phase("latent", ("inverter.latent",), self.latent_loss, Optimiser(1e-3), every=4))
        else:
            phases.append(Phase("inverter", ("inverter",), self.inverter_loss, others))
        if self.model.known is None and self.connection is None:
            if not len(self.pool.labelled):
                raise ConfigError(
                    "masses are learned without labels by the connected inverter alone: use the preset connected, or "
                    "give the masses, or some labels"
                )
            phases.append(Phase("prior", ("prior",), self.prior_loss, Optimiser(1e-2)))
        return Stage("generate", gan.steps, tuple(phases), end=self.finish if gan.steps else None)

    def finish(self, rng: torch.Generator) -> Mapping[str, object]:
        """The stage's end: batch statistics of the generator's average, by clusters as in training, and its tones."""
        average = self.model.generator_ema
        with fresh_statistics(average):
            for _ in range(STATISTICS):
                average(self.points(rng)[0])
        return self.fit_tones(rng) if self.gan.tones and len(self.model.shape) == 3 else {}

    def fit_tones(self, rng: torch.Generator) -> Mapping[str, object]:
        """Curves that make the tones of generated images as frequent as those of the data."""
        model = self.model
        n = max(50, min(2000, TONED_PIXELS // (model.shape[1] * model.shape[2])))  # large images have tones enough
        part = min(n, 250)
        real = model.encode(self.pool.x[self.pool.draw(n, rng)])
        made = torch.cat([model.generator_ema(model.latent.sample(part, rng)[0]) for _ in range(n // part)])
        model.tones.copy_(tone_curves(made, real))
        return {"tones_moved": float((model.tones - torch.linspace(0, 1, 256, device=made.device)).abs().mean())}

    def _changes(self) -> Augmentation:
        """Of real samples. Never mirrored: whether images may be is asked of all at once, and the rare may not."""
        found = fitting(self.pool.glance(5000), self.gan.augment)
        return replace(found, flip=False, strength=found.strength / 2) if found.flip else found

    def real(self, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """A batch of real samples and, for a critic of pairs, their one-hot modes by h."""
        model = self.model
        if model.joint and self.frozen and self._shown is None and self.connection is not None:
            self._shown = self._look(self.connection)
        shown = self._shown
        i = self.pool.draw(self.gan.batch, rng) if shown is None else shown.draw(self.gan.batch, rng)
        x = model.encode(self.pool.x[i])
        if self.augment is not None:
            x = self.augment(x, rng)
        if not model.joint:
            return x, None
        mode = self.modes_of(x).argmax(1) if shown is None else shown.modes[i]
        return x, F.one_hot(mode, model.n_modes).to(x.dtype)

    def _look(self, connection: Connection) -> Shown:
        """What h, which is at rest, makes of the real samples; labelled ones are certain, and of their own cluster.

        So a cluster is matched to its own labelled samples, however rare they are.
        """
        pool, model = self.pool, self.model
        posterior, modes = connection.asked(pool)
        best = F.pad(posterior, (0, 1)).topk(2, 1).values  # a single cluster is certain
        margins = best[:, 0] - best[:, 1]
        with at_rest(model.inverter):
            for at, label in zip(torch.split(pool.labelled, 1024), torch.split(pool.labels, 1024), strict=True):
                logits = model.inverter.logits(model.encode(pool.x[at]))
                foreign = model.groups != label[:, None]
                modes[at] = logits.masked_fill(foreign, -torch.inf).argmax(1)
        margins[pool.labelled] = 1.0
        shares = torch.bincount(modes, minlength=model.n_modes) / len(pool)
        return Shown(modes, margins, self.gan.margin, self.evened(shares))

    @torch.no_grad()
    def modes_of(self, x: Tensor) -> Tensor:
        self.model.inverter.eval()
        return self.model.inverter.logits(x)

    def points(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """A batch of latent points and their modes, clusters as even as the settings ask."""
        latent = self.model.latent
        if not (self.gan.even and self.model.joint and self.frozen):
            return latent.sample(self.gan.batch, rng)
        chances = self.evened(self.model.prior.masses())
        mode = torch.multinomial(chances, self.gan.batch, replacement=True, generator=rng)
        return latent.at(F.one_hot(mode, self.model.n_modes).to(chances.dtype), rng), mode

    def fake(self, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of generated samples, their latent points and modes."""
        z, mode = self.points(rng)
        return self.model.generator(z), z, mode

    def evened(self, shares: Tensor) -> Tensor:
        """Shares of the modes (K,), those of the clusters made as even as the settings ask.

        Rare clusters are then seen as often as others, which the critic of pairs allows: it matches each mode alone.
        """
        model, even = self.model, self.gan.even
        total = torch.zeros(model.n_clusters, device=shares.device).index_add_(0, model.groups, shares)
        alike = shares / total.clamp_min(1e-12)[model.groups] / max(int((total > 0).sum()), 1)
        return (1 - even) * shares + even * alike

    def scores(self, x: Tensor, mode: Tensor) -> Tensor:
        y = F.one_hot(mode, self.model.n_modes).to(x.dtype) if self.model.joint else None
        found: Tensor = self.model.critic(x, y)
        return found

    def critic_loss(self, rng: torch.Generator) -> LossResult:
        model, gan = self.model, self.gan
        real, y = self.real(rng)
        with torch.no_grad():
            fake, _, mode = self.fake(rng)
        loss = critic_loss(gan.loss, model.critic(real, y), self.scores(fake, mode))
        logs = {"critic": loss.detach()}
        if gan.loss == "wgan-gp":
            penalty = gradient_penalty(lambda x: model.critic(x, y), real, fake, rng)
            loss, logs["penalty"] = loss + gan.penalty * penalty, penalty.detach()
        elif gan.loss == "logistic" and gan.penalty:
            penalty = r1_penalty(lambda x: model.critic(x, y), real)
            loss, logs["r1"] = loss + gan.penalty * penalty, penalty.detach()
        return LossResult(loss, logs)

    def inversion(self, logits: Tensor, mode: Tensor) -> Tensor:
        """D(P_Ŷ, P_Y) of generated samples' modes, or of their clusters."""
        loss = mode_binary_cross_entropy if self.gan.inversion_loss == "binary" else mode_cross_entropy
        if self.gan.inversion_of == "clusters":
            return loss(self.model.merged_logits(logits), self.model.groups[mode])
        return loss(logits, mode)

    def generator_loss(self, rng: torch.Generator) -> LossResult:
        model, gan = self.model, self.gan
        fake, z, mode = self.fake(rng)
        loss = generator_loss(gan.loss, self.scores(fake, mode))
        logs = {"generator": loss.detach()}
        if model.conditions.C2 and (gan.inversion or gan.reconstruction):
            model.inverter.train(not self.frozen)
            found, logits = model.inverter(fake)
            inversion = self.inversion(logits, mode)
            logs["inversion"] = inversion.detach()
            loss = loss + gan.inversion * inversion
            if gan.reconstruction:
                loss = loss + gan.reconstruction * latent_error(found, z)
        return LossResult(loss, logs)

    def latent_loss(self, rng: torch.Generator) -> LossResult:
        """ẑ on generated samples, h's features as they are."""
        with torch.no_grad():
            fake, z, _ = self.fake(rng)
            self.model.inverter.eval()
            features = self.model.inverter.features(fake)
        error = latent_error(self.model.inverter.latent(features), z)
        return LossResult(error, {"latent": error.detach()})

    def inverter_loss(self, rng: torch.Generator) -> LossResult:
        """h on generated samples (Eq. 4), and on real ones where it is connected or some are labelled."""
        model, gan = self.model, self.gan
        with torch.no_grad():
            fake, z, mode = self.fake(rng)
        model.inverter.train()
        found, logits = model.inverter(fake)
        loss = self.inversion(logits, mode) + gan.reconstruction * latent_error(found, z)
        logs = {"h": loss.detach()}
        if self.connection is not None:
            real = self.connection.refine_loss(rng)
            loss = loss + real.loss
            logs.update(real.logs)
        elif len(self.pool.labelled):
            pick = torch.randint(len(self.pool.labelled), (gan.batch,), generator=rng, device=self.pool.device)
            x = model.encode(self.pool.x[self.pool.labelled[pick]])
            loss = loss + F.cross_entropy(model.inverter.logits(x), self.pool.labels[pick])
        return LossResult(loss, logs)

    def prior_loss(self, rng: torch.Generator) -> LossResult:
        """‖E h(x) − softmax(α)‖₁ over real samples, with h as it is (Eq. 5)."""
        x = self.model.encode(self.pool.x[self.pool.draw(1024, rng)])
        mean = self.modes_of(x).softmax(1).mean(0)
        loss = (mean - self.model.prior.masses()).abs().sum()
        return LossResult(loss, {"prior": loss.detach()})
