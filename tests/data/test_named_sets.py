"""The catalogue: what it promises without reading a file, and what loading then gives."""

import os
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from nemgan.data import catalog
from nemgan.data.images import MNIST
from nemgan.errors import DataError

WITHOUT_FILES = [n for n in catalog.names() if not catalog.entry(n).files]
FROM_FILES = [n for n in catalog.names() if catalog.entry(n).files]

real = pytest.mark.skipif(not os.environ.get("NEMGAN_DATA"), reason="NEMGAN_DATA is not set")


def check(name, splits):
    """Everything that the entry says holds for what was loaded."""
    entry = catalog.entry(name)
    for data, n in ((splits.train, entry.n_train), (splits.test, entry.n_test)):
        assert (len(data), data.shape, data.class_names, data.name) == (n, entry.shape, entry.class_names, name)
        assert data.x.flags.writeable and data.x.flags.c_contiguous
        assert (data.y >= 0).all()
    assert splits.train.masses == pytest.approx(entry.masses, abs=1e-12)
    assert splits.test.masses == pytest.approx(entry.masses, abs=0.01)


def test_the_sets_of_the_issue_are_there():
    wanted = (
        "digits-demo moons-80 ring-8 mnist-2-0v4-70 mnist-2-0v4-90 mnist-2-3v5-70 mnist-2-3v5-90 mnist-5 fmnist-5 "
        "cifar-2-70 cifar-2-90 celeba-black-hair mnist fmnist cifar-10"
    )
    assert set(wanted.split()) <= set(catalog.names())


@pytest.mark.parametrize("name", catalog.names())
def test_entries_are_complete_and_consistent(name):
    entry = catalog.entry(name)
    assert entry.name == name and entry.summary.endswith(".") and entry.source and entry.licence
    assert sum(entry.masses) == pytest.approx(1)
    assert len(entry.masses) == len(entry.class_names) >= 1
    assert min(entry.n_train, entry.n_test) >= 50
    assert asdict(entry)["masses"] == entry.masses


def test_masses_and_sizes_by_hand():
    facts = {n: (e.masses, e.n_train, e.n_test) for n in catalog.names() for e in [catalog.entry(n)]}
    assert facts["mnist-2-3v5-70"] == ((0.7, 0.3), 8750, 1440)  # 6131/.7 and 1010/.7, in tens
    assert facts["mnist-2-3v5-90"] == ((0.9, 0.1), 6810, 1120)
    assert facts["cifar-2-70"] == ((0.7, 0.3), 7140, 1420)
    assert facts["fmnist-5"] == ((0.3, 0.1, 0.3, 0.2, 0.1), 60_000, 10_000)
    assert [round(m, 2) for m in facts["mnist-5"][0]] == [0.29, 0.10, 0.41, 0.10, 0.10]
    assert catalog.entry("cifar-2-90").class_names == ("frog", "airplane")
    assert facts["celeba-black-hair"][1:] == (162_770, 19_962)
    assert sum(MNIST.train_counts) == 60_000 and sum(MNIST.test_counts) == 10_000


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_sets_without_files_load_as_promised(name, tmp_path):
    assert catalog.entry(name).on_disk(tmp_path)
    check(name, catalog.load(name, seed=1, root=tmp_path))


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_same_seed_same_subset(name):
    one, two, other = (catalog.load(name, seed=s) for s in (3, 3, 4))
    assert (one.train.x == two.train.x).all() and (one.test.x == two.test.x).all()
    if name != "digits":  # all of it, whatever the seed
        assert (one.train.x != other.train.x).any()


@pytest.mark.parametrize("name", ["digits-demo", "moons-80", "ring-8"])
def test_training_and_test_share_no_sample(name):
    splits = catalog.load(name)
    rows = [{row.tobytes() for row in data.x} for data in (splits.train, splits.test)]
    assert not rows[0] & rows[1]


@pytest.mark.parametrize("name", ["ring-8", "stacked-mnist"])
def test_a_folder_with_the_name_of_a_set_is_another(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind in ("a", "b"):
        (tmp_path / name / kind).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(np.full((8, 8), 40 * i, np.uint8)).save(tmp_path / name / kind / f"{i}.png")
    splits = catalog.load(f"./{name}")
    assert splits.train.name == splits.test.name == f"./{name}" and len(splits.train) + len(splits.test) == 12


@pytest.mark.data
@real
@pytest.mark.parametrize("name", FROM_FILES)
def test_real_sets_load_as_promised(name):
    if not catalog.entry(name).on_disk():
        pytest.skip(f"the files of {name} are not under NEMGAN_DATA")
    splits = catalog.load(name)
    if name == "celeba-black-hair":  # as many as there are pictures on disk
        assert splits.train.class_names == catalog.entry(name).class_names
    else:
        check(name, splits)


@pytest.mark.data
@real
def test_real_digits_look_like_their_class():
    """Reader and labels agree: nearest class means tell most test images right."""
    if not catalog.entry("mnist").on_disk():
        pytest.skip("MNIST is not under NEMGAN_DATA")
    splits = catalog.load("mnist")
    flat = splits.train.x.reshape(60_000, -1)
    means = np.stack([flat[splits.train.y == k].mean(0) for k in range(10)])
    test = splits.test.x.reshape(10_000, -1).astype(float)
    nearest = ((means**2).sum(1) - 2 * test @ means.T).argmin(1)
    assert (nearest == splits.test.y).mean() > 0.8


@pytest.mark.parametrize("name", FROM_FILES)
def test_missing_files_say_what_to_put_where(name, tmp_path):
    entry = catalog.entry(name)
    assert not entry.on_disk(tmp_path)
    with pytest.raises(DataError, match="is not on disk") as error:
        catalog.load(name, root=tmp_path)
    text = str(error.value)
    assert entry.files[0] in text and str(tmp_path) in text and "NEMGAN_DATA" in text and "\n" not in text


def test_data_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NEMGAN_DATA", str(tmp_path / "none"))
    assert catalog.data_root() == tmp_path / "none"
    with pytest.raises(DataError, match="none"):
        catalog.load("mnist")
    monkeypatch.setenv("NEMGAN_DATA", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert catalog.data_root() == tmp_path / ".cache" / "nemgan" / "data"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mnist-2-3v6-70", "nor data set has that name; did you mean 'mnist-2-3v5-70'"),
        ("fminst", "did you mean 'fmnist'"),
        ("./mnist", r"no file or folder mnist"),
        ("photos/cats", r"no file or folder photos/cats"),
        ("x.npz", r"no file or folder x\.npz"),
        ("~/nothing-here.npy", "no file or folder .*nothing-here"),
        ("x" * 300 + "/y", "no file or folder"),
    ],
)
def test_unknown_names_and_missing_paths_are_told_apart(name, why, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=why) as error:
        catalog.load(name)
    assert "\n" not in str(error.value)


def test_load_takes_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(5):
        Image.fromarray(np.full((28, 28), i, np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    np.save(tmp_path / "points.npy", np.random.default_rng(0).normal(size=(10, 3)))
    for where in ("photos", "./photos", tmp_path / "photos", str(tmp_path / "photos")):
        splits = catalog.load(where)
        assert (len(splits.train), len(splits.test), splits.train.name) == (4, 1, "photos")
    assert catalog.load("points.npy").train.shape == (3,)


def test_a_mistyped_path_is_told_from_what_lies_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"'photo': no file or folder .* did you mean 'photos'"):
        catalog.load("photo")
