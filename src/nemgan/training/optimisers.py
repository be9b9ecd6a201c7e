"""Updates of a phase's parameters, and moving averages of networks.

The update rules are torch's functional ones (torch.optim.Adam and RMSprop call the same). Their state is plain
tensors with names that a checkpoint can hold, and the two seconds that the first torch.optim object takes to import
the compiler are saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop

from nemgan.errors import ConfigError
from nemgan.models.base import Model, Phase
from nemgan.training.tensors import compare

EPS = 1e-8


def named_parameters(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Parameter]:
    """Trainable parameters of the networks (or parameters) that are attributes ``names`` of ``model``, each once."""
    found: dict[str, nn.Parameter] = {}
    for name in names:
        try:
            part = attrgetter(name)(model)
        except AttributeError:
            raise ConfigError(f"the model has no network {name!r}: correct the phase's trains") from None
        inner = (
            {name: part} if isinstance(part, nn.Parameter) else {f"{name}.{k}": p for k, p in part.named_parameters()}
        )
        seen = {id(parameter) for parameter in found.values()}
        found |= {key: p for key, p in inner.items() if p.requires_grad and id(p) not in seen}
    return found


class Updater:
    """Gradients and updates of one phase.

    Gradients are taken with respect to the phase's own parameters alone, so nothing else can move.
    """

    def __init__(self, model: Model, phase: Phase) -> None:
        self.phase = phase
        named = named_parameters(model, phase.trains)
        if not named:
            raise ConfigError(f"phase {phase.name!r} trains nothing: name a network with trainable parameters")
        self.names, self.parameters = list(named), list(named.values())
        self.fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in self.parameters)
        adam_too = phase.optimiser.kind == "adam"
        self.first = [torch.zeros_like(p, requires_grad=False) for p in self.parameters] if adam_too else []
        self.second = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        where = self.parameters[0].device if adam_too and self.fused else torch.device("cpu")
        self.steps = [torch.zeros((), device=where) for _ in self.parameters]

    def gradients(self, loss: Tensor) -> list[Tensor | None]:
        """Gradient of ``loss`` (scalar) for each parameter; None where the loss does not depend on it."""
        if not loss.requires_grad:
            raise ConfigError(
                f"the loss of phase {self.phase.name!r} depends on none of {', '.join(self.phase.trains)}"
            )
        found: list[Tensor | None] = [*torch.autograd.grad(loss, self.parameters, allow_unused=True)]
        if all(gradient is None for gradient in found):
            raise ConfigError(
                f"the loss of phase {self.phase.name!r} depends on none of {', '.join(self.phase.trains)}"
            )
        return found

    @torch.no_grad()
    def apply(self, gradients: Sequence[Tensor | None], factor: float) -> None:
        """One update at the learning rate times ``factor``; parameters without gradient keep value and state."""
        used = [i for i, gradient in enumerate(gradients) if gradient is not None]
        parameters, second, steps = ([group[i] for i in used] for group in (self.parameters, self.second, self.steps))
        moved = [_laid_out(self.parameters[i], gradients[i]) for i in used]
        constants = self.phase.optimiser
        rate, decay = constants.lr * factor, constants.weight_decay
        if constants.kind == "adam":
            first = [self.first[i] for i in used]
            beta1, beta2 = constants.betas
            adam(
                parameters, moved, first, second, [], steps, fused=self.fused, amsgrad=False, beta1=beta1, beta2=beta2,
                lr=rate, weight_decay=decay, eps=EPS, maximize=False,
            )  # fmt: skip
        else:
            rmsprop(
                parameters, moved, second, [], [], steps, lr=rate, alpha=0.99, eps=EPS, weight_decay=decay,
                momentum=0, centered=False, maximize=False,
            )  # fmt: skip

    def state(self) -> dict[str, Tensor]:
        """The optimiser's own state by name; the tensors are the live ones."""
        groups = {"first": self.first, "second": self.second, "steps": self.steps}
        return {f"{name}/{key}": t for key, group in groups.items() for name, t in zip(self.names, group, strict=False)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over ``state``, as ``state()`` gave it; CheckpointError where names or shapes differ."""
        fill(self.state(), state, f"the optimiser of phase {self.phase.name!r}")


def _laid_out(parameter: Tensor, gradient: Tensor | None) -> Tensor:
    """The gradient, in memory in the order of its parameter: torch's fused Adam pairs them by place in memory."""
    assert gradient is not None
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


@torch.no_grad()
def fill(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor], what: str) -> None:
    """Copy ``theirs`` into the live tensors ``mine``; CheckpointError where names, shapes or types differ."""
    found, wanted = ({k: (tuple(t.shape), t.dtype) for k, t in side.items()} for side in (theirs, mine))
    compare(found, wanted, what)
    for name, tensor in mine.items():
        tensor.copy_(theirs[name])


def finite(loss: Tensor, gradients: Iterable[Tensor | None]) -> bool:
    """Whether the loss and every gradient are finite: one reduction and one wait for the device."""
    some = [gradient for gradient in gradients if gradient is not None]
    total = torch.nn.utils.get_total_norm(some) + loss.detach()
    if bool(torch.isfinite(total)):
        return True
    # The sum of squares overflows beyond 1e19, so have a closer look before giving up.
    return all(bool(torch.isfinite(value).all()) for value in [loss, *some])


class Averages:
    """Exponential moving averages a ← decay·a + (1 − decay)·θ of the networks in ``model.averaged``.

    Parameters are averaged, buffers copied (batch statistics: models take their averages' own when a stage ends,
    ``layers.fresh_statistics``). ``decay`` is ``model.ema_decay``, or 0.999 where there is none; in the
    first steps of a stage it is less, (1 + k)/(10 + k), so that the initial weights are soon forgotten.
    """

    def __init__(self, model: Model) -> None:
        self.decay = float(getattr(model, "ema_decay", 0.999))
        self.pairs = {
            name: (_tensors(model, average), _tensors(model, name)) for name, average in model.averaged.items()
        }

    @torch.no_grad()
    def update(self, trained: Iterable[str], k: int) -> None:
        """Move the averages of the networks ``trained``, after an update of theirs in step ``k`` of the stage."""
        weight = 1.0 - min(self.decay, (1 + k) / (10 + k))
        for name in trained:
            if name in self.pairs:
                (averages, kept), (parameters, buffers) = self.pairs[name]
                torch._foreach_lerp_(averages, parameters, weight)
                for into, buffer in zip(kept, buffers, strict=True):
                    into.copy_(buffer)


def _tensors(model: Model, name: str) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and buffers of a network, listed once because walking over modules takes time."""
    network = model.get_submodule(name)
    return [*network.parameters()], [*network.buffers()]
