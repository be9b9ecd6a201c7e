"""CatGAN: the critic is a classifier without labels (Springenberg 2016). C2 alone."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from nemgan.data.pool import Pool
from nemgan.latent import Noise
from nemgan.losses.categorical import conditional_entropy, marginal_entropy
from nemgan.models.adversarial import Rival, given, total
from nemgan.models.base import Conditions, LossResult


@final
class CatGAN(Rival):
    """D is a K-way softmax: certain on real samples, over which the classes are even, and uncertain on generated ones.

    D: max H[E p(y|x)] − E H[y|x] + E H[y|g(z)];  G: max H[E p(y|g(z))] − E H[y|g(z)].
    H[E p] assumes classes of equal mass. Generated samples are of no class until D names it.
    """

    conditions = Conditions(False, True, False)
    assigns_by = "the classifier that is the critic"

    def build(self) -> None:
        self.latent = Noise(self.settings.latent.dim, given(self.rival.noise))
        self.generator = self.new_generator()
        self.critic = self.new_encoder(self.n_clusters, as_critic=True)

    def posterior(self, x: Tensor) -> Tensor:
        found: Tensor = self.critic(x).softmax(1)
        return found

    def critic_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        p = self.posterior(self.real(pool, rng))
        with torch.no_grad():
            fake, _, _ = self.fake(rng)
        unsure = conditional_entropy(p)
        terms = {"evenness": -marginal_entropy(p), "fake": -conditional_entropy(self.posterior(fake))}
        return total("entropy", unsure, terms)

    def generator_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        p = self.posterior(self.fake(rng)[0])
        return total("generator", conditional_entropy(p), {"evenness": -marginal_entropy(p)})
