"""Exported networks give what the run's own give, for any number of samples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nemgan.errors import NemganError
from nemgan.evaluation.evaluate import predict
from nemgan.experiments.export import export_run
from nemgan.experiments.run import load_run


@pytest.mark.parametrize("n", [1, 5])
def test_torch_export_round_trip(finished: Path, tmp_path: Path, n: int) -> None:
    _, model = load_run(finished)
    inverter, generator, card = export_run(finished, "torch-export", tmp_path)
    x = torch.randint(0, 256, (n, *model.shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    posterior, latent = torch.export.load(inverter).module()(x)
    np.testing.assert_allclose(posterior.detach(), predict(model, x.numpy()), atol=1e-4)
    z, _ = model.latent.sample(n, torch.Generator().manual_seed(0))
    with torch.no_grad():
        np.testing.assert_allclose(latent.detach(), model.invert(model.encode(x)), atol=1e-4)
        np.testing.assert_allclose(torch.export.load(generator).module()(z).detach(), model.draw(z), atol=1e-4)
    said = json.loads(card.read_text())
    assert said["latent"]["dim"] == z.shape[1] and abs(sum(mode["mass"] for mode in said["modes"]) - 1) < 1e-5


def test_onnx_round_trip(finished: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    _, model = load_run(finished)
    inverter, generator, _ = export_run(finished, "onnx", tmp_path)
    for n in (1, 5):
        x = np.random.default_rng(n).integers(0, 256, (n, *model.shape)).astype(np.uint8)
        posterior, _ = runtime.InferenceSession(inverter).run(None, {"x": x})
        np.testing.assert_allclose(posterior, predict(model, x), atol=1e-4)
        z, _ = model.latent.sample(n, torch.Generator().manual_seed(0))
        (samples,) = runtime.InferenceSession(generator).run(None, {"z": z.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(samples, model.draw(z), atol=1e-4)


def test_two_files_are_enough_to_rebuild(finished: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(finished / name, tmp_path / name)
    model, again = load_run(finished)[1], load_run(tmp_path)[1]
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
    x = np.random.default_rng(0).integers(0, 256, (4, *model.shape)).astype(np.uint8)
    assert (predict(model, x) == predict(again, x)).all()


def test_refuses(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(NemganError, match="did you mean 'onnx'"):
        export_run(finished, "onxx", tmp_path)
    with pytest.raises(NemganError, match="no run folder"):
        export_run(tmp_path / "none", "onnx")
