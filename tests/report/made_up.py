"""Made-up run folders: what a run leaves, without the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nemgan.counting import Count
from nemgan.evaluation.result import Ambiguous, Result, Separation

CONFIG: dict[str, Any] = {
    "latent": {"dim": 50, "noise": 0.3},
    "gan": {"loss": "hinge", "steps": 1234, "betas": [0.0, 0.9]},
    "model": "nemgan",
    "data": "digits-demo",
    "preset": "connected",
    "seed": 7,
    "labels": 0.0,
    "prior": "learned",
    "n_clusters": None,
    "train": {"log_every": 50},
}


def record(**changes: Any) -> Result:
    """Three digits, found well: classes 0, 1, 2 are clusters 2, 0, 1."""
    metrics = {
        "acc": "Hungarian accuracy, natural test split, n=200",
        "learned_prior": "masses of the model's clusters",
        "true_masses": "masses of the classes",
        "generated_masses": "masses of generated samples",
        "cluster_masses": "masses of the clusters",
        "found_masses": "share of test samples",
        "generated_found": "share of generated samples by cluster",
    }
    fields: dict[str, Any] = {
        "model": "nemgan",
        "data": "digits-demo",
        "preset": "connected",
        "seed": 7,
        "labels_used": 0,
        "prior": "learned",
        "acc": 0.985,
        "nmi": 0.931,
        "ari": 0.951,
        "purity": 0.985,
        "macro_recall": 0.978,
        "mode_purity": 0.9715,
        "generated_masses": (0.53, 0.28, 0.19),
        "true_masses": (0.5, 0.3, 0.2),
        "learned_prior": (0.5151, 0.2949, 0.19),
        "prior_l1": 0.0302,
        "seconds": 83.4,
        "steps": 5100,
        "seconds_to_acc_95": 31.5,
        "versions": {"nemgan": "0.1.0", "torch": "2.6.0", "python": "3.11"},
        "judge_accuracy": 0.994,
        "n_train": 700,
        "n_test": 200,
        "n_generated": 2000,
        "n_clusters": 3,
        "class_names": ("zero", "one", "two"),
        "class_of_cluster": (1, 2, 0),
        "confusion": ((1, 0, 99), (59, 1, 0), (1, 39, 0)),
        "cluster_masses": (0.2949, 0.19, 0.5151),
        "found_masses": (0.305, 0.2, 0.495),
        "mode_purities": (0.96, 0.98, 0.99),
        "mode_diversity": (0.92, 0.88, 1.01),
        "generated_vs_found_l1": 0.031,
        "confidence": 0.87,
        "metrics": metrics,
        "counts": (Count(2, 0.01, 0.05), Count(3, 0.01, 0.3), Count(4, 0.2, 0.31)),
        "separation": Separation((1, 0, 0), joined=(0.02, 0.02, 0.01), split=(0.12, 0.1, None)),
        "generated_found": (0.3, 0.19, 0.51),
        "mode_returns": (0.97, 0.99, 1.0),
        "doubtful": 0.035,
        "ambiguous": tuple(Ambiguous(f"digits/{i:03d}.png", 1, 2, 0.07 * i) for i in range(12)),
    }
    return Result(**{**fields, **changes})


LABELLED = ("acc", "nmi", "ari", "purity", "macro_recall", "prior_l1", "true_masses", "confusion", "class_of_cluster")
JUDGED = ("mode_purity", "generated_masses", "judge_accuracy", "mode_purities", "mode_diversity", "seconds_to_acc_95")
UNLABELLED: dict[str, Any] = dict.fromkeys(LABELLED + JUDGED)


def metrics() -> list[dict[str, Any]]:
    """Three stages of rows as the loop writes them."""
    rows: list[dict[str, Any]] = []
    step, seconds = 0, 0.0
    for stage, length, losses in [
        ("connect", 1500, ("inverter/disagreement", "inverter/imbalance")),
        ("refine", 600, ("inverter/disagreement", "inverter/imbalance")),
        ("generate", 3000, ("critic/critic", "generator/generator", "generator/inversion")),
    ]:
        for done in range(50, length + 1, 50):
            step, seconds = step + 50, seconds + 0.8
            where = {"stage": stage, "stage_step": done, "step": step, "seconds": seconds}
            falling = {name: 2 * np.exp(-done / 400) + 0.1 * np.sin(done * (i + 1)) for i, name in enumerate(losses)}
            rows.append({"kind": "train", **where, **falling})
            if done % 250 == 0:
                share = 0.5 * np.exp(-step / 800)
                masses = [0.3 * (1 - share) + share / 3, 0.19 * (1 - share) + share / 3]
                scores = {"acc": 0.98 - 0.7 * np.exp(-step / 600), "nmi": 0.93 - 0.9 * np.exp(-step / 600), "ari": None}
                shares = [*masses, 1 - sum(masses)]
                rows.append({"kind": "hook", **scores, "masses": shares, "found": shares, "elapsed": 1.0, **where})
        rows.append({"kind": "end", "confidence": 0.87, "stage": stage, "stage_step": length, "step": step})
    return rows


def pictures(kind: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    if kind == "image":
        x, y = load_digits(return_X_y=True)
        x = (x.reshape(-1, 1, 8, 8) * 255 / 16).round().astype(np.uint8)
        by_cluster = [x[y == k][:24] for k in (1, 2, 0)]
        real, generated = (np.stack([each[at : at + 12] for each in by_cluster]) for at in (0, 12))
        ambiguous = x[y == 9][:12]
    else:
        size = 2 if kind == "plane" else 5
        centres = np.eye(3, size) * 6
        real, generated = (centres[:, None] + rng.normal(size=(3, 200, size)) for _ in range(2))
        real, generated = real.astype(np.float32), generated.astype(np.float32)
        ambiguous = real[0, :12]
    cluster = np.repeat([0, 1, 2], [61, 40, 99])
    points = np.array([[0, 0], [12, 2], [5, 9]])[cluster] + rng.normal(size=(200, 2))
    label = np.array([1, 2, 0])[cluster]
    label[:2] = [0, 2]
    return {
        "real": real,
        "real_count": np.full(3, real.shape[1]),
        "generated": generated,
        "points": points.astype(np.float32),
        "point_cluster": cluster,
        "point_class": label,
        "ambiguous": ambiguous,
    }


MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run folder: ``kind`` image, plane or vector; keywords change the record."""

    def make(kind: str = "image", **changes: Any) -> Path:
        folder = tmp_path / "0001-nemgan-digits-demo-s7"
        folder.mkdir(exist_ok=True)
        (folder / "result.json").write_text(record(**changes).to_json())
        (folder / "config.json").write_text(json.dumps(CONFIG))
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics()))
        np.savez(folder / "pictures.npz", **pictures(kind))
        return folder

    return make
