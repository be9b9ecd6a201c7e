from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nemgan.data.dataset import Dataset, Splits
from nemgan.errors import CheckpointError, DataError
from nemgan.evaluation import pictures
from nemgan.evaluation.inference import predict
from nemgan.evaluation.pictures import collect, flat_picture, grid, save


def test_collects_what_the_report_draws(model, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_POINTS", 40)
    arrays = collect(model, splits, seed=0)
    assert arrays["real"].shape == arrays["generated"].shape == (3, 12, 1, 8, 8)
    for cluster in range(3):
        assert (predict(model, arrays["real"][cluster]).argmax(1) == cluster).all()
        assert (predict(model, arrays["generated"][cluster]).argmax(1) == cluster).all()
    assert arrays["points"].shape == (40, 2) and np.isfinite(arrays["points"]).all()
    assert (arrays["point_cluster"] == (arrays["point_class"] + 1) % 3).all()
    ordered = np.sort(predict(model, splits.test.x), 1)
    margin = ordered[:, -1] - ordered[:, -2]
    np.testing.assert_array_equal(arrays["ambiguous"], splits.test.x[np.argsort(margin, kind="stable")[:12]])
    again = collect(model, splits, seed=0)
    assert all(np.array_equal(arrays[key], again[key]) for key in arrays)
    assert not np.array_equal(arrays["real"], collect(model, splits, seed=1)["real"])
    save(tmp_path / "pictures.npz", arrays)
    with np.load(tmp_path / "pictures.npz", allow_pickle=False) as file:
        assert all(np.array_equal(arrays[key], file[key]) for key in arrays)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures.npz"]


def test_empty_and_small_clusters_are_marked(model, splits: Splits) -> None:
    small = Splits(splits.train, splits.test.take(np.flatnonzero(splits.test.y < 2)[:5]))
    arrays = collect(model, small, seed=0)
    assert arrays["real_count"][0] == 0 and arrays["real_count"].sum() == 5
    assert not arrays["real"][0].any()
    assert arrays["points"].shape == (5, 2) and len(arrays["ambiguous"]) == 5


def test_two_dimensional_data_are_their_own_picture(model) -> None:
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    data = Dataset(x, np.zeros(40, np.int64), ("a",), "plane")
    flat = type(model)(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([0.5, 0.5]))
    arrays = collect(flat, Splits(data, data), seed=0)
    np.testing.assert_array_equal(arrays["points"], x)
    assert arrays["generated"].shape == (2, 200, 2) and arrays["generated"].dtype == np.float32


def test_flat_picture_keeps_groups_apart_and_survives_collapse() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    features = rng.normal(size=(60, 5)) + 20 * y[:, None]
    points = flat_picture(features.astype(np.float32), 0)
    centres = np.stack([points[y == k].mean(0) for k in (0, 1)])
    nearest = ((points[:, None] - centres) ** 2).sum(2).argmin(1)
    assert (nearest == y).all()
    assert not flat_picture(np.ones((20, 4), np.float32), 0).any()
    assert flat_picture(rng.normal(size=(20, 1)), 0).shape == (20, 2)
    assert flat_picture(rng.normal(size=(1, 3)), 0).shape == (1, 2)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pictures.npz"
    save(path, {"a": np.zeros(3)})
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save(path, {"a": np.ones(3)})
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("clear", [False, True])
def test_grid_has_one_row_a_mode(tmp_path: Path, channels: int, clear: bool) -> None:
    samples = np.random.default_rng(0).integers(0, 255, (2, 5, channels, 8, 8), dtype=np.uint8)
    png = grid(samples, tmp_path / "grid.png", clear=clear)
    assert (tmp_path / "grid.png").read_bytes() == png
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    assert image.shape == (2 * 58 - 2, 5 * 58 - 2, 4)
    corner = image[58, 3 * 58]  # first pixel of row 1, column 3
    assert corner[:channels].tolist() == samples[1, 3, :, 0, 0].tolist() and corner[3] == 255
    assert image[57, 0].tolist() == ([0, 0, 0, 0] if clear else [255] * 4)


def test_grid_of_vectors_is_a_scatter_plot() -> None:
    png = grid(np.random.default_rng(0).normal(size=(3, 20, 2)))
    assert Image.open(io.BytesIO(png)).format == "PNG"


@pytest.mark.parametrize("shape", [(2, 3, 2, 8, 8), (0, 3, 1, 8, 8), (3, 1, 8, 8)])
def test_grid_refuses_what_it_cannot_draw(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="cannot draw"):
        grid(np.zeros(shape, np.uint8))


def test_a_few_different_features_many_times_over_are_drawn():
    """t-SNE itself would crash the process."""
    features = np.repeat(np.eye(3, 8), 40, axis=0)
    assert np.isfinite(flat_picture(features, 0)).all()
    assert flat_picture(features * 0 + 5, 0).shape == (120, 2)
