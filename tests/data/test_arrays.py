"""A user's own arrays: their layouts and number types; whole, damaged and dangerous."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from drawn import noise
from hypothesis import given, settings
from hypothesis import strategies as st

from nemgan.data import arrays, files
from nemgan.data.pictures import to_uint8
from nemgan.errors import DataError


class Bomb:
    """Unpickling it leaves a trace."""

    touched = False

    def __reduce__(self):
        return setattr, (Bomb, "touched", True)


@pytest.mark.parametrize(
    ("given_shape", "model", "wanted"),
    [
        ((5, 28, 28), (1, 28, 28), (5, 1, 28, 28)),
        ((5, 1, 28, 28), (1, 28, 28), (5, 1, 28, 28)),
        ((5, 28, 28, 1), None, (5, 1, 28, 28)),
        ((5, 32, 32, 3), (3, 32, 32), (5, 3, 32, 32)),
        ((5, 3, 64, 3), (3, 64, 3), (5, 3, 64, 3)),
        ((5, 3, 64, 3), (3, 3, 64), (5, 3, 3, 64)),
        ((5, 3, 32, 32), None, (5, 3, 32, 32)),
        ((5, 3, 64, 3), None, (5, 3, 8, 8)),
        ((5, 7), (7,), (5, 7)),
    ],
)
def test_layouts_of_arrays(tmp_path, given_shape, model, wanted):
    np.save(tmp_path / "x.npy", noise(*given_shape))
    found = files.find(tmp_path / "x.npy", model)
    x = found.x
    assert x.shape == wanted and found.ids == list("01234")
    assert x.flags.c_contiguous and x.flags.writeable
    assert x.dtype == (np.float32 if len(wanted) == 2 else np.uint8)


def test_channels_last_keeps_the_pixels(tmp_path):
    pixels = noise(4, 8, 8, 3)
    np.savez(tmp_path / "x.npz", x=np.asfortranarray(pixels))
    x = files.find(tmp_path / "x.npz").x
    assert (x == pixels.transpose(0, 3, 1, 2)).all()


@pytest.mark.parametrize(
    ("given_shape", "model", "why"),
    [
        ((5, 28, 28), (1, 32, 32), r"grey images \(N, 1, 32, 32\) are wanted"),
        ((5, 3, 28, 28), (1, 28, 28), "grey images"),
        ((5, 28, 28), (3, 28, 28), "RGB images"),
        ((5, 4, 28, 28), None, "1 channel"),
        ((5, 784), (1, 28, 28), "grey images"),
        ((5, 3), (2,), r"vectors \(N, 2\) are wanted"),
        ((5, 8, 8), (2,), "vectors"),
        ((5,), None, "give images"),
        ((), None, "give images"),
        ((2, 2, 2, 2, 2), None, "give images"),
        ((0, 8, 8), None, "empty"),
    ],
)
def test_wrong_shapes_say_what_is_wanted(tmp_path, given_shape, model, why):
    np.save(tmp_path / "x.npy", np.zeros(given_shape, np.uint8))
    with pytest.raises(DataError, match=why) as error:
        files.find(tmp_path / "x.npy", model)
    assert str(given_shape) in str(error.value)


def test_dark_pictures_are_read_where_pictures_are_known(tmp_path):
    np.save(tmp_path / "x.npy", np.full((2, 8, 8), 9.0))
    assert (files.find(tmp_path / "x.npy", (1, 8, 8)).x == 9).all()


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float64])
def test_the_largest_of_few_tones_is_white(tmp_path, kind):
    """Masks of 0 and 1, digits of 0 … 16: read as they are they would be all but black."""
    x = np.zeros((10, 8, 8), kind)
    x[:, 2:6, 2:6], x[0, 3, 3] = 12, 16
    np.save(tmp_path / "x.npy", x)
    splits = files.load(tmp_path / "x.npy")
    assert splits.white == 16 and "white is taken to be 16" in splits.notes[0]
    assert set(np.unique(splits.train.x)) <= {0, 191, 255} and splits.train.x.max() >= 191
    np.save(tmp_path / "new.npy", x[1:3])
    assert files.find(tmp_path / "new.npy", (1, 8, 8), white=16).x.max() == 191, "as the others, not by its own largest"
    np.save(tmp_path / "light.npy", np.full((2, 8, 8), 200, kind))
    assert files.find(tmp_path / "light.npy", (1, 8, 8), white=16).x.max() == 200


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_pixel_above_white_is_white_and_far_above_it_the_scale_is_another(tmp_path, kind):
    """One brighter pixel made a whole array 36 times darker."""
    x = np.full((4, 8, 8), 3.5525, kind)
    x[0, 0, 0] = 7.14
    np.save(tmp_path / "x.npy", x)
    found = files.find(tmp_path / "x.npy", (1, 8, 8), white=7.105)
    assert found.x.max() == 255 and found.x.min() == 128
    assert found.notes == ("1 pixels up to 7.14 are above white 7.105, as it was before: they are white",)
    assert files.find(tmp_path / "x.npy", (1, 8, 8), white=8).notes == ()
    with pytest.raises(DataError, match=r"x\.npy: pixels go up to 7\.14, but white was 3 before: rescale them"):
        files.find(tmp_path / "x.npy", (1, 8, 8), white=3)


def test_masks_of_ones_are_white_and_blank_images_are_read(tmp_path):
    mask = np.eye(8, dtype=np.uint8)[None].repeat(6, 0)
    np.save(tmp_path / "x.npy", mask)
    assert files.find(tmp_path / "x.npy").x.max() == 255
    np.save(tmp_path / "x.npy", 0 * mask)
    assert files.find(tmp_path / "x.npy").x.max() == 0


def test_number_types_of_pixels():
    wanted = np.array([[[0, 51, 255]]], np.uint8)
    for x in (wanted, wanted / 255, wanted.astype(float), wanted.astype(np.int64), (wanted / 255).astype(np.float16)):
        assert (to_uint8(x, "x") == wanted).all() and to_uint8(x, "x").dtype == np.uint8
    assert to_uint8(np.array([False, True]), "x").tolist() == [0, 255]
    assert to_uint8(np.array([0.0, 0.5, 1.0001]), "x").tolist() == [0, 128, 255]  # resizing overshoots


def test_vectors_whose_digits_float32_would_lose_are_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[:, 1] = 1.7e9 + 10 * np.arange(50)
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(DataError, match=r"column 1 spans 1700000000 … 1700000490.*subtract 1700000000"):
        files.find(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", x - [0, 1.7e9, 0])
    assert files.find(tmp_path / "x.npy").x.shape == (50, 3)


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        ([0.0, np.nan], "1 pixels are NaN or infinite"),
        ([0.0, np.inf], "NaN or infinite"),
        ([-1.0, 1.0], "span -1 … 1; rescale"),
        ([0, 65535], "span 0 … 65535"),
        ([1j], "complex"),
    ],
)
def test_pixels_that_make_no_picture(tmp_path, pixels, why):
    np.save(tmp_path / "x.npy", np.resize(np.array(pixels), (2, 8, 8)))
    with pytest.raises(DataError, match=r"x\.npy"):
        files.load(tmp_path / "x.npy")
    with pytest.raises(DataError, match=why.replace("1 pixels", "64 pixels")):
        files.find(tmp_path / "x.npy")


def test_npz_with_labels(tmp_path):
    x = np.random.default_rng(0).normal(size=(10, 3))
    np.savez_compressed(tmp_path / "d.npz", x=x, y=[5, 5, 7, 7, 7, -1, 5, 7, 7, 7])
    splits = files.load(tmp_path / "d.npz", 3)
    assert splits.train.class_names == ("5", "7") and splits.train.name == "d.npz"
    labels = np.concatenate([splits.train.y, splits.test.y])
    assert sorted(labels) == [-1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    rows = np.concatenate([splits.train.x, splits.test.x])
    at = [int(np.flatnonzero(np.isclose(x[:, 0], r[0]))[0]) for r in rows]
    assert [*splits.train.ids, *splits.test.ids] == [str(i) for i in at]
    assert labels.tolist() == [[0, 0, 1, 1, 1, -1, 0, 1, 1, 1][i] for i in at]
    np.savez(tmp_path / "w.npz", x=x, y=np.array(list("aabbbaabbb")))
    assert files.load(tmp_path / "w.npz").train.class_names == ("a", "b")
    np.savez(tmp_path / "u.npz", x=x)
    assert files.load(tmp_path / "u.npz").train.class_names == ()


@pytest.mark.parametrize("layout", ["grey", "first", "last"])
def test_images_of_any_size_are_cropped_and_resized_as_pictures_are(tmp_path, layout):
    x = np.zeros((10, 100, 140), np.uint8)
    x[:, :, 70:] = 200  # the right half, also of what is left when it is cropped
    x = {"grey": x, "first": x[:, None].repeat(3, 1), "last": x[..., None].repeat(3, 3)}[layout]
    np.save(tmp_path / "x.npy", x)
    splits, channels = files.load(tmp_path / "x.npy"), 1 if layout == "grey" else 3
    assert splits.train.x.shape == (8, channels, 64, 64) and splits.train.x.dtype == np.uint8
    assert (splits.train.x[..., :31] == 0).all() and (splits.train.x[..., 33:] == 200).all()
    assert splits.notes == (
        f"{tmp_path / 'x.npy'}: images of 100 × 140 pixels are cropped about the centre and resized to 64 × 64",
    )
    later = files.find(tmp_path / "x.npy", splits.train.shape)  # as predict reads them
    assert later.x.shape == (10, channels, 64, 64) and (later.x[0] == splits.train.x[0]).all() and later.notes
    with pytest.raises(DataError, match="has shape"):
        files.find(tmp_path / "x.npy", (4 - channels, 64, 64))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"data": np.zeros((4, 2))}, r"no array x \(it has data\)"),
        ({"x": np.zeros((4, 2)), "y": [0, 1]}, r"y has shape \(2,\)"),
        ({"x": np.zeros((4, 2)), "y": [0.5] * 4}, "whole number or word"),
        ({"x": np.array([["a"]])}, "give numbers"),
        ({"x": np.array([[1.0, np.nan]])}, "first at row 0, column 1"),
        ({"x": np.array([[1e300]])}, "beyond the range of float32"),
        ({"x": np.zeros((1, 2))}, "at least 2"),
        ({"x": np.zeros(3, [("a", int)])}, "plain array of numbers"),
        ({"x": np.array(["2020-01-01"], "datetime64[D]")}, "plain array of numbers"),
    ],
)
def test_unfit_npz(tmp_path, content, why):
    np.savez(tmp_path / "d.npz", **content)
    with pytest.raises(DataError, match=why):
        files.load(tmp_path / "d.npz")


def test_objects_and_pickles_are_refused_and_never_run(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([Bomb()], object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", x=np.array([Bomb()], object))
    np.savez(tmp_path / "labels.npz", x=np.zeros((4, 2)), y=np.array([Bomb()] * 4, object))
    for name in ("pickle.npy", "pickle.npz"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    Bomb.touched = False
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(DataError, match="never loaded" if "pickle" not in path.name else "no NumPy file"):
            files.load(path)
    assert not Bomb.touched


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "packed.npz"])
def test_every_truncation_of_an_array_is_refused(tmp_path, name):
    path = tmp_path / name
    x = noise(3, 8, 8)
    if name == "x.npy":
        np.save(path, x)
    else:
        (np.savez if name == "x.npz" else np.savez_compressed)(path, x=x)
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(DataError, match=name):
            files.find(path)


@settings(max_examples=300)
@given(st.sampled_from([np.save, np.savez, np.savez_compressed]), st.data())
def test_a_damaged_array_is_refused_or_read(tmp_path_factory, write, draw):
    made, x = io.BytesIO(), noise(3, 8, 8)
    write(made, x) if write is np.save else write(made, x=x)
    content = bytearray(made.getvalue())
    for at in draw.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] = draw.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / ("damaged.npy" if write is np.save else "damaged.npz")
    path.write_bytes(content)
    try:
        files.find(path)
    except DataError as error:
        assert "\n" not in str(error)


def test_headers_that_promise_too_much_are_refused_before_anything_is_allocated(tmp_path):
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 8, 8)})
    (tmp_path / "x.npy").write_bytes(made.getvalue() + b"1234")
    with pytest.raises(DataError, match=r"expected 70368744177664 bytes .* found 4"):
        files.find(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", made.getvalue())
    with pytest.raises(DataError, match=r"array x of .* is damaged"):
        files.find(tmp_path / "x.npz")


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1 << 12, 64, 64), np.uint8))
    assert files.find(tmp_path / "x.npz").x.shape == (1 << 12, 1, 64, 64)
    monkeypatch.setattr(arrays, "_LARGE", 1 << 20)
    with pytest.raises(DataError, match="unpacks 100-fold or more"):
        files.find(tmp_path / "x.npz")
