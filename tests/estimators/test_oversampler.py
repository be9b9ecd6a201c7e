"""The over-sampler: imbalanced-learn's contract, images, found clusters, and originals that stay as they were."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import numpy as np
import pytest

from nemgan.errors import MissingExtra

pytestmark = pytest.mark.filterwarnings("ignore:no sample is ")  # after so few steps
QUICK: dict[str, Any] = {"max_steps": 10}


def test_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("imblearn"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "nemgan.estimators.oversampler", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    import nemgan.estimators

    with pytest.raises(MissingExtra, match=r"imbalanced-learn.*nemgan\[imbalanced\]"):
        _ = nemgan.estimators.NEMGANOverSampler


def data(seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(0, 1, (40, 2)), rng.normal(8, 0.5, (8, 2))]).astype(np.float32)
    return x, np.repeat(["many", "few"], [40, 8])


@pytest.mark.parametrize(
    ("strategy", "few"), [("auto", 40), ("minority", 40), (0.5, 20), ({"few": 11}, 11), (lambda y: {"few": 9}, 9)]
)
def test_strategies(strategy: Any, few: int) -> None:
    pytest.importorskip("imblearn")
    from nemgan.estimators import NEMGANOverSampler

    x, y = data()
    sampler = NEMGANOverSampler(sampling_strategy=strategy, **QUICK)
    x_all, y_all = sampler.fit_resample(x, y)
    assert (x_all[:48] == x).all() and (y_all[:48] == y).all()
    assert x_all.dtype == x.dtype and y_all.dtype == y.dtype and x_all.shape == (40 + few, 2)
    assert (y_all[48:] == "few").all()
    assert (x_all >= x.min(0)).all() and (x_all <= x.max(0)).all()
    again, _ = sampler.fit_resample(x, y)
    assert (again == x_all).all()


def test_progress_is_shown_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    from nemgan.estimators import NEMGANOverSampler

    x, y = data()
    NEMGANOverSampler(**QUICK).fit_resample(x, y)
    assert not capsys.readouterr().err
    NEMGANOverSampler(**QUICK, verbose=True).fit_resample(x, y)
    assert "generate (" in capsys.readouterr().err


def test_without_a_generator_it_is_refused_before_any_work() -> None:
    from nemgan.estimators import NEMGANOverSampler

    with pytest.raises(ValueError, match=r"gan.steps=0 trains no generator"):
        NEMGANOverSampler(settings={"gan.steps": 0}).fit_resample(np.zeros((4, 2)), [0, 0, 0, 1])
    with pytest.raises(ValueError, match=r"conditions.C3=False assumes equal masses"):
        NEMGANOverSampler(settings={"conditions.C3": False}).fit_resample(np.zeros((4, 2)), [0, 0, 0, 1])


def test_new_samples_are_of_their_class() -> None:
    pytest.importorskip("imblearn")
    from nemgan.estimators import NEMGANOverSampler

    x, y = data()
    x_all, _ = NEMGANOverSampler().fit_resample(x, y)
    new = x_all[48:]
    assert (np.linalg.norm(new - 8, axis=1) < np.linalg.norm(new, axis=1)).mean() > 0.9


@pytest.mark.parametrize("given", [True, False])
def test_samples_of_given_classes_are_not_drawn_again(given: bool) -> None:
    pytest.importorskip("imblearn")
    from nemgan.estimators import NEMGANOverSampler

    x, y = data()
    sampler = NEMGANOverSampler(**QUICK, **({} if given else {"n_clusters": 2}))
    sampler.fit_resample(x, y if given else None)
    assert sampler.clusterer_ is not None and sampler.clusterer_.model_.redraws == (0 if given else 9)


def test_minus_one_is_a_class_like_another() -> None:
    pytest.importorskip("imblearn")
    from nemgan.estimators import NEMGANOverSampler

    x, y = data()
    with pytest.warns(UserWarning, match="label -1 is taken for a class"):
        _, y_all = NEMGANOverSampler(**QUICK).fit_resample(x, np.where(y == "few", -1, 1))
    assert (y_all == -1).sum() == 40


@pytest.mark.parametrize("layout", ["last", "first"])
def test_images(layout: str) -> None:
    pytest.importorskip("imblearn")
    from nemgan.estimators import NEMGANOverSampler

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (24, 8, 8, 1)).astype(np.uint8)
    x = x if layout == "last" else x.transpose(0, 3, 1, 2)
    x_all, y_all = NEMGANOverSampler(**QUICK).fit_resample(x, np.repeat([0, 1], [18, 6]))
    assert x_all.shape == (36, *x.shape[1:]) and x_all.dtype == np.uint8 and (x_all[:24] == x).all()
    assert np.bincount(y_all).tolist() == [18, 18]


@pytest.mark.parametrize(("settings", "strength"), [(None, 1.0), ({"gan.augment": 0}, 0.0)])
def test_images_are_learned_from_changed_copies_unless_told_otherwise(settings: Any, strength: float) -> None:
    pytest.importorskip("imblearn")
    from nemgan.estimators import NEMGANOverSampler

    x = np.random.default_rng(0).integers(0, 255, (24, 8, 8), dtype=np.uint8)
    y = np.repeat([0, 1], [16, 8])
    for given, extra, wanted in ((x, {}, strength), (x.reshape(24, 64), {"image_shape": (8, 8)}, strength)):
        sampler = NEMGANOverSampler(settings=settings, **extra, **QUICK)
        sampler.fit_resample(given, y)
        assert sampler.clusterer_._config.gan.augment == wanted
    table = NEMGANOverSampler(**QUICK)
    table.fit_resample(x.reshape(24, 64).astype(np.float32), y)
    assert table.clusterer_._config.gan.augment == 0


def test_balances_clusters_it_finds() -> None:
    pytest.importorskip("imblearn")
    from nemgan.estimators import NEMGANOverSampler

    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 0.7, (45, 2)), rng.normal(12, 0.7, (15, 2))])
    sampler = NEMGANOverSampler(n_clusters=2, settings={"gan.steps": 20})
    x_all, found = sampler.fit_resample(x)
    assert np.bincount(found).tolist() == [45, 45] and (x_all[:60] == x).all()
    assert (found[:60] == np.repeat([0, 1], [45, 15])).all()


def test_in_a_pipeline_and_on_tables() -> None:
    pytest.importorskip("imblearn")
    pandas = pytest.importorskip("pandas")
    from imblearn.pipeline import make_pipeline
    from sklearn.linear_model import LogisticRegression

    from nemgan.estimators import NEMGANOverSampler

    x, y = data()
    table = pandas.DataFrame(x, columns=["a", "b"])
    x_all, y_all = NEMGANOverSampler(**QUICK).fit_resample(table, pandas.Series(y, name="kind"))
    assert list(x_all.columns) == ["a", "b"] and x_all.dtypes.tolist() == table.dtypes.tolist() and y_all.name == "kind"
    assert make_pipeline(NEMGANOverSampler(**QUICK), LogisticRegression()).fit(x, y).score(x, y) > 0.9


def test_refuses() -> None:
    pytest.importorskip("imblearn")
    from nemgan.estimators import NEMGANOverSampler

    x, y = data()
    for strategy, labels, words in [
        ("auto", np.zeros(48), "1 class"),
        ({"none": 99}, y, "none"),
        ({"few": 3}, y, "greater or equal"),
    ]:
        with pytest.raises(ValueError, match=words):
            NEMGANOverSampler(sampling_strategy=strategy, **QUICK).fit_resample(x, labels)


def test_columns_of_words_are_named_and_a_class_of_one_is_warned_of() -> None:
    pytest.importorskip("imblearn")
    pandas = pytest.importorskip("pandas")
    from nemgan.errors import DataError
    from nemgan.estimators import NEMGANClusterer, NEMGANOverSampler

    x, y = data()
    table = pandas.DataFrame(x, columns=["a", "b"]).assign(kind=pandas.Categorical(["p", "q"] * 24))
    for ask in (lambda: NEMGANOverSampler(**QUICK).fit_resample(table, y), lambda: NEMGANClusterer(2).fit(table)):
        with pytest.raises(DataError, match="column kind holds words"):
            ask()
    with pytest.warns(UserWarning, match="one sample alone is given of class few"):
        NEMGANOverSampler(**QUICK).fit_resample(x[:41], y[:41])


def test_columns_of_a_data_frame_keep_their_types() -> None:
    """What generated numbers are rounded to: whole numbers, true or false, categories that exist."""
    from nemgan.estimators import NEMGANOverSampler

    pd = pytest.importorskip("pandas")
    y = np.repeat([0, 1], [60, 20])
    rng = np.random.default_rng(0)
    columns = {"f": rng.normal(0, 1, 80) + 5 * y, "flag": y, "never": y == 0, "kind": pd.Categorical(3 * y)}
    x = pd.DataFrame(columns)
    found, _ = NEMGANOverSampler(max_steps=150, random_state=0).fit_resample(x, y)
    new = found.iloc[80:]
    assert list(found.dtypes) == list(x.dtypes) and not new.isna().any().any()
    assert new["flag"].mean() > 0.75 and new["never"].mean() < 0.25 and (new["kind"] == 3).mean() > 0.75
    truths = (rng.random((80, 6)) > 0.5) & (y == 0)[:, None] | (y == 1)[:, None] & (np.arange(6) > 4)
    found, _ = NEMGANOverSampler(max_steps=150, random_state=0).fit_resample(truths, y)
    assert found.dtype == bool and found[80:, :5].mean() < 0.1


def test_numbers_stay_within_what_a_column_can_hold() -> None:
    from nemgan.estimators.layout import of_kinds

    pd = pytest.importorskip("pandas")
    kinds = [np.dtype(np.uint8), pd.UInt8Dtype(), np.dtype(bool), pd.CategoricalDtype([0, 3]), np.dtype(float)]
    x = np.array([[-1.7, 300.2, 0.7, 2.0, 0.5]])
    assert of_kinds(x, kinds).tolist() == [[0, 255, 1, 3, 0.5]] and x[0, 0] == -1.7
    with pytest.raises(TypeError, match="no numbers"):
        of_kinds(x, [pd.CategoricalDtype(["a", "b"])])


def test_images_and_classes_as_lists() -> None:
    from nemgan.estimators import NEMGANOverSampler

    x = np.random.default_rng(0).random((24, 8, 8))
    found, y = NEMGANOverSampler(max_steps=10).fit_resample(x.tolist(), [0] * 16 + [1] * 8)
    assert found.shape == (32, 8, 8) and y.shape == (32,)


def test_fit_takes_images_as_arrays_and_steps_of_any_whole_number() -> None:
    pytest.importorskip("imblearn")
    from nemgan.estimators import NEMGANOverSampler

    x, y = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8), np.repeat([0, 1], [40, 20])
    sampler = NEMGANOverSampler(max_steps=np.int64(2), random_state=0)
    assert sampler.fit(x, y).sampling_strategy_ == {1: 20}
    assert len(sampler.fit_resample(x, y)[0]) == 80
