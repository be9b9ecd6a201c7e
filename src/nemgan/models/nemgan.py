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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nemgan.data.pool import Pool
from nemgan.errors import ConfigError
from nemgan.latent import AdditiveLatent
from nemgan.marginals import KNOTS, PART, apply_marginals
from nemgan.models.base import Conditions, Model, Stage
from nemgan.models.connected import Connection
from nemgan.models.contrast import Contrast
from nemgan.models.generating import Adversary
from nemgan.networks import Critic, Generator, Inverter, Projector, channels_last, trunk
from nemgan.parts import by_parts
from nemgan.prior import Prior, multinoulli
from nemgan.second_look import SecondLook
from nemgan.seeding import isolated
from nemgan.settings import ModelSettings
from nemgan.tones import apply_curves


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
        if self.generates and on.C2 and not (self.joint or gan.inversion or gan.reconstruction):
            raise ConfigError(
                "gan.inversion=0 with a critic of x alone leaves nothing that ties samples to their modes: set "
                "gan.inversion=1, or conditions.C2=false"
            )
        self.ema_decay, self.redraws = gan.ema, gan.redraws if on.C2 else 0
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
        self.second = SecondLook(shape, n_clusters) if settings.connect.second_look and self.connected else None
        if self.second is not None:
            self.assigns_by = "posterior of the inverter and its second look"
        channels_last(self)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.latent = AdditiveLatent(self.prior, settings.latent.dim, settings.latent.noise, disjoint=on.C1)
        self.groups: Tensor
        self.confidence: Tensor
        self.agreement: Tensor
        self.counts: Tensor
        self.tones: Tensor
        self.marginals: Tensor
        self.register_buffer("groups", torch.arange(self.n_modes) % n_clusters)
        self.register_buffer("tones", torch.linspace(0, 1, 256).repeat(shape[0] if len(shape) == 3 else 0, 1))
        curves = (2, n_clusters, KNOTS, shape[0]) if settings.gan.marginals else (0,)
        self.register_buffer("marginals", torch.zeros(curves), persistent=settings.gan.marginals)
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

    def logits(self, x: Tensor) -> Tensor:
        """Logits of modes (n, K) that samples ``x`` are decided by: h's, and what a second look says of clusters.

        h is trained by its own, ``inverter.logits``.
        """
        own: Tensor = self.inverter.logits(x)
        if self.second is None or not self.second.learned:
            return own
        said: Tensor = self.second(x)
        return own + said[:, self.groups]

    def mode_posterior(self, x: Tensor) -> Tensor:
        """Probability of each latent mode (n, K), of samples ``x``."""
        return self.logits(x).softmax(1)

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
        x, y = self._drawn(n, rng, cluster)
        clusters, astray = self.groups[y.argmax(1)], torch.arange(n, device=self.device)
        for _ in range(self.redraws):
            astray = astray[self.posterior(x[astray]).argmax(1) != clusters[astray]]
            if not len(astray):
                break
            x[astray] = self.draw(self.latent.at(y[astray], rng))
        return x, clusters

    def once(self, n: int, rng: torch.Generator, cluster: int | None = None) -> tuple[Tensor, Tensor]:
        x, y = self._drawn(n, rng, cluster)
        return x, self.groups[y.argmax(1)]

    def _drawn(self, n: int, rng: torch.Generator, cluster: int | None) -> tuple[Tensor, Tensor]:
        """``n`` samples, drawn once, and their one-hot modes ``(n, K)``."""
        if cluster is None:
            y = self.prior.sample(n, rng)
        else:
            modes = (self.groups == cluster).nonzero().flatten()
            y = torch.zeros(n, self.n_modes, device=self.device)
            y[:, modes] = multinoulli(self.prior.alpha[modes], torch.rand(n, generator=rng, device=self.device))
        return self.draw(self.latent.at(y, rng)), y

    def draw(self, z: Tensor) -> Tensor:
        """Samples of latent points (n, dim), on the model's scale, with the tones or marginals of real ones."""
        x: Tensor = self.generator_ema(z)
        if len(self.shape) == 3:
            return apply_curves(self.tones, x)
        if not len(self.marginals):
            return x
        clusters, size = self.groups[self.latent.mode(z)], max(1, PART // self.marginals[0, 0].numel())
        return by_parts(lambda at: apply_marginals(self.marginals, x[at], clusters[at]), len(x), size)

    # how it learns

    def stages(self, pool: Pool) -> list[Stage]:
        self.fit_scale(pool.x)
        if not self.connected:
            return [Adversary(self, pool, None).stage()]
        connection = (Contrast if self.settings.pooled else Connection)(self, pool)
        return [*connection.stages(), Adversary(self, pool, connection).stage()]


def _check_views(settings: ModelSettings, shape: tuple[int, ...]) -> None:
    """See that there are images for views of them or a second look at them, and one way of learning h.

    Raises:
        ConfigError: two settings that exclude each other, or views of vectors.
    """
    views, pooled = settings.contrast.steps > 0, settings.pooled
    if views and len(shape) != 3:
        raise ConfigError("contrast.steps needs images, of which there are views: use contrast.steps=0 on vectors")
    if settings.gan.marginals and len(shape) == 3:
        raise ConfigError("gan.marginals are of vectors: use gan.tones for images")
    if settings.connect.second_look and len(shape) != 3:
        raise ConfigError("connect.second_look is at images: use connect.second_look=false on vectors")
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
