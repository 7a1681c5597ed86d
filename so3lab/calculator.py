"""The potential as an ASE calculator."""

from typing import Any

import ase
from ase.calculators.calculator import Calculator, all_changes

from so3lab.graph import structure_pairs
from so3lab.neighbors import bucket
from so3lab.potential import Potential


class So3labCalculator(Calculator):
    """Energy, free energy, forces, atomic energies and, for cells, stress.

    The room for pairs only grows, in steps, so that nothing is compiled again while atoms move.
    """

    implemented_properties = [  # noqa: RUF012 - ASE reads it from the class
        "energy",
        "free_energy",
        "forces",
        "energies",
        "stress",
    ]

    def __init__(self, potential: Potential, **options: Any):
        super().__init__(**options)
        self.potential = potential
        self._room = 0

    def calculate(
        self, atoms: ase.Atoms | None = None, properties=("energy",), system_changes=tuple(all_changes)
    ):
        """Fill ``results`` for a structure."""
        super().calculate(atoms, properties, system_changes)
        structure = self.atoms
        assert structure is not None
        self._room = self._pair_room(structure)
        result = self.potential(structure, num_pairs=self._room)
        self.results = {
            "energy": result.energy,
            "free_energy": result.energy,
            "forces": result.forces,
            "energies": result.atomic_energies,
        }
        if result.stress is not None:
            self.results["stress"] = result.stress

    def _pair_room(self, atoms: ase.Atoms) -> int:
        """Room for pairs: what there is plus a sixth when it grows, or all pairs of a small molecule."""
        count = len(structure_pairs(atoms, self.potential.settings.cutoff).receivers)
        if count <= self._room:
            return self._room
        room = bucket(count + count // 6)
        return room if atoms.pbc.any() else max(count, min(room, bucket(len(atoms) * (len(atoms) - 1) // 2)))
