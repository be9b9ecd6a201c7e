"""The rivals' entries: where each is, what it meets and takes, and its presets (docs/extending.md); no torch."""

from __future__ import annotations

from nemgan.models.entry import Defaults, rival


def _rates(lr: float, critic_lr: float, *betas: float) -> Defaults:
    return {"gan.lr": lr, "gan.critic_lr": critic_lr, "gan.betas": list(betas)}


def _clipped(clip: float) -> Defaults:
    return {"rival.clip": clip, "rival.noise": "normal", "gan.critic_steps": 5}


_RMSPROP: Defaults = {"gan.lr": 5e-5, "gan.critic_lr": 5e-5, "rival.optimiser": "rmsprop", "gan.batch": 50}
_GP: Defaults = {"gan.loss": "wgan-gp", "gan.penalty": 10.0, "gan.critic_steps": 5} | _rates(1e-4, 1e-4, 0.5, 0.9)
_LOGISTIC: Defaults = {"gan.loss": "logistic", "gan.penalty": 0.0}
_NORMAL: Defaults = {"rival.noise": "normal"}
_UNIFORM: Defaults = {"rival.noise": "uniform"}
_LOSS = "gan.loss gan.penalty"

RIVALS = [
    rival(
        "wgan",
        ("unimodal", "WGAN"),
        "Wasserstein GAN, weights clipped",
        "Arjovsky, Chintala and Bottou 2017, Wasserstein GAN",
        "",
        "rival.noise rival.clip",
        shared=_clipped(0.1),
        published=_clipped(0.01) | _RMSPROP | {"latent.dim": 128, "gan.steps": 200_000},
    ),
    rival(
        "wgan-gp",
        ("unimodal", "WGANGP"),
        "Wasserstein GAN with gradient penalty",
        "Gulrajani et al. 2017, Improved Training of Wasserstein GANs",
        "",
        "rival.noise gan.penalty",
        shared=_NORMAL | {"gan.loss": "wgan-gp"},
        published=_NORMAL | _GP | {"latent.dim": 128, "gan.batch": 50, "gan.steps": 200_000},
    ),
    rival(
        "dcgan",
        ("unimodal", "DCGAN"),
        "Deep convolutional GAN, logistic loss",
        "Radford, Metz and Chintala 2016, Unsupervised Representation Learning with Deep Convolutional GANs",
        "",
        "rival.noise",
        shared=_NORMAL | _LOGISTIC,
        published=_UNIFORM
        | _LOGISTIC
        | _rates(2e-4, 2e-4, 0.5, 0.999)
        | {"latent.dim": 100, "gan.batch": 128, "rival.weight_decay": 2.5e-5},
    ),
    rival(
        "sngan",
        ("unimodal", "SNGAN"),
        "Spectrally normalised GAN, hinge loss",
        "Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks",
        "",
        "rival.noise",
        shared=_NORMAL,
        published=_NORMAL
        | _rates(2e-4, 2e-4, 0.0, 0.9)
        | {"latent.dim": 128, "gan.critic_steps": 5, "rival.decay": 1.0},
    ),
    rival(
        "deligan",
        ("mixtures", "DeliGAN"),
        "Learned mixture of Gaussians in the latent space, equal masses",
        "Gurumurthy, Sarvadevabhatla and Babu 2017, DeLiGAN",
        "C1",
        f"{_LOSS} rival.sigma rival.regulariser rival.minibatch",
        shared={"rival.sigma": 0.2, "rival.regulariser": 1 / 3, "rival.minibatch": False},
        published=_LOGISTIC
        | _rates(5e-4, 5e-4, 0.5, 0.999)
        | {"rival.sigma": 0.2, "rival.regulariser": 1 / 3, "rival.minibatch": True, "rival.decay": 0.75}
        | {"latent.dim": 30, "network.width": 16, "gan.batch": 50},
    ),
    rival(
        "mad-gan",
        ("mixtures", "MADGAN"),
        "K generators, and a critic that tells them apart",
        "Ghosh et al. 2018, Multi-Agent Diverse Generative Adversarial Networks",
        "C1",
        "rival.noise",
        shared=_NORMAL,
        published=_UNIFORM | _rates(1e-4, 1e-4, 0.5, 0.999) | {"latent.dim": 100, "gan.batch": 128},
    ),
    rival(
        "ganmm",
        ("ganmm", "GANMM"),
        "Mixture of K GANs fitted by EM",
        "Yu and Zhou 2018, Mixture of GANs for Clustering",
        "C1",
        "rival.noise rival.clip rival.pretrain network.inverter_width",
        shared=_clipped(0.1) | {"rival.pretrain": 200},
        published=_clipped(0.01) | _RMSPROP | {"latent.dim": 128, "rival.pretrain": 500, "gan.steps": 200_500},
    ),
    rival(
        "bigan",
        ("pairs", "BiGAN"),
        "Encoder by a critic of pairs",
        "Donahue, Krähenbühl and Darrell 2017, Adversarial Feature Learning",
        "C2",
        "gan.loss rival.noise rival.dropout network.inverter_width",
        shared=_UNIFORM | {"rival.dropout": 0.0},
        published=_UNIFORM
        | _LOGISTIC
        | _rates(2e-4, 2e-4, 0.5, 0.999)
        | {"latent.dim": 50, "gan.batch": 128, "gan.steps": 187_600, "rival.decay": 0.5}
        | {"rival.weight_decay": 2.5e-5, "rival.dropout": 0.0},
    ),
    rival(
        "ali",
        ("pairs", "ALI"),
        "Gaussian encoder by a critic of pairs",
        "Dumoulin et al. 2017, Adversarially Learned Inference",
        "C2",
        "gan.loss rival.noise rival.dropout network.inverter_width",
        shared=_NORMAL | {"rival.dropout": 0.0},
        published=_NORMAL
        | _LOGISTIC
        | _rates(1e-4, 1e-4, 0.5, 0.999)
        | {"latent.dim": 64, "gan.batch": 100, "rival.dropout": 0.2},
    ),
    rival(
        "veegan",
        ("pairs", "VEEGAN"),
        "Reconstructor of the noise against mode collapse",
        "Srivastava et al. 2017, VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning",
        "C2",
        "gan.loss gan.reconstruction rival.noise rival.dropout network.inverter_width",
        shared=_NORMAL | {"gan.reconstruction": 1.0, "rival.dropout": 0.0},
        published=_NORMAL
        | _LOGISTIC
        | _rates(1e-3, 1e-3, 0.5, 0.999)
        | {"latent.dim": 254, "network.width": 32, "network.inverter_width": 32, "gan.batch": 500}
        | {"gan.reconstruction": 1.0, "rival.dropout": 0.0},
        plane={"latent.dim": 2},  # noise of more numbers than the samples have cannot be read back
        vectors_only=True,
    ),
    rival(
        "catgan",
        ("catgan", "CatGAN"),
        "A classifier without labels for a critic",
        "Springenberg 2016, Unsupervised and Semi-supervised Learning with Categorical GANs",
        "C2",
        "rival.noise",
        shared=_NORMAL,
        published=_NORMAL | _rates(2e-4, 2e-4, 0.5, 0.9) | {"latent.dim": 128},
    ),
    rival(
        "infogan",
        ("coded", "InfoGAN"),
        "Categorical and continuous codes, read back by Q",
        "Chen et al. 2016, InfoGAN",
        "C1 C2",
        f"{_LOSS} gan.inversion rival.noise rival.codes",
        shared=_UNIFORM | {"rival.codes": 2},
        published=_UNIFORM
        | _LOGISTIC
        | _rates(1e-3, 2e-4, 0.5, 0.999)
        | {"latent.dim": 62, "rival.codes": 2, "gan.batch": 128, "gan.steps": 5000},
    ),
    rival(
        "clustergan",
        ("coded", "ClusterGAN"),
        "One-hot and Gaussian noise, both read back by an encoder",
        "Mukherjee et al. 2019, ClusterGAN: Latent Space Clustering in Generative Adversarial Networks "
        "(published: its constants for MNIST)",
        "C1 C2",
        f"{_LOSS} gan.inversion gan.reconstruction rival.sigma network.inverter_width",
        shared={"rival.sigma": 0.1, "gan.inversion": 10.0, "gan.reconstruction": 10.0},
        published=_GP
        | {"latent.dim": 30, "rival.sigma": 0.1, "gan.inversion": 10.0, "gan.reconstruction": 10.0}
        | {"gan.batch": 64, "gan.steps": 500_000},
    ),
    rival(
        "slogan",
        ("slogan", "SLOGAN"),
        "Learned mixture of Gaussians in the latent space, masses learned too",
        "Hwang et al. 2022, Stein Latent Optimization for Generative Adversarial Networks (after it)",
        "C1 C2 C3",
        f"{_LOSS} gan.inversion rival.sigma network.inverter_width",
        shared={"rival.sigma": 1.0},
        published=_GP
        | _rates(1e-4, 4e-4, 0.0, 0.9)
        | {"latent.dim": 128, "rival.sigma": 1.0, "gan.critic_steps": 1, "gan.batch": 64, "rival.decay": 1.0},
        learns_masses=True,
    ),
]
