"""Seconds from ``so3lab md`` to the first frame, with an empty compilation cache and with a filled one.

python -m tests.benchmarks.first_frame [--runs ethanol ala3 so3lr:FILE ...]

A run is a bundled model, on its own structure, or MODEL:STRUCTURE as ``so3lab md`` takes them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import so3lab
from so3lab.pretrained.loading import bundled_models
from so3lab.pretrained.so3lr import cached_model


def first_frame(run: str, cache: Path, folder: Path) -> tuple[float, float]:
    """Seconds from the start of the process to the first frame, and to its end."""
    model, _, structure = run.partition(":")
    out = folder / f"{model}-{time.monotonic_ns()}.h5"
    command = [
        sys.executable,
        "-m",
        "so3lab",
        "md",
        model,
        structure or model,
        "--steps",
        "20",
        "--out",
        str(out),
    ]
    command += ["--json", "--no-cell"]
    started = time.monotonic()
    done = subprocess.run(
        command, env={**os.environ, "SO3LAB_CACHE": str(cache)}, capture_output=True, text=True, check=True
    )
    whole = time.monotonic() - started
    inside = json.loads(done.stdout)["first_frame_s"]
    return inside, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", default=sorted(bundled_models()))
    options = parser.parse_args()
    print(f"{'run':20s} programs   first frame (s)   whole process with 20 steps (s)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, run in enumerate(options.runs):
            cache = folder / f"cache-{number}"
            if run.startswith("so3lr:"):  # weights obtained and converted before: programs are what is cold
                so3lab.load("so3lr")
                (cache / "models").mkdir(parents=True)
                shutil.copy(cached_model(), cache / "models")
            for state in ("cold", "warm", "warm"):
                inside, whole = first_frame(run, cache, folder)
                label = f"{run.partition(':')[0]} {Path(run.partition(':')[2]).stem}"
                print(f"{label:20s} {state:8s} {inside:16.1f} {whole:15.1f}", flush=True)


if __name__ == "__main__":
    main()
