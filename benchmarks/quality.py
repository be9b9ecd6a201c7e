"""Quality of whole runs over data sets and seeds: one record a run, in benchmarks/results/quality.jsonl.

    python benchmarks/quality.py --data mnist-2-3v5-70 mnist-2-3v5-90 --seeds 0 1 2 --set prior=learned

Every cell is a process of its own with one thread. Finished cells are skipped, so the grid can be stopped and started
again at any time; a cell that failed is shown and tried again. Nothing is chosen by what is measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "quality.jsonl"
SHOWN = ("acc", "nmi", "ari", "mode_purity", "prior_l1", "seconds_to_acc_95", "seconds")


def records() -> list[dict]:
    """Every record so far, oldest first."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def run(cell: tuple[str, int, tuple[str, ...]], runs: Path) -> str:
    """Train one cell, append its record, and return a line that says how it went."""
    data, seed, settings = cell
    words = [f"data={data}", f"seed={seed}", "threads=1", *settings]
    command = [sys.executable, "-m", "nemgan", "train", *words, "--quiet", "--out", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    name = " ".join(words)
    if done.returncode:
        return f"{name}: failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
    result = json.loads((Path(done.stdout.split()[-1]) / "result.json").read_text())
    with RESULTS.open("a") as file:
        file.write(json.dumps({"settings": list(settings), **result}, ensure_ascii=False) + "\n")
    return f"{name}: " + " ".join(f"{key} {result[key]:.4g}" for key in SHOWN if result[key] is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["digits-demo"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--set", nargs="*", default=["prior=learned"], metavar="KEY=VALUE")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "nemgan-quality")
    asked = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    finished = {(r["data"], r["seed"], tuple(r["settings"])) for r in records()}
    cells = [(data, seed, tuple(asked.set)) for data in asked.data for seed in asked.seeds]
    todo = [cell for cell in cells if cell not in finished]
    print(f"{len(cells) - len(todo)} of {len(cells)} cells are done", flush=True)
    with ThreadPoolExecutor(asked.jobs) as pool:
        for line in pool.map(lambda cell: run(cell, asked.runs), todo):
            print(line, flush=True)


if __name__ == "__main__":
    main()
