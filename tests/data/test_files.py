"""A user's own folders of pictures: what they become."""

import numpy as np
import pytest
from drawn import grey, save

from nemgan.data import files, folders
from nemgan.errors import DataError


def test_labelled_subfolders_become_classes(tmp_path):
    for name, value in (("cat", 10), ("dog", 200)):
        for i in range(10):
            save(tmp_path / name / "deep" / f"{i}.png", grey(value))
    splits = files.load(tmp_path)
    assert splits.train.class_names == ("cat", "dog")
    assert splits.notes[0] == "the 2 subfolders are taken to be classes: cat, dog"
    assert (len(splits.train), len(splits.test)) == (16, 4)
    for data in (splits.train, splits.test):
        assert data.shape == (1, 28, 28)
        assert (data.x[:, 0, 0, 0] == np.array([10, 200])[data.y]).all()
        assert [name.split("/")[0] for name in data.ids] == [data.class_names[k] for k in data.y]
    assert len({*splits.train.ids, *splits.test.ids}) == 20 and "dog/deep/3.png" in {
        *splits.train.ids,
        *splits.test.ids,
    }


def test_anything_else_is_unlabelled(tmp_path):
    for i in range(5):
        save(tmp_path / "loose" / f"{i}.png", grey(i))
        save(tmp_path / "mixed" / "a" / f"{i}.png", grey(i))
        save(tmp_path / "mixed" / "b" / f"{i}.png", grey(i))
        save(tmp_path / "one" / "a" / f"{i}.png", grey(i))
    save(tmp_path / "mixed" / "top.png", grey())
    for name in ("loose", "mixed", "one"):
        data = files.load(tmp_path / name).train
        assert data.class_names == () and (data.y == -1).all()


def test_folders_of_splits_are_not_classes(tmp_path):
    for name in ("train", "test"):
        save(tmp_path / name / "cat" / "1.png", grey())
    with pytest.raises(DataError, match="splits test, train, not classes"):
        files.load(tmp_path)


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    for name in ("1.png", "2.JPG", ".3.png", ".git/4.png", "__MACOSX/5.png"):
        save(tmp_path / name, grey())
    (tmp_path / "notes.txt").write_text("no picture")
    assert files.find(tmp_path).ids == ["1.png", "2.JPG"]


def test_pictures_of_runs_in_the_folder_are_left_out(tmp_path):
    for name in ("1.png", "2.png", "runs/0001-nemgan-data-s0/samples/step-1.png", "sorted/3.png"):
        save(tmp_path / name, grey())
    for name in ("config.json", "model.json"):
        (tmp_path / "runs" / "0001-nemgan-data-s0" / name).write_text("{}")
    found = files.find(tmp_path)
    assert found.ids == ["1.png", "2.png", "sorted/3.png"]


@pytest.mark.parametrize(("side", "becomes"), [(8, 8), (12, 8), (13, 16), (16, 16), (22, 16), (23, 28), (100, 64)])
def test_pictures_are_brought_to_the_nearest_side(side, becomes):
    assert folders.side_for(side) == becomes


def test_pictures_that_are_not_read_are_told_of(tmp_path):
    for i in range(4):
        save(tmp_path / f"{i}.png", grey(i))
    (tmp_path / ".git").mkdir()
    for name in (".git/config", "a.HEIC", "b.heic", "c.cr2", "notes.txt", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    assert "3 files that are no pictures to be read are left out: .heic (2), .cr2 (1)" in files.load(tmp_path).notes


def test_hold_out_follows_the_seed(tmp_path):
    for i in range(20):
        save(tmp_path / f"{i:02}.png", grey(i))
    one, two, other = files.load(tmp_path, 1), files.load(tmp_path, 1), files.load(tmp_path, 2)
    assert (one.test.x == two.test.x).all() and (one.test.x != other.test.x).any()
    values = np.concatenate([one.train.x, one.test.x])[:, 0, 0, 0]
    assert sorted(values) == list(range(20))


@pytest.mark.parametrize(("sides", "side"), [((8, 9, 9), 8), ((20, 30, 40), 28), ((31, 36), 32), ((600, 64), 64)])
def test_pictures_take_the_network_size_nearest_to_their_median(tmp_path, sides, side):
    for i, s in enumerate(sides):
        save(tmp_path / f"{i}.png", grey(50, s))
    assert files.find(tmp_path).x.shape == (len(sides), 1, side, side)


def test_grey_only_if_all_are_grey(tmp_path):
    save(tmp_path / "0.png", grey(7))
    save(tmp_path / "1.png", np.full((28, 28, 3), 9))
    assert files.find(tmp_path).x.shape == (2, 1, 28, 28)
    save(tmp_path / "2.png", np.full((28, 28, 3), (200, 9, 9)))
    found = files.find(tmp_path)
    x = found.x
    assert x.shape == (3, 3, 28, 28) and found.ids == ["0.png", "1.png", "2.png"]
    assert x[0].max() == x[0].min() == 7 and x[2, :, 0, 0].tolist() == [200, 9, 9]


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="holds no pictures"):
        files.load(tmp_path)
    with pytest.raises(DataError, match="no file or folder"):
        files.load(tmp_path / "none")
    (tmp_path / "x.txt").write_text("1,2")
    with pytest.raises(DataError, match="cannot tell what"):
        files.load(tmp_path / "x.txt")
    with pytest.raises(DataError, match="single picture"):
        files.load(save(tmp_path / "x.png", grey()))


def test_pictures_take_the_shape_of_the_model(tmp_path):
    path = save(tmp_path / "a" / "x.png", np.full((50, 60, 3), (200, 9, 9)))
    found = files.find(tmp_path, (1, 28, 28))
    assert found.x.shape == (1, 1, 28, 28) and found.ids == ["a/x.png"]
    found = files.find(path, (3, 32, 32))
    assert found.x.shape == (1, 3, 32, 32) and found.ids == ["x.png"]
    with pytest.raises(DataError, match="vectors of 2 numbers"):
        files.find(tmp_path, (2,))
