from __future__ import annotations

import numpy as np
import pytest
from blobs import blobs, make

from nemgan.data.pool import Pool
from nemgan.models.nemgan import NEMGAN
from nemgan.training.loop import train


@pytest.fixture(scope="module")
def trained() -> tuple[NEMGAN, np.ndarray, np.ndarray]:
    data, y = blobs()
    model = make({})
    train(model, Pool.of(data), seed=0)
    return model, data.x, y
