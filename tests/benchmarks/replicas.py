"""How many times the atoms a batch of replicas moves per second, compared with one simulation after another.

python -m tests.benchmarks.replicas [--models ethanol ala2 so3lr:ethanol] [--counts 1 4 16 64] [--rounds 5]

One process; rounds alternate between the numbers of replicas, so that all see the same machine. Langevin dynamics at
300 K in float32. A model is a bundled one on its own structure, or so3lr:STRUCTURE. Seconds are of the process's CPU
time where one core computes, of the wall clock elsewhere; ``ratio`` is that of the medians to those of one replica.
"""

import argparse
import os
import time
from pathlib import Path

import ase
import numpy as np
import pandas as pd

import so3lab
from so3lab.doctor.prepare import prepare_process
from so3lab.dynamics import Control, Limits, Replicas
from so3lab.structures import read_structure

SECONDS = 1.0
"""Of the turn of each number of replicas in a round."""
FREE = Limits(None, None, None, None)


def start_structure(model: str) -> ase.Atoms:
    """The molecule that a model is run on, without a cell."""
    atoms = read_structure(model.partition(":")[2] or model)
    return ase.Atoms(atoms.numbers, atoms.positions)


def on_one_core() -> bool:
    """Whether CPU time is the time that a lone process would take."""
    return hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) == 1


class Batch:
    """Replicas of one molecule, and what their steps took."""

    def __init__(self, model: str, count: int):
        self.atoms, self.count = start_structure(model), count
        self._clock = time.process_time if on_one_core() else time.perf_counter
        self.replicas = Replicas(
            so3lab.load(model.partition(":")[0]), [self.atoms] * count, control=Control(300.0), limits=FREE
        )
        self.seconds_per_step: list[float] = []
        self.replicas.advance(1, 50)  # compiles, and pair lists find their size
        self._interval = max(1, int(SECONDS / self._timed(20)))

    def _timed(self, steps: int) -> float:
        began = self._clock()
        self.replicas.advance(1, steps)
        return (self._clock() - began) / steps

    def take_turn(self) -> None:
        """As many steps as there is time for."""
        self.seconds_per_step.append(self._timed(self._interval))


def measure(model: str, counts: list[int], rounds: int) -> pd.DataFrame:
    """A row for each number of replicas; the ratio is to a single run."""
    batches = [Batch(model, count) for count in counts]
    for _ in range(rounds):
        for batch in batches:
            batch.take_turn()
    alone = batches[counts.index(1)]
    rates = [len(b.atoms) * b.count / np.array(b.seconds_per_step) for b in batches]
    one = float(np.median(rates[batches.index(alone)]))
    return pd.DataFrame(
        {
            "model": model,
            "atoms": len(alone.atoms),
            "replicas": counts,
            "ms/step": [1e3 * np.median(batch.seconds_per_step) for batch in batches],
            "atom-steps/s": [np.median(rate) for rate in rates],
            "spread": [np.subtract(*np.percentile(rate, [75, 25])) / np.median(rate) for rate in rates],
            "ratio": [np.median(rate) / one for rate in rates],
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["ethanol", "ala2", "so3lr:ethanol"])
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if 1 not in options.counts:
        parser.error(f"--counts must hold 1, with which the others are compared, got {options.counts}")
    prepare_process()
    tables = []
    for model in options.models:
        tables.append(measure(model, options.counts, options.rounds))
        print(tables[-1].to_string(index=False, float_format="%.4g"), flush=True)
    if options.out:
        pd.concat(tables).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
