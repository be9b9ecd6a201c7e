"""Progress on standard error: a live bar on a terminal, otherwise a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_EVERY = 10.0
BAR_EVERY = 0.1


class Progress:
    """Shows stage, step, speed, time left, losses and masses; with ``enabled=False`` shows nothing."""

    def __init__(self, enabled: bool, stages: Sequence[str]) -> None:
        self.enabled, self._stages = enabled, list(stages)
        self._bar: Bar | None = None
        self._next = 0.0

    def __enter__(self) -> Progress:
        if self.enabled and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[note]}", style="dim", markup=False),
                console=Console(stderr=True),
            )
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def stage(self, index: int, steps: int, done: int) -> None:
        """Begin stage ``index`` of ``steps`` steps, of which ``done`` are done already."""
        self._name = f"{self._stages[index]} ({index + 1}/{len(self._stages)})"
        self._steps, self._first, self._since, self._note = steps, done, time.perf_counter(), ""
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(self._name, total=steps, completed=done, speed="", note="")

    def note(self, row: Mapping[str, object], masses: Sequence[float]) -> None:
        """Show the scalars of a row and the current masses."""
        losses = [f"{key} {value:.3g}" for key, value in row.items() if "/" in key and isinstance(value, float)]
        shares = " ".join(f"{mass:.2f}" for mass in masses[:10]) + (" …" if len(masses) > 10 else "")
        self._note = " · ".join([*losses[:4], f"masses {shares}"])

    def step(self, done: int) -> None:
        """Say that ``done`` steps of the stage are done. Cheap: most calls only read the clock."""
        if not self.enabled or ((now := time.perf_counter()) < self._next and done < self._steps):
            return
        self._next = now + (BAR_EVERY if self._bar else LINE_EVERY)
        speed = (done - self._first) / max(now - self._since, 1e-9)
        if self._bar:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=done, speed=f"{speed:.1f} steps/s", note=self._note)
        else:
            left = f"{(self._steps - done) / speed:.0f} s left in this stage" if speed > 0 else "starting"
            parts = [f"{self._name} {done}/{self._steps}", f"{speed:.1f} steps/s", left, self._note]
            print(" · ".join(part for part in parts if part), file=sys.stderr, flush=True)
