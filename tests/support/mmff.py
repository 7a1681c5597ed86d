"""MMFF94 of RDKit in place of a potential: a molecule in milliseconds, and nothing is compiled."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import ase
import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab import units
from so3lab.minimize import Relaxed
from so3lab.structures.smiles import molecule_with_hydrogens


class Field:
    """The force field of a molecule in the numbering of its SMILES."""

    def __init__(self, smiles: str):
        from rdkit.Chem import rdForceFieldHelpers

        self.molecule = molecule_with_hydrogens(smiles)
        self._make = rdForceFieldHelpers.MMFFGetMoleculeForceField
        self._properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(self.molecule)

    def at(self, positions: np.ndarray) -> Any:
        """RDKit's force field of one structure."""
        from rdkit.Chem.rdchem import Conformer
        from rdkit.Geometry import Point3D

        self.molecule.RemoveAllConformers()
        conformer = Conformer(len(positions))
        for atom, position in enumerate(positions):
            conformer.SetAtomPosition(atom, Point3D(*map(float, position)))
        self.molecule.AddConformer(conformer)
        field = self._make(self.molecule, self._properties)
        field.Initialize()
        return field


def relax_by_mmff(smiles: str) -> Callable[[Sequence[ase.Atoms]], Iterator[Relaxed]]:
    """A function that relaxes structures in the numbering of a SMILES; it can be sent to other processes."""
    return functools.partial(_relaxed, smiles)


def _relaxed(smiles: str, structures: Sequence[ase.Atoms]) -> Iterator[Relaxed]:
    made = Field(smiles)
    for number, atoms in enumerate(structures):
        field = made.at(atoms.positions)
        left = field.Minimize(maxIts=5000, forceTol=1e-6, energyTol=1e-10)
        relaxed = atoms.copy()
        relaxed.positions = made.molecule.GetConformer().GetPositions()
        energy, forces = energy_and_forces(field)
        relaxed.calc = SinglePointCalculator(relaxed, energy=energy, forces=forces)
        largest = float(np.linalg.norm(forces, axis=1).max())
        why = "out of steps" if left or largest > 0.01 else "converged"
        yield Relaxed(number, relaxed, energy, largest, 0.0, 1, "internal", why)


def energy_and_forces(field: Any) -> tuple[float, np.ndarray]:
    """eV and eV/Å."""
    return field.CalcEnergy() * units.kcal_per_mol, -np.reshape(field.CalcGrad(), (-1, 3)) * units.kcal_per_mol


class MMFF(Calculator):
    """An ASE calculator, with a spring between two atoms that the force field knows nothing of."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, smiles: str, pair: tuple[int, int] = (0, 1), length: float = 0.0, stiffness: float = 0.0):
        super().__init__()
        self._field = Field(smiles)
        self._pair, self._length, self._stiffness = pair, length, stiffness

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        """Energy and forces."""
        super().calculate(atoms, properties, system_changes)
        energy, forces = energy_and_forces(self._field.at(self.atoms.positions))
        i, j = self._pair
        vector = self.atoms.positions[j] - self.atoms.positions[i]
        distance = np.linalg.norm(vector)
        pull = self._stiffness * (distance - self._length) * vector / distance
        forces[i] += pull
        forces[j] -= pull
        energy += 0.5 * self._stiffness * (distance - self._length) ** 2
        self.results = {"energy": energy, "forces": forces}


def propanol() -> MMFF:
    """The calculator of one molecule, which commands take by the name of this function."""
    return MMFF("CCCO")
