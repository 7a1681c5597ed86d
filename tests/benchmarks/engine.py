"""How fast SO3LR runs, and how fast others run on the same structures in the same minutes.

python -m tests.benchmarks.engine [--structures ethanol ala3*16 water64 FILE ...] [--rounds 6] [--out TABLE.csv]
                                  [--competitor so3krates-torch=PYTHON] [--competitor mlip:visnet=PYTHON] ...

Every engine is a process of its own on one core; rounds alternate between them. Times are CPU milliseconds of
energy and forces in float32, of the same through the ASE calculator with atoms moved a little before every call
(ASE), and of one step of constant-energy dynamics; the ratio is that of the medians.
Operations are XLA's count, peak is the rate of a large matrix product on that core. An engine is ready when it has
read a structure; what its first call, and its first steps, take longer than later ones counts as compilation.
Names: ethanol, ala2, ala3, dha, atat, ala15, waterN for a box of N molecules, or any file; NAME*M for a batch of M.
Without ``--structures`` it takes an hour; ``--structures ethanol dha water64`` takes minutes.

A competitor is NAME=PYTHON or NAME:VARIANT=PYTHON, with the interpreter in which it is installed: so3krates-torch and
the reference so3lr (the same weights), mlip (variants mace and visnet), mace-torch, torch-sim-atomistic. so3lab keeps
memory that it has used, which halves the time of JAX programs; with GLIBC_TUNABLES=glibc.malloc.hugetlb=1 all engines
do. The last three have random weights of a usual size, which the column ``model`` states: time does not depend on the
values of weights, but neither do these networks compute the same energies. What an engine cannot do, or not within
``--patience`` or ``--memory-GB``, is an empty cell, and the column ``note`` says why.
"""

import argparse
import functools
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pandas as pd
from ase.build import molecule

from so3lab.structures import from_smiles, read_structure

WORKERS = Path(__file__).with_name("workers")
STRUCTURES = (
    "ethanol", "dha", "atat", "ala15", "water64", "water512", "water4096", "ethanol*16", "ethanol*256", "dha*16",
    "dha*256",
)  # fmt: skip
"""9, 56, 60, 162, 192, 1,536 and 12,288 atoms, and batches."""
SMILES = {
    "dha": "CC" + r"/C=C\C" * 6 + "CC(=O)O",  # docosahexaenoic acid
    "atat": ".".join(["Nc1ncnc2[nH]cnc12", "Cc1c[nH]c(=O)[nH]c1=O"] * 2),  # two adenines and thymines
    "ala15": "CC(=O)" + "N[C@@H](C)C(=O)" * 15 + "NC",  # a peptide
}
MILLISECONDS = 1e3
SECONDS = 2.0
"""Of an engine's turn in a round, which slow ones exceed by a single call or step."""
CALLS, STEPS = 5, 20


def water_box(molecules: int) -> ase.Atoms:
    """Water at 1 g/cm³ on a cubic lattice in random orientations."""
    random = np.random.default_rng(7)
    side = round(molecules ** (1 / 3))
    if side**3 != molecules:
        raise ValueError(f"a water box needs a cubic number of molecules such as 64, 512 or 4096, got {molecules}")
    spacing = 3.104
    box = ase.Atoms(cell=np.eye(3) * side * spacing, pbc=True)
    for place in np.ndindex(side, side, side):
        one = molecule("H2O")
        one.rotate(random.uniform(0, 360), random.normal(size=3))
        one.positions += (np.array(place) + 0.5) * spacing - one.positions.mean(axis=0)
        box += one
    return box


@functools.cache
def structure(name: str) -> ase.Atoms:
    """A structure by name or file; molecules are centred."""
    if name.startswith("water") and name[5:].isdigit():
        return water_box(int(name[5:]))
    atoms = from_smiles(SMILES[name]) if name in SMILES else read_structure(name)
    if not atoms.pbc.any():
        atoms.positions -= atoms.positions.mean(axis=0)
    return ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=_electrons(atoms))


def _electrons(atoms: ase.Atoms) -> dict[str, Any]:
    """Charge and spin, which engines read; files bring other things, too."""
    return {name: atoms.info[name] for name in ("charge", "spin") if name in atoms.info}


class Worker:
    """An engine in its own process.

    Args:
        competitor: Its name, and behind a colon the variant.
        python: The interpreter that has it.
        patience: Seconds to wait for an answer.
        memory_GB: What the process may take on its one core; None for a GPU's, which is not confined.
    """

    def __init__(self, competitor: str, python: str, patience: float, memory_GB: float | None):
        name, _, variant = competitor.replace("-", "_").replace("torch_sim_atomistic", "torch_sim").partition(":")
        program = WORKERS / f"{name}_worker.py"
        if not program.is_file():
            known = sorted(path.name.removesuffix("_worker.py") for path in WORKERS.glob("*_worker.py"))
            raise ValueError(f"a competitor must be one of {known}, got {name!r}")
        self.name, self._patience = competitor, patience
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        core = {min(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else None

        def confine() -> None:
            if memory_GB is None:
                return
            if core is not None:
                os.sched_setaffinity(0, core)
            resource.setrlimit(resource.RLIMIT_DATA, (int(memory_GB * 1e9),) * 2)

        self._process = subprocess.Popen(
            [python, str(program), *([variant] if variant else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=confine,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request; ``{"reason": why}`` if there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return {"reason": "its process ended; its messages are above"}
        if not select.select([self._process.stdout], [], [], self._patience)[0]:
            self._process.kill()
            return {"reason": f"no answer within {self._patience:g} s"}
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"reason": "its process ended; its messages are above"}

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


@dataclass
class Measured:
    """What is known of one engine on one structure."""

    first: dict[str, Any]
    calls: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    step_count: int = 0
    first_steps_s: float = np.nan
    peak_MiB: float = np.nan
    notes: dict[str, str] = field(default_factory=dict)

    def take_turn(self, worker: Worker) -> None:
        """Energies and steps of one round, as many as there is time for; the number of steps stays, once chosen."""
        seconds = np.median(self.calls or [self.first.get("first_call_s", np.inf)])
        self._ask(worker, "calls", self.calls, int(np.clip(SECONDS / seconds, 1, CALLS)))
        if "calls" in self.notes:  # what has no energies does not move
            return
        self._ask(worker, "moved", self.moved, int(np.clip(SECONDS / seconds, 1, STEPS)))
        if not self.step_count:
            self.step_count = int(np.clip(SECONDS / np.median(self.calls), 1, STEPS))
        self._ask(worker, "steps", self.steps, self.step_count)

    def _ask(self, worker: Worker, what: str, times: list[float], count: int) -> None:
        if what in self.notes:
            return
        answer = worker.ask(**{what: count})
        times += answer.get("seconds", [])
        self.peak_MiB = answer.get("peak_MiB", self.peak_MiB)
        if np.isnan(self.first_steps_s):
            self.first_steps_s = answer.get("first_s", np.nan)
        if "reason" in answer:
            self.notes[what] = answer["reason"]


def compare(name: str, workers: list[Worker], rounds: int, folder: Path) -> list[dict[str, Any]]:
    """One row per engine for one structure; the first engine is what the others are compared with."""
    one, _, copies = name.partition("*")
    atoms, batch = structure(one), int(copies or 1)
    path = folder / "structures.extxyz"
    ase.io.write(path, [atoms] * batch)
    measured = [Measured(worker.ask(structures=str(path))) for worker in workers]
    for engine in measured:
        if "reason" in engine.first:
            engine.notes = dict.fromkeys(("calls", "steps"), engine.first["reason"])
    for _ in range(rounds):
        for engine, worker in zip(measured, workers, strict=True):
            engine.take_turn(worker)
    of_all = [row(engine, batch * len(atoms), measured[0]) for engine in measured]
    start = {"structure": f"{Path(one).stem}{f'*{copies}' if copies else ''}", "atoms": batch * len(atoms)}
    return [start | {"engine": worker.name} | numbers for worker, numbers in zip(workers, of_all, strict=True)]


def row(engine: Measured, atoms: int, ours: Measured) -> dict[str, Any]:
    """The cells of one engine; those that it could not fill are no numbers."""
    call, step, moved = _median(engine.calls), _median(engine.steps), _median(engine.moved)
    first_call = engine.first.get("first_call_s", np.nan)
    return {
        "model": engine.first.get("model", ""),
        "energy+forces ms": call * MILLISECONDS, "spread ms": _spread(engine.calls) * MILLISECONDS,
        "energy+forces µs/atom": 1e6 * call / atoms,
        "MD ms/step": step * MILLISECONDS, "MD spread ms": _spread(engine.steps) * MILLISECONDS,
        "MD µs/atom": 1e6 * step / atoms, "ratio": call / _median(ours.calls),
        "MD ratio": step / _median(ours.steps), "ASE ms": moved * MILLISECONDS,
        "ASE ratio": moved / _median(ours.moved),
        "ASE calls per MD step": moved / step, "ready s": engine.first.get("ready_s", np.nan),
        "compile s": first_call - call, "MD compile s": engine.first_steps_s - engine.step_count * step,
        "peak MiB": engine.peak_MiB, "share of peak": _share(engine.first, call),
        "note": "; ".join(dict.fromkeys(engine.notes.values())),
    }  # fmt: skip


def _median(times: list[float]) -> float:
    return float(np.median(times)) if times else np.nan


def _spread(times: list[float]) -> float:
    """Between the quartiles."""
    return float(np.subtract(*np.percentile(times, [75, 25]))) if times else np.nan


def _share(first: dict[str, Any], seconds: float) -> float:
    """Operations per second over those of a large matrix product."""
    return first["flops"] / seconds / first["peak_flops_per_s"] if first.get("flops") else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", nargs="+", default=STRUCTURES)
    parser.add_argument("--competitor", action="append", default=[], metavar="NAME[:VARIANT]=PYTHON")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait for an answer")
    parser.add_argument("--memory-GB", type=float, default=12.0, help="what an engine may take")
    parser.add_argument("--gpu", action="store_true", help="engines compute on a GPU: no limit of memory or cores")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    engines = [("so3lab", sys.executable), *(text.split("=", 1) for text in options.competitor)]
    rows: list[dict[str, Any]] = []
    for name in options.structures:  # a name that is wrong is said before anything is measured
        structure(name.partition("*")[0])
    memory_GB = None if options.gpu else options.memory_GB
    with tempfile.TemporaryDirectory() as folder:
        for name in options.structures:
            workers = [Worker(*engine, options.patience, memory_GB) for engine in engines]
            rows += compare(name, workers, options.rounds, Path(folder))
            for worker in workers:
                worker.close()
            table = pd.DataFrame(rows[-len(engines) :])
            print(table.to_string(index=False, float_format="%.3g", na_rep=""), flush=True)
    if options.out:
        pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
