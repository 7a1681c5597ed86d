"""The potential as an ASE calculator."""

from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from so3lab.engine.energy_model import EnergyForces
from so3lab.engine.forces import ForceEvaluator
from so3lab.potential.potential import Potential
from so3lab.structures.electrons import total_charge, unpaired_electrons, with_electrons
from so3lab.structures.neighbors import bucket, check_finite, complete_cell

_ARRAYS = ("positions", "numbers", "pbc")
"""What of a structure its results depend on, besides cell, charge and spin."""


class So3labCalculator(Calculator):
    """Energy, free energy, forces, atomic energies; stress of cells; charges and dipole of models with charges.

    Pair lists reach a little further than the cutoff, and are made anew when an atom has moved by half of that, so
    that ASE's optimisers and dynamics wait for forces alone. Stress is computed from the first time on that it is
    asked for.

    Args:
        potential: The potential.
        charge: Total charge in e; default: what each structure says (:func:`so3lab.structures.total_charge`).
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
        self._evaluator: ForceEvaluator | None = None
        self._described: tuple = ()
        self._wants_stress = False

    def check_state(self, atoms: ase.Atoms, tol: float = 1e-15) -> list[str]:
        """What changed since the last calculation; charge and spin in ``atoms.info`` count, which ASE leaves out."""
        if self.atoms is None:
            return list(all_changes)
        changed = [name for name in _ARRAYS if not np.array_equal(getattr(atoms, name), getattr(self.atoms, name))]
        changed += [] if np.array_equal(atoms.cell.array, self.atoms.cell.array) else ["cell"]
        return changed if self._description(atoms) == self._described else [*changed, "initial_charges"]

    def calculate(self, atoms: ase.Atoms | None = None, properties=("energy",), system_changes=tuple(all_changes)):
        """Fill ``results`` for a structure."""
        super().calculate(atoms, properties, system_changes)
        structure = self.atoms
        assert structure is not None
        check_finite(structure.positions)
        evaluator = self._evaluator_for(structure)
        self._wants_stress |= "stress" in properties and bool(structure.pbc.any())
        places = structure.positions - structure.positions.mean(axis=0)  # far coordinates lose no digits
        cells = complete_cell(np.asarray(structure.cell), structure.pbc)[None] if structure.pbc.any() else None
        found = evaluator(places, cells, with_virial=self._wants_stress and cells is not None)
        result = self.potential.result_of(
            structure, EnergyForces(found.energy, found.forces, found.virial, found.output)
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

    def _evaluator_for(self, atoms: ase.Atoms) -> ForceEvaluator:
        """What computes this structure; made anew for other atoms, periodicity, charge or spin."""
        described = self._description(atoms)
        if self._evaluator is None or described != self._described:
            at_centre = atoms.copy()
            at_centre.positions -= atoms.positions.mean(axis=0)
            at_centre = with_electrons(at_centre, charge=self.charge)
            capacity = 0 if self._evaluator is None else bucket(self._evaluator.capacity)
            self._evaluator, self._described = self.potential.evaluator(at_centre, capacity), described
        return self._evaluator

    def _description(self, atoms: ase.Atoms) -> tuple:
        """What an evaluator is made for."""
        electrons = total_charge(atoms), unpaired_electrons(atoms)
        return atoms.numbers.tobytes(), atoms.pbc.tobytes(), electrons, self.charge, id(self.potential)

    def __getstate__(self) -> dict[str, Any]:
        """Whoever unpickles it makes programs and pair lists of its own."""
        return self.__dict__ | {"_evaluator": None, "_described": ()}
