"""What a run watches while it trains. Nothing here is read back by training: no checkpoint, restart or setting is
chosen by it, and the test labels it scores against go no further than the log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nemgan.data.dataset import Splits
from nemgan.evaluation.clustering import scores
from nemgan.evaluation.grids import grid
from nemgan.evaluation.inference import generate, predict
from nemgan.models.base import Model
from nemgan.seeding import numpy_generator, torch_generator
from nemgan.training.loop import Hook, Moment
from nemgan.training.metrics import METRICS

GOOD_ACC = 0.95
MOST_TEST_SAMPLES = 2000
SAMPLES_A_MODE = 10


def held_out(splits: Splits, *, every: int, seed: int, elapsed: Callable[[], float]) -> Hook:
    """Scores of the test split (a seeded draw of at most 2,000) and the current masses, as log entries.

    Args:
        elapsed: wall-clock seconds of the run so far, start-up included; ``seconds_to_acc_95`` is read from it.
    """
    test = splits.test
    if len(test) > MOST_TEST_SAMPLES:
        keep = numpy_generator(seed, "held-out").choice(len(test), MOST_TEST_SAMPLES, replace=False)
        test = test.take(np.sort(keep))

    def call(moment: Moment, model: Model) -> Mapping[str, object]:
        found = predict(model, test.x).argmax(1)
        agreement = scores(test.y, found)
        return {
            **{name: value for name, value in agreement._asdict().items() if name in ("acc", "nmi", "ari")},
            "found": (np.bincount(found, minlength=model.n_clusters) / len(found)).tolist(),
            "masses": model.masses().tolist(),
            "elapsed": round(elapsed(), 3),
        }

    return Hook(every, call)


def sample_grid(folder: Path, *, every: int, seed: int) -> Hook:
    """``samples/step-XXXXXX.png``: one row per mode, the same noise each time (any samples where there are none).

    None of a model whose generator is not trained, and none in stages before it is.
    """

    def call(moment: Moment, model: Model) -> None:
        if not model.generates or "generator" not in moment.trains:
            return
        rows = []
        for mode in range(model.n_clusters):
            rng = torch_generator(seed, "grid", mode, device=model.device)
            rows.append(generate(model, SAMPLES_A_MODE, rng, mode if model.has_modes else None, once=True)[0])
        (folder / "samples").mkdir(exist_ok=True)
        grid(np.stack(rows), folder / "samples" / f"step-{moment.step:06d}.png")

    return Hook(every, call)


def seconds_to_good(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """``elapsed`` of the first log entry with held-out ACC ≥ .95; None if none has."""
    return next((float(row["elapsed"]) for row in rows if (row.get("acc") or 0) >= GOOD_ACC and "elapsed" in row), None)


def stopwatch(folder: Path, started: float) -> Callable[[], float]:
    """Wall-clock seconds since ``started`` (of ``time.monotonic``), with those of the run's earlier sittings.

    What an interrupted sitting did after its last log entry is not known and not counted.
    """
    before = 0.0
    path = folder / METRICS
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            before = max(before, float(json.loads(line).get("elapsed", 0)))
        except (ValueError, TypeError, AttributeError):
            continue  # a line cut short by a crash
    return lambda: before + time.monotonic() - started
