"""What a model is: networks, and the stages of its training, each a list of phases.

A *phase* names the networks it trains and a function that returns their loss. A *stage* runs its phases for a number
of steps. That is all the training loop knows, so every model has resuming, logging and mixed devices for nothing.

The conditions under which a GAN clusters (paper, section III) are declared on the class:

    C1  the latent space has disjoint modes
    C2  a network inverts the generator to the mode
    C3  the masses of the modes match those of the data
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from nemgan.data.pool import OnDisk, Pool


class Conditions(NamedTuple):
    """Which of the paper's conditions a model meets."""

    C1: bool
    C2: bool
    C3: bool

    def __str__(self) -> str:
        return " ".join(f"C{i}" if met else f"Ĉ{i}" for i, met in enumerate(self, 1))


class LossResult(NamedTuple):
    """A scalar loss and the scalars worth logging beside it (detached)."""

    loss: Tensor
    logs: Mapping[str, Tensor]


@dataclass(frozen=True)
class Optimiser:
    """How a phase updates its networks: Adam or RMSProp with these constants."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    kind: Literal["adam", "rmsprop"] = "adam"


@dataclass(frozen=True)
class Phase:
    """One kind of update within a step.

    Attributes:
        name: unique within its stage; logged losses carry it.
        trains: names of the model's networks that are updated (dotted for a part of one). Gradients reach these and no
            others. Empty for an update by rule (a neighbour graph made anew, an EM step).
        loss: called with the phase's own random generator; returns the loss to minimise. A phase that trains nothing is
            called without gradients; it changes buffers or ``scratch`` itself, and its loss is ignored.
        optimiser: constants of the update; unused by a phase that trains nothing.
        times: updates a step.
        every: steps between updates (1 = each step).
        first: step of the stage at which the first update is due.
        schedule: factor on the learning rate as a function of the stage's progress in [0, 1).
        after: called after each update (weight clipping, moving averages); must be deterministic.
    """

    name: str
    trains: tuple[str, ...]
    loss: Callable[[torch.Generator], LossResult]
    optimiser: Optimiser = Optimiser(1e-3)
    times: int = 1
    every: int = 1
    first: int = 0
    schedule: Callable[[float], float] | None = None
    after: Callable[[], None] | None = None


@dataclass(frozen=True)
class Stage:
    """A stretch of training: ``steps`` steps of its phases in order.

    Attributes:
        begin: called once before the first step (not again on resume).
        end: called once after the last step. Both get the stage's own random generator, may change the model's
            parameters, buffers and scratch (nothing else), and ``end`` may return scalars and lists to log.
        needed: asked when its turn comes; where it says no the stage is left out. What it says must follow from the
            model and its scratch, so that a resumed training goes the same way.
    """

    name: str
    steps: int
    phases: tuple[Phase, ...]
    begin: Callable[[torch.Generator], None] | None = None
    end: Callable[[torch.Generator], Mapping[str, object]] | None = None
    needed: Callable[[], bool] | None = None


class Model(nn.Module, ABC):
    """Networks, a latent space and the stages that train them.

    Everything that training changes is a parameter or a buffer, so ``state_dict()`` is the whole model.

    Attributes:
        n_clusters: number of clusters M that ``posterior`` tells apart and ``sample`` draws from.
        shape: shape of one sample, ``(C, H, W)`` or ``(D,)``.
        averaged: maps a network's attribute name to the attribute holding its exponential moving average.
        has_modes: whether ``sample`` can draw from one cluster; where not, its clusters are those the posterior names.
        generates: whether its generator is trained at all; where not, the model clusters and ``sample`` is noise.
        redraws: times, at most, that ``sample`` draws a sample again that ``posterior`` puts in another cluster.
        assigns_by: how ``posterior`` comes about, in words for the record.
        scratch: tensors that training carries from step to step beside the weights (a neighbour graph). Checkpoints
            hold them; a finished model does not.
    """

    conditions: Conditions
    n_clusters: int
    shape: tuple[int, ...]
    averaged: Mapping[str, str] = {}
    has_modes: bool = True
    generates: bool = True
    redraws: int = 0
    assigns_by: str = "posterior of the inverter"

    @abstractmethod
    def stages(self, pool: Pool) -> list[Stage]:
        """The stages of training on ``pool``, in order; always the same for the same model and data."""

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator, cluster: int | None = None) -> tuple[Tensor, Tensor]:
        """Generate ``n`` samples: ``(x, clusters)``, x float in the model's own scale, clusters ``(n,)`` int64.

        ``cluster`` draws from that cluster alone; otherwise clusters follow the prior.
        """

    def once(self, n: int, rng: torch.Generator, cluster: int | None = None) -> tuple[Tensor, Tensor]:
        """As ``sample``, but each is drawn a single time, also where ``sample`` draws those that went astray again."""
        return self.sample(n, rng, cluster)

    @abstractmethod
    def posterior(self, x: Tensor) -> Tensor:
        """Probability of each cluster ``(N, M)`` for samples ``x`` in the model's own scale."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Features ``(N, F)`` of samples ``x``, for pictures and neighbours."""

    @abstractmethod
    def masses(self) -> Tensor:
        """The prior over clusters ``(M,)``, summing to one."""

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def encode(self, x: Tensor) -> Tensor:
        """Raw samples (uint8 images, float vectors) in the model's scale: images in [0, 1], vectors standardised."""
        return x.float() / 255 if x.dtype == torch.uint8 else (x - self.offset) / self.scale

    def decode(self, x: Tensor) -> Tensor:
        """The inverse of ``encode``; images are clamped and rounded to uint8."""
        if len(self.shape) == 3:
            return (x.clamp(0, 1) * 255).round().to(torch.uint8)
        return x * self.scale + self.offset

    def fit_scale(self, x: Tensor | OnDisk) -> None:
        """Set offset and scale from raw vectors ``(N, D)``; images need none. Constant columns keep scale 1."""
        if len(self.shape) == 1 and isinstance(x, Tensor):  # vectors are never left on disk
            scale = x.std(0, unbiased=False)
            self.offset.copy_(x.mean(0))
            self.scale.copy_(torch.where(scale > 0, scale, torch.ones_like(scale)))

    def __init__(self, shape: tuple[int, ...], n_clusters: int) -> None:
        super().__init__()
        self.shape, self.n_clusters = shape, n_clusters
        self.scratch: dict[str, Tensor] = {}
        size = shape if len(shape) == 1 else (1,)
        self.offset: Tensor
        self.scale: Tensor
        self.register_buffer("offset", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode and without gradients; each module's mode is put back on exit."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
