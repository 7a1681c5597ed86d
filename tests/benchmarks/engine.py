"""How fast SO3LR runs, and how fast others run the same weights on the same structures in the same minutes.

python -m tests.benchmarks.engine [--structures ethanol ala3*16 water64 FILE ...] [--rounds 6] [--out TABLE.csv]
                                  [--competitor so3krates_torch=PYTHON]

Every engine is a process of its own on one core; rounds alternate between them. Times are CPU milliseconds of
energy and forces in float32, and of one step of constant-energy dynamics; the ratio is that of the medians.
Operations are XLA's count, peak is the rate of a large matrix product on that core.
Names: ethanol, ala2, ala3, waterN for a box of N molecules, or any file; NAME*M for a batch of M.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pandas as pd
from ase.build import molecule

from so3lab import resources

WORKERS = Path(__file__).with_name("workers")
BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "structures"
MILLISECONDS = 1e3


def water_box(molecules: int) -> ase.Atoms:
    """Water at 1 g/cm³ on a cubic lattice in random orientations."""
    random = np.random.default_rng(7)
    side = round(molecules ** (1 / 3))
    if side**3 != molecules:
        raise ValueError(
            f"a water box needs a cubic number of molecules such as 64, 512 or 4096, got {molecules}"
        )
    spacing = 3.104
    box = ase.Atoms(cell=np.eye(3) * side * spacing, pbc=True)
    for place in np.ndindex(side, side, side):
        one = molecule("H2O")
        one.rotate(random.uniform(0, 360), random.normal(size=3))
        one.positions += (np.array(place) + 0.5) * spacing - one.positions.mean(axis=0)
        box += one
    return box


def structure(name: str) -> ase.Atoms:
    """A structure by name or file; molecules are centred and have no cell."""
    if name.startswith("water") and name[5:].isdigit():
        return water_box(int(name[5:]))
    path = next(
        (
            path
            for path in (Path(name), resources.bundled("data") / f"{name}.xyz", BESIDE / f"{name}.xyz")
            if path.is_file()
        ),
        None,
    )
    if path is None:
        raise FileNotFoundError(f"there is no structure {name!r}")
    atoms = ase.io.read(path)
    assert isinstance(atoms, ase.Atoms)
    clean = ase.Atoms(atoms.numbers, atoms.positions)
    if atoms.pbc.all() and "water" in name:
        clean.cell, clean.pbc = atoms.cell, True
    else:
        clean.positions -= clean.positions.mean(axis=0)
    return clean


class Worker:
    """An engine in its own process."""

    def __init__(self, name: str, python: str):
        self.name = name
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        core = {min(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else None
        self._process = subprocess.Popen(
            [python, str(WORKERS / f"{name}_worker.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment, preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, core),
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request.

        Raises:
            RuntimeError: If the process has died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker {self.name} ended; its messages are above")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


def compare(name: str, workers: list[Worker], rounds: int, folder: Path) -> list[dict[str, Any]]:
    """One row per engine for one structure."""
    one, _, copies = name.partition("*")
    atoms, batch = structure(one), int(copies or 1)
    path = folder / "structures.extxyz"
    ase.io.write(path, [atoms] * batch)
    first = {worker.name: worker.ask(structures=str(path)) for worker in workers}
    calls: dict[str, list[float]] = {worker.name: [] for worker in workers}
    steps: dict[str, list[float]] = {worker.name: [] for worker in workers}
    peak = {}
    for _ in range(rounds):
        for worker in workers:
            calls[worker.name] += worker.ask(calls=5)["seconds"]
            answer = worker.ask(steps=20)
            steps[worker.name] += answer["seconds"]
            peak[worker.name] = answer["peak_MiB"]
    ours = workers[0].name
    rows = []
    for worker in workers:
        call, step = np.array(calls[worker.name]) * MILLISECONDS, np.array(steps[worker.name]) * MILLISECONDS
        rows.append(
            {
                "structure": Path(name).stem, "atoms": batch * len(atoms), "engine": worker.name,
                "energy+forces ms": np.median(call), "spread ms": np.subtract(*np.percentile(call, [75, 25])),
                "MD ms/step": np.median(step) if len(step) else np.nan,
                "MD µs/atom": 1e3 * np.median(step) / len(atoms) if len(step) else np.nan,
                "ratio": np.median(calls[worker.name]) / np.median(calls[ours]),
                "MD ratio": np.median(steps[worker.name]) / np.median(steps[ours]) if len(step) else np.nan,
                "first call s": first[worker.name]["first_call_s"], "peak MiB": peak[worker.name],
                "share of peak": _share(first[worker.name], np.median(calls[worker.name])),
            }
        )  # fmt: skip
    return rows


def _share(first: dict[str, Any], seconds: float) -> float:
    """Operations per second over those of a large matrix product."""
    return first["flops"] / seconds / first["peak_flops_per_s"] if first.get("flops") else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--structures", nargs="+", default=["ethanol", "ala3", "dha", "water64"])
    parser.add_argument("--competitor", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    engines = [("so3lab", sys.executable), *(text.split("=", 1) for text in options.competitor)]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.structures:
            workers = [Worker(*engine) for engine in engines]
            rows += compare(name, workers, options.rounds, Path(folder))
            for worker in workers:
                worker.close()
            print(pd.DataFrame(rows[-len(engines) :]).to_string(index=False, float_format="%.3g"), flush=True)
    if options.out:
        pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
