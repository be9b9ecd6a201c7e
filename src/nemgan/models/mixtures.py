"""GANs whose latent space has modes but that do not invert it: DeliGAN and MAD-GAN (condition C1 alone)."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nemgan.data.pool import Pool
from nemgan.latent import Mixture, Noise
from nemgan.models.adversarial import Rival, Terms, given, total
from nemgan.models.base import Conditions, LossResult
from nemgan.networks import Generators


@final
class DeliGAN(Rival):
    """z = μ_k + σ_k ε with learned μ, σ and equal masses (Gurumurthy et al. 2017).

    The generator's loss alone would shrink σ to nothing, so it is drawn towards 1: + mean (σ − 1)²/3. Their number of
    components is free; here it is the number of clusters.
    """

    conditions = Conditions(True, False, False)
    trained_by = {"critic": ("critic",), "generator": ("generator", "latent")}  # noqa: RUF012

    def build(self) -> None:
        self.latent: Mixture = Mixture(
            torch.rand(self.n_clusters, self.settings.latent.dim) * 2 - 1, given(self.rival.sigma)
        )
        self.generator = self.new_generator()
        self.critic = self.new_critic()

    def generator_terms(self, fake: Tensor, z: Tensor, mode: Tensor) -> Terms:
        return {"sigma": given(self.rival.regulariser) * ((self.latent.log_sigma.exp() - 1) ** 2).mean()}


@final
class MADGAN(Rival):
    """K generators with a first layer in common, and a critic that says which of them, or the data, a sample is from.

    D is a (K+1)-way softmax whose last output is "real"; G_k maximises log D_real (Ghosh et al. 2018). To tell
    generators apart, D pushes them to different modes.
    """

    conditions = Conditions(True, False, False)

    def build(self) -> None:
        net = self.settings.network
        self.latent = Noise(self.settings.latent.dim, given(self.rival.noise), self.n_clusters)
        self.generator = Generators(
            self.latent.dim, self.shape, net.width, net.style, modes=self.n_clusters, shared=True
        )
        self.critic = self.new_encoder(self.n_clusters + 1, as_critic=True)

    def generate(self, network: nn.Module, z: Tensor, mode: Tensor) -> Tensor:
        x: Tensor = network(z, mode)
        return x

    def critic_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        real = self.real(pool, rng)
        with torch.no_grad():
            fake, _, mode = self.fake(rng)
        logits = self.critic(torch.cat([real, fake]))
        source = torch.cat([torch.full_like(mode, self.n_clusters), mode])
        right = (logits.detach()[len(real) :, :-1].argmax(1) == mode).float().mean()
        loss = F.cross_entropy(logits, source)
        return LossResult(loss, {"critic": loss.detach(), "identified": right})

    def generator_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        fake, _, mode = self.fake(rng)
        return total("generator", F.cross_entropy(self.critic(fake), torch.full_like(mode, self.n_clusters)), {})
