"""A run that trains no generator: clusters, and not a word about samples that are noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nemgan.errors import NemganError
from nemgan.experiments.export import export_run
from nemgan.experiments.outputs import predict_run, sample_run
from nemgan.experiments.prepare import configure
from nemgan.experiments.run import evaluate_run, resume_run, run

WORDS = ["connect.steps=12", "connect.refine_steps=4", "connect.samples=300", "connect.restarts=1", "gan.steps=0"]


@pytest.mark.parametrize("data", ["digits-demo", "moons-80"])
def test_nothing_is_said_of_samples_that_are_noise(data: str, tmp_path: Path) -> None:
    folder = run(configure([f"data={data}", *WORDS]), out=tmp_path / "runs", quiet=True)
    record = json.loads((folder / "result.json").read_text())
    said = ("mode_purity", "mode_purities", "generated_masses", "generated_vs_found_l1", "generated_found", "modes")
    assert record["n_generated"] == 0 and not record["fidelity"] and {record[key] for key in said} == {None}
    assert not {*said, "fidelity", "judge_accuracy"} & record["metrics"].keys()
    assert record["acc"] is not None and len(record["found_masses"]) == record["n_clusters"]
    page = (folder / "report.html").read_text()
    assert "Samples of each cluster" in page and "Real" in page
    assert "enerated from" not in page and "Modes that generate" not in page and "Sampling shift" not in page
    assert "generated" not in np.load(folder / "pictures.npz") and not (folder / "samples").exists()


@pytest.mark.parametrize("word", ["model=infogan", "preset=reference", "connect.steps=0"])
def test_clusters_that_come_of_the_generator_s_stage_need_it(word: str) -> None:
    words = dict(each.split("=") for each in ["data=digits-demo", "prior=uniform", "gan.steps=0", word])
    with pytest.raises(NemganError, match=r"gan\.steps=0 leaves nothing to learn"):
        configure([f"{key}={value}" for key, value in words.items()])


def test_what_needs_the_generator_says_how_to_go_on(tmp_path: Path) -> None:
    folder = run(configure(["data=digits-demo", *WORDS]), out=tmp_path / "runs", quiet=True)
    with pytest.raises(NemganError, match=r"not trained \(gan.steps=0\).*nemgan train --resume RUN gan.steps=1500"):
        sample_run(folder, tmp_path / "samples.npz")
    inverter, card = export_run(folder, "torch-export", tmp_path / "out")
    told = torch.export.load(inverter).module()(torch.zeros(5, 1, 8, 8, dtype=torch.uint8))
    assert [part.shape for part in told] == [(5, 3)] and "latent" not in card.read_text()
    with pytest.raises(NemganError, match="trained no generator"):
        evaluate_run(folder, ["efficientnet-lite0"])
    images = np.zeros((3, 8, 8), np.uint8)
    np.save(tmp_path / "new.npy", images)
    assert len(predict_run(folder, tmp_path / "new.npy").splitlines()) == 4
    resume_run(folder, ["gan.steps=5"], quiet=True)
    at_once = run(configure(["data=digits-demo", *WORDS[:-1], "gan.steps=5"]), out=tmp_path / "runs", quiet=True)
    first, second = (load_file(each / "model.safetensors") for each in (folder, at_once))
    assert all(torch.equal(first[name], second[name]) for name in second)
    assert json.loads((folder / "result.json").read_text())["mode_purity"] is not None
    assert sample_run(folder, tmp_path / "samples.npz").exists()
