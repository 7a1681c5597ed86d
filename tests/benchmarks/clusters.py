"""How long until the hardest small Lennard-Jones cluster is found: 38 atoms, a truncated octahedron among icosahedra.

python -m tests.benchmarks.clusters [--seeds 0 1 2] [--minutes 5]

Its energy is -173.928427 ε (D. J. Wales and J. P. K. Doye, J. Phys. Chem. A 101, 5111, 1997). Each search begins with
atoms at random and goes by basin hopping alone, as ``so3lab minima search lj lj:38`` does. Seconds are of wall-clock
time with compilation; relaxations say the same on any machine.
"""

import argparse
import time

import pandas as pd

from so3lab.doctor.prepare import prepare_process
from so3lab.minima import Search
from so3lab.pretrained import lennard_jones, random_cluster

ATOMS, LOWEST, TOLERANCE = 38, -173.928427, 1e-3


def measure(seed: int, minutes: float) -> dict:
    """A row: the lowest energy found, and how many relaxations and seconds it took."""
    began = time.monotonic()
    search = Search(
        lennard_jones(), random_cluster(ATOMS, seed=seed), seed=seed, max_force=1e-3, confirm=False
    )  # fmt: skip
    lowest, relaxations, seconds = float("inf"), 0, 0.0
    for number, account in enumerate(search.run(minutes=minutes), start=1):
        if account.energy < lowest - TOLERANCE:
            lowest, relaxations, seconds = account.energy, number, time.monotonic() - began
        if lowest < LOWEST + TOLERANCE:
            break
    return {
        "seed": seed, "lowest ε": lowest, "found": lowest < LOWEST + TOLERANCE, "relaxations": relaxations,
        "s": seconds,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    prepare_process()
    table = pd.DataFrame([measure(seed, options.minutes) for seed in options.seeds])
    print(table.to_string(index=False, float_format="%.7g"))
    print(f"{table['found'].sum()} of {len(table)} searches found {LOWEST} ε within {options.minutes:g} minutes")


if __name__ == "__main__":
    main()
