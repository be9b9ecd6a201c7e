"""The page: what a run folder's files say, put in order for the template."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nemgan.errors import CheckpointError
from nemgan.evaluation.grids import PALETTE
from nemgan.evaluation.result import Result
from nemgan.report.curves import curves, settled
from nemgan.report.diagnosis import diagnose, percent
from nemgan.report.figures import (
    cards,
    certainty,
    clusters,
    confusion,
    evidence,
    headline,
    masses,
    neighbours,
    settings,
)
from nemgan.report.pictures import pictures
from nemgan.report.repeat import command
from nemgan.report.telling import telling
from nemgan.settings import dotted, show
from nemgan.storage import replace_file

Array = NDArray[Any]


def write(folder: Path) -> Path:
    """Write ``folder/report.html`` from the folder's files and return its path.

    ``result.json`` and ``config.json`` must be there; without ``metrics.jsonl`` or ``pictures.npz`` the page lacks the
    curves or the pictures.

    Raises:
        CheckpointError: a file that is missing, damaged, or cannot be written.
    """
    folder = Path(folder)
    result = Result.from_json(_read(folder / "result.json", f"finish it with nemgan train --resume {folder}"))
    config = _json(folder / "config.json")
    path = folder / "report.html"
    card = _json(folder / "model.json") if (folder / "model.json").is_file() else {}
    rows, arrays = _rows(folder / "metrics.jsonl"), _arrays(folder / "pictures.npz")
    html = render(result, config, rows, arrays, folder.name, card.get("columns") or ())
    try:
        replace_file(path, html.encode())
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}; make room or give permission") from None
    return path


def render(
    result: Result,
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    arrays: Mapping[str, Array],
    name: str = "",
    columns: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page as text; ``columns`` are those of a table, as a run keeps them."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nemgan.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"percent": percent, "setting": show}
    found = clusters(result)
    bars = masses(result, found)
    said = dotted(config)
    return environment.get_template("template.html").render(
        r=result,
        name=name,
        style=Markup((Path(__file__).parent / "style.css").read_text(encoding="utf-8")),
        palette=PALETTE,
        headline=headline(found),
        clusters=found,
        names={each.number: each.name for each in found},
        settings=settings(result),
        certainty=certainty(result),
        cards=cards(result),
        pictures=pictures(arrays, result),
        telling=telling(columns, arrays),
        masses=bars,
        heaviest=max((share for _, shares in bars for *_, share in shares), default=0) or 1,
        confusion=confusion(result),
        curves=curves(rows, result.n_clusters),
        evidence=evidence(result),
        neighbours=neighbours(result, found),
        findings=diagnose(result, settled(rows, result.n_clusters), said.get("gan.steps")),
        config=said,
        command=command(config, result.changed),
    )


def _read(path: Path, fix: str) -> bytes:
    if not path.parent.is_dir():
        raise CheckpointError(f"no run folder {path.parent}: give one that nemgan train printed")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} has no {path.name}: {fix}") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None


def _json(path: Path) -> dict[str, Any]:
    text = _read(path, "it is not a run folder; give one that nemgan train printed")
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    raise CheckpointError(f"{path} is damaged: restore it or start a new run")


def _rows(path: Path) -> list[dict[str, Any]]:
    """Rows of the metrics; a line cut short by a crash is passed over."""
    rows = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _arrays(path: Path) -> dict[str, Array]:
    if not path.is_file():
        return {}
    try:
        file = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error):
        raise CheckpointError(
            f"{path} is damaged: make it anew with nemgan train --resume {path.parent}, or remove it"
        ) from None
