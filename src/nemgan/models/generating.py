"""The adversarial stage: generator against critic, every latent mode matched to the real samples that h puts into it.

With a connected h, which is at rest by then, the critic sees pairs (x, mode); ``paper`` and ``reference`` train g, h
and d together, on x alone (Eq. 3–5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from nemgan.data.augment import Augmentation, fitting
from nemgan.data.pool import Pool
from nemgan.errors import ConfigError
from nemgan.layers import STATISTICS, fresh_statistics
from nemgan.losses.adversarial import critic_loss, generator_loss, gradient_penalty, r1_penalty
from nemgan.losses.inversion import latent_error, mode_binary_cross_entropy, mode_cross_entropy
from nemgan.marginals import marginal_curves
from nemgan.models.base import LossResult, Optimiser, Phase, Stage
from nemgan.models.connected import Connection
from nemgan.models.shown import Shown
from nemgan.tones import tone_curves

if TYPE_CHECKING:
    from nemgan.models.nemgan import NEMGAN

TONED_PIXELS = 2_000_000
"""Pixels of a channel from which tones are counted, about; of 2,000 images at most."""


LEAST, SEEN, DRAWN = 20, 50_000, 2000
"""Samples that marginals are taken from: real ones of a cluster, at least, and of all, at most; generated ones each."""


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
        """The stage's end: batch statistics of the generator's average, by clusters as in training; tones or marginals.

        Where h went on learning, its confidence and the prior are what they are now.
        """
        if self.connection is not None and not self.frozen:
            self.connection.measure()
        average = self.model.generator_ema
        with fresh_statistics(average):
            for _ in range(STATISTICS):
                average(self.points(rng)[0])
        if self.gan.tones and len(self.model.shape) == 3:
            return self.fit_tones(rng)
        return self.fit_marginals(rng) if len(self.model.marginals) else {}

    def fit_tones(self, rng: torch.Generator) -> Mapping[str, object]:
        """Curves that make the tones of generated images as frequent as those of the data."""
        model = self.model
        n = max(50, min(2000, TONED_PIXELS // (model.shape[1] * model.shape[2])))  # large images have tones enough
        part = min(n, 250)
        real = model.encode(self.pool.x[self.pool.draw(n, rng)])
        made = torch.cat([model.generator_ema(model.latent.sample(part, rng)[0]) for _ in range(n // part)])
        model.tones.copy_(tone_curves(made, real))
        return {"tones_moved": float((model.tones - torch.linspace(0, 1, 256, device=made.device)).abs().mean())}

    def fit_marginals(self, rng: torch.Generator) -> Mapping[str, object]:
        """Curves that make each number of generated vectors as frequent as in the data's, cluster by cluster."""
        model = self.model
        some = torch.randperm(len(self.pool), generator=rng, device=rng.device)[:SEEN].to(model.device)
        x = model.encode(self.pool.x[some])
        modes = self.modes_of(x).argmax(1) if self.connection is None else self.connection.asked(self.pool)[1][some]
        of, chances, far = model.groups[modes], model.prior.masses(), []
        for k in range(model.n_clusters):
            real, own = x[of == k], (model.groups == k).float()
            if len(real) < LEAST:  # their quantiles are chance
                continue
            drawn = torch.multinomial(chances * own, DRAWN, replacement=True, generator=rng)
            z = model.latent.at(F.one_hot(drawn, model.n_modes).to(chances.dtype), rng)
            model.marginals[:, k] = marginal_curves(model.generator_ema(z), real)
            far.append(model.marginals[1, k].abs().mean())
        return {"marginals_moved": float(torch.stack(far).mean())} if far else {}

    def _changes(self) -> Augmentation:
        """Of real samples. Never mirrored: whether images may be is asked of all at once, and the rare may not."""
        found = fitting(self.pool.glance(5000), self.gan.augment)
        return replace(found, flip=False, strength=found.strength / 2) if found.flip else found

    def real(self, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """A batch of real samples and, for a critic of pairs, their one-hot modes by h."""
        model, shown = self.model, self.shown
        i = self.pool.draw(self.gan.batch, rng) if shown is None else shown.draw(self.gan.batch, rng)
        x = model.encode(self.pool.x[i])
        if self.augment is not None:
            x = self.augment(x, rng)
        if not model.joint:
            return x, None
        mode = self.modes_of(x).argmax(1) if shown is None else shown.modes[i]
        return x, F.one_hot(mode, model.n_modes).to(x.dtype)

    @property
    def shown(self) -> Shown | None:
        """What a critic of pairs is shown, if h is at rest; looked up when it is first asked for."""
        if self._shown is None and self.model.joint and self.frozen and self.connection is not None:
            self._shown = self._look(self.connection)
        return self._shown

    def _look(self, connection: Connection) -> Shown:
        """What h, which is at rest, makes of the real samples; labelled ones are certain."""
        pool, model = self.pool, self.model
        posterior, modes = connection.asked(pool)
        best = F.pad(posterior, (0, 1)).topk(2, 1).values  # a single cluster is certain
        margins = best[:, 0] - best[:, 1]
        margins[pool.labelled] = 1.0
        shares = torch.bincount(modes, minlength=model.n_modes) / len(pool)
        return Shown(modes, margins, self.gan.margin, self.evened(shares))

    @torch.no_grad()
    def modes_of(self, x: Tensor) -> Tensor:
        self.model.inverter.eval()
        return self.model.logits(x)

    def points(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """A batch of latent points and their modes, clusters as even as the settings ask."""
        latent = self.model.latent
        if not (self.gan.even and self.model.joint and self.frozen):
            return latent.sample(self.gan.batch, rng)
        chances = self.evened(self.model.prior.masses())
        if self.shown is not None:  # of a cluster without samples nothing is learned
            chances = chances * self.shown.of_clusters(self.model.groups)
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
