"""Readers of the official raw files, on small files in the same formats."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from nemgan.data import images
from nemgan.data.images import DIGITS, read_celeba, read_cifar_batch, read_idx
from nemgan.errors import DataError


def idx_bytes(x):
    return bytes([0, 0, 8, x.ndim]) + struct.pack(f">{x.ndim}I", *x.shape) + x.tobytes()


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=4, max_side=6)), st.booleans())
def test_idx_round_trip(tmp_path_factory, x, zipped):
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if zipped else "x")
    path.write_bytes(gzip.compress(idx_bytes(x)) if zipped else idx_bytes(x))
    found = read_idx(path, x.shape)
    assert (found == x).all() and found.shape == x.shape and found.dtype == np.uint8
    assert found.flags.writeable


@pytest.mark.parametrize("zipped", [False, True])
def test_every_truncation_of_an_idx_file_is_refused(tmp_path, zipped):
    path = tmp_path / ("t10k.gz" if zipped else "t10k")
    whole = idx_bytes(np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.uint8))
    whole = gzip.compress(whole) if zipped else whole
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(DataError, match="t10k"):
            read_idx(path)


def test_a_truncated_idx_file_says_how_many_bytes_are_missing(tmp_path):
    path = tmp_path / "t10k-images"
    path.write_bytes(idx_bytes(np.zeros((3, 4, 5), np.uint8))[:-7])
    with pytest.raises(DataError, match=r"t10k-images is damaged: expected 76 bytes, found 69; .* download it again"):
        read_idx(path)


@given(st.integers(0, 75), st.integers(1, 255), st.booleans())
def test_a_flipped_byte_is_refused_or_is_a_pixel(tmp_path_factory, at, flip, zipped):
    x = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    whole = bytearray(gzip.compress(idx_bytes(x)) if zipped else idx_bytes(x))
    whole[at] ^= flip
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if zipped else "x")
    path.write_bytes(whole)
    try:
        found = read_idx(path, x.shape)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert (found != x).sum() == (0 if zipped else 1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\0\0\x08\x01\0\0\0\0", "empty array"),
        (b"\0\0\x0d\x01\0\0\0\1\0\0\0\0", "not an IDX file of bytes"),
        (b"\x80\x04cos\nsystem\n", "not an IDX file of bytes"),
        (idx_bytes(np.zeros((2, 3), np.uint8)) + b"!", "expected 18 bytes, found 19 or more"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "damaged"),
        (idx_bytes(np.zeros(4, np.uint8)), r"shape \(4,\), not \(2, 3\)"),
    ],
)
def test_other_content_is_refused(tmp_path, content, why):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError, match=why):
        read_idx(path, (2, 3) if "shape" in why and "not" in why else None)


def test_missing_file_and_folder_in_its_place(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError, match="cannot read"):
            read_idx(path)


def test_mnist_layout_plain_and_gzipped(tmp_path, monkeypatch):
    """The four files are found in either form and end up where they belong; reading is told apart from sizes here."""
    seen = []

    def fake(path, shape):
        seen.append((path.name, shape))
        return np.zeros(shape[:1] if len(shape) == 1 else (shape[0], 1, 1), np.uint8)

    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").touch()
    assert len(images.MNIST.missing(tmp_path)) == 3
    for name in ("train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte.gz").touch()
    assert images.MNIST.missing(tmp_path) == []
    monkeypatch.setattr(images, "read_idx", fake)
    splits = images.MNIST.read(tmp_path)
    assert seen == [
        ("train-images-idx3-ubyte", (60_000, 28, 28)),
        ("train-labels-idx1-ubyte.gz", (60_000,)),
        ("t10k-images-idx3-ubyte.gz", (10_000, 28, 28)),
        ("t10k-labels-idx1-ubyte.gz", (10_000,)),
    ]
    assert (len(splits.train), len(splits.test)) == (60_000, 10_000)


def test_cifar_batch(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (4, 3, 32, 32)).astype(np.uint8), np.array([0, 9, 3, 6], np.uint8)
    path = tmp_path / "data_batch_1.bin"
    whole = b"".join(bytes([label]) + image.tobytes() for label, image in zip(y, x, strict=True))
    path.write_bytes(whole)
    got_x, got_y = read_cifar_batch(path, 4)
    assert (got_x == x).all() and (got_y == y).all()
    for n in (0, 1, 3072, 3073, len(whole) - 1):
        path.write_bytes(whole[:n])
        with pytest.raises(DataError, match=f"data_batch_1.bin is damaged: expected 12292 bytes, found {n};"):
            read_cifar_batch(path, 4)
    path.write_bytes(whole + b"!")
    with pytest.raises(DataError, match="found 12293 or more"):
        read_cifar_batch(path, 4)
    path.write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(DataError, match="a label 10"):
        read_cifar_batch(path, 4)
    with pytest.raises(DataError, match="cannot read"):
        read_cifar_batch(tmp_path / "none.bin")


@pytest.fixture
def celeba(tmp_path):
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    black, parts = [1, -1, -1, 1, -1], [0, 0, 1, 2, 2]
    names = [f"{i:06}.jpg" for i in range(1, 6)]
    for i, name in enumerate(names):
        pixels = np.full((218, 178, 3), 40 * i, np.uint8)
        pixels[:20] = pixels[-20:] = 255  # the bands that the square leaves out
        Image.fromarray(pixels).save(folder / "img_align_celeba" / name, quality=95)
    rows = [f"{n}  -1 {b} 1" for n, b in zip(names, black, strict=True)]
    (folder / "list_attr_celeba.txt").write_text("\n".join(["5", "Bald Black_Hair Young", *rows, ""]))
    parted = [f"{n} {p}" for n, p in zip(names, parts, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join([*parted, ""]))
    return tmp_path


def test_celeba_folder(celeba):
    splits = read_celeba(celeba)
    assert splits.train.shape == (3, 64, 64)
    assert splits.train.y.tolist() == [0, 1] and splits.test.y.tolist() == [0, 1]
    assert splits.train.class_names == ("black hair", "no black hair")
    inside = splits.test.x[:, :, 3:-3].astype(int)  # JPEG rings beside the bands
    assert np.abs(inside - np.array([120, 160])[:, None, None, None]).max() <= 1
    assert splits.test.x.max() < 200
    assert read_celeba(celeba, "Bald", 32).train.y.tolist() == [1, 1]


def test_damaged_celeba_is_refused(celeba):
    folder = celeba / "celeba"
    with pytest.raises(DataError, match="does not list 'Hat'"):
        read_celeba(celeba, "Hat")
    picture = folder / "img_align_celeba" / "000004.jpg"
    picture.write_bytes(picture.read_bytes()[:300])
    with pytest.raises(DataError, match=r"000004\.jpg cannot be read"):
        read_celeba(celeba)
    (folder / "list_eval_partition.txt").write_text("../../000001.jpg 0\n")
    with pytest.raises(DataError, match="do not match"):
        read_celeba(celeba)
    (folder / "list_attr_celeba.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="it is not text"):
        read_celeba(celeba)
    (folder / "list_attr_celeba.txt").unlink()
    with pytest.raises(DataError, match="cannot read"):
        read_celeba(celeba)


def test_digits_are_all_there_once(tmp_path):
    splits = DIGITS.read(tmp_path)
    both = np.concatenate([splits.train.x, splits.test.x])
    assert both.shape == (1797, 1, 8, 8) and both.max() == 255 and both.min() == 0
    assert len(np.unique(both.reshape(1797, 64), axis=0)) == 1797
    for data, counts in ((splits.train, DIGITS.train_counts), (splits.test, DIGITS.test_counts)):
        assert np.bincount(data.y).tolist() == list(counts)
    assert (DIGITS.read(tmp_path).test.x == splits.test.x).all()
