"""How many elastic bands converge, in how many evaluations of each image and how much time, against ASE's.

python -m tests.benchmarks.paths [--paths 20] [--images 10] [--max-force 0.05] [--steps 500]

Alanine dipeptide with the bundled model, float32, between minima of a short search, the nearest pairs of different
minima. Both begin with the same images, with improved tangents and a climbing image, and have as many steps; L-BFGS of
ASE goes one path after another. Seconds are of the process's CPU time, without compilation.
"""

import argparse
import itertools
import time

import ase
import pandas as pd
from ase.mep import NEB
from ase.optimize import LBFGS

import so3lab
from so3lab.doctor.prepare import prepare_process
from so3lab.landscape import Band, nudged_elastic_band
from so3lab.landscape.alignment import align
from so3lab.minima import Search
from so3lab.potential import Potential
from so3lab.structures import read_structure

MOLECULE = "ala2"
PROPOSALS = 96
SPRING = 1.0
FEW_STEPS = 100
"""Within which it is told, too, how many paths converge."""


def pairs_of_minima(potential: Potential, count: int) -> list[tuple[ase.Atoms, ase.Atoms]]:
    """The nearest pairs of different minima."""
    search = Search(potential, read_structure(MOLECULE), proposals=["torsions"])
    for _ in search.run(proposals=PROPOSALS):
        pass
    found = [one.atoms for one in search.minima]
    apart = [(align(a, b).rmsd, i, j) for (i, a), (j, b) in itertools.combinations(enumerate(found), 2)]
    return [(found[i], found[j]) for _, i, j in sorted(apart)[:count]]


def ours(potential: Potential, pairs, images: int, max_force: float, steps: int) -> tuple[list[Band], float]:
    """Bands with the CPU time of all."""
    list(nudged_elastic_band(potential, pairs, images=images, max_steps=1))  # compiles
    began = time.process_time()
    found = list(nudged_elastic_band(potential, pairs, images=images, max_force=max_force, max_steps=steps))
    return sorted(found, key=lambda one: one.number), time.process_time() - began


def ase_steps(potential: Potential, start: Band, max_force: float, steps: int) -> tuple[int, bool, float, float]:
    """Steps of ASE's L-BFGS from the same images, whether they sufficed, the barrier, and seconds."""
    images = [image.copy() for image in start.images]
    calculator = potential.calculator()
    for image in images:
        image.calc = calculator
    band = NEB(images, k=SPRING, climb=True, method="improvedtangent", allow_shared_calculator=True)
    optimizer = LBFGS(band, logfile=None)
    began = time.process_time()
    converged = bool(optimizer.run(fmax=max_force, steps=steps))
    seconds = time.process_time() - began
    energies = [image.get_potential_energy() for image in images]
    return optimizer.nsteps, converged, max(energies) - energies[0], seconds


def measure(count: int, images: int, max_force: float, steps: int) -> pd.DataFrame:
    """A row for each path, with both."""
    potential = so3lab.load(MOLECULE)
    pairs = pairs_of_minima(potential, count)
    if not pairs:
        raise ValueError(f"paths need two minima at least, and a search of {PROPOSALS} proposals found one")
    bands, seconds = ours(potential, pairs, images, max_force, steps)
    starts = nudged_elastic_band(potential, pairs, images=images, max_steps=1, climb=False)
    rows = []
    for band, start in zip(bands, sorted(starts, key=lambda one: one.number), strict=True):
        steps_of_ase, converged, barrier, seconds_of_ase = ase_steps(potential, start, max_force, steps)
        rows.append(
            {
                "path": band.number, "converged": band.converged, "steps": band.steps, "barrier eV": band.barrier,
                "s": seconds / len(bands), "ASE converged": converged, "ASE steps": steps_of_ase,
                "ASE barrier eV": barrier, "ASE s": seconds_of_ase,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=20)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--max-force", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    prepare_process()
    table = measure(options.paths, options.images, options.max_force, options.steps)
    print(table.to_string(index=False, float_format="%.3g"))
    print(summary(table).to_string(index=False, float_format="%.3g"))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each method: paths that converged, in all and within few steps, mean steps of these, and seconds."""
    rows = []
    for name in ("", "ASE "):
        converged, steps = table[f"{name}converged"].to_numpy(bool), table[f"{name}steps"].to_numpy()
        rows.append(
            {
                "method": name or "so3lab", "paths": len(table), "converged": converged.sum(),
                f"within {FEW_STEPS} steps": (converged & (steps <= FEW_STEPS)).sum(),
                "mean steps": steps.mean(), "CPU s": table[f"{name}s"].sum(),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
