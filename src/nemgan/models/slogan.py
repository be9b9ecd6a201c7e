"""A learned Gaussian mixture in the latent space, after SLOGAN (Hwang et al. 2022): C1, C2 and C3.

z ~ Σ_k π_k N(μ_k, σ_k²). With r_k = P(k | z), the gradients of E ℓ(z) are those of implicit reparameterisation,

    ∇μ_k = E[r_k ∇_z ℓ],    ∇σ_k = E[r_k (z − μ_k)/σ_k · ∇_z ℓ],    ∇ρ_k = E[(r_k − π_k) ℓ],   π = softmax(ρ),

the last with −d(g(z)), less its mean, for ℓ. The inverter is paid, and pays g, for naming the component of g(z):
−log exp(s cos(h(x_i), μ_i)) / mean_j exp(s cos(h(x_i), μ_j)) over a batch. "After", for the deviations are diagonal,
and the margin, its schedule and the authors' second contrastive loss, on augmented samples, are left out.
"""

from __future__ import annotations

from functools import partial
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from nemgan.data.pool import Pool
from nemgan.latent import Mixture
from nemgan.losses.adversarial import generator_loss
from nemgan.models.adversarial import Rival, Terms, given, total
from nemgan.models.base import Conditions, LossResult, Optimiser, Phase
from nemgan.prior import Prior

SCALE = 4.0
"""s, of the cosines."""
MIXTURE_RATE = 4e-3
"""Of μ and σ, by Adam. At ten times that σ vanishes on digits, and with it all variety (docs/notebook.md); the authors'
is 20 to 200 times that of the networks, without Adam."""
MASS_RATE = 2e-3


@final
class SLOGAN(Rival):
    """Masses are learned where unknown, and stay where known."""

    conditions = Conditions(True, True, True)
    assigns_by = "cosine of the inverter's output with the components' means"
    trained_by = {  # noqa: RUF012
        "critic": ("critic",),
        "generator": ("generator", "inverter"),
        "mixture": ("latent.mean", "latent.log_sigma"),
    }

    def build(self) -> None:
        dim, prior = self.settings.latent.dim, Prior(self.n_clusters)
        if self.known is not None:
            prior.set(torch.from_numpy(self.known).float())
        self.latent: Mixture = Mixture(0.1 * torch.randn(self.n_clusters, dim), given(self.rival.sigma), prior)
        self.generator = self.new_generator()
        self.critic = self.new_critic()
        self.inverter = self.new_encoder(dim)

    def cosines(self, x: Tensor) -> Tensor:
        """s cos(h(x), μ_k), ``(n, M)``."""
        return SCALE * F.normalize(self.inverter(x)) @ F.normalize(self.latent.mean).T

    def posterior(self, x: Tensor) -> Tensor:
        return self.cosines(x).softmax(1)

    def features(self, x: Tensor) -> Tensor:
        return self.inverter.features(x)

    def masses(self) -> Tensor:
        return self.latent.masses().detach()

    def phases(self, pool: Pool) -> list[Phase]:
        mixture = self.phase("mixture", partial(self.generator_loss, pool), MIXTURE_RATE)
        phases = [*super().phases(pool), mixture]
        if self.known is None:
            phases.append(Phase("masses", ("latent.prior",), self.mass_loss, Optimiser(MASS_RATE, self.gan.betas)))
        return phases

    def generator_loss(self, pool: Pool, rng: torch.Generator) -> LossResult:
        with torch.no_grad():
            z, mode = self.latent.sample(self.gan.batch, rng)
        z = self.attached(z)
        fake = self.generator(z)
        return total("generator", generator_loss(self.loss, self.critic(fake)), self.generator_terms(fake, z, mode))

    def attached(self, z: Tensor) -> Tensor:
        """``z`` (n, dim) unchanged in value, with the gradients of implicit reparameterisation in μ and σ."""
        mean, sigma = self.latent.mean, self.latent.log_sigma.exp()
        r = self.latent.responsibilities(z).detach()
        scaled = (z[:, None] - mean.detach()) / sigma.detach()
        shift = mean - mean.detach() + scaled * (sigma - sigma.detach())
        return z + (r[:, :, None] * shift).sum(1)

    def generator_terms(self, fake: Tensor, z: Tensor, mode: Tensor) -> Terms:
        cosines = self.cosines(fake)
        others = cosines[:, mode].logsumexp(1) - torch.tensor(len(mode)).log()
        own = cosines.gather(1, mode[:, None]).flatten()
        return {"contrast": self.gan.inversion * (others - own).mean()}

    def mass_loss(self, rng: torch.Generator) -> LossResult:
        """A loss whose gradient in ρ is E[(r − π)(ℓ − mean ℓ)]."""
        with torch.no_grad():
            fake, z, _ = self.fake(rng)
            cost = -self.critic(fake)
            r = self.latent.responsibilities(z)
        weights = (r * (cost - cost.mean())[:, None]).mean(0)
        loss = (weights * self.latent.masses().log()).sum()
        return LossResult(loss, {"smallest": self.latent.masses().min().detach()})
