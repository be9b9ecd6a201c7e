from __future__ import annotations

import numpy as np

from nemgan.data.dataset import Dataset
from nemgan.data.stacked import MODES, digits_of, mode_of, stack


def test_modes_and_digits_are_one_to_one() -> None:
    modes = np.arange(MODES)
    np.testing.assert_array_equal(mode_of(digits_of(modes)), modes)
    assert digits_of(np.array([407])).tolist() == [[4, 0, 7]]


def test_each_channel_shows_the_digit_that_the_mode_names() -> None:
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(10), 6))
    x = (10 * y[:, None, None, None] + rng.integers(0, 9, (60, 1, 4, 4))).astype(np.uint8)  # the digit is x // 10
    made = stack(Dataset(x, y, tuple("0123456789"), "tens"), 3, np.random.default_rng(1))
    assert made.shape == (3, 4, 4) and len(made) == 3 * MODES
    assert (np.bincount(made.y) == 3).all() and (np.diff(made.y) != 1).any()
    np.testing.assert_array_equal(made.x // 10, np.broadcast_to(digits_of(made.y)[:, :, None, None], made.x.shape))
    assert made.x.flags.c_contiguous and made.x.flags.writeable
    again = stack(Dataset(x, y, tuple("0123456789"), "tens"), 3, np.random.default_rng(1))
    np.testing.assert_array_equal(made.x, again.x)
