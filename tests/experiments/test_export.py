"""Exported networks give what the run's own give, for any number of samples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nemgan.errors import NemganError
from nemgan.evaluation.inference import predict
from nemgan.experiments.config import build
from nemgan.experiments.export import export_model, export_run
from nemgan.experiments.run import configure, load_run, run
from nemgan.models import catalog
from nemgan.models.base import Model
from nemgan.second_look import Lessons


@pytest.fixture(scope="session")
def of_vectors(tiny_settings: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["data=moons-80", *tiny_settings[1:], "gan.marginals=true"]
    return run(configure(words), out=tmp_path_factory.mktemp("vectors"), quiet=True)


@pytest.fixture(params=["finished", "of_vectors"])
def exported(request: pytest.FixtureRequest) -> Path:
    """A run on images, and one on vectors far from 0 and 1."""
    return Path(request.getfixturevalue(request.param))


def samples(model: Model, n: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(n)
    if len(model.shape) == 3:
        return torch.randint(0, 256, (n, *model.shape), dtype=torch.uint8, generator=draw)
    return torch.randn(n, *model.shape, generator=draw) * model.scale + model.offset


def drawn(model: Any, z: torch.Tensor) -> Any:
    """What the run itself makes of ``z``, in the data's own units or, for images, in [0, 1]."""
    with torch.no_grad():
        made = model.draw(z)
    return made if len(model.shape) == 3 else model.decode(made)


@pytest.mark.parametrize("n", [1, 5])
def test_torch_export_round_trip(exported: Path, tmp_path: Path, n: int) -> None:
    _, model = load_run(exported)
    inverter, generator, card = export_run(exported, "torch-export", tmp_path)
    x = samples(model, n)
    posterior, latent = torch.export.load(inverter).module()(x)
    np.testing.assert_allclose(posterior.detach(), predict(model, x.numpy()), atol=1e-4)
    z, _ = model.latent.sample(n, torch.Generator().manual_seed(0))
    with torch.no_grad():
        np.testing.assert_allclose(latent.detach(), model.invert(model.encode(x)), atol=1e-4)
    np.testing.assert_allclose(torch.export.load(generator).module()(z).detach(), drawn(model, z), atol=1e-4)
    said = json.loads(card.read_text())
    first = said["latent"]["first_mode_at"]
    assert "first_mode_at" in said["latent"]["recipe"] and first + len(said["modes"]) == z.shape[1]
    assert (z[:, first:].argmax(1) == model.latent.sample(n, torch.Generator().manual_seed(0))[1]).all()
    assert (
        said["latent"]["dim"] == z.shape[1]
        and said["redraws"] == model.redraws == 9
        and abs(sum(mode["mass"] for mode in said["modes"]) - 1) < 1e-5
    )


def test_onnx_round_trip(exported: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxscript")
    reference = pytest.importorskip("onnx.reference")
    _, model = load_run(exported)
    inverter, generator, _ = export_run(exported, "onnx", tmp_path)
    assert not capfd.readouterr().err, "exporters talk of their own insides"
    for n in (1, 5):
        x = samples(model, n)
        posterior, _ = reference.ReferenceEvaluator(str(inverter)).run(None, {"x": x.numpy()})
        np.testing.assert_allclose(posterior, predict(model, x.numpy()), atol=1e-4)
        z, _ = model.latent.sample(n, torch.Generator().manual_seed(0))
        (made,) = reference.ReferenceEvaluator(str(generator)).run(None, {"z": z.numpy()})
        np.testing.assert_allclose(made, drawn(model, z), atol=1e-4)


@pytest.mark.parametrize("form", ["torch-export", "onnx"])
def test_a_second_look_is_exported_too(tmp_path: Path, form: str) -> None:
    reference = pytest.importorskip("onnx.reference") if form == "onnx" else None
    shape = (1, 28, 28)
    settings = build({"connect.second_look": True}, catalog.entry("nemgan").defaults("connected", shape))
    model: Any = catalog.create("nemgan", settings, shape, 2, None, 0)
    x = samples(model, 40)
    before = predict(model, x[:5].numpy())
    lessons = Lessons(model.second, lambda part: x[part] / 255, 40, 0)
    lessons.learn(np.arange(40) % 2, 1.0, np.ones(40))
    wanted = predict(model, x[:5].numpy())
    assert np.abs(wanted - before).max() > 0.01
    path = export_model(model, tmp_path, form)[0]
    if reference is None:
        found = torch.export.load(path).module()(x[:5])[0].detach().numpy()
    else:
        with np.errstate(all="ignore"):  # onnx writes atan2 as a quotient, and mends what it is where that is none
            found = reference.ReferenceEvaluator(str(path)).run(None, {"x": x[:5].numpy()})[0]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


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
    (tmp_path / "own.txt").write_text("mine")
    with pytest.raises(NemganError, match="is not empty: give another --out"):
        export_run(finished, "onnx", tmp_path)
    with pytest.raises(NemganError, match="no run folder"):
        export_run(tmp_path / "none", "onnx")
