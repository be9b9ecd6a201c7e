"""One picture: converted, cropped and turned; whole, damaged and dangerous."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from drawn import grey, noise, save
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nemgan.data import files
from nemgan.data.pictures import read_picture
from nemgan.errors import DataError


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
        for use in (files.load, files.find, lambda folder: read_picture(folder / "bomb.png", (8, 8))):
            with pytest.raises(DataError, match=r"bomb\.png has more than 64,000,000 pixels"):
                use(tmp_path)


def test_postscript_is_never_handed_to_another_program(tmp_path):
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match="not a readable picture"):
        files.find(tmp_path)


def test_pictures_of_more_than_eight_bits_have_one_white(tmp_path):
    rng = np.random.default_rng(0)
    for bits, white in [(8, 255), (12, 4095), (16, 65535)]:
        folder = tmp_path / str(bits)
        folder.mkdir()
        for i, top in enumerate([white, white // 2]):
            pixels = rng.integers(0, top, (28, 28)).astype(np.uint16)
            pixels[0, 0] = top
            Image.fromarray(pixels).save(folder / f"{i}.png")
        found = files.find(folder)
        assert found.x.reshape(2, -1).max(1).tolist() == pytest.approx([255, 127], abs=1)
        assert f"white of the 2 pictures of more than 8 bits is taken to be {white}" in found.notes
        alone = files.find(folder / "1.png", found.x.shape[1:], white=found.white)
        assert (alone.x[0] == found.x[1]).all()  # however dark
        if bits > 8:
            with pytest.raises(DataError, match=rf"have white {white}, where it was 255 before"):
                files.find(folder, found.x.shape[1:], white=255)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_masks_are_white_whatever_their_bits_and_size(tmp_path, kind):
    for name, value in (
        ("masks/a", 1),
        ("masks/b", 1),
        ("light/a", 200),
        ("black/a", 0),
        ("twos/a", 2),
        ("tones/a", 9),
    ):
        pixels = np.zeros((60, 60), kind)
        pixels[4:40, 4:40] = value
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save((tmp_path / name).with_suffix(".png"))
    found = files.find(tmp_path / "masks")
    assert found.white == 1 and found.x.max() == 255 and found.x.min() == 0
    assert "white is taken to be 1, the pictures' largest pixel" in found.notes
    shape = found.x.shape[1:]
    assert (files.find(tmp_path / "masks/a.png", shape, white=1).x == found.x[0]).all()
    assert files.find(tmp_path / "masks", shape, white=2).x.max() == 128, "as the others, not by its own largest"
    twos = files.find(tmp_path / "twos", shape, white=1)
    assert twos.x.max() == 255 and any(note.startswith("1296 pixels up to 2 are above white 1") for note in twos.notes)
    with pytest.raises(DataError, match=r"pixels go up to 9, but white was 1 before: rescale"):
        files.find(tmp_path / "tones", shape, white=1)
    assert files.find(tmp_path / "light", shape, white=1).x.max() == 200
    for white in (None, 1, 2, 4095):
        assert files.find(tmp_path / "black", shape if white else None, white=white).x.max() == 0
    if kind == np.uint16:
        assert files.find(tmp_path / "tones", shape, white=4095).x.max() <= 1
    else:
        assert files.find(tmp_path / "masks", shape).x.max() == 1, "of a run on 0 … 255"


def test_one_bright_point_shows_that_pictures_are_no_masks(tmp_path):
    pixels = np.zeros((560, 560), np.uint8)
    pixels[5, 5], pixels[200:400, 200:400] = 250, 3
    save(tmp_path / "0.png", pixels)
    found = files.find(tmp_path)
    assert found.white is None and found.x.max() == 3, "by the largest pixel before resizing"


def test_bright_pictures_are_decoded_once(tmp_path, monkeypatch):
    from nemgan.data import folders

    save(tmp_path / "0.png", grey(200))
    save(tmp_path / "1.png", grey(1))
    monkeypatch.setattr(folders, "brightest", None)
    assert files.find(tmp_path).x.max() == 200


def test_fractions_in_float_tiffs_keep_their_white(tmp_path):
    for name, value in (("dim.tif", 0.5), ("bright.tif", 200), ("black.tif", 0)):
        Image.fromarray(np.full((28, 28), value, np.float32)).save(tmp_path / name)
    found = files.find(tmp_path / "dim.tif", (1, 28, 28), white=1)
    assert found.white == 1 and (found.x == 128).all()
    for white in (1, 2, 4095):
        assert files.find(tmp_path / "black.tif", (1, 28, 28), white=white).x.max() == 0
    with pytest.raises(DataError, match="have white 255, where it was 1 before"):
        files.find(tmp_path / "bright.tif", (1, 28, 28), white=1)
    with pytest.raises(DataError, match="have white 1, where it was 4095 before"):
        files.find(tmp_path / "dim.tif", (1, 28, 28), white=4095)


def test_pages_that_are_not_read_are_told(tmp_path):
    pages = [Image.fromarray(grey(value)) for value in (10, 20, 30)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    Image.fromarray(grey(5)).save(tmp_path / "one.tif")
    found = files.find(tmp_path)
    assert len(found.x) == 2 and "of 1 files of several pages the first page alone is read" in found.notes


def test_names_that_are_no_utf8_can_be_written(tmp_path):
    try:
        for i in range(4):
            Image.fromarray(grey(10 * i)).save(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9-%d.png" % i))
    except (OSError, UnicodeError):
        pytest.skip("such names cannot be made here")
    found = files.find(tmp_path)
    assert found.ids[0] == r"caf\xe9-0.png" and "".join(found.ids).encode()


def test_a_picture_that_is_not_finite_does_not_whiten_the_others(tmp_path):
    for i, value in enumerate([4000.0, 2000.0, np.inf]):
        pixels = np.zeros((28, 28), np.float32)
        pixels[0, 0] = value
        Image.fromarray(pixels).save(tmp_path / f"{i}.tif")
    found = files.find(tmp_path, how=files.Reading(skip_bad=True))
    assert found.white == 4095 and found.x.reshape(2, -1).max(1).tolist() == [249, 125]
