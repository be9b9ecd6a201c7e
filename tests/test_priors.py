"""How many of each: from Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array
from typer.testing import CliRunner

from nemgan import priors
from nemgan.cli import app, masses
from nemgan.data.labels import read_labels
from nemgan.errors import NemganError
from nemgan.estimators import NEMGANClusterer
from nemgan.priors import Prevalence, estimate_priors


def blobs(sizes: tuple[int, ...], seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return (rng.normal(0, 0.7, (len(y), 2)) + 8 * y[:, None]).astype(np.float32), y


def hidden(y: NDArray[np.int64], each: int) -> NDArray[np.int64]:
    """``each`` labels a class, −1 elsewhere."""
    shown = np.full(len(y), -1)
    for c in np.unique(y):
        at = np.flatnonzero(y == c)[:each]
        shown[at] = c
    return shown


@pytest.fixture(scope="module")
def found() -> Prevalence:
    x, y = blobs((160, 40))
    return estimate_priors(x, hidden(y, 5), restarts=2)


def test_few_labels_correct_what_counting_cannot(found: Prevalence) -> None:
    truth = np.array([0.8, 0.2])
    assert found.counting is not None and found.counting.masses.tolist() == [0.5, 0.5]
    for shares in (found.few_labels, found.zero_labels):
        assert shares is not None
        np.testing.assert_allclose(shares.masses, truth, atol=0.03)
        assert (shares.interval[:, 0] <= truth).all() and (truth <= shares.interval[:, 1]).all()
        assert np.ptp(shares.interval, axis=1).max() < 0.3
    assert (found.masses == found.few_labels.masses).all() and found.classes == (0, 1)  # type: ignore[union-attr]
    assert found.n_labels == 10 and found.n_samples == 200 and found.agreement > 0.9
    assert found.to_dict()["restarts"] == 2
    assert json.loads(json.dumps(found.to_dict()))["few_labels"]["masses"] == found.masses.tolist()


def test_zero_labels_are_numbered_from_the_largest_and_no_label_reaches_them() -> None:
    x, y = blobs((160, 40))
    brief: dict[str, Any] = {"restarts": 2, "max_steps": 40, "n_bootstrap": 20}
    found = estimate_priors(x, hidden(y, 5), **brief)
    alone = estimate_priors(x, n_clusters=2, **brief)
    assert alone.few_labels is None and alone.counting is None
    np.testing.assert_allclose(alone.masses, found.zero_labels.masses)
    assert alone.masses == pytest.approx([0.8, 0.2], abs=0.03)
    swapped = estimate_priors(x, hidden(1 - y, 5), **brief)
    np.testing.assert_allclose(swapped.zero_labels.masses, found.zero_labels.masses[::-1])


def test_another_mix_than_that_of_the_labels() -> None:
    x, y = blobs((60, 60))
    other, _ = blobs((50, 250), seed=1)
    shift = estimate_priors(x, hidden(y, 8), unlabelled=other, restarts=1)
    for shares in (shift.few_labels, shift.zero_labels):
        assert shares is not None
        np.testing.assert_allclose(shares.masses, [1 / 6, 5 / 6], atol=0.05)
    assert shift.n_samples == 300


def test_more_samples_than_are_looked_at_and_labels_that_were_picked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of class 1 is labelled: those count among the samples in question, as they do when all are looked at."""
    x, y = blobs((200, 100))
    shown = np.where((y == 1) & (np.cumsum(y == 1) <= 50), 1, hidden(y, 10))
    monkeypatch.setattr("nemgan.priors.MOST", 80)
    found = estimate_priors(x, shown, restarts=1, max_steps=60, n_bootstrap=40)
    np.testing.assert_allclose(found.masses, [2 / 3, 1 / 3], atol=0.08)


def test_a_single_label_of_a_class_tells_nothing_of_the_error() -> None:
    x, y = blobs((60, 20))
    shown = hidden(y, 5)
    shown[np.flatnonzero(shown == 1)[1:]] = -1
    found = estimate_priors(x, shown, restarts=1, max_steps=40, n_bootstrap=20)
    assert found.interval.tolist() == [[0, 1], [0, 1]] and abs(found.masses[0] - 0.75) < 0.1


def test_an_interval_without_labels_is_no_narrower_than_the_number_of_samples_allows() -> None:
    x = np.array([[0, 0], [0, 0.1], [0, 0.2], [9, 9], [9, 9.1]])
    found = estimate_priors(x, n_clusters=2, restarts=1, random_state=np.random.default_rng(0))
    assert found.agreement is None  # there is nothing to agree with
    assert np.ptp(found.interval, axis=1).min() > 0.3


def test_few_samples_in_question_leave_doubt_however_alike_they_are() -> None:
    x, y = blobs((60, 20))
    found = estimate_priors(x, hidden(y, 5), unlabelled=x[y == 0][:10], restarts=1, n_bootstrap=20, max_steps=60)
    assert found.few_labels is not None and found.few_labels.masses[1] < 0.05
    assert found.few_labels.interval[1, 1] > 0.2  # none of ten: up to .28 by Wilson's interval


def test_sparse_samples_are_refused_in_one_line() -> None:
    with pytest.raises(NemganError, match=r"X is sparse: give X.toarray\(\)"):
        estimate_priors(csr_array(np.eye(8)), n_clusters=2)


def test_missing_labels_of_pandas_are_unlabelled() -> None:
    from nemgan.estimators.labels import encode

    codes = [0, -1, 1, -1]
    for y in (
        [1.0, np.nan, 2.0, np.nan],
        np.array(["a", None, "b", np.nan], object),
        np.array([1, None, 2, -1], object),
    ):
        assert encode(np.asarray(y), 4)[0].tolist() == codes
    pandas = pytest.importorskip("pandas")
    for kind in ("Int64", "category", "string"):
        y = pandas.Series([1, None, 2, None] if kind == "Int64" else ["a", None, "b", None], dtype=kind)
        assert encode(y, 4)[0].tolist() == codes


def test_the_surest_restart_suggests_a_number_of_clusters_without_a_warning_each() -> None:
    found = estimate_priors(blobs((60, 60, 60))[0], n_clusters=2, restarts=2)  # warnings are errors here
    assert found.suggested_n_clusters == found.to_dict()["suggested_n_clusters"] == 3


def test_refuses() -> None:
    x, y = blobs((20, 20))
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "n_clusters"),
        ({"y": np.where(y == 0, 0, -1)}, "two classes"),
        ({"n_clusters": 2, "restarts": 0}, "restarts=0"),
        ({"n_clusters": 2, "restarts": 1.5}, "restarts=1.5"),
        ({"n_clusters": "a"}, "n_clusters='a'"),
        ({"n_clusters": 2, "level": 1.0}, "level=1"),
        ({"n_clusters": 2, "level": "95%"}, "level='95%': give"),
        ({"n_clusters": 2, "settings": [4]}, "gan.steps"),
        ({"n_clusters": 2, "random_state": "seed"}, "random_state='seed'"),
        ({"n_clusters": 2, "y": hidden(np.arange(40) % 3, 2)}, "less than the 3 labelled classes"),
        ({"n_clusters": 2, "unlabelled": np.zeros((9, 3))}, r"unlabelled has 9 samples of shape \(3,\)"),
        ({"n_clusters": 2, "unlabelled": np.zeros((0, 2))}, "unlabelled has 0 samples"),
        ({"n_clusters": 41}, "^40 samples are too few for n_clusters=41: lower n_clusters or give more samples$"),
        ({"n_clusters": 2, "preset": "no"}, "preset"),
        ({"n_clusters": 2, "generate": True}, "generate has no meaning here"),
        ({"n_cluster": 2}, "did you mean 'n_clusters'"),
    ]
    for more, words in cases:
        with pytest.raises(NemganError, match=words):
            estimate_priors(x, **more)
    with pytest.raises(NemganError, match="X has one sample: give many"):
        estimate_priors(x[:1], n_clusters=2)


def test_kinds_that_nobody_labelled_are_told_of() -> None:
    x, y = blobs((60, 60, 60))
    with pytest.warns(UserWarning, match="3 kinds but labels of 2: the masses are of the labelled classes"):
        found = estimate_priors(x, np.where(y < 2, hidden(y, 5), -1), n_clusters=3, restarts=1)
    assert found.masses.shape == (2,) and found.zero_labels.masses.shape == (3,)


@pytest.mark.parametrize(
    ("unlabelled", "words"),
    [
        (np.full((9, 2), np.nan), "unlabelled contains NaN"),
        (np.full((9, 2), "a"), "array"),
        (np.full((9, 8, 8), -1), "pixels go down to -1"),
        (np.full((9, 8, 8), 999), "pixels go up to 999"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, unlabelled: NDArray[Any], words: str
) -> None:
    monkeypatch.setattr(NEMGANClusterer, "_fit", lambda *_: pytest.fail("trained"))
    x = np.full((9, 8, 8), 200) if unlabelled.ndim == 3 else blobs((20, 20))[0]
    with pytest.raises(ValueError, match=words):
        estimate_priors(x, n_clusters=2, unlabelled=unlabelled)


def test_of_very_many_labels_each_class_keeps_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priors, "MOST", 100)
    codes = np.repeat([0, -1, 1, 2], [800, 50, 195, 5])
    kept, of = priors._at_most(np.flatnonzero(codes >= 0), codes, np.random.default_rng(0))
    assert np.bincount(codes[kept]).tolist() == [80, 20, 5] and len(np.unique(kept)) == len(kept)
    np.testing.assert_allclose(np.bincount(codes[kept], of), [800, 195, 5])
    few, ones = priors._at_most(np.arange(9), codes, np.random.default_rng(0))
    assert few.tolist() == list(range(9)) and ones.tolist() == [1] * 9


def test_dark_labelled_frames_are_read_on_the_scale_of_all() -> None:
    rng = np.random.default_rng(0)
    x = np.where(np.arange(60)[:, None, None] % 2, 255.0, 120.0) * rng.random((60, 8, 8))
    x[:20] *= 0.9 / 255
    y = np.full(60, -1)
    y[:8] = np.arange(8) % 2
    assert estimate_priors(x, y, restarts=1, max_steps=20).few_labels is not None


def test_columns_in_another_order_are_refused_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr(NEMGANClusterer, "fit", lambda *_: pytest.fail("it was trained"))
    table = pandas.DataFrame(blobs((20, 20))[0], columns=["a", "b"])
    with pytest.raises(NemganError, match="in another order"):
        estimate_priors(table, n_clusters=2, unlabelled=table[["b", "a"]])


def test_command(tmp_path: Path) -> None:
    x, y = blobs((60, 20))
    np.save(tmp_path / "x.npy", x)
    shown = hidden(y, 5)
    lines = [f"{i},{'big' if c == 0 else 'small'}" for i, c in enumerate(shown.tolist()) if c >= 0]
    (tmp_path / "few.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    words = ["priors", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "few.csv"), "--restarts", "1"]
    table = CliRunner().invoke(app, words)
    assert table.exit_code == 0, table.output
    assert "few labels" in table.output and "counting the labels" in table.output and "small" in table.output
    assert "one restart, nothing to compare it with" in table.output and "agree" not in table.output
    said = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert said["classes"] == ["big", "small"] and abs(said["masses"][0] - 0.75) < 0.05
    bare = CliRunner().invoke(app, ["priors", str(tmp_path / "x.npy")])
    assert bare.exit_code == 2 and "n_clusters" in bare.output


def test_words_of_train_mean_the_same_and_restarts_are_told_on_stderr(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", blobs((12, 8))[0])

    def call(*words: str) -> Any:
        return CliRunner().invoke(app, ["priors", str(tmp_path / "x.npy"), "--json", *words])

    word = call("n_clusters=2", "seed=3", "threads=1", "--restarts", "2")
    assert word.exit_code == 0, word.stderr
    assert [line.split(":")[0] for line in word.stderr.splitlines()] == ["restart 1 of 2", "restart 2 of 2"]
    option = call("-k", "2", "n_clusters=2", "--seed", "3", "threads=1", "--restarts", "2", "--quiet")
    assert option.stdout == word.stdout and option.stderr == ""
    for words, why in (
        (["-k", "3", "n_clusters=2"], "-k 3 and n_clusters=2 are both given: drop one"),
        (["-k", "2", "--seed", "1", "seed=0"], "--seed 1 and seed=0 are both given: drop one"),
    ):
        refused = call(*words)
        assert refused.exit_code == 2 and refused.stderr == f"nemgan: error: {why}\n" and not refused.stdout


def test_labels_of_the_data_are_used_where_a_share_of_them_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = blobs((60, 20))
    shown = hidden(y, 8)
    path = tmp_path / "parts.csv"
    lines = [f"{a},{b},{'' if c < 0 else ['cut', 'whole'][c]}" for (a, b), c in zip(x, shown.tolist(), strict=True)]
    path.write_text("\n".join(["a,b,state", *lines]) + "\n")
    given: list[list[str | None]] = []

    def estimate(_: Any, y: Any, **more: Any) -> Any:
        given.append(None if y is None else y.tolist())
        return priors.estimate_priors(x, shown, restarts=1, max_steps=20, n_bootstrap=20)

    monkeypatch.setattr("nemgan.cli.masses.estimate_priors", estimate)

    def call(*words: str) -> Any:
        return CliRunner().invoke(app, ["priors", str(path), "label_column=state", *words])

    for words in (["labels=1.0"], ["labels=1"], ["--labels", "1.0"], ["labels=0.25"], ["labels=.25"], ["-k", "2"]):
        done = call(*words)
        assert done.exit_code == 0, done.stderr
    full = [None if c < 0 else ["cut", "whole"][c] for c in shown.tolist()]
    assert given[0] == given[1] == given[2] == full and given[3] == given[4] and given[5] is None
    some = [a for a, b in zip(given[3], full, strict=True) if a is not None and a == b]
    assert len(some) == 4 == sum(a is not None for a in given[3])
    for words, why in (
        ([], "labels of at least two classes, or use the 16 labels of 'state': labels=1.0"),
        (["labels=0"], "or use the 16 labels of 'state': labels=1.0"),
        (["--labels", "1.5"], "labels=1.5 is not allowed: it should be a share between 0 and 1"),
        (["--labels", "1.0", "labels=few.csv"], "--labels 1.0 and labels=few.csv are both given: drop one"),
    ):
        refused = call(*words)
        assert refused.exit_code == 2 and why in refused.stderr and not refused.stdout, refused.stderr
    np.save(tmp_path / "x.npy", x)
    bare = CliRunner().invoke(app, ["priors", str(tmp_path / "x.npy"), "labels=1.0"])
    assert bare.exit_code == 2 and "x.npy has none: name a table's column" in bare.stderr


def test_labels_of_named_sets_and_arrays_have_shares_too(tmp_path: Path) -> None:
    x, y = blobs((12, 8))
    np.savez(tmp_path / "x.npz", x=x, y=y)
    source = str(tmp_path / "x.npz")
    found = masses.priors_of(source, 0.5, restarts=1)
    assert found["n_labels"] == 10 and found["classes"] == ["0", "1"]
    with pytest.raises(NemganError, match=r"or use the 20 labels of .*x\.npz: labels=1\.0"):
        masses.priors_of(source)
    with pytest.raises(NemganError, match="share 1e-09 discloses no label of 'digits-demo'"):
        masses.priors_of("digits-demo", 1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [("9,a\n", "matches no sample"), ("0,a\n0,b\n", "twice"), ("0\n", "two columns"), ("", "no labels")],
)
def test_bad_label_files(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "few.csv").write_text(text)
    with pytest.raises(NemganError, match=words):
        read_labels(tmp_path / "few.csv", ["0", "1"])
    with pytest.raises(NemganError, match="there is no file of labels"):
        read_labels(tmp_path / "none.csv", ["0"])
