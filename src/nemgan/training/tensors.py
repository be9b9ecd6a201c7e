"""Tensors as safetensors bytes, with a digest; nothing here can execute what it reads."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as _save
from torch import Tensor

from nemgan.errors import CheckpointError
from nemgan.storage import decode

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")
MAX_HEADER = 8 << 20
"""Bytes of a header (names, shapes and metadata) that is still read; room for some 80,000 tensors."""
_MAGIC = (b"PK\x03\x04", *(b"\x80" + bytes([protocol]) for protocol in range(2, 6)))


def to_bytes(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """The safetensors file of ``tensors``, which may be on any device and share memory."""
    flat: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, value in tensors.items():
        tensor = value.detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        flat[name] = tensor.clone() if storage in storages else tensor  # safetensors refuses shared memory
        storages.add(storage)
    return bytes(_save(flat, metadata))


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, hexadecimal."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def check_header(path: Path) -> None:
    """Refuse what is no safetensors file before anything reads further.

    Raises:
        CheckpointError: a pickle, a header larger than ``MAX_HEADER`` or than the file, or an unreadable one.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            start = file.read(8)
            if start.startswith(_MAGIC):
                raise CheckpointError(
                    f"{path} is a pickle, which could run any code: refused unread; nemgan loads safetensors files only"
                )
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(MAX_HEADER, size - 8):
                raise CheckpointError(f"{path} is not a safetensors file (header of {length} bytes): restore a copy")
            header = decode(file.read(length))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}; check its name and permissions") from None
    except ValueError as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} has a damaged header: restore a copy") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has a damaged header: restore a copy")


def read(path: Path, like: Mapping[str, Tensor] | None = None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors (on the CPU, in memory of their own) and metadata of ``path``.

    Args:
        path: a safetensors file.
        like: tensors whose names, shapes and types the file must have; compared before any value is read.

    Raises:
        CheckpointError: not a safetensors file, damaged, or unlike ``like``.
    """
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            if like is not None:
                shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
                compare(shapes, {name: tuple(value.shape) for name, value in like.items()}, path)
            # A clone, because tensors of the file may lie at odd addresses, and kernels can care.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is damaged ({' '.join(str(error).split())}): restore a copy") from None
    if like is not None:
        compare({k: v.dtype for k, v in tensors.items()}, {k: v.dtype for k, v in like.items()}, path)
    return tensors, metadata


def note(path: Path) -> dict[str, str]:
    """Metadata of ``path`` alone.

    Raises:
        CheckpointError: not a safetensors file, or damaged.
    """
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({' '.join(str(error).split())}): restore a copy") from None


def compare(found: Mapping[str, object], wanted: Mapping[str, object], where: object) -> None:
    """Raise CheckpointError at the first name that is missing, unexpected or different."""
    fix = "use the model and configuration it was made with"
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise CheckpointError(f"{where} lacks {name!r}: {fix}")
        if name not in wanted:
            raise CheckpointError(f"{where} has {name!r}, which this model does not: {fix}")
        if found[name] != wanted[name]:
            raise CheckpointError(f"{where} has {name!r} of {found[name]}, but the model's is {wanted[name]}: {fix}")
