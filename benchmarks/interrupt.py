"""Kill a run at random moments, resume it each time, and compare the final weights with an uninterrupted run's.

python benchmarks/interrupt.py --kills 5 --seed 0 -- data=digits-demo gan.steps=300
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.numpy import load_file


def start(out: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nemgan", "train", "--quiet", "--out", str(out), *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("words", nargs="*", default=["data=digits-demo", "gan.steps=300"])
    asked = parser.parse_args()
    words = [*asked.words, "threads=1", "train.checkpoint_every=40"]
    moments = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole, cut = Path(scratch) / "whole", Path(scratch) / "cut"
        began = time.monotonic()
        assert start(whole, *words).wait() == 0
        length = time.monotonic() - began
        print(f"uninterrupted: {length:.0f} s", flush=True)
        process, kills = start(cut, *words), 0
        while True:
            try:
                process.wait(moments.uniform(0.1, 0.25) * length if kills < asked.kills else None)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                print(f"kill {kills}", flush=True)
            else:
                break
            begun = sorted(cut.glob("*/checkpoints/[0-9]*"))
            process = start(cut, "--resume", str(begun[0].parents[1])) if begun else start(cut, *words)
        assert process.returncode == 0, process.returncode
        a, b = (load_file(next(folder.glob("*/model.safetensors"))) for folder in (whole, cut))
        same = a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)
    print(f"{kills} kills; final weights {'equal' if same else 'DIFFER from'} the uninterrupted run's, bit for bit")
    sys.exit(not same)


if __name__ == "__main__":
    main()
