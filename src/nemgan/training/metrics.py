"""What a training tells about itself: means of logged scalars, and rows that are also a file of JSON lines."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nemgan.errors import CheckpointError
from nemgan.storage import decode, encode, plain, replace_file

METRICS = "metrics.jsonl"


class Means:
    """Running means of scalars since the last row. Nothing waits for the device until ``take``."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, phase: str, values: Mapping[str, Tensor]) -> None:
        """Add scalars under ``phase/name``."""
        for name, value in values.items():
            key, scalar = f"{phase}/{name}", torch.as_tensor(value).detach().float().reshape(())
            self.sums[key] = self.sums[key] + scalar if key in self.sums else scalar.clone()
            self.counts[key] = self.counts.get(key, 0) + 1

    def take(self) -> dict[str, float]:
        """The means, in the order first seen; then start afresh."""
        found = {key: float(total) / self.counts[key] for key, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return found


class Metrics:
    """Rows of a training; with a ``folder`` each is also a line of ``FOLDER/metrics.jsonl`` at once.

    Attributes:
        rows: JSON objects, oldest first.
        size: bytes of the file.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = folder / METRICS if folder else None
        self.rows: list[dict[str, Any]] = []
        self.size = 0

    def start(self, size: int) -> None:
        """Go on from a file cut to its first ``size`` bytes; rows that are missing there are warned of."""
        if self.path is None:
            return
        try:
            kept = self.path.read_bytes()[:size] if self.path.exists() else b""
            whole = kept[: kept.rfind(b"\n") + 1]
            try:
                self.rows = [decode(line) for line in whole.splitlines()]
            except ValueError:
                whole, self.rows = b"", []
            if len(whole) != size:
                warnings.warn(
                    f"{self.path} is damaged: {size - len(whole)} bytes of earlier rows are lost; the training itself "
                    "is not affected",
                    RuntimeWarning,
                    stacklevel=2,
                )
            replace_file(self.path, whole)
        except OSError as error:
            raise self._failed(error) from None
        self.size = len(whole)

    def write(self, row: Mapping[str, object]) -> dict[str, Any]:
        """Append a row; returns it as JSON values.

        Raises:
            CheckpointError: the file cannot be written.
        """
        found: dict[str, Any] = plain(row)
        self.rows.append(found)
        if self.path:
            line = encode(found) + b"\n"
            try:
                with open(self.path, "ab") as file:
                    file.write(line)
            except OSError as error:
                raise self._failed(error) from None
            self.size += len(line)
        return found

    def sync(self) -> None:
        """Wait until the disk has every row, so that a checkpoint may count on them."""
        if self.path and self.path.exists():
            try:
                with open(self.path, "ab") as file:
                    os.fsync(file.fileno())
            except OSError as error:
                raise self._failed(error) from None

    def _failed(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"cannot write {self.path}: {error.strerror or error}; checkpoints are intact: make room, then resume"
        )
