"""Files that are either wholly there or not at all, strict JSON, and one owner per run folder."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nemgan.errors import CheckpointError

LOCK = ".lock"
_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}


def encode(value: object) -> bytes:
    """``value`` as canonical JSON: sorted keys, no spaces, no NaN; equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def decode(text: bytes) -> Any:
    """The value of strict JSON: NaN, infinities and repeated keys are refused.

    Raises:
        ValueError: anything that is not strict JSON in UTF-8.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key is given twice")
        return found

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(text.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def plain(value: Any) -> Any:
    """``value`` as JSON values: tensors, arrays and tuples become lists, NaN and infinities become null.

    Raises:
        TypeError: a value with no JSON counterpart.
    """
    if hasattr(value, "tolist"):  # torch tensors, NumPy arrays and scalars
        value = value.tolist()
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None  # NaN compares false too
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    raise TypeError(f"cannot log a {type(value).__name__}: return numbers, strings, lists or arrays")


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in ``folder`` (Windows cannot and need not)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Make ``data`` the content of ``path``; a crash or error leaves the old content or the new, never a mixture.

    Raises:
        OSError: the file cannot be written; the old content is intact and nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_synced(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _take(file: IO[bytes]) -> None:
    """Lock an open file or raise OSError; the operating system lets go when the process ends, however it ends."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Own ``folder`` within this context. The lock of a process that died is free to take.

    Raises:
        CheckpointError: another process (or thread) owns it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a+b")  # noqa: SIM115 - closed below, which lets go of the lock
    except OSError as error:
        raise CheckpointError(f"cannot write in run folder {folder}: {error.strerror}; choose another folder") from None
    with file:
        try:
            _take(file)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise CheckpointError(
                    f"cannot lock run folder {folder}: {error.strerror}; choose a folder on a local disk"
                ) from None
            file.seek(0)
            owner = file.read(20).decode(errors="replace").strip() if sys.platform != "win32" else ""
            raise CheckpointError(
                f"run folder {folder} is in use by process {owner or 'unknown'}: wait for it to end or choose another"
            ) from None
        with suppress(OSError):  # the number is only for the message above
            file.truncate(0)
            file.write(str(os.getpid()).encode())
            file.flush()
        yield
