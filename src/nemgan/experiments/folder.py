"""The run folder: numbered, never overwritten, and complete in itself.

RUN/config.json         the whole configuration, written first
RUN/model.json          what the model was built for: sample shape, clusters, prior, labels disclosed, data digest
RUN/metrics.jsonl       one JSON object a log entry                (training/loop.py)
RUN/checkpoints/*       the last two                              (training/checkpoint.py)
RUN/samples/*.png       one row per mode, as training goes on
RUN/model.safetensors   the trained model
RUN/result.json         the frozen record of its evaluation
RUN/pictures.npz        what the report draws
RUN/report.html
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nemgan.data.columns import Columns
from nemgan.data.dataset import Dataset
from nemgan.data.ondisk import blocks
from nemgan.errors import CheckpointError, ConfigError
from nemgan.experiments.config import Config, one_line
from nemgan.storage import replace_file

CONFIG, MODEL, RESULT, PICTURES = "config.json", "model.json", "result.json", "pictures.npz"
WEIGHTS, LONGEST = "model.safetensors", 1 << 26
"""The trained model, and how long the description at its head may be in bytes."""


@dataclass(frozen=True)
class Card:
    """What a run's model was built for: enough to build it again without the data.

    Attributes:
        shape: shape of one sample.
        n_clusters: number of clusters M.
        prior: masses given to the model ``(M,)``, or None where it learns them.
        labels_used: number of training labels disclosed.
        class_names: the data's classes.
        cluster_names: the class whose labels each cluster was given, "" where none of it was; empty without labels.
        digest: of the training samples and the disclosed labels.
        columns: of a table, how its rows become vectors (``data.columns``), as JSON values.
        white: of pictures of more than 8 bits a pixel, or of images of few tones, if there are any.
    """

    shape: tuple[int, ...]
    n_clusters: int
    prior: tuple[float, ...] | None
    labels_used: int
    class_names: tuple[str, ...] = field(default=())
    digest: str = ""
    columns: tuple[Mapping[str, Any], ...] = field(default=())
    white: float | None = None
    cluster_names: tuple[str, ...] = field(default=())

    @property
    def table(self) -> Columns | None:
        """How rows of a table become vectors, where the run was trained on one."""
        return Columns.of_json(self.columns) if self.columns else None


def digest(train: Dataset) -> str:
    """Names the samples and the labels that training sees, 32 hexadecimal digits."""
    found = hashlib.blake2b(f"{train.x.shape}/{train.x.dtype}".encode(), digest_size=16)
    for part in blocks(train.x):
        found.update(part.tobytes())
    found.update(train.y.tobytes())
    return found.hexdigest()


def check_writable(out: Path) -> None:
    """See, before any work is done, that run folders can be made in ``out``.

    Raises:
        ConfigError: ``out`` is a file, or not writable.
    """
    place = out.absolute()
    while not place.exists() and not place.is_symlink():
        place = place.parent
    if not place.is_dir():
        raise ConfigError(f"cannot make run folders in {out}: {place} is not a folder; choose another with --out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot make run folders in {out}: no permission to write in {place}; choose another --out")


def new_folder(out: Path, config: Config) -> Path:
    """Make the next run folder in ``out``: ``0001-nemgan-mnist-2-3v5-70-s0``, ``0002-…``.

    The number is claimed by making a folder of that bare name, which only one process can do; it then gets its full
    name. Whoever makes the bare name after that sees the full one and lets go, so no number is given twice.

    Raises:
        ConfigError: ``out`` cannot be written.
    """
    name = f"{config.model}-{slug(config.data)}-s{config.seed}"
    try:
        config.data.encode()  # into the configuration, which is UTF-8
    except UnicodeEncodeError:
        raise ConfigError(f"data={config.data!r} is a path that is no UTF-8: rename it") from None
    try:
        out.mkdir(parents=True, exist_ok=True)
        number = max((_number(entry) for entry in os.listdir(out)), default=0)
        while True:
            number += 1
            claim = out / f"{number:04d}"
            try:
                claim.mkdir()
            except FileExistsError:
                continue
            if any(_number(entry) == number and entry != claim.name for entry in os.listdir(out)):
                claim.rmdir()
                continue
            return claim.rename(out / f"{number:04d}-{name}")
    except OSError as error:
        raise ConfigError(f"cannot make a run folder in {out}: {error.strerror}; choose another with --out") from None


def overview(out: Path) -> list[dict[str, Any]]:
    """What the runs in ``out`` are about and what came of them, one entry each in order of their numbers.

    ``agreement`` and ``accuracy`` are None where they are not known, "not finished" where the run is not, and "damaged"
    where its record cannot be read (``nemgan evaluate`` writes it anew). Of a run whose configuration cannot be read,
    which may be of another release, they are "unreadable", and the rest is None.

    Raises:
        ConfigError: no such folder.
    """
    if not out.is_dir():
        raise ConfigError(f"{out} is no folder: give the one that run folders were made in")
    found = []
    for folder in sorted((each.parent for each in out.glob(f"*/{MODEL}")), key=lambda each: (_number(each.name), each)):
        try:
            config, card = read_config(folder), read_card(folder)
        except CheckpointError:
            rest = dict.fromkeys(("data", "model", "clusters", "labels", "prior", "seed", "generator"))
            found.append({"run": folder.name, **rest, "agreement": "unreadable", "accuracy": "unreadable"})
            continue
        found.append(
            {
                "run": folder.name,
                "data": config.data,
                "model": f"{config.model}, {config.preset}",
                "clusters": card.n_clusters,
                "labels": card.labels_used,
                "prior": config.prior,
                "seed": config.seed,
                "generator": f"{config.gan.steps} steps" if config.gan.steps else "none",
                **_scores(folder, config.gan.steps),
            }
        )
    return found


def _scores(folder: Path, steps: int) -> dict[str, Any]:
    """Agreement and accuracy of a run for ``overview``, or what there is instead.

    One whose record is of clusters alone, or whose generator has had fewer than ``steps``, is not finished.
    """
    said = "not finished"
    if (folder / RESULT).is_file():
        try:
            record = json.loads(_read(folder, RESULT))
            if steps and (record.get("n_generated") == 0 or _trained(folder, steps) < steps):
                return {"agreement": said, "accuracy": said}
            return {"agreement": _rounded(record.get("agreement")), "accuracy": _rounded(record.get("acc"))}
        except (ValueError, TypeError, AttributeError):
            said = "damaged"
    return {"agreement": said, "accuracy": said}


def _trained(folder: Path, steps: int) -> int:
    """Steps that the generator in a run's ``model.safetensors`` has had, ``steps`` where it does not say; no torch."""
    try:
        with (folder / WEIGHTS).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            note = json.loads(file.read(min(size, LONGEST)))["__metadata__"]["nemgan"]
        return int(json.loads(note)["info"].get("gan_steps", steps))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return steps


def _rounded(value: float | None) -> float | None:
    """To three digits; 1 is all."""
    return None if value is None else round(value, 3) if value >= 1 else min(round(value, 3), 0.999)


def slug(data: str) -> str:
    """A data set's name or path as part of a file name, at most 40 characters."""
    name = data if "/" not in data and "\\" not in data else Path(data).stem
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:40] or "data"


def _number(entry: str) -> int:
    found = re.match(r"(\d{4,})(-|$)", entry)
    return int(found[1]) if found else 0


def write_text(path: Path, text: str) -> None:
    """Write a file wholly or not at all.

    Raises:
        CheckpointError: the disk is full or not writable; what was there is intact.
    """
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}; make room or give permission") from None


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as indented JSON, as ``write_text`` does."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_card(folder: Path, card: Card) -> None:
    write_json(folder / MODEL, asdict(card))


def read_config(folder: Path) -> Config:
    """The configuration of a run.

    Raises:
        CheckpointError: no such folder, no configuration in it, or a damaged one.
    """
    text = _read(folder, CONFIG)
    try:
        return Config.model_validate_json(text)
    except ValidationError as error:
        raise CheckpointError(
            f"{folder / CONFIG} is damaged, or of another release: {one_line(error)}; restore it or start a new run"
        ) from None


def read_card(folder: Path, beside: Mapping[str, Any] | None = None) -> Card:
    """What a run's model was built for.

    Args:
        beside: the same as kept in ``model.safetensors``, which serves where ``model.json`` is missing.

    Raises:
        CheckpointError: missing or damaged.
    """
    text = json.dumps(beside) if beside is not None and not (folder / MODEL).exists() else _read(folder, MODEL)
    try:
        found: Mapping[str, Any] = json.loads(text)
        prior = found["prior"]
        columns = Columns.of_json(found.get("columns", ()))  # runs of before tables have none
        return Card(
            shape=tuple(int(size) for size in found["shape"]),
            n_clusters=int(found["n_clusters"]),
            prior=None if prior is None else tuple(float(mass) for mass in prior),
            labels_used=int(found["labels_used"]),
            class_names=tuple(str(name) for name in found["class_names"]),
            digest=str(found["digest"]),
            columns=tuple(columns.to_json()),
            white=None if found.get("white") is None else float(found["white"]),
            cluster_names=tuple(str(name) for name in found.get("cluster_names", ())),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{folder / MODEL} is damaged ({error}): restore it or start a new run") from None


def _read(folder: Path, name: str) -> str:
    if not folder.is_dir():
        raise CheckpointError(f"no run folder {folder}: give one that `nemgan train` printed")
    try:
        return (folder / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} has no {name}: it is not a run folder, or its run ended before training"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {folder / name}: {error}") from None
