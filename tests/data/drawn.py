"""Pictures and pixels that the tests of a user's own files share."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image


def save(path: Path, pixels: ArrayLike, **how: Any) -> Path:
    """A picture of ``pixels`` at ``path``, whose folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **how)
    return path


def grey(value: int = 100, side: int = 28) -> NDArray[np.uint8]:
    return np.full((side, side), value, np.uint8)


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
