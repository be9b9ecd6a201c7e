"""One stage while it runs: its generators, optimisers and averages, and what a single step does."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nemgan.data.pool import Pool
from nemgan.errors import CheckpointError, ConfigError, DivergedError
from nemgan.models.base import Model, Phase, Stage
from nemgan.seeding import derive, torch_generator
from nemgan.training.metrics import Means
from nemgan.training.optimisers import Averages, Updater, finite


class StageRun:
    """The state of ``stage`` beside the model's own.

    Attributes:
        rng: the stage's generator, for its begin and end.
        means: scalars logged since the last row.
    """

    def __init__(self, model: Model, stage: Stage, seed: int) -> None:
        self.model, self.stage, self.seed = model, stage, seed
        self.rng = torch_generator(seed, stage.name, device=model.device)
        self.rngs = {p.name: torch_generator(seed, stage.name, p.name, device=model.device) for p in stage.phases}
        self.means = Means()
        self.borrowers = borrowers(model)

    def prepare(self) -> None:
        """Make optimisers and averages; after ``begin``, which may have changed the model."""
        self.updaters = {phase.name: Updater(self.model, phase) for phase in self.stage.phases if phase.trains}
        self.averages = Averages(self.model)
        self.borrowers = borrowers(self.model)

    def step(self, k: int) -> None:
        """Step ``k`` (from 0) of the stage.

        Raises:
            DivergedError: a loss or gradient is not finite; the update it was for has not happened.
        """
        for phase in self.stage.phases:
            if k >= phase.first and (k - phase.first) % phase.every == 0:
                with lend(self.rngs[phase.name], self.borrowers):
                    for _ in range(phase.times):
                        self._update(phase, k)

    def _update(self, phase: Phase, k: int) -> None:
        if not phase.trains:
            with torch.no_grad():
                self.means.add(phase.name, phase.loss(self.rngs[phase.name]).logs)
            return
        updater = self.updaters[phase.name]
        loss, logs = phase.loss(self.rngs[phase.name])
        gradients = updater.gradients(loss)
        if not finite(loss, gradients):
            raise DivergedError(self._diagnosis(phase, k, loss, gradients))
        updater.apply(gradients, phase.schedule(k / self.stage.steps) if phase.schedule else 1.0)
        if phase.after:
            phase.after()
        self.averages.update(phase.trains, k)
        self.means.add(phase.name, {"loss": loss, **logs})

    def _diagnosis(self, phase: Phase, k: int, loss: Tensor, gradients: list[Tensor | None]) -> str:
        """Which value is not finite, in words."""
        value, what = float(loss.detach()), "loss"
        if torch.isfinite(loss):
            names = self.updaters[phase.name].names
            bad = (n for n, g in zip(names, gradients, strict=True) if g is not None and not torch.isfinite(g).all())
            what, value = f"gradient of {next(bad)}", float("nan")
        return (
            f"training diverged: the {what} in phase {phase.name!r} is {'NaN' if value != value else value} at step "
            f"{k + 1} of stage {self.stage.name!r}; lower the phase's learning rate ({phase.optimiser.lr:g}) or check "
            "the data; nothing was updated"
        )

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint needs to go on from here."""
        found = {f"mean/{key}": value for key, value in self.means.sums.items()}
        found["rng/stage"] = self.rng.get_state()
        found |= {f"rng/phase/{name}": rng.get_state() for name, rng in self.rngs.items()}
        for name, updater in self.updaters.items():
            found |= {f"optimiser/{name}/{key}": value for key, value in updater.state().items()}
        return found

    def load(self, tensors: Mapping[str, Tensor], counts: Mapping[str, int], step: int) -> None:
        """Take over what ``tensors`` and ``means.counts`` gave after ``step`` steps of the stage.

        Generators of another kind of device have another state: new ones are made, with a warning.

        Raises:
            CheckpointError: something is missing or of another shape.
        """
        try:
            states = {"stage": self.rng} | {f"phase/{name}": rng for name, rng in self.rngs.items()}
            if any(len(tensors[f"rng/{name}"]) != len(rng.get_state()) for name, rng in states.items()):
                for name, rng in states.items():
                    rng.manual_seed(derive(self.seed, self.stage.name, name, "from", step))
                warnings.warn(
                    "the checkpoint was made on another kind of device, whose random numbers cannot be continued here: "
                    "new ones are drawn, so the end will not equal that of an uninterrupted run",
                    RuntimeWarning,
                    stacklevel=2,
                )
            else:
                for name, rng in states.items():
                    rng.set_state(tensors[f"rng/{name}"])
            self.means.sums = {key: tensors[f"mean/{key}"].to(self.model.device) for key in counts}
        except (KeyError, RuntimeError, TypeError):
            raise CheckpointError("the checkpoint's generators or means do not fit: start a new run") from None
        self.means.counts = {key: int(count) for key, count in counts.items()}
        for name, updater in self.updaters.items():
            updater.load(part(tensors, f"optimiser/{name}/"))


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def borrowers(model: Model) -> list[Any]:
    """The modules that draw random numbers of their own, from an attribute ``rng``."""
    return [module for module in model.modules() if hasattr(module, "rng")]


@contextmanager
def lend(rng: torch.Generator, modules: list[Any]) -> Iterator[None]:
    """Let ``modules`` draw from ``rng`` within this context."""
    before = [(module, module.rng) for module in modules]
    try:
        for module, _ in before:
            object.__setattr__(module, "rng", rng)  # a module's own __setattr__ takes 10 µs
        yield
    finally:
        for module, own in before:
            object.__setattr__(module, "rng", own)


def plan(stages: list[Stage], pool: Pool, seed: int) -> dict[str, object]:
    """All that must be equal for a resumed training to equal an uninterrupted one, as flat JSON values.

    Raises:
        ConfigError: two stages, or two phases of one stage, with the same name.
    """
    found: dict[str, object] = {"seed": seed, "stages": [stage.name for stage in stages], "data": _fingerprint(pool)}
    for stage in stages:
        names = [phase.name for phase in stage.phases]
        found |= {f"{stage.name}.steps": stage.steps, f"{stage.name}.phases": names}
        for phase in stage.phases:
            constants = asdict(phase.optimiser) | {"betas": list(phase.optimiser.betas)}
            constants |= {
                "trains": list(phase.trains),
                "times": phase.times,
                "every": phase.every,
                "first": phase.first,
            }
            if phase.schedule:
                constants["schedule"] = [float(phase.schedule(at)) for at in (0.0, 0.25, 0.5, 0.75)]
            found |= {f"{stage.name}.{phase.name}.{key}": value for key, value in constants.items()}
        if len(set(names)) < len(names):
            raise ConfigError(f"stage {stage.name!r} has two phases of one name: rename one")
    if len({stage.name for stage in stages}) < len(stages):
        raise ConfigError("two stages have the same name: rename one")
    return found


def longer(theirs: Mapping[str, object], stages: list[Stage]) -> dict[str, object]:
    """A checkpoint's plan ``theirs`` with as many steps of the last stage as now, if these are more; else as it is.

    Such a training can go on: until where it was, it equals one that was started with more steps. Not so with a
    schedule, which knows the end from the start.

    Raises:
        CheckpointError: more steps of a stage with a schedule.
    """
    last, key = stages[-1], f"{stages[-1].name}.steps"
    before = theirs.get(key)
    if not isinstance(before, int) or last.steps <= before:
        return dict(theirs)
    if any(phase.schedule for phase in last.phases):
        raise CheckpointError(
            f"{key} = {before} cannot become {last.steps}: its learning rate follows a schedule that was made for "
            f"{before} steps; start a new run with {last.steps}"
        )
    return {**theirs, key: last.steps}


def same_plan(theirs: Mapping[str, object], mine: Mapping[str, object], folder: Path) -> None:
    """Raise CheckpointError at the first difference between a checkpoint's plan and the one to go on with."""
    for key in sorted(theirs.keys() | mine.keys()):
        if theirs.get(key) != mine.get(key):
            raise CheckpointError(
                f"{folder} was trained with {key} = {theirs.get(key)}, now it is {mine.get(key)}: resume with the same "
                "configuration or start a new run"
            )


def _fingerprint(pool: Pool) -> str:
    """Samples, shape, and a digest of the labels and of up to 1,024 samples spread over the data."""
    spread = torch.linspace(0, len(pool) - 1, min(len(pool), 1024), dtype=torch.float64).long()
    digest = hashlib.sha256()
    for tensor in (pool.x[spread.to(pool.device)], pool.labelled, pool.labels):
        digest.update(tensor.cpu().contiguous().numpy().data)
    return f"{tuple(pool.x.shape)} {digest.hexdigest()[:16]}"
