"""The estimators in a caller's program: its threads, what it told torch, its kinds of arrays and tables."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nemgan.consensus import parted
from nemgan.errors import CheckpointError, ConfigError, DataError
from nemgan.estimators import NEMGANClusterer
from nemgan.estimators.labels import encode

Array = NDArray[Any]
SHORT: dict[str, Any] = {"max_steps": 40, "settings": {"latent.dim": np.int64(50)}}


def blobs(*sizes: int, spread: float = 0.5, apart: float = 30.0, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(apart * k, spread, (n, 2)) for k, n in enumerate(sizes)])


@pytest.mark.parametrize(
    ("sizes", "priors"),
    [((4, 4), "learn"), ((30, 5), "learn"), ((30, 5), (30 / 35, 5 / 35)), ((597, 3), (0.995, 0.005))],
)
def test_clusters_smaller_than_the_usual_number_of_neighbours_are_found(sizes: tuple[int, int], priors: Any) -> None:
    found = NEMGANClusterer(2, priors=priors, generate=False).fit(blobs(*sizes))
    assert sorted(np.bincount(found.labels_)) == sorted(sizes)


def test_a_cluster_without_samples_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_in_one(model: Any, x: Array, what: str) -> Array:
        return np.eye(3)[np.zeros(len(x), int)]

    monkeypatch.setattr("nemgan.estimators.fitting.ask", all_in_one)
    monkeypatch.setattr("nemgan.estimators.fitting.suggested", lambda *_: None)
    with pytest.warns(UserWarning, match=r"no sample is in cluster \d, \d: fewer than 3 clusters"):
        NEMGANClusterer(3, generate=False, max_steps=1).fit(blobs(20, 20))
    with pytest.warns(UserWarning, match="no sample is found in the cluster of class b, c: give more samples of it"):
        NEMGANClusterer(3, generate=False, max_steps=1).fit(blobs(20, 20), ["a"] * 38 + ["b", "c"])


def test_fits_in_threads_are_those_of_one_after_the_other() -> None:
    x = blobs(30, 20)
    alone = [NEMGANClusterer(2, random_state=seed, **SHORT).fit(x) for seed in range(4)]
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda seed: NEMGANClusterer(2, random_state=seed, **SHORT).fit(x), range(4)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.predict_proba(x), other.predict_proba(x))
        np.testing.assert_array_equal(one.sample(5)[0], other.sample(5)[0])
    assert torch.equal(torch.get_rng_state(), before)


class _Double:
    """``torch.set_default_dtype`` as a context."""

    def __enter__(self) -> None:
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *_: object) -> None:
        assert torch.get_default_dtype() == torch.float64  # as the caller had it
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("mode", ["no_grad", "inference", "autocast", "double", "meta"])
def test_what_the_caller_told_torch_does_not_matter(mode: str) -> None:
    x = blobs(30, 20)
    usual = NEMGANClusterer(2, device="cpu", **SHORT).fit(x)
    told: AbstractContextManager[Any] = {
        "no_grad": torch.no_grad,
        "inference": torch.inference_mode,
        "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
        "double": _Double,
        "meta": lambda: torch.device("meta"),
    }[mode]()
    with told:
        found = NEMGANClusterer(2, device="cpu", **SHORT).fit(x)
        np.testing.assert_array_equal(usual.predict_proba(x), found.predict_proba(x))
        np.testing.assert_array_equal(usual.sample(5)[0], found.sample(5)[0])


def test_a_save_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    first = NEMGANClusterer(2, **SHORT).fit(blobs(30, 20))
    first.save(tmp_path / "kept")
    second = NEMGANClusterer(2, random_state=1, **SHORT).fit(blobs(30, 20), np.repeat(["\udcff", "b"], [30, 20]))
    with pytest.raises(CheckpointError, match="no place in JSON"):
        second.save(tmp_path / "kept")
    x = blobs(5, 5)
    np.testing.assert_array_equal(NEMGANClusterer.load(tmp_path / "kept").predict_proba(x), first.predict_proba(x))
    second.classes_ = np.array(["a", "b"])
    second.save(tmp_path / "other")
    (tmp_path / "kept" / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="other weights"):
        NEMGANClusterer.load(tmp_path / "kept")


@pytest.mark.parametrize(
    ("y", "codes", "classes"),
    [
        (np.ma.masked_array([0, 1, 1, 0], [False, False, True, False]), [0, 1, -1, 0], [0, 1]),
        ([b"a", b"b", None, b"a"], [0, 1, -1, 0], ["a", "b"]),
        (np.array([b"a", b"", b"b", b"a"]), [0, -1, 1, 0], ["a", "b"]),
        (np.array([0, 1, -1, np.nan], np.longdouble), [0, 1, -1, -1], [0.0, 1.0]),
        ([True, False, True, True], [1, 0, 1, 1], [False, True]),
    ],
)
def test_labels_of_every_kind(y: Any, codes: list[int], classes: list[Any]) -> None:
    found, names = encode(y, 4)
    assert found.tolist() == codes and names.tolist() == classes


def test_numpy_s_own_words_are_words() -> None:
    kind = getattr(np.dtypes, "StringDType", None)
    if kind is None:
        pytest.skip("NumPy 1 has no StringDType")
    found, names = encode(np.array(["a", "", "b", "nan"], kind()), 4)
    assert found.tolist() == [0, -1, 1, -1] and names.tolist() == ["a", "b"]


def test_labels_in_other_bytes_are_refused() -> None:
    with pytest.raises(DataError, match="no UTF-8"):
        encode([b"\xe9", b"b"], 2)


def test_data_frames_name_only_what_is_wrong() -> None:
    pd, x = pytest.importorskip("pandas"), blobs(10, 10).astype(object)
    x[3, 1] = np.nan
    frame = pd.DataFrame(x, columns=["a", "b"], dtype=object)
    with pytest.raises(ValueError, match="NaN"):
        NEMGANClusterer(2, **SHORT).fit(frame)
    frame["b"] = "red"
    with pytest.raises(DataError, match="column b holds words"):
        NEMGANClusterer(2, **SHORT).fit(frame)


class _Column(list[Any]):
    dtype = "String"


class _Temporal:
    def is_temporal(self) -> bool:
        return True


class _Polars:
    """What of a Polars frame scikit-learn and we look at; Polars itself is no dependency of the tests."""

    def __init__(self, **columns: list[Any]) -> None:
        self._columns = columns
        self.columns, self.shape = list(columns), (len(next(iter(columns.values()))), len(columns))
        self.dtypes = [_Temporal() if name == "day" else object() for name in columns]

    def __getitem__(self, name: str) -> list[Any]:
        return self._columns[name]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(list(self._columns.values()), dtype).T

    def __len__(self) -> int:
        return self.shape[0]


def test_frames_of_other_libraries() -> None:
    numbers = list(range(20))
    with pytest.raises(DataError, match="column day holds dates"):
        NEMGANClusterer(2, **SHORT).fit(_Polars(a=numbers, day=numbers))
    with pytest.raises(DataError, match=r"^Input X contains NaN. Remove or impute missing values \(SimpleImputer\)$"):
        NEMGANClusterer(2, **SHORT).fit(_Polars(a=numbers, b=[*numbers[:19], float("nan")]))


def test_repeated_samples_and_any_memory_order(recwarn: pytest.WarningsRecorder) -> None:
    three = np.array([[0.0, 0], [5, 5], [9, 0]])[np.arange(80) % 3]
    found = NEMGANClusterer(3, generate=False).fit(three)
    assert not recwarn.list  # K-means has a word on repeated points
    assert len(set(zip(found.labels_.tolist(), (np.arange(80) % 3).tolist(), strict=True))) == 3
    given = blobs(30, 20)
    usual = NEMGANClusterer(2, device=torch.device("cpu"), **SHORT).fit(given)  # type: ignore[arg-type]
    for same in (np.asfortranarray(given), given[::-1][::-1], given.astype(">f8")):
        np.testing.assert_array_equal(NEMGANClusterer(2, **SHORT).fit(same).labels_, usual.labels_)


def test_fits_in_threads_leave_warnings_as_they_were() -> None:
    before, points = list(warnings.filters), np.zeros((50, 2), np.float32)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda seed: parted(points, 5, seed), range(24)))
    assert list(warnings.filters) == before


def test_one_dark_frame_is_predicted_as_it_is_among_others() -> None:
    rng = np.random.default_rng(0)
    x = (np.arange(8)[:, None] < 4 * (1 + np.arange(40)[:, None, None] % 2)) * (200 + 55 * rng.random((40, 8, 8)))
    x[7] = 0.9 * rng.random((8, 8))
    model = NEMGANClusterer(2, generate=False).fit(x)
    with pytest.warns(UserWarning, match="taken to be dark"):
        assert model.predict(x[7:8]) == model.predict(x)[7]
    with pytest.raises(ValueError, match="bring these to the same scale"):
        model.predict(x / 255)


def test_no_samples_of_flat_images_and_shapes_that_are_none() -> None:
    x = np.repeat([[0.1], [0.9]], 20, axis=0) * np.random.default_rng(0).random((40, 64))
    model = NEMGANClusterer(1, image_shape=(8, 8), max_steps=3).fit(x)
    assert model.sample(0)[0].shape == (0, 64)
    for given, wanted in ((x, 5), (x.reshape(-1, 8, 8), 5)):
        with pytest.raises(ConfigError, match="image_shape=5 is no shape"):
            NEMGANClusterer(2, image_shape=wanted).fit(given)


def test_clusters_of_masses_said_to_be_even_are_numbered_from_the_largest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.repeat([[0, 0], [9, 0], [0, 9]], [10, 30, 60], axis=0) + rng.normal(0, 0.3, (100, 2))
    model = NEMGANClusterer(3, priors="uniform", generate=False, device=torch.device("cpu")).fit(x)
    counts = np.bincount(model.labels_, minlength=3)
    assert counts.tolist() == sorted(counts, reverse=True)
    model.save(tmp_path / "model")  # torch's own device too
    np.testing.assert_array_equal(NEMGANClusterer.load(tmp_path / "model").predict(x), model.labels_)
