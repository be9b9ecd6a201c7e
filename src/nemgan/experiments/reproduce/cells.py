"""Cells and their records: one run of one model on one data set with one seed, one JSON line each.

A results file is appended to and never rewritten. The last record of a cell counts, but a failure never hides an
earlier success; a line cut short by a crash is passed over. Records of ``benchmarks/results/quality.jsonl`` are such
records, whoever wrote them. A record keeps the settings that its run had: defaults move, and a run of earlier ones is
shown as such and made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import nemgan
from nemgan.errors import ConfigError, NemganError
from nemgan.experiments.config import flat
from nemgan.experiments.prepare import configure
from nemgan.settings import ModelSettings

Record = Mapping[str, Any]
CODE = ("data", "estimators", "evaluation", "losses", "models", "training", "*.py")
"""What of the package makes a run what it is."""


BASELINES = {
    "kmeans-pixels": "K-means on pixels",
    "umap-gmm": "UMAP + GMM",
    "umap-kmeans": "UMAP + K-means",
    "kmeans-features": "K-means on h's features",
    "supervised": "supervised, same labels",
    "label-count": "labels counted",
}
"""What ``benchmarks/baselines.py`` runs."""


CLUSTERS_ONLY = ("gan.steps=0",)


@dataclass(frozen=True)
class Cell:
    """One run: ``settings`` are ``key=value`` words beside model, data and seed; their order does not matter."""

    model: str
    data: str
    seed: int
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", tuple(sorted(self.settings)))

    def words(self) -> list[str]:
        """What ``nemgan train`` is given; one thread, so that cells can run side by side and repeat exactly."""
        return [f"model={self.model}", f"data={self.data}", f"seed={self.seed}", "threads=1", *self.settings]

    def clusters_only(self) -> Cell:
        """The same run without the generator's stage: it clusters as the whole one, unless h is trained in that."""
        kept = [word for word in self.settings if not word.startswith("gan.")]
        return Cell(self.model, self.data, self.seed, (*kept, *CLUSTERS_ONLY))

    @property
    def home(self) -> str:
        """Name of the file of records it belongs to, so that tables share runs: ours, the baselines', the rivals'."""
        return "quality" if self.model == "nemgan" else "baselines" if self.model in BASELINES else "models"

    def __str__(self) -> str:
        return " ".join([self.model, self.data, f"s{self.seed}", *self.settings])


def cell_of(record: Record) -> Cell:
    """The cell that a record is of."""
    return Cell(str(record["model"]), str(record["data"]), int(record["seed"]), tuple(record.get("settings", ())))


def failed(record: Record) -> bool:
    return "failed" in record


def read(path: Path) -> dict[Cell, Record]:
    """The record that counts of every cell in the file, the last one made last; none where there is no file.

    Raises:
        ConfigError: the file cannot be read.
    """
    found: dict[Cell, Record] = {}
    for cell, record in history(path):
        if not (failed(record) and cell in found and not failed(found[cell])):
            found.pop(cell, None)
            found[cell] = record
    return found


def history(path: Path) -> Iterator[tuple[Cell, Record]]:
    """Every record in the file with its cell, also those that a later one has replaced. Raises as ``read`` does."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path} ({getattr(error, 'strerror', None) or 'not text'})") from None
    for line in lines:
        try:
            record = json.loads(line)
            cell = cell_of(record)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        yield cell, record


def append(path: Path, record: Record) -> None:
    """Add one record; a line is written at once, so processes that append to one file do not mix.

    After a line that a crash has cut short it begins a new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    with path.open("ab+", buffering=0) as file:
        cut = False
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            cut = file.read(1) != b"\n"
        file.write(b"\n" * cut + line.encode())


def todo(cells: Iterable[Cell], records: Mapping[Cell, Record]) -> list[Cell]:
    """The cells, each once, that have no record or failed."""
    return [cell for cell in dict.fromkeys(cells) if cell not in records or failed(records[cell])]


@cache
def _configured(model: str, data: str, words: tuple[str, ...]) -> Mapping[str, Any] | None:
    try:
        config = flat(configure(Cell(model, data, 0, words).words()))
    except NemganError:
        return None
    shaping = ("prior", *flat(ModelSettings()))
    if not config["gan.steps"]:  # nothing is generated, whatever these sections say
        shaping = tuple(key for key in shaping if key == "gan.steps" or not key.startswith(("gan.", "latent.")))
    if config["labels"]:  # with which no merge is judged
        shaping = tuple(key for key in shaping if key != "contrast.judged")
    return {key: config[key] for key in shaping}


def configured(cell: Cell) -> Mapping[str, Any] | None:
    """What shapes the model of ``cell`` as things stand: all settings, dotted. None of what is no run of a model."""
    return _configured(cell.model, cell.data, cell.settings)


def drifted(cell: Cell, record: Record) -> tuple[str, ...]:
    """The settings that ``record`` was made with other values of than ``cell`` has today; "?" if it does not say.

    A setting that did not exist then counts as its plain default: new ones are off until a preset sets them.
    """
    today = configured(cell)
    if today is None or failed(record):
        return ()
    then = record.get("configured")
    if then is None:
        return ("?",)
    then = flat(ModelSettings()) | then
    return tuple(key for key in today if then.get(key) != today[key])


def due(cells: Iterable[Cell], records: Mapping[Cell, Record]) -> list[Cell]:
    """The cells, each once, that are to do or have drifted."""
    return [cell for cell in dict.fromkeys(cells) if todo([cell], records) or drifted(cell, records[cell])]


@lru_cache(maxsize=1)
def code() -> str:
    """Names the code that runs are made by, 12 hexadecimal digits: results of different code are not mixed unseen."""
    root = Path(nemgan.__file__).parent
    digest = hashlib.blake2b(digest_size=6)
    for part in CODE:
        for path in sorted(root.glob(part) if part.endswith(".py") else (root / part).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
