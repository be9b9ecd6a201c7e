"""Stripes, lying or standing, at any place: what the tests of contrastive features look at."""

import numpy as np
from numpy.typing import NDArray


def stripes(n: int, narrow: float, wide: float) -> tuple[np.random.Generator, NDArray[np.int64], NDArray[np.bool_]]:
    """A generator to go on with, kinds (n,) of which .7 lie and .3 stand, and masks (n, 1, 16, 16) of the bright part.

    Args:
        narrow, wide: least and greatest radians a pixel.
    """
    rng = np.random.default_rng(0)
    y = (np.arange(n) >= 0.7 * n).astype(np.int64)
    wave = np.sin(np.arange(16) * rng.uniform(narrow, wide, (n, 1)) + rng.uniform(0, 6, (n, 1))) > 0
    lying = np.repeat(wave[:, :, None], 16, 2)
    return rng, y, np.where((y == 0)[:, None, None], lying, lying.transpose(0, 2, 1))[:, None]
