"""A small model that uses all that training offers: two stages, averages, dropout, batch norm, begin and end.

As a script it is a fork server for tests that kill trainings: torch is imported once, each training is a child.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nemgan.data.pool import Pool
from nemgan.models.base import LossResult, Model, Optimiser, Phase, Stage
from nemgan.networks import Dropout
from nemgan.seeding import isolated, torch_generator
from nemgan.training.loop import Hook, TrainingLog, train

D, M = 4, 3


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.ReLU(), Dropout(0.3), nn.Linear(8, outputs))


class Toy(Model):
    averaged = {"g": "g_mean"}  # noqa: RUF012

    def __init__(self, steps: tuple[int, int] = (5, 7), lr: float = 0.01) -> None:
        super().__init__((D,), M)
        with isolated(0, "toy"):
            self.h, self.critic, self.g, self.g_mean = mlp(D, M), mlp(D, 1), mlp(D, D), mlp(D, D)
        self.g_mean.load_state_dict(self.g.state_dict())
        self.alpha = nn.Parameter(torch.zeros(M))
        self.register_buffer("centre", torch.zeros(D))
        self.steps, self.lr, self.ema_decay = steps, lr, 0.9
        self.pause = 0.0

    def stages(self, pool: Pool) -> list[Stage]:
        def draw(rng: torch.Generator) -> Tensor:
            return self.encode(pool.x[pool.draw(16, rng)])

        def begin(rng: torch.Generator) -> None:
            self.fit_scale(pool.x)
            self.centre.copy_(torch.randn(D, generator=rng))

        def end(rng: torch.Generator) -> dict[str, object]:
            with torch.no_grad():
                self.alpha.add_(torch.randn(M, generator=rng))
            return {"alpha": self.alpha, "empty": float("nan")}

        def invert(rng: torch.Generator) -> LossResult:
            p = self.h(draw(rng) - self.centre).softmax(1)
            loss = -(p * p.clamp_min(1e-9).log()).sum(1).mean()
            return LossResult(loss, {"confidence": p.max(1).values.mean()})

        def criticise(rng: torch.Generator) -> LossResult:
            if self.pause:
                time.sleep(self.pause)
            x, z = draw(rng), torch.randn(16, D, generator=rng)
            with torch.no_grad():
                fake = self.g(z)
            gap = self.critic(fake).mean() - self.critic(x).mean()
            return LossResult(gap + torch.rand((), generator=rng) * 0.1 * gap, {"gap": gap})

        def generate(rng: torch.Generator) -> LossResult:
            loss = -self.critic(self.g(torch.randn(16, D, generator=rng)) + self.scratch["shift"].mean()).mean()
            return LossResult(loss, {})

        def weigh(rng: torch.Generator) -> LossResult:
            p = self.h(draw(rng)).softmax(1).mean(0)
            return LossResult(-(p.detach() * self.alpha.log_softmax(0)).sum(), {})

        def look(rng: torch.Generator) -> LossResult:
            self.scratch["shift"] = self.h(draw(rng)).mean(0)
            return LossResult(torch.zeros(()), {"shift": self.scratch["shift"].sum()})

        def clip() -> None:
            with torch.no_grad():
                for parameter in self.critic.parameters():
                    parameter.clamp_(-0.5, 0.5)

        adam = Optimiser(self.lr, (0.5, 0.9), weight_decay=0.01)
        first = Stage("split", self.steps[0], (Phase("invert", ("h",), invert, adam),), begin, end)
        phases = (
            Phase("look", (), look, every=4),
            Phase("critic", ("critic",), criticise, adam, times=2, after=clip),
            Phase("generate", ("g",), generate, adam, every=2, schedule=lambda at: 1 - at),
            Phase("prior", ("alpha",), weigh, Optimiser(0.01, kind="rmsprop"), every=3),
        )
        return [first, Stage("gan", self.steps[1], phases)]

    def sample(self, n: int, rng: torch.Generator, cluster: int | None = None) -> tuple[Tensor, Tensor]:
        return self.g_mean(torch.randn(n, D, generator=rng)), torch.zeros(n, dtype=torch.int64)

    def posterior(self, x: Tensor) -> Tensor:
        return self.h(x).softmax(1)

    def features(self, x: Tensor) -> Tensor:
        return x

    def masses(self) -> Tensor:
        return self.alpha.softmax(0)


def toy_pool() -> Pool:
    x = torch.randn(64, D, generator=torch_generator(1, "toy data"))
    return Pool(x, torch.tensor([3]), torch.tensor([0]))


def observe(moment: object, model: Model) -> dict[str, object]:
    """A hook that draws from the global generator and runs the model."""
    return {"mass": model.masses()[0], "noise_free": model.posterior(torch.zeros(1, D)).sum() * torch.rand(()).ceil()}


def run(folder: Path | None = None, model: Toy | None = None, **options: object) -> tuple[Toy, TrainingLog]:
    """Train a toy; ``options`` go to ``train``."""
    model = model or Toy()
    defaults = {"seed": 5, "log_every": 3, "checkpoint_every": 2, "hooks": [Hook(2, observe)]}
    return model, train(model, toy_pool(), folder=folder, **{**defaults, **options})  # type: ignore[arg-type]


def timeless(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows without their seconds."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def same_state(a: nn.Module, b: nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def _child(work: Callable[[], object]) -> int:
    """Run ``work`` in a child process; returns its id."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        torch.set_num_threads(1)
        work()
        code = 0
    finally:
        os._exit(code)


def _killed(folder: Path, job: dict[str, object]) -> int:
    """One training in a child that dies at ``job["after"]`` seconds or at the n-th ``job["call"]``; its exit status."""

    def work() -> None:
        warnings.simplefilter("ignore")
        if call := job.get("call"):
            real, left = getattr(os, str(call)), [int(str(job["n"]))]

            def deadly(*arguments: object) -> object:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments)

            setattr(os, str(call), deadly)
        toy = Toy(tuple(job["steps"]))  # type: ignore[arg-type]
        toy.pause = float(str(job.get("pause", 0)))
        run(folder, toy, resume=(folder / "checkpoints").is_dir() and any((folder / "checkpoints").glob("[0-9]*")))

    pid = _child(work)
    if "after" in job:
        time.sleep(float(str(job["after"])))
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        task = json.loads(line)
        print(_killed(Path(task["folder"]), task), flush=True)
