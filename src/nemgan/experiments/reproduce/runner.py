"""Runs cells as processes of their own, with one thread each, and stores a record of every one, failed ones too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import Any

from nemgan.errors import NemganError
from nemgan.experiments.folder import RESULT, read_config
from nemgan.experiments.prepare import configure
from nemgan.experiments.reproduce.cells import Cell, Record, append, code, configured, due, failed, read
from nemgan.experiments.reproduce.tables import NO_DATA
from nemgan.training import checkpoint

Run = Callable[[Cell, Path], Record]
Results = Callable[[Cell], Path]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}


def run_all(
    cells: Iterable[Cell], results: Results, runs: Path, *, jobs: int = 1, again: bool = False, run: Run | None = None
) -> Iterator[tuple[Cell, Record]]:
    """Run what is not finished; each cell and its record as they come, after the record is stored.

    Args:
        results: the file of JSON lines of a cell. Finished cells are skipped; those that failed or were run with other
            defaults than today's are run again.
        runs: folder of the run folders, which figures draw from.
        jobs: processes at once.
        again: run finished cells too; their new records take the old ones' place.
        run: makes the record of a cell; by default ``train``.
    """
    wanted = list(dict.fromkeys(cells))
    if not again:
        known = {path: read(path) for path in {results(cell) for cell in wanted}}
        wanted = [cell for cell in wanted if due([cell], known[results(cell)])]
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(run or train, cell, runs): cell for cell in wanted}
        try:
            for done in as_completed(waiting):
                record = done.result()
                append(results(waiting[done]), record)
                yield waiting[done], record
        finally:
            for each in waiting:
                each.cancel()


def train(cell: Cell, runs: Path, minutes: float | None = None) -> Record:
    """``nemgan train`` on one cell in a process of its own. Its record is the run's, or says why there is none.

    A run that was interrupted goes on from its last checkpoint, if the code is still the same.

    Args:
        runs: in it, each version of the code has a folder of run folders.
        minutes: after which the process is ended and the cell has failed.
    """
    about = {"model": cell.model, "data": cell.data, "seed": cell.seed, "settings": list(cell.settings), "code": code()}
    about["configured"] = configured(cell)
    place = runs / code()
    begun = interrupted(cell, place)
    words = [*cell.words(), "--out", str(place)] if begun is None else ["--resume", str(begun)]
    command = [sys.executable, "-m", "nemgan", "train", *words, "--quiet"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**os.environ, **ENVIRONMENT},
            timeout=None if minutes is None else 60 * minutes,
        )
    except subprocess.TimeoutExpired:
        return {**about, "failed": f"not finished after {minutes:g} minutes"}
    if done.returncode:
        return {**about, "failed": _why(done)}
    try:
        folder = Path(done.stdout.splitlines()[-1])
        record: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, IndexError) as error:
        return {**about, "failed": f"no record: {type(error).__name__}"}
    return {**about, "run": f"{place.name}/{folder.name}", **record}


def interrupted(cell: Cell, place: Path) -> Path | None:
    """The run folder in ``place`` of a run of ``cell`` that was not finished and can go on, if there is one."""
    with suppress(NemganError, OSError):  # a cell that is refused has never begun
        config = configure(cell.words())
        for folder in sorted(place.glob(f"*-{cell.model}-*-s{cell.seed}")):
            with suppress(NemganError):
                if not (folder / RESULT).exists() and checkpoint.present(folder) and read_config(folder) == config:
                    return folder
    return None


def _why(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of the errors, without the paths of this machine."""
    if done.returncode < 0:
        return f"ended by {signal.Signals(-done.returncode).name}"
    lines = done.stderr.strip().splitlines()
    line = lines[-1].removeprefix("nemgan: ").removeprefix("error: ") if lines else f"exit status {done.returncode}"
    if " is not on disk" in line:
        return NO_DATA
    return line.replace(str(Path.home()), "~").split(" (run folder: ")[0].split(": saved in ")[0]


def describe(cell: Cell, record: Record) -> str:
    """One line on how a cell went."""
    if failed(record):
        return f"{cell}: failed: {record['failed']}"
    keys = ("acc", "nmi", "ari", "mode_purity", "prior_l1", "seconds")
    found = [f"{key} {record[key]:.4g}" for key in keys if isinstance(record.get(key), int | float)]
    return f"{cell}: " + " ".join(found)
