"""The examples in the documentation run as printed, one page after the other, and print what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from nemgan.cli import main
from nemgan.experiments.config import build, flat
from nemgan.experiments.settings_page import page

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(python|console|text)\n(.*?)^```$", re.S | re.M)


def follow(page: Path) -> dict[str, Any]:
    """Run the page's python and console blocks in order, in the working folder; returns the names they leave.

    What a console block shows, or a text block after a python block, has to be printed: these lines, in this order, any
    numbers. A line "…" stands for more.
    """
    names: dict[str, Any] = {"__name__": page.stem}
    printed = ""
    for kind, block in BLOCK.findall(page.read_text("utf-8")):
        if kind == "text":
            check(printed, block.splitlines())
        elif kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block, str(page), "exec"), names)
            printed = out.getvalue()
        else:
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
                check(call(command), shown.splitlines())
    return names


def call(command: str) -> str:
    """What a nemgan command prints; it has to succeed."""
    words = shlex.split(command)
    assert words[0] == "nemgan", command
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as end:
        main(words[1:])
    assert not end.value.code, f"{command} ended with {end.value.code}"
    return out.getvalue()


def check(printed: str, shown: list[str]) -> None:
    """See that the lines ``shown`` are among those printed, in order, numbers aside."""
    left = [alike(line) for line in printed.splitlines()]
    for line in shown:
        if line.strip() in ("", "…"):
            continue
        assert alike(line) in left, f"{line!r} is not printed (any more, or not here): {printed}"
        del left[: left.index(alike(line)) + 1]


def alike(line: str) -> str:
    """A line without its numbers and spaces."""
    return re.sub(r"[\d.\s]+", "", line)


def test_examples_of_the_estimators_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imblearn")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "estimators.md").read_text("utf-8"), re.S)
    assert len(blocks) == 3
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "estimators.md", "exec"), names)
    assert sorted(path.name for path in (tmp_path / "my-model").iterdir()) == ["config.json", "model.safetensors"]
    assert abs(names["found"].masses[0] - 150 / 180) < 0.05


def test_cluster_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = follow(DOCS / "tutorials" / "cluster-a-folder.md")["found"]
    sizes = sorted(sum(row["cluster"] == k for row in found) for k in "012")
    assert sizes == pytest.approx([60, 100, 170], abs=12)
    assert (tmp_path / "kind-2.png").is_file()


def test_how_many_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = follow(DOCS / "tutorials" / "how-many-of-each.md")["found"]
    assert found.zero_labels.masses == pytest.approx([0, 0.625, 0.375], abs=0.06)


def test_compare_and_ablate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = follow(DOCS / "tutorials" / "compare-and-ablate.md")
    assert names["record"]["changed"] == {"gan.steps": 300}


def test_balance_my_training_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imblearn")
    monkeypatch.chdir(tmp_path)
    names = follow(DOCS / "tutorials" / "balance-my-training-set.md")
    assert (names["X_balanced"][:226] == names["X"]).all()


def test_the_page_of_settings_is_that_of_the_code() -> None:
    text = page()
    again = "write it again: python -m nemgan.experiments.settings_page > docs/settings.md"
    assert (DOCS / "settings.md").read_text("utf-8") == text, again
    rows = dict(re.findall(r"^\| `(\S+)` \| .* \| (.*) \|$", text, re.M))
    assert list(rows) == list(flat(build({})))
    assert all(rows.values()), f"no docstring: {[key for key, meaning in rows.items() if not meaning]}"
