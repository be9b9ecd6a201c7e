"""Drawings: where their lines and points lie, and which curves are drawn at all."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nemgan.report.charts import Line, line_chart, scatter, short, ticks
from nemgan.report.curves import curves


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert ticks(-3, 7) == [-2, 0, 2, 4, 6]
    assert ticks(1234, 1234) == [1234]
    for low, high in [(0.013, 0.0172), (-5e6, 3e6), (0, 5100), (1e-9, 2e-9)]:
        found = ticks(low, high)
        assert 2 <= len(found) <= 6 and low <= found[0] and found[-1] <= high * (1 + 1e-9)


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "0.25"), (12000, "12k"), (3e-5, "3e-5"), (0, "0"), (2.5e6, "2.5M"), (-1.5, "-1.5")]
)
def test_short(value: float, text: str) -> None:
    assert short(value) == text


def test_curves_stay_in_their_frame() -> None:
    drawing = line_chart([Line("loss", [0, 50, 100], [3.0, 1.0, 2.0])], "loss")
    path = re.findall(r'class="line plain" d="([^"]+)"', drawing)[0]
    points = np.array([pair.split() for pair in path[1:].split("L")], float)
    assert points[0, 0] == 46 and points[-1, 0] == 340 - 16
    assert points[1, 1] > points[2, 1] > points[0, 1]  # SVG's y runs down
    assert (points >= 0).all() and (points <= [340, 190]).all()
    assert "3 at step 0, 2 at step 100" in drawing


def test_marks_are_not_written_over_one_another() -> None:
    marks = [(0, "connect"), (9, "refine"), (60, "generate")]
    drawing = line_chart([Line("loss", [0, 50, 100], [3.0, 1.0, 2.0])], "loss", marks=marks)
    assert drawing.count('class="mark"') == 3 and ">refine<" not in drawing
    assert ">connect<" in drawing and ">generate<" in drawing


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [0.0, 0.0]])
def test_flat_and_single_curves_are_drawn(values: list[float]) -> None:
    assert "nan" not in line_chart([Line("loss", list(range(len(values))), values)], "loss")


def test_long_curves_are_thinned_but_keep_their_end() -> None:
    steps = list(range(10_001))
    drawing = line_chart([Line("loss", steps, [float(step) for step in steps])], "loss")
    assert drawing.count("L") < 320
    assert re.findall(r'L([\d.]+) [\d.]+"/>', drawing) == ["324.0"]


def test_curves_group_losses_by_stage() -> None:
    rows = [
        {"stage": "a", "step": 1, "phase/loss": 1.0, "phase/same": 1.0},
        {"stage": "a", "step": 2, "phase/loss": 0.5, "phase/same": 0.5, "acc": 0.4, "masses": [0.5, 0.5]},
        {"stage": "b", "step": 3, "stage_step": 1, "other/loss": 0.5, "acc": None},
        {"stage": "b", "step": 4, "stage_step": 2, "other/loss": 0.4, "acc": 0.9, "masses": [0.6, 0.4]},
        {"step": "x"},
        {},
    ]
    found = curves(rows, 2)
    assert [chart.title for chart in curves([{**rows[1], "found": [0.1, 0.9]}], 2).whole][2:] == [
        "Shares found in held-out samples"
    ]
    assert [chart.title for chart in found.whole] == ["Held-out agreement with the classes", "Masses of the clusters"]
    assert [(stage, [chart.title for chart in charts]) for stage, charts in found.stages] == [
        ("a", ["phase · loss"]),
        ("b", ["other · loss"]),
    ]
    assert curves([], 2) == ([], [])


def test_scatter_keeps_aspect_and_marks_the_odd() -> None:
    points = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
    drawing = scatter(points, np.array([0, 0, 1, 9]), "four points", odd=np.array([False, True, False, False]))
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)[0])
    assert (width - 24) / (height - 24) == pytest.approx(2, rel=0.01)
    assert drawing.count("<circle") == 1 and 'class="dots c1"' in drawing  # colour 9 comes round to 1
    assert [int(tag) for tag in re.findall(r">(\d+)</text>", drawing)] == [0, 1, 9]
