"""The examples in the documentation run as printed, one page after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "estimators.md"


def test_examples_of_the_estimators_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imblearn")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert sorted(path.name for path in (tmp_path / "my-model").iterdir()) == ["config.json", "model.safetensors"]
    assert abs(names["found"].masses[0] - 150 / 180) < 0.05  # type: ignore[attr-defined]
