"""Quality of whole runs over data sets and seeds: one record a run, in benchmarks/results/quality.jsonl.

    python benchmarks/quality.py --data mnist-2-3v5-70 mnist-2-3v5-90 --seeds 0 1 2 --set prior=learned

The grid of one's own; `nemgan reproduce zero-labels` runs the published one into the same file. Every cell is a process
of its own with one thread. Finished cells are skipped, so the grid can be stopped and started again at any time; a cell
that failed is stored as failed and tried again. Nothing is chosen by what is measured here.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from nemgan.experiments.reproduce.cells import Cell, read, todo
from nemgan.experiments.reproduce.runner import describe, run_all

RESULTS = Path(__file__).parent / "results" / "quality.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nemgan")
    parser.add_argument("--data", nargs="+", default=["digits-demo"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--set", nargs="*", default=["prior=learned"], metavar="KEY=VALUE")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--again", action="store_true", help="run finished cells too")
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "nemgan-quality")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    cells = [Cell(asked.model, data, seed, tuple(asked.set)) for data in asked.data for seed in asked.seeds]
    print(f"{len(cells) - len(todo(cells, read(asked.results)))} of {len(cells)} cells are done", flush=True)
    for cell, record in run_all(cells, lambda _: asked.results, asked.runs, jobs=asked.jobs, again=asked.again):
        print(describe(cell, record), flush=True)


if __name__ == "__main__":
    main()
