"""Samples as one picture: a row for each mode. NumPy in, PNG out; no torch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemgan.errors import DataError
from nemgan.storage import replace_file

Array = NDArray[Any]
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C7A00", "#7F7F7F")
"""Colours told apart with any colour vision (Okabe and Ito; their yellow and black changed to show on any ground)."""
TILE = 56
"""Pixels a sample's longer side gets at least, by a whole factor."""
GAP = 2


def grid(samples: Array, path: Path | None = None, *, clear: bool = False) -> bytes:
    """PNG of samples ``(M, R, C, H, W)`` uint8, row m showing the R samples of mode m; also written to ``path``.

    Vectors ``(M, R, D)`` become a scatter plot of their first two coordinates, one colour a mode. ``clear`` makes the
    gaps between images transparent, not white.

    Raises:
        DataError: another shape or type.
        OSError: ``path`` cannot be written; a file that was there is intact.
    """
    if samples.ndim == 3 and samples.size:
        png = _scatter(samples)
    elif samples.ndim == 5 and samples.size and samples.dtype == np.uint8 and samples.shape[2] in (1, 3):
        png = _tiled(samples, clear)
    else:
        raise DataError(f"cannot draw {samples.dtype} samples of shape {samples.shape}: give uint8 (M, R, C, H, W)")
    if path is not None:
        replace_file(path, png)
    return png


def _tiled(samples: Array, clear: bool) -> bytes:
    """PNG of ``(M, R, C, H, W)`` tiles, enlarged by a whole factor."""
    from PIL import Image

    factor = -(-TILE // max(samples.shape[-2:]))
    tiles = samples.repeat(factor, 3).repeat(factor, 4).transpose(0, 1, 3, 4, 2)
    if clear:
        tiles = np.concatenate([tiles, np.full_like(tiles[..., :1], 255)], -1)
    edge = ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0))
    padded = np.pad(tiles, edge, constant_values=0 if clear else 255)
    rows, columns, height, width, channels = padded.shape
    image = padded.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)[:-GAP, :-GAP]
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if channels == 1 else np.ascontiguousarray(image)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _scatter(samples: Array) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=110, layout="tight")
    axes = figure.add_subplot()
    for mode, points in enumerate(samples):
        second = points[:, 1] if points.shape[1] > 1 else np.zeros(len(points))
        colour = PALETTE[mode % len(PALETTE)]
        axes.scatter(points[:, 0], second, s=14, alpha=0.8, linewidths=0, color=colour, label=f"mode {mode}")
    if len(samples) <= 12:
        axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()
