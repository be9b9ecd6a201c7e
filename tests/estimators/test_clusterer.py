"""The clusterer: what it finds, what it makes, what it refuses, and that it lives well among scikit-learn's."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nemgan.errors import CheckpointError, ConfigError, NemganError
from nemgan.estimators import NEMGANClusterer
from nemgan.estimators.fitting import draw
from nemgan.estimators.labels import encode
from nemgan.estimators.layout import Layout, learn

pytestmark = pytest.mark.filterwarnings("ignore:no sample is ")  # after so few steps
Array = NDArray[Any]
QUICK: dict[str, Any] = {"settings": {"gan.steps": 20}}


def blobs(sizes: tuple[int, ...] = (60, 20), seed: int = 0) -> tuple[Array, NDArray[np.int64]]:
    """Clusters 10 apart on a line, in random order."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return rng.normal(0, 0.7, (len(y), 2)) + 10 * y[:, None], y


def stripes(n: int = 40, seed: int = 0) -> tuple[Array, NDArray[np.int64]]:
    """Images (n, 10, 8) uint8 of a bright upper or right part; a quarter are of the second kind."""
    rng = np.random.default_rng(seed)
    y = rng.permutation((np.arange(n) % 4 == 0).astype(np.int64))
    x = rng.integers(0, 60, (n, 10, 8))
    x[y == 0, :5] += 180
    x[y == 1, :, 4:] += 180
    return x.astype(np.uint8), y


@pytest.fixture(scope="module")
def fitted() -> NEMGANClusterer:
    return NEMGANClusterer(2).fit(blobs()[0])


def test_clusters_masses_and_samples(fitted: NEMGANClusterer) -> None:
    x, y = blobs()
    assert adjusted_rand_score(y, fitted.labels_) == 1
    np.testing.assert_allclose(fitted.priors_, [0.75, 0.25], atol=0.02)  # the largest cluster comes first
    assert (fitted.priors_interval_[:, 0] <= fitted.priors_).all() and (
        fitted.priors_ <= fitted.priors_interval_[:, 1]
    ).all()
    assert 0.12 < np.ptp(fitted.priors_interval_[0]) < 0.26  # 3.9 · sqrt(.75 · .25 / 80) = .19
    p = fitted.predict_proba(x)
    np.testing.assert_allclose(p.sum(1), 1)
    assert (p.argmax(1) == fitted.labels_).all() and (fitted.predict(x) == fitted.labels_).all()
    ordered = np.sort(p, 1)
    np.testing.assert_array_equal(fitted.margins_, ordered[:, -1] - ordered[:, -2])
    assert fitted.transform(x).shape == (80, 50) and fitted.score(x) > 0.8
    for cluster in (0, 1):
        new, clusters = fitted.sample(50, cluster=cluster)
        assert (fitted.predict(new) == cluster).mean() > 0.9
        assert new.shape == (50, 2) and new.dtype == np.float64 and (clusters == cluster).all()
    drawn = fitted.sample(4000, priors=[0.1, 0.9])[1]
    assert abs((drawn == 1).mean() - 0.9) < 0.02


def test_generates_a_rare_cluster_where_it_is() -> None:
    """Twelve of 312 samples, far away: without even draws in training, their generator stays with the others."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(6, 0.5, (12, 2))])
    y = np.repeat([0, 1], [300, 12])
    brief = {"gan.steps": 300, "connect.restarts": 1}
    model = NEMGANClusterer(2, priors=[300 / 312, 12 / 312], settings=brief).fit(x, y)
    new, _ = model.sample(200, cluster=1)
    np.testing.assert_allclose(new.mean(0), x[y == 1].mean(0), atol=0.8)
    assert (model.predict(new) == 1).mean() > 0.9


def test_masses_by_class(tmp_path: Path) -> None:
    x, y = blobs((10, 20))
    few = np.where(np.arange(30) % 2, np.array(["rare", "usual"])[y], "nan")
    model = NEMGANClusterer(priors={"usual": 0.9, "rare": 0.1}, generate=False).fit(x, few)
    assert model.classes_.tolist() == ["rare", "usual"] and model.priors_.tolist() == [0.1, 0.9]
    numbered = NEMGANClusterer(priors={1: 0.9, 0: 0.1}, max_steps=3, generate=False).fit(x, y)
    again = NEMGANClusterer.load(numbered.save(tmp_path / "saved")).fit(x, y)
    assert again.priors_.tolist() == numbered.priors_.tolist() == [0.1, 0.9]
    for priors, labels, why in (
        ({"usual": 1.0}, few, "no mass of rare"),
        ({"rare": 0.1, "usual": 0.9}, None, "there are none: give labels"),
        ({"rare": "few", "usual": 0.9}, few, "give one mass a class"),
    ):
        with pytest.raises(ConfigError, match=why):
            NEMGANClusterer(priors=priors).fit(x, labels)


def test_one_cluster_is_all_there_is() -> None:
    x, _ = blobs((20, 10))
    model = NEMGANClusterer(1, **QUICK).fit(x)
    assert (model.labels_ == 0).all() and (model.margins_ == 1).all() and model.priors_.tolist() == [1]
    assert model.sample(5, cluster=0)[0].shape == (5, 2)


def test_one_seed_one_result_and_no_global_generator_moves() -> None:
    x, _ = blobs((14, 6))
    states = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002 - watched, not used
    threads = torch.get_num_threads()
    one, two, other = (NEMGANClusterer(2, random_state=s, **QUICK).fit(x) for s in (1, 1, 2))
    assert (one.predict_proba(x) == two.predict_proba(x)).all() and (one.sample(9)[0] == two.sample(9)[0]).all()
    assert not (one.predict_proba(x) == other.predict_proba(x)).all()
    assert (one.sample(9, random_state=5)[0] != one.sample(9)[0]).any()
    assert (torch.get_rng_state() == states[0]).all()
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert torch.get_num_threads() == threads
    rng = np.random.RandomState(3)
    assert (NEMGANClusterer(2, random_state=rng, **QUICK).fit(x).labels_ >= 0).all()


@pytest.mark.parametrize("names", [np.array([7, 3]), np.array(["cat", "dog"])])
def test_labels_take_part_and_name_the_clusters(names: Array) -> None:
    x, y = blobs((30, 30))
    given = names[y].astype(object)
    given[10:] = -1
    model = NEMGANClusterer(**QUICK).fit(x, given)
    assert model.n_clusters_ == 2 and sorted(model.classes_) == sorted(names.tolist())
    assert (model.classes_[model.labels_] == names[y]).all()
    if isinstance(names[0], str):
        assert (model.sample(5, cluster="dog")[0] == model.sample(5, cluster=1)[0]).all()
        with pytest.raises(ConfigError, match="there is no cluster 'cow'"):
            model.sample(5, cluster="cow")


def test_labels_of_too_many_classes_are_left_out_loudly() -> None:
    x, _ = blobs((10, 10))
    with pytest.warns(UserWarning, match="3 classes but n_clusters=2"):
        model = NEMGANClusterer(2, **QUICK).fit(x, np.arange(20) % 3)
    assert len(model.classes_) == 0 and (model.labels_ == NEMGANClusterer(2, **QUICK).fit(x).labels_).all()


@pytest.mark.parametrize(
    "as_given",
    [
        lambda x: x,
        lambda x: x[..., None],
        lambda x: x[:, None],
        lambda x: (x / 255).astype(np.float32)[..., None],
        lambda x: np.repeat(x[..., None], 3, 3),
        lambda x: (x // 16).astype(np.int64),
    ],
    ids=["N H W", "channels last", "channels first", "in [0, 1]", "colour", "0 to 15"],
)
def test_images_come_back_as_they_were_given(as_given: Any) -> None:
    x, _ = stripes(24)
    given = as_given(x)
    model = NEMGANClusterer(2, max_steps=8).fit(given)
    new, _ = model.sample(5)
    assert new.shape == (5, *given.shape[1:]) and new.dtype == given.dtype
    assert new.min() >= 0 and new.max() <= (1 if given.dtype.kind == "f" else 15 if given.dtype == np.int64 else 255)
    assert model.predict(given).shape == (24,) and model.n_features_in_ == given[0].size


def test_masses_given_as_an_array_are_kept_with_their_clusters() -> None:
    x, y = blobs()
    fitted = NEMGANClusterer(2, priors=np.array([0.7, 0.3]), generate=False).fit(x)
    assert fitted.priors_.tolist() == [0.7, 0.3] and adjusted_rand_score(y, fitted.labels_) > 0.9


def test_masses_are_learned_by_either_word() -> None:
    x, _ = blobs()
    learn_them, learned = (NEMGANClusterer(2, priors=word, **QUICK).fit(x) for word in ("learn", "learned"))
    assert (learn_them.priors_ == learned.priors_).all() and learned.get_params()["priors"] == "learned"
    with pytest.raises(ConfigError, match="priors='learnt': give 'learn', 'uniform' or one mass a cluster"):
        NEMGANClusterer(2, priors="learnt").fit(x)


def test_bytes_of_few_tones_are_not_almost_black() -> None:
    layout = learn(np.tile(np.array([[0, 1], [1, 0]], np.uint8), (3, 4, 4)), None)
    assert layout.white == 1 and layout.to_model(np.ones((1, 8, 8), np.uint8)).max() == 255
    assert learn(np.full((2, 8, 8), 17, np.uint8), None).white == 255


def test_flat_images_in_a_pipeline() -> None:
    x, y = stripes(60)
    rows = x.reshape(60, -1) / 255
    model = make_pipeline(
        StandardScaler(with_mean=False, with_std=False), NEMGANClusterer(2, image_shape=(10, 8), max_steps=60)
    )
    assert adjusted_rand_score(y, model.fit_predict(rows)) > 0.9
    assert model[-1].sample(3)[0].shape == (3, 80)


@pytest.mark.filterwarnings("ignore:.*clusters may fit the data better")
def test_pipeline_grid_search_clone_and_set_output() -> None:
    x, _ = blobs((20, 10))
    search = GridSearchCV(
        make_pipeline(StandardScaler(), NEMGANClusterer(settings={"gan.steps": 5})),
        {"nemganclusterer__n_clusters": [2, 3]}, cv=2,
    ).fit(x)  # fmt: skip
    assert search.best_params_["nemganclusterer__n_clusters"] in (2, 3) and search.best_score_ > 0.5
    model = clone(search.best_estimator_[-1]).set_output(transform="pandas").fit(x)
    frame = model.transform(x)
    assert list(frame.columns[:2]) == ["nemganclusterer0", "nemganclusterer1"] and len(frame) == 30


def test_without_generator() -> None:
    x, _ = blobs((20, 10))
    model = NEMGANClusterer(2, generate=False).fit(x)
    assert set(model.labels_) == {0, 1}
    for ask in (lambda: model.sample(1), lambda: model.transform(x)):
        with pytest.raises(NemganError, match="generate=True"):
            ask()


@pytest.mark.filterwarnings("ignore:.*clusters may fit the data better")
def test_new_vectors_stay_within_the_range_of_those_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.exponential(1, 60) + 3, rng.random(60) > 0.7, rng.integers(2, 5, 60)], 1).astype(np.float32)
    model = NEMGANClusterer(2, **QUICK).fit(x)
    bounds = model._layout
    made = Layout.from_model(replace(bounds, low=(), high=()), draw(model.model_, np.zeros(500, np.int64), 0))
    assert (made < x.min(0)).any() and (made > x.max(0)).any()  # what the networks make does not
    model.save(tmp_path / "model")
    for each in (model, NEMGANClusterer.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        new, _ = each.sample(500)
        assert new.dtype == np.float32 and (new >= x.min(0)).all() and (new <= x.max(0)).all()


def test_an_estimator_saved_without_ranges_is_read(fitted: NEMGANClusterer, tmp_path: Path) -> None:
    config = fitted.save(tmp_path / "model") / "config.json"
    text = json.loads(config.read_text())
    text["format"] = 1
    del text["layout"]["low"], text["layout"]["high"]
    config.write_text(json.dumps(text))
    old = NEMGANClusterer.load(tmp_path / "model")
    assert old._layout.low == () and old.sample(5)[0].shape == (5, 2)
    before = pickle.loads(pickle.dumps(fitted))
    del before._layout.__dict__["low"], before._layout.__dict__["high"]
    assert pickle.loads(pickle.dumps(before)).sample(5)[0].shape == (5, 2)


def test_a_run_folder_is_told_from_a_saved_estimator(finished: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is a run folder, no saved estimator: read it with nemgan\.load_run"):
        NEMGANClusterer.load(finished)


def test_saving_does_not_overwrite_a_run(fitted: NEMGANClusterer, finished: Path) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    with pytest.raises(CheckpointError, match="holds a run, which this would overwrite"):
        fitted.save(finished)
    assert before == {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()}


@pytest.mark.parametrize("theirs", ['{"mine": 1}', "[1]", "key = 1"])
def test_a_file_of_the_users_is_not_overwritten(fitted: NEMGANClusterer, tmp_path: Path, theirs: str) -> None:
    (tmp_path / "config.json").write_text(theirs)
    with pytest.raises(CheckpointError, match="is no saved estimator, and would be overwritten"):
        fitted.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    assert (tmp_path / "config.json").read_text() == theirs


def test_save_load_and_pickle(fitted: NEMGANClusterer, tmp_path: Path) -> None:
    x, _ = blobs()
    fitted.save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]
    for again in (NEMGANClusterer.load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted))):
        assert (again.predict_proba(x) == fitted.predict_proba(x)).all() and (again.labels_ == fitted.labels_).all()
        assert (again.sample(7)[0] == fitted.sample(7)[0]).all()
        assert again.get_params() == fitted.get_params()
        np.testing.assert_array_equal(again.priors_interval_, fitted.priors_interval_)
    text = json.loads((tmp_path / "model" / "config.json").read_text())
    text["layout"]["offset"] = None
    (tmp_path / "model" / "config.json").write_text(json.dumps(text))
    with pytest.raises(CheckpointError, match="damaged"):
        NEMGANClusterer.load(tmp_path / "model")
    with pytest.raises(CheckpointError, match="save"):
        NEMGANClusterer.load(tmp_path / "nothing")


BAD: dict[str, tuple[dict[str, Any], Any, Any, str]] = {
    "too many clusters": ({"n_clusters": 9}, np.eye(4), None, "n_samples=4 should be >= n_clusters=9"),
    "no cluster": ({"n_clusters": 0}, np.eye(4), None, "n_clusters=0"),
    "one sample": ({}, np.ones((1, 3)), None, "1 sample"),
    "all alike": ({}, np.ones((5, 3)), None, "identical"),
    "NaN": ({}, np.array([[1.0], [np.nan]]), None, "NaN"),
    "words": ({}, np.array([["a"], ["b"]]), None, "numeric"),
    "priors of another length": ({"n_clusters": 2, "priors": [1.0]}, np.eye(4), None, "1 mass is given for 2"),
    "priors of another word": ({"priors": "leanr"}, np.eye(4), None, "'learn', 'uniform'"),
    "unknown preset": ({"preset": "conected"}, np.eye(4), None, "did you mean 'connected'"),
    "unknown setting": ({"settings": {"gan.stpes": 3}}, np.eye(4), None, "did you mean 'gan.steps'"),
    "masses nobody asks": ({"settings": {"conditions.C3": False}}, np.eye(4), None, "use priors='uniform' with it"),
    "no section": ({"settings": {"steps": 3}}, np.eye(4), None, "did you mean 'gan.steps'.*connect.steps"),
    "settings that are none": (
        {"settings": "gan.steps=4"},
        np.eye(4),
        None,
        r"settings='gan.steps=4'.*{'gan.steps': 4}",
    ),
    "settings in a list": ({"settings": ["gan.steps"]}, np.eye(4), None, r"as in {'gan.steps': 4}"),
    "setting of a run": ({"settings": {"seed": 3}}, np.eye(4), None, "'seed': give dotted keys of the model"),
    "unknown device": ({"device": "tpu"}, np.eye(4), None, "device"),
    "image_shape": ({"image_shape": (3, 3)}, np.eye(4), None, "9 pixels"),
    "five channels": ({}, np.ones((4, 8, 8, 5)), None, "C = 1 or 3"),
    "negative pixels": ({}, -np.eye(64).reshape(64, 8, 8), None, "scale images"),
    "large images": ({}, np.ones((2, 300, 300), np.uint8), None, "too large"),
    "labels of another length": ({}, np.eye(4), [0, 1], "one label a sample"),
    "continuous labels": ({}, np.eye(4), [0.5, 1, 2, 3], "continuous"),
    "random_state": ({"random_state": "a"}, np.eye(4), None, "random_state"),
    "max_steps": ({"max_steps": 0}, np.eye(4), None, "max_steps"),
    "no stage left": ({"n_clusters": 2, "preset": "paper", "generate": False}, np.eye(4), None, "generate=True"),
    "masses to learn": ({"n_clusters": 2, "preset": "paper"}, np.eye(4), None, "preset connected, or give the masses"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line(case: str) -> None:
    parameters, x, y, words = BAD[case]
    with pytest.raises(ValueError, match=words) as caught:
        NEMGANClusterer(**parameters).fit(x, y)
    if isinstance(caught.value, NemganError):
        assert "\n" not in str(caught.value)


def test_bad_requests_to_a_fitted_one(fitted: NEMGANClusterer) -> None:
    for request, words in [
        (lambda: fitted.sample(3, cluster=2), "no cluster 2"),
        (lambda: fitted.sample(-1), "n=-1"),
        (lambda: fitted.sample(3, priors=[1, 1]), "sum to 2"),
        (lambda: fitted.sample(3, cluster=0, priors=[0.5, 0.5]), "drop one"),
        (lambda: fitted.predict(np.eye(3)), "3 features"),
    ]:
        with pytest.raises(ValueError, match=words):
            request()


@pytest.mark.parametrize(("n", "d", "k"), [(3, 1, 2), (2, 1, 2), (4, 5, 4), (6, 1, 1), (30, 3, 25)])
def test_tiny_data(n: int, d: int, k: int) -> None:
    x, _ = make_blobs(n, d, random_state=0)
    model = NEMGANClusterer(k, **QUICK).fit(x)
    assert model.labels_.shape == (n,) and model.priors_.shape == (k,) and abs(model.priors_.sum() - 1) < 1e-6
    assert np.isfinite(model.sample(4)[0]).all()


def test_columns_far_from_zero_keep_their_digits() -> None:
    x, y = blobs((30, 30))
    assert adjusted_rand_score(y, NEMGANClusterer(2, generate=False).fit(x + 1e9).labels_) == 1


@pytest.mark.parametrize("fitted_on", ["bytes", "fractions"])
def test_images_on_another_scale_are_refused(fitted_on: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, (24, 8, 8)).astype(np.uint8)
    given, other = (x, x / 255.0) if fitted_on == "bytes" else (x / 255.0, x)
    found = NEMGANClusterer(2, generate=False, max_steps=3).fit(given)
    with pytest.raises(NemganError, match="same scale"):
        found.predict(other)
    if fitted_on == "bytes":
        for dim in (load_digits().images, (x > 99).astype(float)):  # 0 … 16, a mask: or dark frames among others
            with pytest.warns(UserWarning, match="taken to be dark.*same scale"):
                alone = found.predict_proba(dim)
            among = found.predict_proba(np.concatenate([dim, x.astype(float)]))[: len(dim)]
            np.testing.assert_allclose(alone, among, atol=1e-5)
        assert found._layout.to_model(x > 99).max() == 255
    found.predict(np.zeros_like(given))


def test_a_fit_that_fails_leaves_the_one_before() -> None:
    x, _ = blobs((30, 30))
    model = NEMGANClusterer(2, generate=False, max_steps=20).fit(x)
    before = model.predict_proba(x)
    for wrong in ({"device": "cuda:9"}, {"n_clusters": 99}):
        with pytest.raises(NemganError):
            model.set_params(**wrong).fit(1000 * x + 5)
        model.set_params(n_clusters=2, device="cpu")
        assert (model.predict_proba(x) == before).all()
    fresh = NEMGANClusterer(2, device="cuda:9")
    with pytest.raises(NemganError):
        fresh.fit(x)
    assert not hasattr(fresh, "n_features_in_")


def test_no_generator_and_its_steps_contradict_each_other() -> None:
    with pytest.raises(NemganError, match=r"generate=False.*gan\.steps"):
        NEMGANClusterer(2, generate=False, settings={"gan.steps": 3}).fit(blobs((30, 30))[0])


def test_another_number_of_clusters_is_suggested_and_kept(tmp_path: Path) -> None:
    x, y = blobs((60, 60, 60))
    model = NEMGANClusterer(2, generate=False)
    with pytest.warns(UserWarning, match="3 clusters may fit the data better than 2: try n_clusters=3, or give labels"):
        model.fit(x)
    assert model.suggested_n_clusters_ == 3
    assert pickle.loads(pickle.dumps(model)).suggested_n_clusters_ == 3
    assert NEMGANClusterer.load(model.save(tmp_path / "new")).suggested_n_clusters_ == 3
    said = json.loads((tmp_path / "new" / "config.json").read_text())
    del said["suggested_n_clusters"]  # as saved before
    (tmp_path / "new" / "config.json").write_text(json.dumps(said))
    assert NEMGANClusterer.load(tmp_path / "new").suggested_n_clusters_ is None
    old = model.__getstate__()
    del old["suggested_n_clusters_"]
    again = NEMGANClusterer.__new__(NEMGANClusterer)
    again.__setstate__(old)
    assert again.suggested_n_clusters_ is None and (again.predict(x) == model.predict(x)).all()
    assert NEMGANClusterer(3, generate=False).fit(x).suggested_n_clusters_ is None
    assert NEMGANClusterer(2, generate=False).fit(x, np.minimum(y, 1)).suggested_n_clusters_ is None, "labels say it"


def test_columns_of_dates_are_named() -> None:
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2020-01-01", periods=4)
    table = pandas.DataFrame({"d": days, "e": days - days[0], "f": days.tz_localize("UTC"), "x": np.arange(4.0)})
    for columns, named in ((["d", "e", "f", "x"], "d, e, f"), (["d"], "d")):
        with pytest.raises(NemganError, match=f"{named} holds? dates: turn them into numbers"):
            NEMGANClusterer(2).fit(table[columns])


def test_columns_of_pixels_keep_their_names_and_order() -> None:
    pandas = pytest.importorskip("pandas")
    x, _ = stripes()
    table = pandas.DataFrame(x.reshape(len(x), -1)).rename(columns="p{}".format)
    model = NEMGANClusterer(2, generate=False, max_steps=3, image_shape=(10, 8)).fit(table)
    assert (model.predict(table) == model.predict(x)).all()
    for other in (table[table.columns[::-1]], table.rename(columns=str.upper)):
        with pytest.raises(ValueError, match="feature names"):
            model.predict(other)


def test_missing_labels_in_a_list_are_no_class() -> None:
    for words in (
        ["a", np.nan, "b", None, "-1"],
        ["a", "nan", "b", "", "-1"],
        np.array(["a", np.nan, "b", "", "-1"]),
        np.array([b"a", b"-1", b"b", b"-1", b"-1"]),
    ):
        codes, classes = encode(words, 5)
        assert codes.tolist() == [0, -1, 1, -1, -1] and classes.tolist() == ["a", "b"]
    assert encode(np.array(["NA", "null", "a"]), 3)[0].tolist() == [0, 2, 1], "of words only these say so"


def test_images_after_a_table_have_no_names_of_columns() -> None:
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    model = NEMGANClusterer(2, max_steps=2, generate=False).fit(pd.DataFrame(rng.random((12, 3)), columns=list("abc")))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert not hasattr(model.fit(rng.random((12, 8, 8))), "feature_names_in_")
