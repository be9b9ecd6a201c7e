"""No label reaches the zero-label track."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared import result, same

from nemgan.data import catalog
from nemgan.data.dataset import Dataset, Splits
from nemgan.experiments import run as running
from nemgan.experiments.prepare import configure, prepare
from nemgan.experiments.run import load_run, run
from nemgan.settings import show

DEMO = catalog.entry("digits-demo")


def swap_labels(monkeypatch: pytest.MonkeyPatch, change: Callable[[Dataset], Dataset]) -> None:
    """Let training labels be ``change``d in every data set that a run loads."""
    load = catalog.load

    def changed(*args: Any, **kwargs: Any) -> Splits:
        splits = load(*args, **kwargs)
        return Splits(change(splits.train), splits.test)

    monkeypatch.setattr(catalog, "load", changed)


def permuted(data: Dataset) -> Dataset:
    return replace(data, y=np.random.default_rng(5).permutation(data.y))


def poisoned(data: Dataset) -> Dataset:
    return replace(data, y=np.zeros_like(data.y))


@pytest.mark.usefixtures("no_judge")
@pytest.mark.parametrize("change", [permuted, poisoned, Dataset.unlabelled])
def test_training_labels_make_no_difference_with_zero_labels(
    change: Callable[[Dataset], Dataset], finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = load_run(finished)
    swap_labels(monkeypatch, change)
    other = run(config, out=tmp_path, quiet=True)
    assert same(other, finished), "a training label reached the weights"
    assert result(other)["cluster_masses"] == result(finished)["cluster_masses"]
    for key in ("acc", "nmi", "ari", "found_masses"):  # of the test split, whose labels were left alone
        assert result(other)[key] == result(finished)[key]


@pytest.mark.usefixtures("no_judge")
def test_with_some_labels_they_do_make_a_difference(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above would see a leak: where labels are disclosed, permuting them changes the weights."""
    config = configure([*tiny, "labels=.5"])
    first = run(config, out=tmp_path, quiet=True)
    assert result(first)["labels_used"] == round(DEMO.n_train * 0.5)
    swap_labels(monkeypatch, permuted)
    assert not same(first, run(config, out=tmp_path, quiet=True))


class Watched(Dataset):
    """A data set whose labels may not be looked at once they have been hidden."""

    hidden = False

    def unlabelled(self) -> Dataset:
        bare = Dataset(np.asarray(self.x), np.full(len(self.x), -1), self.class_names, self.name)
        object.__setattr__(self, "hidden", True)
        return bare

    def __getattribute__(self, name: str) -> Any:
        if name in ("y", "masses") and object.__getattribute__(self, "hidden"):
            raise AssertionError("a hidden label was read")
        return super().__getattribute__(name)


@pytest.mark.parametrize("prior", ["learned", "uniform", show(DEMO.masses)])
def test_no_label_is_read_between_hiding_them_and_the_end_of_training(
    prior: str, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = catalog.load("digits-demo")
    train = splits.train
    watched = Watched(train.x, train.y, train.class_names, train.name)
    monkeypatch.setattr(catalog, "load", lambda *_, **__: Splits(watched, splits.test))

    class Reached(Exception):
        """Training is over; from here on evaluation may read labels."""

    def stop(*_: object, **__: object) -> None:
        raise Reached

    monkeypatch.setattr(running, "save_model", stop)
    with pytest.raises(Reached):
        run(configure([*tiny, f"prior={prior}"]), out=tmp_path, quiet=True)
    assert watched.hidden
    with pytest.raises(AssertionError, match="hidden label"):
        _ = watched.y


def test_a_share_of_labels_is_a_seeded_draw(tiny: list[str]) -> None:
    found = [prepare(configure([*tiny, "labels=.1", f"seed={seed}"])) for seed in (0, 0, 1)]
    shown = [np.flatnonzero(each.train.y >= 0) for each in found]
    assert [each.card.labels_used for each in found] == [round(DEMO.n_train * 0.1)] * 3
    assert np.array_equal(shown[0], shown[1]) and not np.array_equal(shown[0], shown[2])
    assert np.array_equal(found[0].train.y[shown[0]], found[0].splits.train.y[shown[0]])
