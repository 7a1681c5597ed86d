"""Central differences of energies, to compare forces with."""

from collections.abc import Callable, Iterator

import ase

SOME = ((0, 0), (2, 1), (5, 2))
STEP = 1e-4


def central_forces(energy: Callable[[ase.Atoms], float], atoms: ase.Atoms) -> Iterator[tuple[tuple[int, int], float]]:
    """Some components (atom, axis) of the forces in eV/Å as differences of an energy in eV."""
    for atom, axis in SOME:
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * STEP
            energies.append(energy(moved))
        yield (atom, axis), (energies[1] - energies[0]) / (2 * STEP)
