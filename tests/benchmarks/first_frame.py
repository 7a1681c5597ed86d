"""Seconds from ``so3lab md`` to the first frame, with an empty compilation cache and with a filled one.

python -m tests.benchmarks.first_frame [--models ethanol ala2 ala3]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from so3lab.potential import bundled_models


def first_frame(model: str, cache: Path, folder: Path) -> tuple[float, float]:
    """Whole process, from start to the first frame and to the end, in seconds."""
    out = folder / f"{model}-{time.monotonic_ns()}.h5"
    command = [
        sys.executable,
        "-m",
        "so3lab",
        "md",
        model,
        model,
        "--steps",
        "20",
        "--out",
        str(out),
        "--json",
    ]
    started = time.monotonic()
    done = subprocess.run(
        command, env={**os.environ, "SO3LAB_CACHE": str(cache)}, capture_output=True, text=True, check=True
    )
    whole = time.monotonic() - started
    inside = json.loads(done.stdout)["first_frame_s"]
    return inside, whole


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=sorted(bundled_models()))
    options = parser.parse_args()
    print("model      cache   first frame (s)   whole process with 20 steps (s)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in options.models:
            cache = folder / f"cache-{model}"
            for state in ("cold", "warm", "warm"):
                inside, whole = first_frame(model, cache, folder)
                print(f"{model:10s} {state:6s} {inside:15.1f} {whole:15.1f}", flush=True)


if __name__ == "__main__":
    main()
