"""A training step of ours against one of a public PyTorch ClusterGAN, on its own networks.

    python benchmarks/steps.py --against PATH

PATH is a copy of github.com/zhampel/clusterGAN that runs on the installed torch without a GPU (docs/notebook.md says
what that takes). Its script trains in a thread that is held at every batch; our ``clustergan`` trains copies of its
networks, from the same weights, with the same losses, batch size and Adam constants, and convolutions of our kinds.
First the gradients of both are compared at the same weights, samples and noise; then blocks of steps alternate, and
each block of theirs is divided by the block of ours beside it. Ours does more: it draws new fakes for each of its two
updates (one more pass of the generator), averages the generator, and looks for gradients that are not finite.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nemgan.data.pool import Pool
from nemgan.layers import Conv2d, ConvTranspose2d
from nemgan.losses.adversarial import gradient_penalty
from nemgan.models import adversarial, catalog
from nemgan.models.base import Stage
from nemgan.models.coded import ClusterGAN
from nemgan.seeding import torch_generator
from nemgan.settings import GanConfig, LatentConfig, ModelSettings, RivalConfig
from nemgan.training.stage import StageRun

KINDS: tuple[type[nn.Module], ...] = (Conv2d, ConvTranspose2d)
NOISE, MODES, BATCH, DECAY = 30, 10, 64, 2.5e-5


class Theirs:
    """The script of ``folder``, which does one step at each call of ``step``.

    Attributes:
        nets: its networks by role, and ``start``, copies of them before the first step.
        drawn: what the last step drew: z, its modes, and the state of the generator of the penalty's points.
    """

    def __init__(self, folder: Path, x: Tensor) -> None:
        sys.path.insert(0, str(folder))
        import train as script  # type: ignore[import-not-found]

        self.x, self.nets, self.drawn = x, {}, {}
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        for role, name in [
            ("generator", "Generator_CNN"),
            ("inverter", "Encoder_CNN"),
            ("critic", "Discriminator_CNN"),
        ]:
            setattr(script, name, self._kept(role, getattr(script, name)))
        script.sample_z = self._noted(script.sample_z)
        script.calc_gradient_penalty = self._noting(script.calc_gradient_penalty)
        script.get_dataloader = lambda **asked: (
            self._batches() if asked.get("train_set", True) else iter([self._batch()])
        )
        self.script, script.print = script, lambda *_: None
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()
        self.done.acquire()
        self.start = copy.deepcopy(self.nets)

    def _kept(self, role: str, kind: Any) -> Any:
        def make(*args: Any, **named: Any) -> nn.Module:
            return self.nets.setdefault(role, kind(*args, **named))

        return make

    def _noted(self, sample: Any) -> Any:
        def draw(**asked: Any) -> Any:
            noise, code, mode = sample(**asked)
            self.drawn.update(z=torch.cat([noise, code], 1), mode=mode)
            return noise, code, mode

        return draw

    def _noting(self, penalty: Any) -> Any:
        def note(*args: Any) -> Any:
            self.drawn["state"] = torch.get_rng_state()
            return penalty(*args)

        return note

    def _batch(self) -> tuple[Tensor, Tensor]:
        return self.x, torch.zeros(len(self.x), dtype=torch.int64)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            self.done.release()
            self.go.acquire()
            yield self._batch()

    def _main(self) -> None:
        torch.set_num_threads(1)  # OpenMP counts for each thread
        sys.argv = ["train.py", "--wass_metric", "--n_epochs", "1", "--batch_size", str(len(self.x))]
        self.script.main()

    def step(self) -> None:
        self.go.release()
        self.done.acquire()


class AsGenerator(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z[:, :NOISE], z[:, NOISE:])


class AsCritic(nn.Module):
    """Theirs is low where ours is high."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return -self.net(x).flatten()


class AsInverter(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        noise, _, logits = self.net(x)
        return noise, logits


def in_our_layers(net: nn.Module) -> nn.Module:
    """A copy of ``net`` with layers of our kinds and the same weights."""
    net = copy.deepcopy(net)
    for module in net.modules():
        for kind in KINDS:
            if type(module) is getattr(nn, kind.__name__):
                module.__class__ = kind
    return net


def ours(nets: dict[str, nn.Module], pool: Pool) -> tuple[ClusterGAN, Stage]:
    """Our model on copies of ``nets``, and its stage with their constants: their critic's weights do not decay."""
    settings = ModelSettings(
        latent=LatentConfig(dim=NOISE),
        gan=GanConfig(
            loss="wgan-gp", batch=BATCH, lr=1e-4, critic_lr=1e-4, betas=(0.5, 0.9), inversion=10.0, reconstruction=10.0
        ),
        rival=RivalConfig(sigma=0.75, weight_decay=DECAY),
    )
    model = catalog.create("clustergan", settings, (1, 28, 28), MODES, None, 0)
    assert isinstance(model, ClusterGAN)
    nets = {role: in_our_layers(net) for role, net in nets.items()}
    model.generator, model.critic = AsGenerator(nets["generator"]), AsCritic(nets["critic"])
    model.inverter = AsInverter(nets["inverter"])  # type: ignore[assignment]
    model.generator_ema = copy.deepcopy(model.generator).requires_grad_(False)
    (stage,) = model.stages(pool)
    critic, generator = stage.phases
    critic = replace(critic, optimiser=replace(critic.optimiser, weight_decay=0.0))
    model.train()
    return model, replace(stage, phases=(critic, generator))


def apart(theirs: Theirs, model: ClusterGAN, stage: Stage) -> dict[str, float]:
    """Largest difference of the gradients of one step of theirs and of ours, over the largest gradient, by network."""
    theirs.step()
    drawn, given = theirs.drawn, torch.Generator()
    model.latent.sample = lambda *_: (drawn["z"], drawn["mode"])  # type: ignore[method-assign]
    model.real = lambda *_: theirs.x  # type: ignore[method-assign]
    given.set_state(drawn["state"])
    adversarial.gradient_penalty = lambda critic, real, fake, rng: gradient_penalty(critic, fake, real, rng)
    found = {}
    for phase in stage.phases:
        loss = phase.loss(given).loss
        for name in phase.trains:
            mine = torch.autograd.grad(loss, [*getattr(model, name).parameters()], retain_graph=True)
            other = [p.grad for p in theirs.nets[name].parameters()]
            found[name] = max(float((a - b).abs().max()) for a, b in zip(mine, other, strict=True)) / max(
                float(b.abs().max()) for b in other
            )
    del model.latent.sample, model.real
    adversarial.gradient_penalty = gradient_penalty
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="PATH", help="the copy; without one nothing is measured")
    parser.add_argument("--blocks", type=int, default=24)
    parser.add_argument("--steps", type=int, default=5, help="a block")
    asked = parser.parse_args()
    if asked.against is None:
        print("nothing to compare with: give --against PATH, a copy of the other program")
        return
    torch.set_num_threads(1)
    raw = (torch.rand(BATCH, 1, 28, 28, generator=torch_generator(0, "x")) * 255).to(torch.uint8)
    none = torch.zeros(0, dtype=torch.int64)
    pool, theirs = Pool(raw, none, none), Theirs(asked.against, raw.float() / 255)
    model, stage = ours(theirs.start, pool)
    for role, net in theirs.nets.items():
        print(
            f"{role}: {sum(p.numel() for p in net.parameters()):,} and "
            f"{sum(p.numel() for p in getattr(model, role).parameters()):,} parameters"
        )
    print("gradients differ by at most", {k: f"{v:.1e}" for k, v in apart(theirs, model, stage).items()})
    run, done = StageRun(model, stage, 0), 0
    run.prepare()

    def step() -> None:
        nonlocal done
        run.step(done % stage.steps)
        done += 1

    def block(call: Any) -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(asked.steps):
            call()
        return time.process_time() - cpu, time.perf_counter() - wall

    rows = []
    for k in range(asked.blocks + 1):
        if k % 2:
            a, b = block(theirs.step), block(step)
        else:
            b, a = block(step), block(theirs.step)
        if k:
            rows.append((a, b))
    for i, clock in enumerate(["CPU", "wall"]):
        ratios = [a[i] / b[i] for a, b in rows]
        each = [1000 * statistics.median(side[i] for side in sides) / asked.steps for sides in zip(*rows, strict=True)]
        print(
            f"{clock}: theirs {each[0]:.0f} ms a step, ours {each[1]:.0f} ms; ratio min {min(ratios):.2f} "
            f"median {statistics.median(ratios):.2f} max {max(ratios):.2f} over {len(ratios)} pairs of blocks"
        )


if __name__ == "__main__":
    main()
