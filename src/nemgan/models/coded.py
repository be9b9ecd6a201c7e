"""GANs with a one-hot code in z and a network that reads it back: InfoGAN and ClusterGAN (C1 and C2)."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nemgan.latent import Coded
from nemgan.losses.inversion import latent_error, mode_cross_entropy
from nemgan.models.adversarial import Rival, Terms, given
from nemgan.models.base import Conditions
from nemgan.networks import Critic, Inverter


@final
class InfoGAN(Rival):
    """z = [noise ; one-hot ; codes]; Q, on the critic's trunk, finds the code in generated samples (Chen et al. 2016).

    λ (−log Q(c | g(z))) is in both losses: Q learns in the critic's phase, the generator in its own. Codes are Gaussian
    with fixed deviation, so that theirs is a squared error.
    """

    conditions = Conditions(True, True, False)
    assigns_by = "Q's categorical code"
    trained_by = {"critic": ("critic", "q"), "generator": ("generator",)}  # noqa: RUF012
    critic: Critic

    def build(self) -> None:
        codes = given(self.rival.codes)
        self.latent: Coded = Coded(self.settings.latent.dim, self.n_clusters, kind=given(self.rival.noise), codes=codes)
        self.generator = self.new_generator()
        self.critic = self.new_critic()
        hidden = 4 * self.settings.network.width
        self.q = nn.Sequential(
            nn.Linear(self.critic.size, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, self.n_clusters + codes)
        )

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the categorical code ``(n, M)`` and the continuous ones ``(n, codes)``."""
        found: Tensor = self.q(self.critic.features(x))
        return found[:, : self.n_clusters], found[:, self.n_clusters :]

    def posterior(self, x: Tensor) -> Tensor:
        return self.read(x)[0].softmax(1)

    def information(self, fake: Tensor, z: Tensor, mode: Tensor) -> Terms:
        logits, codes = self.read(fake)
        terms = {"code": self.gan.inversion * mode_cross_entropy(logits, mode)}
        if self.latent.codes:
            terms["codes"] = self.gan.inversion * latent_error(codes, z[:, -self.latent.codes :])
        return terms

    critic_terms = information
    generator_terms = information


@final
class ClusterGAN(Rival):
    """z = [σ ε ; one-hot]; g and the encoder together minimise β_n ‖ε − ε̂‖² + β_c CE (Mukherjee et al. 2019).

    Clusters are K-means on the encoder's output, its noise part left out where β_n is 0, as in the authors' code.
    """

    conditions = Conditions(True, True, False)
    assigns_by = "K-means on the encoder's output"
    trained_by = {"critic": ("critic",), "generator": ("generator", "inverter")}  # noqa: RUF012

    def build(self) -> None:
        net, dim = self.settings.network, self.settings.latent.dim
        self.latent: Coded = Coded(dim, self.n_clusters, sigma=given(self.rival.sigma))
        self.generator = self.new_generator()
        self.critic = self.new_critic()
        self.inverter = Inverter(self.shape, net.inverter_width, self.n_clusters, dim, net.style)

    def features(self, x: Tensor) -> Tensor:
        found, logits = self.inverter(x)
        p: Tensor = logits.softmax(1)
        return torch.cat([found, p], 1) if self.gan.reconstruction else p

    def generator_terms(self, fake: Tensor, z: Tensor, mode: Tensor) -> Terms:
        found, logits = self.inverter(fake)
        return {
            "noise": self.gan.reconstruction * F.mse_loss(found, z[:, : self.latent.noise]),
            "mode": self.gan.inversion * mode_cross_entropy(logits, mode),
        }
