"""Relaxation by MMFF94 in RDKit, in place of a potential: a molecule in milliseconds, and nothing is compiled."""

from collections.abc import Callable, Iterator, Sequence

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab import units
from so3lab.minimize import Relaxed
from so3lab.structures.smiles import molecule_with_hydrogens


def relax_by_mmff(smiles: str) -> Callable[[Sequence[ase.Atoms]], Iterator[Relaxed]]:
    """A function that relaxes structures in the numbering of a SMILES."""
    from rdkit.Chem import rdForceFieldHelpers as fields
    from rdkit.Chem.rdchem import Conformer
    from rdkit.Geometry import Point3D

    molecule = molecule_with_hydrogens(smiles)
    properties = fields.MMFFGetMoleculeProperties(molecule)

    def relax(structures: Sequence[ase.Atoms]) -> Iterator[Relaxed]:
        for number, atoms in enumerate(structures):
            molecule.RemoveAllConformers()
            conformer = Conformer(len(atoms))
            for atom, position in enumerate(atoms.positions):
                conformer.SetAtomPosition(atom, Point3D(*map(float, position)))
            molecule.AddConformer(conformer)
            field = fields.MMFFGetMoleculeForceField(molecule, properties)
            field.Initialize()
            left = field.Minimize(maxIts=5000, forceTol=1e-6, energyTol=1e-10)
            relaxed = atoms.copy()
            relaxed.positions = molecule.GetConformer().GetPositions()
            energy = field.CalcEnergy() * units.kcal_per_mol
            forces = -np.reshape(field.CalcGrad(), (-1, 3)) * units.kcal_per_mol
            relaxed.calc = SinglePointCalculator(relaxed, energy=energy, forces=forces)
            largest = float(np.linalg.norm(forces, axis=1).max())
            why = "out of steps" if left or largest > 0.01 else "converged"
            yield Relaxed(number, relaxed, energy, largest, 0.0, 1, "internal", why)

    return relax
