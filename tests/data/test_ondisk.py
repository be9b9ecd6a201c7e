"""Samples that stay on disk are the samples that are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nemgan.data import arrays, files, ondisk
from nemgan.data.dataset import Dataset
from nemgan.data.ondisk import Rows
from nemgan.data.pool import Pool
from nemgan.errors import DataError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is large."""
    monkeypatch.setattr(arrays, "ON_DISK_FROM", 1)
    monkeypatch.setattr(ondisk, "BLOCK", 5000)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("shape", [(50, 28, 28), (50, 3, 28, 28), (50, 28, 28, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_on_disk_and_in_memory_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], order: str
) -> None:
    np.save(tmp_path / "x.npy", np.asarray(noise(*shape), order=order))  # type: ignore[call-overload]
    read = files.load(tmp_path / "x.npy", 3)
    monkeypatch.setattr(arrays, "ON_DISK_FROM", 1)
    there = files.load(tmp_path / "x.npy", 3)
    assert isinstance(there.train.x, Rows) == (order == "C") and isinstance(read.train.x, np.ndarray)
    for a, b in ((there.train, read.train), (there.test, read.test)):
        assert a.shape == b.shape and a.kind == "image" and (np.asarray(a.x) == b.x).all()
        assert (np.concatenate(list(ondisk.blocks(a.x))) == b.x).all()


@pytest.mark.usefixtures("small")
def test_rows_are_indexed_as_arrays_are(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", noise(60, 8, 8))
    rows = files.find(tmp_path / "x.npy").x
    assert isinstance(rows, Rows)
    whole = np.load(tmp_path / "x.npy")[:, None]
    mask = np.random.default_rng(1).random(60) < 0.5
    part, same = rows.take(mask).take(np.arange(5)[::-1]), whole[mask][:5][::-1]
    for at in (slice(2, 4), slice(None), np.array([3, 1, 3]), 2, -1, np.array([True, False, True, False, True])):
        assert (part[at] == same[at]).all() and part[at].flags.c_contiguous
    assert part.shape == (5, 1, 8, 8) and len(part) == 5 and part.size == 5 * 64
    assert (rows[:] == whole).all() and rows[np.zeros(0, int)].shape == (0, 1, 8, 8) and rows[7].shape == (1, 8, 8)
    with open(tmp_path / "x.npy", "r+b") as file:
        file.truncate(2000)
    with pytest.raises(DataError, match="shorter"):
        rows[[50, 40]]


@pytest.mark.usefixtures("small")
def test_a_pool_on_disk_is_the_pool_in_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", noise(60, 8, 8))
    y = np.full(60, -1)
    y[[3, 9]] = 0
    there = Dataset(files.find(tmp_path / "x.npy").x, y, ("a",), "x")
    here = Dataset(np.asarray(there.x), y, ("a",), "x")
    a, b = Pool.of(there), Pool.of(here)
    at = a.draw(20, torch.Generator().manual_seed(0))
    assert (a.x[at] == b.x[at]).all() and a.x.shape == b.x.shape and len(a) == 60
    for n in (10, 60):
        some, same = a.some(n), b.some(n)
        assert isinstance(some.x, torch.Tensor) and (some.x == same.x).all() and (some.labelled == same.labelled).all()


@pytest.mark.usefixtures("small")
def test_large_numbers_are_checked_in_parts(tmp_path: Path) -> None:
    x = noise(100, 8, 8) / 255
    np.save(tmp_path / "x.npy", x)
    assert (files.find(tmp_path / "x.npy").x == np.rint(x * 255)[:, None]).all()
    x[70, 1, 2], x[90] = np.nan, np.inf
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(DataError, match=r"65 pixels are NaN or infinite \(first at \(70, (0, )?1, 2\)\)"):
        files.find(tmp_path / "x.npy")
    v = np.random.default_rng(0).normal(size=(2000, 4))
    np.save(tmp_path / "v.npy", v)
    assert np.array_equal(files.find(tmp_path / "v.npy").x, v.astype(np.float32))
    v[1500, 2] = np.nan
    np.save(tmp_path / "v.npy", v)
    with pytest.raises(DataError, match=r"1 values are NaN or infinite \(first at row 1500, column 2\)"):
        files.find(tmp_path / "v.npy")
