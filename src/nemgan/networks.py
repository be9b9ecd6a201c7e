"""Generator, critic and inverter for images of any side divisible by four, and for vectors.

Families, one builder each:

* ``compact``: 4×4 stride-2 convolutions down, 4×4 stride-2 transposed convolutions up. A side of 28 goes
  28 → 14 → 7 and one of 8 goes 8 → 4 → 2.
* ``pooled``: an inverter's trunk for colour images, convolutions and a mean over the map.
* ``reference``: the widths, kernels, strides and dropout of the code the paper's authors released.

Images are ``(N, C, H, W)`` in [0, 1]; vectors are ``(N, D)``, standardised.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from nemgan.errors import ConfigError
from nemgan.layers import Conv2d, ConvTranspose2d


class Dropout(nn.Module):
    """Dropout whose mask comes from ``rng``, a generator that the training loop sets; none in evaluation mode."""

    rng: torch.Generator | None = None

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.rng)
        return x * keep / (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def sides(side: int) -> list[int]:
    """Sides of the feature maps from ``side`` down to the smallest: halved while even, at least twice, to ≥ 4 beyond.

    >>> sides(28), sides(32), sides(8)
    ([28, 14, 7], [32, 16, 8, 4], [8, 4, 2])
    """
    found = [side]
    while found[-1] % 2 == 0 and (found[-1] > 4 or len(found) < 3):
        found.append(found[-1] // 2)
    return found


def _check(shape: tuple[int, ...]) -> None:
    if len(shape) == 3 and (shape[1] != shape[2] or shape[1] % 4 or not 8 <= shape[1] <= 256):
        raise ConfigError(
            f"images of {shape[1]}×{shape[2]} do not fit the networks: resize to a square side divisible by 4, 8 to 256"
        )


def trunk(
    shape: tuple[int, ...],
    width: int,
    *,
    style: str = "compact",
    batch_norm: bool = False,
    wrap: Callable[[nn.Module], nn.Module] = lambda layer: layer,
) -> tuple[nn.Sequential, int]:
    """Layers from samples to features, and the number of features.

    Args:
        width: channels of the first layer (images) or hidden units (vectors).
        batch_norm: normalise after each layer (never in a critic with a gradient penalty).
        wrap: applied to each weighted layer (spectral normalisation).
    """
    _check(shape)
    if len(shape) == 1:
        hidden = 4 * width
        norm = [nn.BatchNorm1d(hidden)] if batch_norm else []
        layers: list[nn.Module] = [wrap(nn.Linear(shape[0], hidden)), *norm, nn.LeakyReLU(0.1)]
        norm = [nn.BatchNorm1d(hidden)] if batch_norm else []
        return nn.Sequential(*layers, wrap(nn.Linear(hidden, hidden)), *norm, nn.LeakyReLU(0.1)), hidden
    if style == "reference":
        return _reference_trunk(shape, deep=batch_norm)
    if style == "pooled":
        return _pooled_trunk(shape[0], width), 8 * width
    layers, channels, maps = [], shape[0], sides(shape[1])
    for i in range(len(maps) - 1):
        out = width * 2 ** min(i, 2)
        layers.append(wrap(Conv2d(channels, out, 4, 2, 1, bias=not batch_norm)))
        layers += [nn.BatchNorm2d(out)] if batch_norm else []
        layers.append(nn.LeakyReLU(0.1))
        channels = out
    stride = 2 if maps[-1] > 4 else 1
    out, side = 4 * width, (maps[-1] + stride - 1) // stride
    layers.append(wrap(Conv2d(channels, out, 3, stride, 1, bias=not batch_norm)))
    layers += [nn.BatchNorm2d(out)] if batch_norm else []
    return nn.Sequential(*layers, nn.LeakyReLU(0.1), nn.Flatten()), out * side**2


def _pooled_trunk(channels: int, width: int) -> nn.Sequential:
    """Four convolutions, the first three with stride 2, and the mean over the map: takes images of any side."""
    layers: list[nn.Module] = []
    for i, (kernel, stride) in enumerate([(4, 2), (3, 2), (3, 2), (3, 1)]):
        out = width * 2**i
        layers += [Conv2d(channels, out, kernel, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _reference_trunk(shape: tuple[int, ...], deep: bool) -> tuple[nn.Sequential, int]:
    """The released critic (64 … 512, strides 2-2-2-1) or, if ``deep``, the released inverter (32 … 512, to 50)."""
    widths = [32, 64, 128, 256, 512] if deep else [64, 128, 256, 512]
    strides = [2] * 5 if deep else [2, 2, 2, 1]
    layers: list[nn.Module] = []
    channels, side = shape[0], shape[1]
    for out, stride in zip(widths, strides, strict=True):
        layers += [Conv2d(channels, out, 5, stride, 2), nn.LeakyReLU(0.2), Dropout(0.4)]
        channels, side = out, (side + stride - 1) // stride
    layers.append(nn.Flatten())
    if not deep:
        return nn.Sequential(*layers), channels * side**2
    return nn.Sequential(*layers, nn.Linear(channels * side**2, 50)), 50


class Generator(nn.Module):
    """g: latent points ``(n, dim)`` → samples ``(n, *shape)`` in the model's own scale."""

    def __init__(self, dim: int, shape: tuple[int, ...], width: int, style: str = "compact") -> None:
        super().__init__()
        _check(shape)
        if len(shape) == 1:
            hidden = 4 * width
            self.layers = nn.Sequential(
                nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, shape[0])
            )
        elif style == "reference":
            self.layers = _reference_generator(dim, shape)
        else:
            self.layers = _compact_generator(dim, shape, width)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.layers(z)
        return x


def _compact_generator(dim: int, shape: tuple[int, ...], width: int) -> nn.Sequential:
    """A linear layer to the smallest map, then 4×4 stride-2 transposed convolutions, ``width`` channels at last."""
    maps = sides(shape[1])[::-1]
    widths = [width * 2 ** min(len(maps) - 2 - i, 2) for i in range(len(maps) - 1)]
    layers: list[nn.Module] = [
        nn.Linear(dim, widths[0] * maps[0] ** 2, bias=False),
        nn.Unflatten(1, (widths[0], maps[0], maps[0])),
    ]
    for channels, out in itertools.pairwise([*widths, shape[0]]):
        layers += [
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            ConvTranspose2d(channels, out, 4, 2, 1, bias=out == shape[0]),
        ]
    return nn.Sequential(*layers, nn.Sigmoid())


def _reference_generator(dim: int, shape: tuple[int, ...]) -> nn.Sequential:
    """FC 1024 → 128 maps of a quarter side → 5×5 transposed convolutions 64, ↑2, 32, 16, 8, ↑2, 4, C."""
    side = shape[1] // 4
    layers: list[nn.Module] = [nn.Linear(dim, 1024), nn.BatchNorm1d(1024), nn.LeakyReLU(0.2)]
    layers += [nn.Linear(1024, 128 * side**2), nn.BatchNorm1d(128 * side**2), nn.LeakyReLU(0.2)]
    layers += [nn.Unflatten(1, (128, side, side)), Dropout(0.3)]
    channels = 128
    for out, grow in [(64, True), (32, False), (16, False), (8, True), (4, False)]:
        layers += [ConvTranspose2d(channels, out, 5, 1, 2), nn.BatchNorm2d(out), nn.LeakyReLU(0.2), Dropout(0.3)]
        layers += [nn.Upsample(scale_factor=2)] if grow else []
        channels = out
    return nn.Sequential(*layers, ConvTranspose2d(channels, shape[0], 5, 1, 2), nn.Sigmoid())


def _wrapper(spectral: bool) -> Callable[[nn.Module], nn.Module]:
    return spectral_norm if spectral else lambda layer: layer


def _centred(x: Tensor) -> Tensor:
    """Images on [−1, 1], vectors as they are."""
    return 2 * x - 1 if x.ndim == 4 else x


class Generators(nn.Module):
    """K generators, chosen by mode; they have the first layer in common if ``shared``."""

    def __init__(
        self, dim: int, shape: tuple[int, ...], width: int, style: str = "compact", *, modes: int, shared: bool
    ) -> None:
        super().__init__()
        several = [Generator(dim, shape, width, style).layers for _ in range(modes)]
        active = (i for i, layer in enumerate(several[0]) if isinstance(layer, nn.ReLU | nn.LeakyReLU))
        cut = next(active) + 1 if shared else 0
        self.stem = several[0][:cut]
        self.heads = nn.ModuleList(layers[cut:] for layers in several)

    def forward(self, z: Tensor, mode: Tensor) -> Tensor:
        """Samples ``(n, *shape)`` of the generators ``mode`` (n,)."""
        order = mode.argsort(stable=True)
        parts = self.stem(z)[order].split(torch.bincount(mode, minlength=len(self.heads)).tolist())
        made = torch.cat([head(part) for head, part in zip(self.heads, parts, strict=True) if len(part)])
        return made[order.argsort()]


KERNELS = 32


class Closeness(nn.Module):
    """Minibatch discrimination (Salimans et al. 2016): features, and how close each sample is to the rest of its batch.

    Appends o_k = Σ_j exp(−‖(φ_i − φ_j) T_k‖₁) over the other samples j, for 32 kernels T_k of five dimensions.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.kernels = nn.Linear(size, KERNELS * 5, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        found = self.kernels(features).view(len(features), KERNELS, 5)
        distance = (found[:, None] - found[None]).abs().sum(3)
        return torch.cat([features, (-distance).exp().sum(1) - 1], 1)


class Critic(nn.Module):
    """d: samples, and where ``modes`` > 0 their modes, → scores ``(n,)``.

    With modes the score is ψ(φ(x)) + ⟨v_mode, φ(x)⟩ (a projection critic, Miyato & Koyama 2018), so that pairs
    (x, mode) are matched rather than x alone.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int,
        *,
        modes: int = 0,
        spectral: bool = False,
        style: str = "compact",
        minibatch: bool = False,
    ) -> None:
        super().__init__()
        wrap = _wrapper(spectral)
        self.trunk, self.size = trunk(shape, width, style=style, wrap=wrap)
        self.closeness = Closeness(self.size) if minibatch else None
        self.score = wrap(nn.Linear(self.size + (KERNELS if minibatch else 0), 1))
        self.modes = wrap(nn.Linear(modes, self.size, bias=False)) if modes else None

    def features(self, x: Tensor) -> Tensor:
        """φ(x) ``(n, size)``."""
        found: Tensor = self.trunk(_centred(x))
        return found

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Scores of ``x`` with one-hot modes ``y`` (n, M), which a critic without modes ignores."""
        features = self.features(x)
        score: Tensor = self.score(self.closeness(features) if self.closeness else features).flatten()
        if self.modes is not None and y is not None:
            score = score + (self.modes(y) * features).sum(1)
        return score


class PairCritic(nn.Module):
    """d: samples and latent points → scores ``(n,)`` of the pairs (x, z)."""

    def __init__(
        self,
        shape: tuple[int, ...],
        dim: int,
        width: int,
        *,
        spectral: bool = False,
        style: str = "compact",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        wrap, hidden = _wrapper(spectral), 4 * width
        self.trunk, size = trunk(shape, width, style=style, wrap=wrap)
        self.latent = nn.Sequential(wrap(nn.Linear(dim, hidden)), nn.LeakyReLU(0.1), Dropout(dropout))
        self.score = nn.Sequential(
            wrap(nn.Linear(size + hidden, hidden)), nn.LeakyReLU(0.1), Dropout(dropout), wrap(nn.Linear(hidden, 1))
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        pair = torch.cat([self.trunk(_centred(x)), self.latent(z)], 1)
        score: Tensor = self.score(pair).flatten()
        return score


class Encoder(nn.Module):
    """Samples → ``outputs`` numbers each: a latent point, its mean and deviation, or logits."""

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int,
        outputs: int,
        *,
        batch_norm: bool = True,
        style: str = "compact",
    ) -> None:
        super().__init__()
        self.trunk, size = trunk(shape, width, style=style, batch_norm=batch_norm)
        self.head = nn.Linear(size, outputs)

    def features(self, x: Tensor) -> Tensor:
        found: Tensor = self.trunk(_centred(x))
        return found

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(x))
        return found


class Inverter(nn.Module):
    """h: samples → (ẑ, logits of ŷ), the latent point and the mode they came from.

    In the ``pooled`` style features are directions: of unit length, centred (``centre_on``), and again of one length.
    """

    def __init__(self, shape: tuple[int, ...], width: int, modes: int, dim: int, style: str = "compact") -> None:
        super().__init__()
        self.trunk, size = trunk(shape, width, style=style, batch_norm=True)
        self.mode = nn.Linear(size, modes)
        self.latent = nn.Linear(size, dim)
        self.centre: Tensor | None
        self.register_buffer("centre", torch.zeros(size) if style == "pooled" else None)

    def centre_on(self, features: Tensor) -> None:
        """Set the centre to the mean direction of the trunk's ``features`` (n, F); ``pooled`` style only."""
        assert self.centre is not None
        self.centre.copy_(F.normalize(features, dim=1).mean(0))

    def features(self, x: Tensor) -> Tensor:
        found: Tensor = self.trunk(x)
        if self.centre is not None:
            found = F.normalize(F.normalize(found, dim=1) - self.centre, dim=1) * found.shape[1] ** 0.5
        return found

    def logits(self, x: Tensor) -> Tensor:
        """Logits of ŷ ``(n, modes)``."""
        found: Tensor = self.mode(self.features(x))
        return found

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(x)
        return self.latent(features), self.mode(features)


class Projector(nn.Sequential):
    """Features ``(n, size)`` → the space in which views are compared ``(n, 64)``."""

    def __init__(self, size: int) -> None:
        super().__init__(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 64))


def channels_last(module: nn.Module) -> nn.Module:
    """Lay convolution weights out channels-last, which is faster on CPUs and on GPUs with tensor cores."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def memoryless(network: nn.Module) -> bool:
    """Whether a sample's result depends on no other sample of the batch and on no earlier pass.

    So not with batch norm, minibatch discrimination or spectral norm, whose vectors move at every pass.
    """
    return not any(
        isinstance(module, _BatchNorm | Closeness) or is_parametrized(module) for module in network.modules()
    )
