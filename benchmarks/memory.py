"""A set larger than one likes to hold: resident memory, time of a step, and throughput of predict.

    python benchmarks/memory.py                # 10^6 images of 28 × 28 (784 MB in a temporary folder)

Three measurements, one record in benchmarks/results/memory.jsonl. The peak resident memory is that of a whole
`nemgan train` (reading, a few steps of every stage, evaluation, report) in a process of its own. Steps on the large set
and on 10^4 images are taken in turns within one process, so that both see the same machine. Predict is all of `nemgan
predict` from file to CSV, in turns with the bare network on the same images, already in memory as numbers. Times are
processor times of one thread, which other processes disturb least. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from nemgan.data import arrays
from nemgan.data.files import find
from nemgan.data.pool import Pool
from nemgan.experiments.outputs import predict_run
from nemgan.experiments.reproduce.cells import append, code
from nemgan.experiments.run import configure, load_run, make_model, prepare
from nemgan.models.base import Model, at_rest
from nemgan.training.loop import Hook, Moment, train
from nemgan.training.runtime import versions

RESULTS = Path(__file__).parent / "results" / "memory.jsonl"
FEW = ["n_clusters=3", "threads=1", "connect.partitions=2", "train.sample_every=100000"]
SHORT = ["connect.steps=10", "connect.refine_steps=5", "gan.steps=10"]
"""Lengths alone are cut: batches, networks and numbers of neighbours are the preset's."""


def make(path: Path, n: int, chunk: int = 50_000) -> None:
    """``n`` digits of 28 × 28: scikit-learn's, three times as large, shifted and noisy."""
    digits = (load_digits().images * 255 / 16).astype(np.uint8).repeat(3, 1).repeat(3, 2)
    rng = np.random.default_rng(0)
    x = np.lib.format.open_memmap(path, "w+", np.uint8, (n, 28, 28))
    for start in range(0, n, chunk):
        m = min(chunk, n - start)
        part = np.pad(digits[rng.integers(len(digits), size=m)], ((0, 0), (2, 2), (2, 2)))
        x[start : start + m] = np.maximum(
            np.roll(part, rng.integers(-2, 3), 1), rng.integers(0, 40, part.shape, np.uint8)
        )


WATCH = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024 if sys.platform == "darwin" else 1))
"""
"""A small process between: a child's peak begins with that of the process it was forked from."""


def peak(path: Path, out: Path) -> tuple[float, Path]:
    """Peak resident memory in MB of a short ``nemgan train`` on ``path``, and its run folder."""
    words = [f"data={path}", *FEW, *SHORT]
    command = [sys.executable, "-m", "nemgan", "train", "-q", "--out", str(out), *words]
    kib = float(subprocess.check_output([sys.executable, "-c", WATCH, *command]))
    return kib * 1024 / 1e6, next(out.iterdir())


class Turns:
    """Two trainings of the same model in turns, a step each; processor seconds of each step by stage."""

    def __init__(self) -> None:
        self.turn, self.changed = 0, threading.Condition()
        self.seconds: list[dict[str, list[float]]] = [defaultdict(list), defaultdict(list)]

    def go(self, who: int, model: Model, pool: Pool) -> None:
        began = 0.0

        def call(moment: Moment, _: Model) -> None:
            nonlocal began
            self.seconds[who][moment.stage].append(time.thread_time() - began)
            with self.changed:
                self.turn = self.turn if self.turn == 2 else 1 - who
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.turn in (who, 2))
            began = time.thread_time()

        with self.changed:
            self.changed.wait_for(lambda: self.turn in (who, 2))
        began = time.thread_time()
        try:
            train(model, pool, seed=0, hooks=[Hook(1, call)])
        finally:
            with self.changed:
                self.turn = 2  # the other one has the machine to itself
                self.changed.notify_all()


def steps(large: Path, small: Path, n: int) -> dict[str, dict[str, float]]:
    """Median milliseconds of a step by stage, on both sets; steps that look neighbours up are too few to matter."""
    words = [*FEW, f"connect.steps={n}", f"connect.refine_steps={n}", f"gan.steps={n}"]
    turns, workers = Turns(), []
    for who, path in enumerate((large, small)):
        config = configure([f"data={path}", *words])
        prepared = prepare(config)
        pool, model = Pool.of(prepared.train), make_model(config, prepared.card)
        workers.append(threading.Thread(target=turns.go, args=(who, model, pool)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    big, little = turns.seconds
    names = ("large", "small", "ratio")
    found = {}
    for stage in little:
        a, b = (1000 * statistics.median(seconds[stage]) for seconds in (big, little))
        found[stage] = dict(zip(names, (a, b, a / b), strict=True))
    return found


def throughput(folder: Path, path: Path, rounds: int) -> dict[str, float]:
    """Images a second of ``nemgan predict`` and of the bare network, medians over ``rounds`` in turns."""
    _, model = load_run(folder)
    x = torch.from_numpy(np.load(path)[:, None]).float() / 255
    arrays.ON_DISK_FROM = 1  # the part is read as the whole would be
    assert not isinstance(find(path).x, np.ndarray)
    times: dict[str, list[float]] = {"predict": [], "network": []}
    for _ in range(rounds):
        began = time.thread_time()
        predict_run(folder, path)
        times["predict"].append(time.thread_time() - began)
        began = time.thread_time()
        with at_rest(model):
            for part in x.split(512):
                model.posterior(part)
        times["network"].append(time.thread_time() - began)
    rate = {name: len(x) / statistics.median(each) for name, each in times.items()}
    return {**rate, "ratio": rate["predict"] / rate["network"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=30, help="of each stage")
    parser.add_argument("--predict", type=int, default=20_000, help="images a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        for name, n in (("large", asked.images), ("small", asked.small), ("part", asked.predict)):
            make(here / f"{name}.npy", n)
        size = (here / "large.npy").stat().st_size / 1e6
        rss, folder = peak(here / "large.npy", here / "runs")
        least, _ = peak(here / "small.npy", here / "small-runs")
        print(f"peak resident memory: {rss:.0f} MB for {size:.0f} MB of images; {least:.0f} MB for few", flush=True)
        rates = throughput(folder, here / "part.npy", asked.rounds)
        print(f"predict: {rates['predict']:.0f} images/s, {rates['ratio']:.3f} of the bare network's", flush=True)
        arrays.ON_DISK_FROM = 1 << 28
        took = steps(here / "large.npy", here / "small.npy", asked.steps)
        for stage, each in took.items():
            print(f"{stage}: {each['large']:.1f} ms a step, {each['ratio']:.3f} of that on few", flush=True)
    append(
        asked.results,
        {
            "model": "nemgan",
            "images": asked.images,
            "small": asked.small,
            "megabytes": size,
            "peak_rss_megabytes": rss,
            "peak_rss_megabytes_small": least,
            "step_milliseconds": took,
            "images_a_second": rates,
            "code": code(),
            "versions": versions("cpu"),
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, one thread",
        },
    )


if __name__ == "__main__":
    main()
