from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_moons

from nemgan.data import stacked
from nemgan.data.dataset import Dataset, Splits
from nemgan.errors import DataError
from nemgan.evaluation import judge as module
from nemgan.evaluation.judge import judge_of


@pytest.fixture(scope="module")
def digits() -> Splits:
    x, y = load_digits(return_X_y=True)
    keep = y < 3
    x, y = (x[keep].reshape(-1, 1, 8, 8) * 255 / 16).round().astype(np.uint8), y[keep]
    names = ("0", "1", "2")
    return Splits(Dataset(x[:400], y[:400], names, "digits"), Dataset(x[400:], y[400:], names, "digits"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EPOCHS", 1)
    monkeypatch.setattr(module, "FEWEST_STEPS", 40)


def test_learns_digits_and_measures_itself(digits: Splits, quick: None) -> None:
    judge = judge_of(digits, 0)
    assert judge is not None and judge.accuracy is not None
    assert judge.accuracy == (judge.predict(digits.test.x) == digits.test.y).mean()
    assert judge.accuracy > 0.95
    assert judge.features(digits.test.x).shape == (len(digits.test), 64)
    assert judge.predict(digits.test.x[:0]).shape == (0,) and judge.features(digits.test.x[:0]).shape == (0, 64)


def test_learns_vectors_of_any_scale() -> None:
    x, y = make_moons(700, noise=0.05, random_state=0)
    x = (x * [1e3, 1e-3] + [5e4, 0]).astype(np.float32)
    judge = judge_of(
        Splits(Dataset(x[:500], y[:500], ("a", "b"), "moons"), Dataset(x[500:], y[500:], ("a", "b"), "moons")), 0
    )
    assert judge is not None and judge.accuracy is not None and judge.accuracy > 0.98


def test_same_seed_same_judge_and_the_callers_random_state_stays(digits: Splits, quick: None) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, other = judge_of(digits, 1), judge_of(digits, 1), judge_of(digits, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert first is not None and second is not None and other is not None
    np.testing.assert_array_equal(first.features(digits.test.x), second.features(digits.test.x))
    assert not np.array_equal(first.features(digits.test.x), other.features(digits.test.x))


def test_hidden_labels_are_not_used(digits: Splits, quick: None) -> None:
    y = digits.train.y.copy()
    y[y == 2] = -1
    judge = judge_of(Splits(Dataset(digits.train.x, y, digits.train.class_names, "digits"), digits.test), 0)
    assert judge is not None and 2 not in judge.predict(digits.train.x)


def test_nothing_to_learn_from_is_no_judge(digits: Splits) -> None:
    assert judge_of(Splits(digits.train.unlabelled(), digits.test), 0) is None
    assert judge_of(Splits(digits.train.take(digits.train.y == 1), digits.test), 0) is None


def test_unlabelled_test_split_leaves_accuracy_open(digits: Splits, quick: None) -> None:
    judge = judge_of(Splits(digits.train, digits.test.unlabelled()), 0)
    assert judge is not None and judge.accuracy is None


def test_cache_gives_the_same_judge_without_training(
    digits: Splits, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = judge_of(digits, 0, tmp_path / "judges")
    assert first is not None and len(list((tmp_path / "judges").iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(module, "_train", lambda *_: pytest.fail("trained although cached"))
        again = judge_of(digits, 0, tmp_path / "judges")
    assert again is not None and again.accuracy == first.accuracy
    np.testing.assert_array_equal(first.features(digits.test.x), again.features(digits.test.x))


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b"\x80\x04cos\nsystem\n"])
def test_damaged_cache_is_written_anew(digits: Splits, quick: None, tmp_path: Path, damage: bytes) -> None:
    judge_of(digits, 0, tmp_path)
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    path.write_bytes(damage or good[: len(good) // 2])
    judge = judge_of(digits, 0, tmp_path)
    assert judge is not None and judge.accuracy is not None and judge.accuracy > 0.9
    assert path.read_bytes() == good


def test_other_data_or_seed_have_a_cache_entry_of_their_own(digits: Splits, quick: None, tmp_path: Path) -> None:
    fewer = Splits(digits.train.take(np.arange(300)), digits.test)
    for splits, seed in [(digits, 0), (digits, 1), (fewer, 0)]:
        judge_of(splits, seed, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_cache_that_cannot_be_written_is_no_error(digits: Splits, quick: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert judge_of(digits, 0, tmp_path / "file") is not None


def test_wrong_samples_are_refused(digits: Splits, quick: None) -> None:
    judge = judge_of(digits, 0)
    assert judge is not None
    with pytest.raises(DataError, match="uint8 samples of shape"):
        judge.predict(digits.test.x.astype(np.float32))
    with pytest.raises(DataError, match="uint8 samples of shape"):
        judge.predict(digits.test.x[:, :, :4])


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 9, 20)])
def test_every_image_size_has_a_network(shape: tuple[int, ...]) -> None:
    net = module.Net(shape, 4).eval()
    assert net(torch.zeros(2, *shape, dtype=torch.uint8)).shape == (2, 4)


def test_shifts_move_whole_images() -> None:
    x = torch.zeros(64, 3, 12, 12, dtype=torch.uint8)
    x[:, :, 6, 6] = torch.tensor([1, 2, 3], dtype=torch.uint8)
    shifted = module._shifted(x, torch.Generator().manual_seed(0))
    assert shifted.shape == x.shape and shifted.dtype == torch.uint8
    places = {tuple(image[0].nonzero()[0].tolist()) for image in shifted}
    assert places == {(row, column) for row in (5, 6, 7) for column in (5, 6, 7)}
    assert all(image.sum() == 6 for image in shifted)


def test_stacked_digits_are_judged_channel_by_channel(quick: None) -> None:
    x, y = load_digits(return_X_y=True)
    x = (x.reshape(-1, 1, 8, 8) * 255 / 16).round().astype(np.uint8)
    parts = [Dataset(x[i::2], y[i::2], tuple("0123456789"), "digits") for i in (0, 1)]
    splits = Splits(*(stacked.stack(part, n, np.random.default_rng(n)) for part, n in zip(parts, (3, 1), strict=True)))
    judge = judge_of(splits, 0)
    assert judge is not None and judge.of_channels and judge.n_classes == 1000
    found = judge.predict(splits.test.x)
    assert judge.accuracy == (found == splits.test.y).mean() > 0.6
    assert (stacked.digits_of(found) == stacked.digits_of(splits.test.y)).mean() > 0.85
    features = judge.features(splits.test.x[:5])
    assert features.shape == (5, 192)
    grey = judge.net.features(torch.tensor(splits.test.x[:5, 1:2])).numpy()
    np.testing.assert_allclose(features[:, 64:128], grey, rtol=1e-4, atol=1e-5)
    assert judge.predict(splits.test.x[:0]).shape == (0,) and len(judge.features(splits.test.x[:0])) == 0
