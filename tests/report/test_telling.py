from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nemgan import report
from nemgan.data.columns import Column, Columns
from nemgan.report.telling import Telling, telling

COLUMNS = Columns(
    (
        Column("always", "constant", words=("x",)),
        Column("same", "number", offset=5, scale=2, low=0, high=10),
        Column("income", "number", offset=100, scale=50, low=0, high=1000),
        Column("sex", "words", words=("f", "m")),
        Column("site", "words", words=("left", "right", "both")),
    )
).to_json()


def arrays(**more: Any) -> dict[str, Any]:
    """Two samples of cluster 0 (income 50 and 100, f, left), two of cluster 1 (300, m, one of them left), none of 2."""
    real = np.zeros((3, 2, 6), np.float32)
    real[0] = [[0, -1, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0]]
    real[1] = [[0, 4, 1, 1, 0, 0], [0, 4, 1, 0, 1, 0]]
    return {"real": real, "real_count": np.array([2, 2, 0]), **more}


def test_columns_that_differ_most_come_first() -> None:
    found = telling(COLUMNS, arrays(generated=arrays()["real"] + np.float32(0.02)))
    assert [each.name for each in found] == ["income", "sex = f", "site = left", "same"]
    assert found[0] == Telling("income", ("75", "300", "–"), ("76", "301", "101"))
    assert found[1].real == ("100\xa0%", "0\xa0%", "–")
    assert found[2].real == ("100\xa0%", "50\xa0%", "–")
    assert found[3].real == ("5", "5", "–")


def test_nothing_is_said_without_columns_or_of_a_single_cluster() -> None:
    assert telling((), arrays()) == [] and telling(COLUMNS, {}) == []
    assert telling(COLUMNS, arrays(real_count=np.array([2, 0, 0]))) == []
    assert telling(COLUMNS, arrays())[0].generated == ("–", "–", "–")


def test_the_report_of_a_table_names_its_columns(make_run: Any) -> None:
    folder: Path = make_run("vector")
    kept = dict(np.load(folder / "pictures.npz"))
    width = kept["real"].shape[2]
    columns = Columns(tuple(Column(f"<c{i}>", "number", low=-99, high=99) for i in range(width))).to_json()
    assert "What tells the clusters apart" not in report.write(folder).read_text()
    (folder / "model.json").write_text(json.dumps({"columns": columns}))
    text = report.write(folder).read_text()
    assert "What tells the clusters apart" in text and "&lt;c0&gt;" in text and "<c0>" not in text
