"""Charts as inline SVG, so that they are sharp in print and take the page's colours, light or dark.

Colours of clusters are CSS classes ``c0 … c7``; everything else is drawn in the colour of the text around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from nemgan.evaluation.grids import PALETTE

Array = NDArray[Any]
WIDTH, HEIGHT, SIDE = 340, 190, 400
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 14, 22
MOST_VERTICES = 300
LETTER = 6
"""Width of a letter of a label, about."""


@dataclass(frozen=True)
class Line:
    """One curve: its name, points and colour number (None = the page's accent)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int | None = None


def colour_class(number: int | None) -> str:
    """CSS class of a cluster's colour; colours come round after eight."""
    return "plain" if number is None else f"c{number % len(PALETTE)}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most ``most`` round numbers (1, 2 or 5 times a power of ten apart) within ``low … high``."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def short(value: float) -> str:
    """A number in at most five characters or so: 0.25, 1.2k, 3e-5."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 1e4:
        return f"{value / 1e3:.3g}k"
    if 0 < size < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.4g}"


def line_chart(
    lines: Sequence[Line], name: str, *, share: bool = False, marks: Sequence[tuple[float, str]] = ()
) -> Markup:
    """Curves over training steps. ``share`` fixes the vertical range to [0, 1]; ``marks`` are labelled steps."""
    pieces = [line for line in lines if len(line.x)]
    steps = [x for line in pieces for x in line.x]
    values = [y for line in pieces for y in line.y]
    x_low = min([*steps, *(x for x, _ in marks)])
    x_high = max(*steps, x_low + 1)
    low, high = (0.0, 1.0) if share else (min(values), max(values))
    if not share:
        room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        low, high = low - room, high + room

    def at(x: float, y: float) -> str:
        across = LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        up = HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return f"{across:.1f} {up:.1f}"

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(_described(pieces, name))}" class="chart">'
    ]
    for y in ticks(low, high):
        up = at(x_low, y).split()[1]
        parts.append(f'<path class="rule" d="M{LEFT} {up}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{up}" dy=".32em" text-anchor="end">{short(y)}</text>')
    for x in ticks(x_low, x_high):
        across = at(x, low).split()[0]
        parts.append(f'<text x="{across}" y="{HEIGHT - 6}" text-anchor="middle">{short(x)}</text>')
    free = 0.0
    for x, label in marks:
        across = at(x, low).split()[0]
        parts.append(f'<path class="mark" d="M{across} {TOP}V{HEIGHT - BOTTOM}"/>')
        if float(across) >= free:  # one that would be written over the last is left out
            parts.append(f'<text x="{across}" y="9" dx="3">{escape(label)}</text>')
            free = float(across) + 3 + LETTER * len(label)
    for line in pieces:
        thin = max(1, math.ceil(len(line.x) / MOST_VERTICES))
        kept = sorted({*range(0, len(line.x), thin), len(line.x) - 1})
        shape = "M" + "L".join(at(line.x[i], min(max(line.y[i], low), high)) for i in kept)
        if len(kept) == 1:
            shape += "h0"
        parts.append(f'<path class="line {colour_class(line.colour)}" d="{shape}"/>')
    return Markup("".join(parts) + "</svg>")


def _described(lines: Sequence[Line], name: str) -> str:
    """The chart in words, for those who do not see it."""
    ends = "; ".join(
        f"{line.name}: {short(line.y[0])} at step {short(line.x[0])}, {short(line.y[-1])} at step {short(line.x[-1])}"
        for line in lines[:8]
    )
    return f"{name}. {ends}"


def scatter(
    points: Array,
    colours: Array,
    name: str,
    *,
    frame: tuple[Array, Array] | None = None,
    odd: Array | None = None,
) -> Markup:
    """Points ``(n, 2)`` coloured and numbered by ``colours`` ``(n,)``, aspect kept.

    Args:
        frame: lower and upper corner ``(2,)`` each of what is shown, by default ``corners``; points beyond are drawn
            on its edge.
        odd: which points get a ring ``(n,)``.
    """
    low, high = frame if frame is not None else corners(points)
    size = np.maximum(high - low, 1e-12)
    scale = (SIDE - 24) / size.max()
    width, height = (size * scale + 24).round(1)
    inside = np.clip(points, low, high)
    placed = np.column_stack([12 + (inside[:, 0] - low[0]) * scale, height - 12 - (inside[:, 1] - low[1]) * scale])
    placed = placed.round(1)
    parts = [f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(name)}" class="scatter">']
    kinds = [int(kind) for kind in np.unique(colours)]
    for kind in kinds:
        dots = "".join(f"M{x:g} {y:g}h0" for x, y in placed[colours == kind])
        parts.append(f'<path class="dots {colour_class(kind)}" d="{dots}"/>')
    if odd is not None and odd.any():
        parts += [f'<circle class="ring" cx="{x:g}" cy="{y:g}" r="3.6"/>' for x, y in placed[odd]]
    for kind in kinds:
        x, y = _tag_place(placed[colours == kind])
        parts.append(f'<text class="tag" x="{x:g}" y="{y:g}" dy=".35em" text-anchor="middle">{kind}</text>')
    return Markup("".join(parts) + "</svg>")


def _tag_place(placed: Array) -> tuple[float, float]:
    """Where a group's number goes: on its median, or beside a group that it would hide."""
    x, y = np.median(placed, 0)
    top, bottom = np.quantile(placed[:, 1], [0.05, 0.95])
    if bottom - top < 30:
        y = top - 14 if top > 26 else bottom + 14
    return float(x), float(y)


def corners(points: Array) -> tuple[Array, Array]:
    """Lower and upper corner of all but the outermost thousandth of ``points`` ``(n, 2)``."""
    return np.quantile(points, 0.001, 0), np.quantile(points, 0.999, 0)
