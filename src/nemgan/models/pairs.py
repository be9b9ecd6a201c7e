"""GANs that invert a latent space without modes: BiGAN, ALI and VEEGAN (condition C2 alone).

Their critic sees pairs (x, z): a sample and a latent point, either of which may be made from the other. Clusters are
K-means on the encoder's z, for there is no mode to read off it.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from nemgan.data.pool import Pool
from nemgan.errors import ConfigError
from nemgan.latent import Noise, noise
from nemgan.losses.adversarial import critic_loss, generator_loss
from nemgan.models.adversarial import Rival, given, total
from nemgan.models.base import Conditions, LossResult
from nemgan.networks import PairCritic


class Paired(Rival):
    """g, an encoder, and a critic of pairs: high for (x, encoder(x)), low for (g(z), z)."""

    conditions = Conditions(False, True, False)
    assigns_by = "K-means on the encoder's latent points"
    trained_by = {"critic": ("critic",), "generator": ("generator", "inverter")}  # noqa: RUF012
    outputs = 1
    """Numbers that the encoder gives for each of z's."""

    def build(self) -> None:
        net, dim = self.settings.network, self.settings.latent.dim
        if self.loss == "wgan-gp":
            raise ConfigError(f"gan.loss=wgan-gp is not for pairs: model {self.name} takes hinge or logistic")
        self.latent = Noise(dim, given(self.rival.noise))
        self.generator = self.new_generator()
        self.inverter = self.new_encoder(self.outputs * dim)
        self.critic = PairCritic(
            self.shape,
            dim,
            net.width,
            spectral=self.loss == "hinge",
            style=net.style,
            dropout=given(self.rival.dropout),
        )

    def invert(self, x: Tensor) -> Tensor:
        """The latent point ẑ ``(n, dim)`` of samples ``x``."""
        found: Tensor = self.inverter(x)[:, : self.latent.dim]
        return found

    def draw(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """A latent point for each sample, as training sees them."""
        return self.invert(x)

    def features(self, x: Tensor) -> Tensor:
        return self.invert(x)

    def critic_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        real = self.real(pool, rng)
        with torch.no_grad():
            found = self.draw(real, rng)
            fake, z, _ = self.fake(rng)
        return total("critic", critic_loss(self.loss, self.critic(real, found), self.critic(fake, z)), {})

    def generator_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        """g and the encoder want each other's pairs taken for their own: the critic's labels exchanged."""
        real = self.real(pool, rng)
        fake, z, _ = self.fake(rng)
        loss = generator_loss(self.loss, self.critic(fake, z))
        return total(
            "generator", loss, {"encoder": generator_loss(self.loss, -self.critic(real, self.draw(real, rng)))}
        )


@final
class BiGAN(Paired):
    """Deterministic encoder (Donahue et al. 2017)."""


@final
class ALI(Paired):
    """Gaussian encoder, z = μ(x) + σ(x) ε (Dumoulin et al. 2017)."""

    outputs = 2

    def draw(self, x: Tensor, rng: torch.Generator) -> Tensor:
        mean, log_sigma = self.inverter(x).chunk(2, 1)
        drawn: Tensor = mean + log_sigma.clamp(-8, 8).exp() * noise(len(x), mean.shape[1], "normal", rng)
        return drawn


@final
class VEEGAN(Paired):
    """A reconstructor F trained on noise: min_{g,F} −E d(z, g(z)) + E‖z − F(g(z))‖² (Srivastava et al. 2017)."""

    def generator_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        fake, z, _ = self.fake(rng)
        error = ((self.invert(fake) - z) ** 2).sum(1).mean()
        terms = {"reconstruction": self.gan.reconstruction * error}
        return total("generator", -self.critic(fake, z).mean(), terms)
