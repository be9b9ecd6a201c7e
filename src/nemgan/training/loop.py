"""The training loop: the one place where gradients are taken and parameters updated.

    for each stage:  begin · steps · end                     (models/base.py says what a stage is)
    for each step:   for each phase, ``times`` times:  loss → gradients → finite? → update → after → averages

A training is a function of the model's initial state, the pool, the seed and nothing else. Every phase has a random
generator of its own, the caller's are left as they were, and hooks look but cannot touch. With a folder, the training
can be interrupted anywhere (signal, crash, power cut) and resumed: to the same bits on a CPU with the same number of
threads; a GPU's own kernels may differ in the last bits, and on another kind of device a stage that was under way goes
on with other random numbers, and says so.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nemgan.callers import as_by_default
from nemgan.data.pool import Pool
from nemgan.errors import CheckpointError, ConfigError, DivergedError, NemganError
from nemgan.models.base import Model, Stage, at_rest
from nemgan.storage import lock
from nemgan.training import checkpoint
from nemgan.training.metrics import Metrics
from nemgan.training.optimisers import fill
from nemgan.training.progress import Progress
from nemgan.training.runtime import Stopped, StopSignals
from nemgan.training.stage import StageRun, lend, longer, part, plan, same_plan

GLOBAL = (nn.modules.dropout._DropoutNd, nn.RReLU)
"""Modules that take no generator."""


@dataclass(frozen=True)
class Moment:
    """Where a training is: ``stage_step`` of the stage's steps and ``step`` of all are done.

    ``seconds`` is the time spent training so far, over all sittings, without the time spent in hooks; ``total_steps``
    counts stages that may yet be left out; ``trains`` are the networks that the stage trains, some perhaps in part.
    """

    stage: str
    stage_step: int
    stage_steps: int
    step: int
    total_steps: int
    seconds: float
    trains: frozenset[str]


@dataclass(frozen=True)
class Hook:
    """An observer, called every ``every`` steps of a stage, and when the stage is over (its ``end`` has run).

    The model is in evaluation mode and gradients are off. What ``call`` returns becomes a row of the metrics, of kind
    ``"hook"`` unless it says otherwise under ``"kind"``. A hook that changes the model is an error. After a resume
    it may be called again for moments it has seen, and only the new row is kept.
    """

    every: int
    call: Callable[[Moment, Model], Mapping[str, object] | None]


@dataclass(frozen=True)
class TrainingLog:
    """Steps done, seconds spent, and the rows of the metrics, over all sittings of a training."""

    steps: int
    seconds: float
    rows: list[dict[str, Any]]


@as_by_default()
def train(
    model: Model,
    pool: Pool,
    *,
    seed: int,
    folder: Path | None = None,
    resume: bool = False,
    log_every: int = 50,
    checkpoint_every: int = 500,
    hooks: Sequence[Hook] = (),
    ready: Callable[[], None] | None = None,
    progress: bool = False,
) -> TrainingLog:
    """Run the stages of ``model`` on ``pool``; the model is trained in place and left in evaluation mode.

    Args:
        model: on the device to train on, as is ``pool``.
        seed: of every random number the training draws.
        folder: where metrics and checkpoints go; none are kept without it. While training, one process owns it.
        resume: go on from the folder's newest good checkpoint, with the same model, pool and seed. A last stage without
            learning-rate schedule may have become longer: the end is that of a training begun so.
        log_every: steps between rows of the metrics; each holds means since the last.
        checkpoint_every: steps between checkpoints. Stages begin and end with one in any case.
        hooks: observers; they cannot change the result.
        ready: called once, when nothing is left to be refused for and the first step is next.
        progress: show progress on standard error.

    Raises:
        DivergedError: a loss or gradient is not finite; raised before the update.
        CheckpointError: nothing to resume, a checkpoint of another run, a folder in use, or a failed save.
        ConfigError: the model's stages do not fit together, a module of it draws from torch's global generator, or
            model and pool are on different devices.
        Stopped: SIGINT or SIGTERM came; a checkpoint was saved first. Only with a folder, and in the main thread.
    """
    if model.device.type != pool.device.type:
        raise ConfigError(f"the model is on {model.device}, the data on {pool.device}: move them to one device")
    if resume and folder is None:
        raise ConfigError("resume needs the folder of the run: give one")
    for name, module in model.named_modules():
        if isinstance(module, GLOBAL):
            raise ConfigError(
                f"{name} of the model is torch's {type(module).__name__}, which draws from the global generator, so "
                "that no training could be repeated or resumed: use nemgan.networks.Dropout"
            )
    with ExitStack() as stack:
        if folder:
            if resume and not checkpoint.present(folder):
                checkpoint.load_latest(folder)  # says what is missing, and leaves a folder that is no run alone
            stack.enter_context(lock(folder))
            checkpoint.clean(folder)
            if not resume and checkpoint.present(folder):
                raise CheckpointError(f"{folder} holds a training already: resume it or choose another folder")
        stages = model.stages(pool)
        run = _Run(model, stages, plan(stages, pool, seed), folder, log_every, checkpoint_every, hooks)
        run.stop = stack.enter_context(StopSignals(enabled=folder is not None))
        if resume:
            run.restore()
        else:
            model.scratch.clear()
            run.metrics.start(0)
            run.save()
        if ready:
            ready()
        run.progress = stack.enter_context(Progress(progress, [stage.name for stage in stages]))
        run.go()
    return TrainingLog(run.step, run.seconds, run.metrics.rows)


def _cuda(model: Model) -> list[int]:
    return [model.device.index or 0] if model.device.type == "cuda" else []


@dataclass
class _Run:
    """A training under way. Its position is: ``stage`` has done ``stage_step`` steps, and has ``begun`` or not."""

    model: Model
    stages: list[Stage]
    plan: dict[str, Any]
    folder: Path | None
    log_every: int
    checkpoint_every: int
    hooks: Sequence[Hook]
    stage: int = 0
    stage_step: int = 0
    begun: bool = False
    step: int = 0
    before: float = 0.0
    current: StageRun | None = None
    saved: Path | None = None
    saved_at: tuple[int, int, bool] | None = None
    stop: StopSignals = field(default_factory=lambda: StopSignals(enabled=False))

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.folder)
        self.since = time.perf_counter()
        self.progress: Progress

    @property
    def seconds(self) -> float:
        return self.before + time.perf_counter() - self.since

    def go(self) -> None:
        """Everything from the present position to the end."""
        try:
            while self.stage < len(self.stages):
                stage = self.stages[self.stage]
                if self.begun or stage.needed is None or stage.needed():
                    self._run_stage(stage)
                else:
                    self.metrics.write({"kind": "left out", **self._where(stage)})
                    self.stage += 1
                    self.save()
                    self._check_stop()
        finally:
            self.model.eval()

    def _run_stage(self, stage: Stage) -> None:
        seed = self.plan["seed"]
        self.progress.stage(self.stage, stage.steps, self.stage_step)
        run = self.current = self.current or StageRun(self.model, stage, seed)
        if not self.begun:
            if stage.begin:
                with at_rest(self.model), lend(run.rng, run.borrowers):
                    stage.begin(run.rng)
            run.prepare()
            self.begun = True
            if stage.begin:
                self.save()
            self._check_stop()
        self.model.train()
        while self.stage_step < stage.steps:
            self._one_step(run, stage)
        if stage.end:
            with at_rest(self.model), lend(run.rng, run.borrowers):
                found = stage.end(run.rng)
            self.metrics.write({**(found or {}), "kind": "end", **self._where(stage)})
        for hook in self.hooks:
            self._observe(hook, stage)
        self.stage, self.stage_step, self.begun, self.current = self.stage + 1, 0, False, None
        self.save()
        self._check_stop()

    def _one_step(self, run: StageRun, stage: Stage) -> None:
        try:
            run.step(self.stage_step)
        except DivergedError as error:
            kept = f"the last good checkpoint is {self.saved}" if self.saved else "no checkpoints were kept"
            raise DivergedError(f"{error}; {kept}") from None
        self.stage_step, self.step = self.stage_step + 1, self.step + 1
        last = self.stage_step == stage.steps
        if last or self.stage_step % self.log_every == 0:
            row = self.metrics.write({"kind": "train", **self._where(stage), **run.means.take()})
            if self.progress.enabled:
                with torch.no_grad():
                    self.progress.note(row, self.model.masses().tolist())
        self.progress.step(self.stage_step)
        if not last:  # the last step's turn comes after the stage's end
            for hook in self.hooks:
                if self.stage_step % hook.every == 0:
                    self._observe(hook, stage)
        final = stage is self.stages[-1]  # with its optimisers, so that it can be made longer
        if (last and (stage.end or final)) or (not last and self.stage_step % self.checkpoint_every == 0):
            self.save()
        self._check_stop()

    def _where(self, stage: Stage) -> dict[str, object]:
        where = {"stage": stage.name, "stage_step": self.stage_step, "step": self.step}
        return {**where, "seconds": round(self.seconds, 4)}

    def _observe(self, hook: Hook, stage: Stage) -> None:
        """Call a hook so that it cannot change what follows."""
        total = sum(stage.steps for stage in self.stages)
        trains = frozenset(name.partition(".")[0] for phase in stage.phases for name in phase.trains)
        moment = Moment(stage.name, self.stage_step, stage.steps, self.step, total, self.seconds, trains)
        state = [*self.model.parameters(), *self.model.buffers()]
        versions = [tensor._version for tensor in state]
        started = time.perf_counter()
        with torch.random.fork_rng(_cuda(self.model)), at_rest(self.model):
            found = hook.call(moment, self.model)
        if versions != [tensor._version for tensor in state]:
            raise NemganError("a hook changed the model, so the result would depend on it: let it work on a copy")
        where = self._where(stage) | {"seconds": round(moment.seconds, 4)}
        self.since += time.perf_counter() - started
        if found is not None:
            self.metrics.write({"kind": "hook", **found, **where})

    def _check_stop(self) -> None:
        if (number := self.stop.received) is not None:
            self.save()
            raise Stopped(
                f"stopped by {signal.Signals(number).name} after step {self.step}: saved in {self.folder}; resume to "
                "go on",
                number,
            )

    def save(self) -> None:
        """Checkpoint the present position, unless that was done."""
        position = (self.stage, self.stage_step, self.begun)
        if self.folder is None or position == self.saved_at:
            return
        self.metrics.sync()
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"scratch/{name}": value for name, value in self.model.scratch.items()}
        counts: dict[str, int] = {}
        if self.current and self.begun:
            tensors |= self.current.tensors()
            counts = self.current.means.counts
        content = {
            "plan": self.plan, "stage": self.stage, "stage_step": self.stage_step, "begun": self.begun,
            "step": self.step, "seconds": self.seconds, "metrics": self.metrics.size, "counts": counts,
        }  # fmt: skip
        self.saved = checkpoint.save(self.folder, checkpoint.Checkpoint(tensors, content), self.saved)
        self.saved_at = position

    def restore(self) -> None:
        """Take the position and state of the newest good checkpoint."""
        assert self.folder is not None
        state = checkpoint.load_latest(self.folder)
        content = state.content
        try:
            theirs = longer(dict(content["plan"]), self.stages)
            same_plan(theirs, self.plan, self.folder)
            if theirs != content["plan"] and content["stage"] == len(self.stages):
                state = checkpoint.load_latest(self.folder, before=state.path)
                content = state.content
            self.stage, self.stage_step, self.begun = content["stage"], content["stage_step"], content["begun"]
            self.step, self.before, rows = content["step"], float(content["seconds"]), int(content["metrics"])
            counts = dict(content["counts"])
            steps = [stage.steps for stage in self.stages] + [0]
            if not 0 <= self.stage_step <= steps[self.stage] or self.begun > (self.stage < len(self.stages)):
                raise IndexError
        except (KeyError, TypeError, IndexError):
            raise CheckpointError(f"checkpoint {state.path} has impossible counters: start a new run") from None
        tensors = part(state.tensors, "model/")
        fill(self.model.state_dict(), tensors, f"checkpoint {state.path}")  # if they fit
        self.model.load_state_dict(tensors)  # modules may take more from tensors than their values
        scratch = part(state.tensors, "scratch/")
        self.model.scratch = {name: value.to(self.model.device) for name, value in scratch.items()}
        if self.begun:
            self.current = StageRun(self.model, self.stages[self.stage], self.plan["seed"])
            self.current.prepare()
            self.current.load(state.tensors, counts, self.stage_step)
        self.metrics.start(rows)
        self.saved, self.saved_at = state.path, (self.stage, self.stage_step, self.begun)
        self.since = time.perf_counter()
