"""The reference program in JAX with its own weights: its calculator's compiled function, and velocity Verlet in ASE.

It is installed from its repository, not from a package index. The long-range cutoff is its default of 12 Å, in small
cells what fits: half of the shortest distance between opposite faces.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from glp import atoms_to_system
from protocol import Engine, serve, through_ase
from so3lr import So3lrCalculator

USUAL_CUTOFF = 12.0


def prepare(structures) -> Engine:
    """The compiled function on lists that are ready, and dynamics of a single structure."""
    if len(structures) > 1:
        raise NotImplementedError("its calculator takes one structure at a time")
    atoms = structures[0]
    calculator = So3lrCalculator(lr_cutoff=long_range_cutoff(atoms), calculate_stress=False, dtype=np.float32)
    prepared = []

    def call():
        if not prepared:  # makes the lists, and compiles
            calculator.calculate(atoms)
            prepared.extend((atoms_to_system(atoms, dtype=np.float32), calculator.neighbors))
        return np.asarray(calculator.calculate_fn(*prepared)["forces"])

    return through_ase(call, structures, calculator)


def long_range_cutoff(atoms) -> float:
    """Å; images of a pair beyond half a cell are not in its lists."""
    if not atoms.pbc.any():
        return USUAL_CUTOFF
    widths = 1.0 / np.linalg.norm(np.linalg.inv(np.array(atoms.cell)), axis=0)
    return min(USUAL_CUTOFF, 0.499 * float(widths.min()))


if __name__ == "__main__":
    serve(prepare)
