"""A user's own pictures and arrays, whole and damaged."""

import io
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nemgan.data import arrays, files
from nemgan.data.pictures import read_picture, to_uint8
from nemgan.errors import DataError


def save(path, pixels, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **how)
    return path


def grey(value=100, side=28):
    return np.full((side, side), value, np.uint8)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


class Bomb:
    """Unpickling it leaves a trace."""

    touched = False

    def __reduce__(self):
        return setattr, (Bomb, "touched", True)


# Folders


def test_labelled_subfolders_become_classes(tmp_path):
    for name, value in (("cat", 10), ("dog", 200)):
        for i in range(10):
            save(tmp_path / name / "deep" / f"{i}.png", grey(value))
    splits = files.load(tmp_path)
    assert splits.train.class_names == ("cat", "dog")
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
    assert files.read(tmp_path)[1] == ["1.png", "2.JPG"]


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
    assert files.read(tmp_path)[0].shape == (len(sides), 1, side, side)


def test_grey_only_if_all_are_grey(tmp_path):
    save(tmp_path / "0.png", grey(7))
    save(tmp_path / "1.png", np.full((28, 28, 3), 9))
    assert files.read(tmp_path)[0].shape == (2, 1, 28, 28)
    save(tmp_path / "2.png", np.full((28, 28, 3), (200, 9, 9)))
    x, ids = files.read(tmp_path)
    assert x.shape == (3, 3, 28, 28) and ids == ["0.png", "1.png", "2.png"]
    assert x[0].max() == x[0].min() == 7 and x[2, :, 0, 0].tolist() == [200, 9, 9]


def test_pictures_of_any_mode_are_converted(tmp_path):
    square = grey(100)
    rgba = np.dstack([np.zeros((28, 28, 3)), np.full((28, 28), 128)]).astype(np.uint8)
    made = {
        "L.png": (Image.fromarray(square), 100),
        "1.png": (Image.fromarray(square > 50), 255),
        "P.png": (Image.fromarray(np.dstack([square] * 3)).quantize(4), 100),
        "16.png": (Image.fromarray(square.astype(np.uint16) * 257), 100),
        "16.tif": (Image.fromarray(square.astype(np.uint16) * 257), 100),
        "32.tif": (Image.fromarray(square.astype(np.int32) * 257), 100),
        "F.tif": (Image.fromarray((square / 255).astype(np.float32)), 100),
        "CMYK.jpg": (Image.fromarray(np.dstack([square] * 3)).convert("CMYK"), 100),
        "RGBA.png": (Image.fromarray(rgba), 127),
        "LA.png": (Image.fromarray(rgba).convert("LA"), 127),
        "gif.gif": (Image.fromarray(square), 100),
        "webp.webp": (Image.fromarray(np.dstack([square] * 3)), 100),
    }
    for name, (image, value) in made.items():
        image.save(tmp_path / name)
        for channels in (1, 3):
            pixels = read_picture(tmp_path / name, (28, 28), channels)
            assert pixels.shape == (channels, 28, 28)
            assert np.abs(pixels.astype(int) - value).max() <= 2, name


def test_pictures_are_cropped_about_the_centre_and_turned_upright(tmp_path):
    wide = np.zeros((64, 128), np.uint8)
    wide[:, 32:96] = 255
    assert (read_picture(save(tmp_path / "wide.png", wide), (64, 64), 1) == 255).all()
    tall = Image.fromarray(noise(28, 28) // 2)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    tall.save(tmp_path / "turned.png", exif=exif)
    assert (read_picture(tmp_path / "turned.png", (28, 28), 1)[0] == np.asarray(tall)[::-1, ::-1]).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp"])
def test_a_truncated_picture_is_refused_or_whole(tmp_path, suffix):
    path = save(tmp_path / f"p.{suffix}", noise(12, 12, 3))
    whole, content = read_picture(path, (12, 12)), path.read_bytes()
    refused = 0
    for n in range(len(content)):
        path.write_bytes(content[:n])
        try:
            found = read_picture(path, (12, 12))
        except DataError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            assert (found == whole).all(), f"{n} of {len(content)} bytes make another picture"
    assert refused > 0.8 * len(content)


@settings(max_examples=200)
@given(st.sampled_from(["png", "jpg", "gif", "bmp", "tif", "webp", "ppm"]), st.data())
def test_a_damaged_picture_is_refused_or_read(tmp_path_factory, suffix, draw):
    made = io.BytesIO()
    Image.fromarray(noise(9, 9, 3)).save(made, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    content = bytearray(made.getvalue())
    for at in draw.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] = draw.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(content)
    try:
        assert read_picture(path, (8, 8)).shape == (3, 8, 8)
    except DataError as error:
        assert "\n" not in str(error)


def test_a_truncated_png_in_a_folder_is_named(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", noise(28, 28))
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:200])
    with pytest.raises(DataError, match=r"1\.png cannot be read \(.*\): replace or remove it"):
        files.load(tmp_path)


def test_a_decompression_bomb_is_refused_from_its_header(tmp_path):
    for width, height in ((30_000, 30_000), (9_000, 9_000), (2**31 - 1, 2**31 - 1)):
        header = b"IHDR" + struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
        content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        (tmp_path / "bomb.png").write_bytes(content + b"\0\0\0\4IDATxxxx")
        for use in (files.load, files.read, lambda folder: read_picture(folder / "bomb.png", (8, 8))):
            with pytest.raises(DataError, match=r"bomb\.png has more than 64,000,000 pixels"):
                use(tmp_path)


def test_postscript_is_never_handed_to_another_program(tmp_path):
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match="not a readable picture"):
        files.read(tmp_path)


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


# Reading for a model


def test_read_takes_the_shape_of_the_model(tmp_path):
    path = save(tmp_path / "a" / "x.png", np.full((50, 60, 3), (200, 9, 9)))
    x, ids = files.read(tmp_path, (1, 28, 28))
    assert x.shape == (1, 1, 28, 28) and ids == ["a/x.png"]
    x, ids = files.read(path, (3, 32, 32))
    assert x.shape == (1, 3, 32, 32) and ids == ["x.png"]
    with pytest.raises(DataError, match="vectors of 2 numbers"):
        files.read(tmp_path, (2,))


@pytest.mark.parametrize(
    ("given_shape", "model", "wanted"),
    [
        ((5, 28, 28), (1, 28, 28), (5, 1, 28, 28)),
        ((5, 1, 28, 28), (1, 28, 28), (5, 1, 28, 28)),
        ((5, 28, 28, 1), None, (5, 1, 28, 28)),
        ((5, 32, 32, 3), (3, 32, 32), (5, 3, 32, 32)),
        ((5, 3, 64, 3), (3, 64, 3), (5, 3, 64, 3)),
        ((5, 3, 64, 3), (3, 3, 64), (5, 3, 3, 64)),
        ((5, 3, 64, 3), None, (5, 3, 64, 3)),
        ((5, 7), (7,), (5, 7)),
    ],
)
def test_layouts_of_arrays(tmp_path, given_shape, model, wanted):
    np.save(tmp_path / "x.npy", noise(*given_shape))
    x, ids = files.read(tmp_path / "x.npy", model)
    assert x.shape == wanted and ids == list("01234")
    assert x.flags.c_contiguous and x.flags.writeable
    assert x.dtype == (np.float32 if len(wanted) == 2 else np.uint8)


def test_channels_last_keeps_the_pixels(tmp_path):
    pixels = noise(4, 8, 8, 3)
    np.savez(tmp_path / "x.npz", x=np.asfortranarray(pixels))
    x, _ = files.read(tmp_path / "x.npz")
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
        files.read(tmp_path / "x.npy", model)
    assert str(given_shape) in str(error.value)


def test_number_types_of_pixels():
    wanted = np.array([[[0, 51, 255]]], np.uint8)
    for x in (wanted, wanted / 255, wanted.astype(float), wanted.astype(np.int64), (wanted / 255).astype(np.float16)):
        assert (to_uint8(x, "x") == wanted).all() and to_uint8(x, "x").dtype == np.uint8
    assert to_uint8(np.array([False, True]), "x").tolist() == [0, 255]


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
        files.read(tmp_path / "x.npy")


# Arrays


def test_npz_with_labels(tmp_path):
    x = np.random.default_rng(0).normal(size=(10, 3))
    np.savez_compressed(tmp_path / "d.npz", x=x, y=[5, 5, 7, 7, 7, -1, 5, 7, 7, 7])
    splits = files.load(tmp_path / "d.npz", 3)
    assert splits.train.class_names == ("5", "7") and splits.train.name == "d.npz"
    labels = np.concatenate([splits.train.y, splits.test.y])
    assert sorted(labels) == [-1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    rows = np.concatenate([splits.train.x, splits.test.x])
    at = [int(np.flatnonzero(np.isclose(x[:, 0], r[0]))[0]) for r in rows]
    assert [*splits.train.ids, *splits.test.ids] == at
    assert labels.tolist() == [[0, 0, 1, 1, 1, -1, 0, 1, 1, 1][i] for i in at]
    np.savez(tmp_path / "w.npz", x=x, y=np.array(list("aabbbaabbb")))
    assert files.load(tmp_path / "w.npz").train.class_names == ("a", "b")
    np.savez(tmp_path / "u.npz", x=x)
    assert files.load(tmp_path / "u.npz").train.class_names == ()


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
        ({"x": np.zeros((4, 20, 20))}, "20 × 20 pixels: resize"),
        ({"x": np.zeros((4, 8, 28))}, "8 × 28 pixels: resize"),
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
            files.read(path)


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
        files.read(path)
    except DataError as error:
        assert "\n" not in str(error)


def test_headers_that_promise_too_much_are_refused_before_anything_is_allocated(tmp_path):
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 8, 8)})
    (tmp_path / "x.npy").write_bytes(made.getvalue() + b"1234")
    with pytest.raises(DataError, match=r"expected 70368744177664 bytes .* found 4"):
        files.read(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", made.getvalue())
    with pytest.raises(DataError, match=r"array x of .* is damaged"):
        files.read(tmp_path / "x.npz")


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1 << 12, 64, 64), np.uint8))
    assert files.read(tmp_path / "x.npz")[0].shape == (1 << 12, 1, 64, 64)
    monkeypatch.setattr(arrays, "_LARGE", 1 << 20)
    with pytest.raises(DataError, match="unpacks 100-fold or more"):
        files.read(tmp_path / "x.npz")
