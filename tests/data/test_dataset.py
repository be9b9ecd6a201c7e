"""The checks a data set passes when it is made."""

import numpy as np
import pytest

from nemgan.data.dataset import Dataset
from nemgan.errors import DataError


def dataset(x, y=None, names=("a", "b")):
    x = np.asarray(x)
    return Dataset(x, np.zeros(len(x), int) if y is None else np.asarray(y), names, "toy")


def test_images_and_vectors():
    images = dataset(np.zeros((3, 1, 8, 8), np.uint8))
    vectors = dataset(np.zeros((3, 2)), [0, 1, -1])
    assert (images.kind, images.shape) == ("image", (1, 8, 8))
    assert (vectors.kind, vectors.shape, vectors.x.dtype) == ("vector", (2,), np.float32)
    assert vectors.masses.tolist() == [0.5, 0.5]
    assert vectors.unlabelled().masses.tolist() == [0, 0]
    assert vectors.take(vectors.y >= 0).y.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        (np.zeros((3, 8, 8), np.uint8), None, "shape"),
        (np.zeros((0, 2)), None, "empty"),
        (np.zeros((3, 1, 8, 8)), None, "convert them to uint8"),
        (np.zeros((3, 4, 8, 8), np.uint8), None, "4 channels"),
        (np.array([["a", "b"]]), None, "give numbers"),
        (np.array([[0.0, 1.0], [0.0, np.nan]]), None, "first at row 1, column 1"),
        (np.array([[np.inf, 1.0]]), None, "NaN or infinite"),
        (np.zeros((3, 2)), [0, 1], "one label a sample"),
        (np.zeros((3, 2)), [0, 1, 2], "labels span 0 … 2"),
        (np.zeros((3, 2)), [0, 1, -2], "labels span -2"),
    ],
)
def test_refusals_are_one_line(x, y, why):
    with pytest.raises(DataError, match=why) as error:
        dataset(x, y)
    assert "\n" not in str(error.value)
