"""GANs of one Gaussian (or box) and no inverter: WGAN, WGAN-GP, DCGAN, SNGAN. None of the paper's conditions is met."""

from __future__ import annotations

from typing import final

from torch import nn

from nemgan.latent import Noise
from nemgan.models.adversarial import Rival, given
from nemgan.models.base import Conditions


class Unimodal(Rival):
    """z of no structure, one generator, one critic."""

    conditions = Conditions(False, False, False)

    def build(self) -> None:
        self.latent = Noise(self.settings.latent.dim, given(self.rival.noise))
        self.generator = self.new_generator()
        self.critic = self.new_critic()


@final
class SNGAN(Unimodal):
    """Spectral normalisation (Miyato et al. 2018): hinge loss, every layer of d divided by its spectral norm."""

    own_loss = "hinge"


@final
class WGANGP(Unimodal):
    """WGAN with gradient penalty (Gulrajani et al. 2017): E[d(fake)] − E[d(real)] + λ E(‖∇d‖ − 1)²."""

    own_loss = "wgan-gp"


@final
class WGAN(Unimodal):
    """Wasserstein GAN (Arjovsky et al. 2017): E[d(fake)] − E[d(real)], weights of d clipped after each update."""

    own_loss = "wgan"


@final
class DCGAN(Unimodal):
    """Logistic loss on deep convolutions (Radford et al. 2016), whose weights start as N(0, .02²)."""

    own_loss = "logistic"

    def build(self) -> None:
        super().build()
        for layer in [*self.generator.modules(), *self.critic.modules()] if len(self.shape) == 3 else []:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.normal_(layer.weight, 0, 0.02)
