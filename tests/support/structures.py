"""Structures of every kind of periodicity and shape of cell, for tests of pair lists."""

from ase import Atoms
from ase.build import bulk, fcc111, molecule


def skewed_cell() -> Atoms:
    cell = [[2.1, 0.0, 0.0], [1.3, 2.4, 0.0], [-0.9, 0.7, 2.2]]
    return Atoms("NaCl", scaled_positions=[[0.1, 0.2, 0.3], [0.6, 0.9, 0.4]], cell=cell, pbc=True)


def slab() -> Atoms:
    atoms = fcc111("Al", size=(2, 2, 3), vacuum=None)
    atoms.rattle(0.1, seed=2)
    return atoms


STRUCTURES = {
    "molecule": lambda: molecule("C6H6"),
    "far molecule": lambda: Atoms("CO", positions=[[500, 500, 500], [501.1, 500, 500]]),
    "single atom": lambda: Atoms("Ar"),
    "one atom, own images": lambda: bulk("Cu"),
    "diamond": lambda: bulk("C").repeat((2, 1, 1)),
    "skewed": skewed_cell,
    "slab without third vector": slab,
    "wire": lambda: Atoms("CC", positions=[[0, 0, 0], [1, 1, 0]], cell=[2.5, 0, 0], pbc=[True, False, False]),
    "outside its cell": lambda: Atoms("CO", positions=[[-7, 3, 11], [1, 1, 1]], cell=[4, 5, 6], pbc=True),
}
