"""What can be said of each minimum in numbers? A table for maps, filters and files."""

from collections.abc import Sequence

import ase
import numpy as np
import pandas as pd

from so3lab import units
from so3lab.minima.accounts import Minimum
from so3lab.minima.torsions import rotatable_dihedrals
from so3lab.observables.backbone import backbone_torsions
from so3lab.observables.internal import internal_coordinates
from so3lab.observables.shape import radius_of_gyration


def properties(minima: Sequence[Minimum]) -> pd.DataFrame:
    """One row per minimum, in their order.

    Args:
        minima: Of one compound. Those whose atoms stand in another order than in the first have no torsions here.

    Returns:
        ``number``, ``energy_eV``, ``above_lowest_kcal_mol``, ``visits``, ``origin``, ``parent`` (-1 for none),
        ``radius_of_gyration_A`` of all atoms alike, the backbone's ``phi_deg`` and ``psi_deg`` (with the number of the
        residue where there are several), and every other torsion that a molecule turns about, named by its atoms, in
        degrees.
    """
    if not minima:
        return pd.DataFrame()
    energies = np.array([one.energy for one in minima])
    table = pd.DataFrame(
        {
            "number": [one.number for one in minima],
            "energy_eV": energies,
            "above_lowest_kcal_mol": (energies - energies.min()) / units.kcal_per_mol,
            "visits": [one.visits for one in minima],
            "origin": [one.origin for one in minima],
            "parent": [-1 if one.parent is None else one.parent for one in minima],
        }
    )
    first = minima[0].atoms
    alike = np.array([np.array_equal(one.atoms.numbers, first.numbers) for one in minima])
    positions = np.stack([one.atoms.positions for one, same in zip(minima, alike, strict=True) if same])
    found = radius_of_gyration(positions, np.ones(len(first)), np.arange(float(len(positions))))
    found = found.drop(columns="time_fs").join(internal_coordinates(positions, _torsions(first)))
    rows = table.index[alike]
    return table.join(found.set_index(rows))


def _torsions(atoms: ase.Atoms) -> dict[str, tuple[int, ...]]:
    """Torsions by name: those of a backbone first, then the others."""
    try:
        residues = backbone_torsions(atoms)
    except ValueError:
        residues = []
    named: dict[str, tuple[int, ...]] = {}
    for number, residue in enumerate(residues, start=1):
        which = f"_{number}" if len(residues) > 1 else ""
        named |= {f"phi{which}": residue.phi, f"psi{which}": residue.psi}
    middles = {frozenset(four[1:3]) for four in named.values()}
    symbols = atoms.get_chemical_symbols()
    for four in rotatable_dihedrals(atoms):
        if frozenset(four[1:3]) not in middles:
            named["torsion " + "–".join(f"{symbols[atom]}{atom}" for atom in four)] = four
    return named
