"""Checkpoints: everything a training needs to go on bit for bit, in two files that cannot execute anything.

    FOLDER/checkpoints/0003-step-1500/tensors.safetensors     parameters, buffers, optimisers, random generators
    FOLDER/checkpoints/0003-step-1500/manifest.json           counters, and the SHA-256 of the tensors and of itself
    FOLDER/model.safetensors                                  the trained model, for use after training

A checkpoint is written to a temporary folder, flushed to disk and then renamed, so under its own name it is complete.
The previous one is kept beside it, and anything older is deleted only once the new one is safe.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nemgan import __version__
from nemgan.errors import CheckpointError
from nemgan.storage import decode, encode, plain, replace_file, sync_folder, write_synced
from nemgan.training import tensors as files

FORMAT = 1
MAX_MANIFEST = 16 << 20
CHECKPOINTS, TENSORS, MANIFEST, MODEL = "checkpoints", "tensors.safetensors", "manifest.json", "model.safetensors"
_NAME = re.compile(r"(\d{4,})-step-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """State of a training.

    Attributes:
        tensors: by name, on any device when saved and on the CPU when loaded.
        content: JSON values; ``content["step"]`` (int) names the checkpoint.
        path: folder it was loaded from.
    """

    tensors: Mapping[str, Tensor]
    content: Mapping[str, Any]
    path: Path = field(default_factory=Path)


def present(folder: Path) -> list[Path]:
    """The checkpoints of run ``folder``, oldest first, good or damaged."""
    place = folder / CHECKPOINTS
    try:
        found = [path for path in place.iterdir() if _NAME.fullmatch(path.name)] if place.is_dir() else []
        return sorted((path for path in found if path.is_dir() and not path.is_symlink()), key=_number)
    except OSError as error:
        raise CheckpointError(f"cannot read {place}: {error.strerror}; check its permissions") from None


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def save(folder: Path, state: Checkpoint, previous: Path | None = None) -> Path:
    """Write a checkpoint of run ``folder`` and keep one older; returns its path.

    Args:
        folder: the run folder.
        state: what to keep; its ``path`` is ignored.
        previous: the older one to keep, known to be good; by default the newest there is.

    Raises:
        CheckpointError: disk full, no permission, I/O error. Older checkpoints are then untouched.
    """
    place, older = folder / CHECKPOINTS, present(folder)
    keep = previous or (older[-1] if older else None)
    temporary = place / f".tmp-{os.getpid()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        number = _number(older[-1]) + 1 if older else 1
        path = place / f"{number:04d}-step-{state.content['step']}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        data = files.to_bytes(state.tensors)
        content = {
            "format": FORMAT,
            "nemgan": __version__,
            "bytes": len(data),
            "tensors": hashlib.sha256(data).hexdigest(),
            "state": state.content,
        }
        write_synced(temporary / TENSORS, data)
        write_synced(temporary / MANIFEST, encode({"content": content, "sha256": _sha(content)}))
        sync_folder(temporary)
        os.replace(temporary, path)
        sync_folder(place)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        kept = f"the previous one ({keep.name}) is intact" if keep else "there is no other yet"
        raise CheckpointError(
            f"cannot save a checkpoint in {place}: {error.strerror or error}; {kept}: make room or fix the folder, "
            "then resume"
        ) from None
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for old in older:
        if keep is None or old.name != keep.name:
            _discard(old)
    return path


def _discard(path: Path) -> None:
    """Delete a checkpoint; renamed first, so that an interrupted deletion does not look like a damaged one."""
    rubbish = path.with_name(f".old-{path.name}")
    try:
        os.replace(path, rubbish)
    except OSError:
        return  # a folder too many does no harm
    shutil.rmtree(rubbish, ignore_errors=True)


def clean(folder: Path) -> None:
    """Delete what an interrupted save left behind. Only the owner of the folder's lock may call this."""
    place = folder / CHECKPOINTS
    for path in [*place.glob(".tmp-*"), *place.glob(".old-*")]:
        shutil.rmtree(path, ignore_errors=True)


def load_latest(folder: Path, before: Path | None = None) -> Checkpoint:
    """The newest good checkpoint of run ``folder``; damaged ones are passed over with a warning.

    Args:
        before: one to pass over, with all that are newer.

    Raises:
        CheckpointError: no checkpoint, or none that is good.
    """
    if not folder.is_dir():
        raise CheckpointError(f"run folder {folder} does not exist: check the path")
    found, first = present(folder), None
    for path in reversed([each for each in found if before is None or _number(each) < _number(before)]):
        try:
            state = _load(path)
        except CheckpointError as error:
            first = first or error
            continue
        if first:
            warnings.warn(f"{first}; going on from the previous one, {path.name}", RuntimeWarning, stacklevel=2)
        return state
    if first:
        raise CheckpointError(f"no checkpoint in {folder} is good: {first}")
    raise CheckpointError(f"{_missing(folder, folder / CHECKPOINTS, 'checkpoint')}; start a new run")


def _load(path: Path) -> Checkpoint:
    """One checkpoint, with both digests verified before its tensors are read."""
    content = _manifest(path / MANIFEST)
    tensors = path / TENSORS
    files.check_header(tensors)
    try:
        if tensors.stat().st_size != content["bytes"]:
            raise CheckpointError(f"checkpoint {path} is damaged: its tensors are cut short or grown")
        with open(tensors, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != content["tensors"]:
                raise CheckpointError(f"checkpoint {path} is damaged: the digest of its tensors differs")
    except OSError as error:
        raise CheckpointError(f"cannot read {tensors}: {error.strerror}") from None
    return Checkpoint(files.read(tensors)[0], content["state"], path)


def _manifest(path: Path) -> dict[str, Any]:
    """The verified content of a manifest: well-formed, canonical to the byte, and of this format."""
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_MANIFEST + 1)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    damaged = CheckpointError(f"checkpoint {path.parent} is damaged: its manifest is not as it was written")
    if len(raw) > MAX_MANIFEST:
        raise damaged
    try:
        manifest = decode(raw)
        content = manifest["content"]
        good = encode(manifest) == raw and manifest == {"content": content, "sha256": _sha(content)}
        version, state = content["format"], content["state"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged from None
    if not good:
        raise damaged
    if version != FORMAT:
        raise CheckpointError(
            f"checkpoint {path.parent} has format {version!r}, written by nemgan {content.get('nemgan')}; this is "
            f"nemgan {__version__} with format {FORMAT}: resume with that release"
        )
    if not isinstance(state, dict) or not isinstance(content.get("bytes"), int):
        raise damaged
    return dict(content)


def _sha(content: object) -> str:
    return hashlib.sha256(encode(content)).hexdigest()


def _missing(folder: Path, wanted: Path, kind: str) -> str:
    """What to say where a file should be, with a word on pickles that lie in its place."""
    places = [place for place in (folder, folder / CHECKPOINTS) if place.is_dir()]
    pickles = sorted(path.name for place in places for path in place.iterdir() if path.suffix in files.PICKLES)
    hint = f" ({pickles[0]} is not read: a pickle could run any code)" if pickles else ""
    return f"no {kind} in {folder}: {wanted} is missing{hint}"


def save_model(model: nn.Module, folder: Path, info: Mapping[str, object] | None = None) -> Path:
    """Write ``FOLDER/model.safetensors``, the state of ``model`` with ``info`` (JSON values) beside it.

    Raises:
        CheckpointError: the file cannot be written; an older one is then untouched.
    """
    state, path = model.state_dict(), folder / MODEL
    note = {"format": FORMAT, "nemgan": __version__, "info": plain(info or {})}
    note["sha256"] = _sha([note, files.digest(state)])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, files.to_bytes(state, {"nemgan": encode(note).decode()}))
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}; make room or choose another folder"
        ) from None
    return path


def load_model(model: nn.Module, folder: Path) -> dict[str, Any]:
    """Fill ``model`` in place from ``FOLDER/model.safetensors`` (or such a file itself); returns its ``info``.

    Raises:
        CheckpointError: no such file, a pickle, a damaged file, or one of another model. The model is then untouched.
    """
    path = folder if folder.is_file() else folder / MODEL
    if not path.is_file():
        raise CheckpointError(f"{_missing(folder, path, 'trained model')}; finish the training or resume it")
    tensors, metadata = files.read(path, like=model.state_dict())
    try:
        note = decode(metadata["nemgan"].encode())
        version, sha, info = note["format"], note.pop("sha256"), dict(note["info"])
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path} was not written by nemgan: give a run folder of nemgan") from None
    if version != FORMAT:
        raise CheckpointError(f"{path} has format {version!r}: use nemgan {note.get('nemgan')}, which wrote it")
    if sha != _sha([note, files.digest(tensors)]):
        raise CheckpointError(f"{path} is damaged: its digest differs; restore a copy or resume the run")
    model.load_state_dict(tensors)
    return info


def saved_info(folder: Path) -> dict[str, Any]:
    """The ``info`` in ``FOLDER/model.safetensors``, read without a model; ``load_model`` checks that it is intact.

    Raises:
        CheckpointError: no such file, or not one that ``save_model`` wrote.
    """
    path = folder / MODEL
    if not path.is_file():
        raise CheckpointError(f"{_missing(folder, path, 'trained model')}; finish the training or resume it")
    try:
        return dict(decode(files.note(path)["nemgan"].encode())["info"])
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} was not written by nemgan: give a run folder of nemgan") from None
