"""The potential as an ASE calculator."""

from typing import Any

import ase
from ase.calculators.calculator import Calculator, all_changes

from so3lab.network.pairwise.long_range import far_pairs, long_range_needs
from so3lab.potential.potential import Potential
from so3lab.structures.graph import structure_pairs, total_charge, unpaired_electrons
from so3lab.structures.neighbors import bucket


class So3labCalculator(Calculator):
    """Energy, free energy, forces, atomic energies; stress of cells; charges and dipole of models with charges.

    The room for pairs only grows, in steps, so that nothing is compiled again while atoms move.

    Args:
        potential: The potential.
        charge: Total charge in e; default: ``atoms.info["charge"]`` of each structure, and 0 without it.
        **options: Those of any ASE calculator.
    """

    implemented_properties = [  # noqa: RUF012 - ASE reads it from the class
        "energy",
        "free_energy",
        "forces",
        "energies",
        "stress",
        "charges",
        "dipole",
    ]

    def __init__(self, potential: Potential, charge: float | None = None, **options: Any):
        super().__init__(**options)
        self.potential = potential
        self.charge = charge
        self._room = self._far_room = 0

    def check_state(self, atoms: ase.Atoms, tol: float = 1e-15) -> list[str]:
        """What changed since the last calculation; ASE does not look at the charge and spin in ``atoms.info``."""
        changes = super().check_state(atoms, tol=tol)
        if self.atoms is not None and _electrons(atoms) != _electrons(self.atoms):
            return [*changes, "initial_charges"]
        return changes

    def calculate(self, atoms: ase.Atoms | None = None, properties=("energy",), system_changes=tuple(all_changes)):
        """Fill ``results`` for a structure."""
        super().calculate(atoms, properties, system_changes)
        structure = self.atoms
        assert structure is not None
        self._room = self._pair_room(structure)
        self._far_room = self._far_pair_room(structure)
        result = self.potential(
            structure, charge=self.charge, fast=True, num_pairs=self._room, num_far_pairs=self._far_room
        )
        self.results = {
            "energy": result.energy,
            "free_energy": result.energy,
            "forces": result.forces,
            "energies": result.atomic_energies,
        }
        for name, value in (
            ("stress", result.stress),
            ("charges", result.partial_charges),
            ("dipole", result.dipole),
        ):
            if value is not None:
                self.results[name] = value

    def _pair_room(self, atoms: ase.Atoms) -> int:
        """Room for pairs: what there is plus a sixth when it grows, or all pairs of a small molecule."""
        count = len(structure_pairs(atoms, self.potential.settings.cutoff).receivers)
        return self._room if count <= self._room else _grown(count, atoms)

    def _far_pair_room(self, atoms: ase.Atoms) -> int:
        """The same for far pairs, of which there are none without long-range terms."""
        needs = long_range_needs(self.potential.settings)
        if needs is None:
            return 0
        count = len(far_pairs(atoms, needs).receivers)
        if not atoms.pbc.any() and needs.molecule_cutoff is None:  # all pairs, whatever the positions
            return count
        return self._far_room if count <= self._far_room else _grown(count, atoms)


def _electrons(atoms: ase.Atoms) -> tuple[float, float]:
    return total_charge(atoms), unpaired_electrons(atoms)


def _grown(count: int, atoms: ase.Atoms) -> int:
    room = bucket(count + count // 6)
    return room if atoms.pbc.any() else max(count, min(room, bucket(len(atoms) * (len(atoms) - 1) // 2)))
