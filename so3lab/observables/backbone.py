"""Which conformations does a peptide visit, and what do they cost in free energy?"""

from typing import NamedTuple

import ase
import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab import units
from so3lab.observables.bonding import bonds
from so3lab.observables.internal import Dihedral


class BackboneTorsions(NamedTuple):
    """Atoms of the two torsions of one residue."""

    phi: Dihedral
    """C of the residue before, N, Cα, C."""
    psi: Dihedral
    """N, Cα, C, N of the residue after."""


def backbone_torsions(atoms: ase.Atoms) -> list[BackboneTorsions]:
    """The φ and ψ of every residue that has both, found from the bonds, from the N terminus on.

    A residue is an amide nitrogen, an sp3 carbon and a carbonyl carbon in a row; caps such as acetyl and methylamide
    count as the residue before and after. Terminal residues without a cap lack one of the angles and are left out.

    Args:
        atoms: A structure whose bonds have about their usual lengths, such as the relaxed one a run started from.

    Raises:
        ValueError: If there is no such residue.

    Source: IUPAC-IUB Commission on Biochemical Nomenclature, Biochemistry 9, 3471 (1970).
    """
    neighbours: list[list[int]] = [[] for _ in range(len(atoms))]
    for i, j in bonds(atoms):
        neighbours[i].append(int(j))
        neighbours[j].append(int(i))
    symbols = atoms.get_chemical_symbols()

    def bonded(atom: int, element: str) -> list[int]:
        return [other for other in neighbours[atom] if symbols[other] == element]

    carbonyls = {
        atom
        for atom in range(len(atoms))
        if symbols[atom] == "C"
        and len(neighbours[atom]) == 3
        and any(len(neighbours[oxygen]) == 1 for oxygen in bonded(atom, "O"))
    }
    found: dict[int, BackboneTorsions] = {}
    for alpha in range(len(atoms)):
        if symbols[alpha] != "C" or len(neighbours[alpha]) != 4:
            continue
        for carbon in carbonyls.intersection(neighbours[alpha]):
            for nitrogen in bonded(alpha, "N"):
                before = [other for other in bonded(nitrogen, "C") if other in carbonyls]
                after = bonded(carbon, "N")
                if len(before) == 1 and len(after) == 1:
                    phi, psi = (before[0], nitrogen, alpha, carbon), (nitrogen, alpha, carbon, after[0])
                    found[nitrogen] = BackboneTorsions(phi, psi)
    if not found:
        raise ValueError(
            f"atoms must hold a residue between two amide groups, {atoms.get_chemical_formula()} has none; "
            "name the four atoms of a dihedral to internal_coordinates instead"
        )
    return _along_the_chain(found)


def _along_the_chain(found: dict[int, BackboneTorsions]) -> list[BackboneTorsions]:
    """Residues by nitrogen, put in the order in which each one's next nitrogen names the following one."""
    followers = {residue.psi[3] for residue in found.values()}
    starts = [nitrogen for nitrogen in found if nitrogen not in followers]
    ordered: dict[int, BackboneTorsions] = {}
    for start in [*starts, *found]:  # rings have no start
        while start in found and start not in ordered:
            ordered[start] = found[start]
            start = found[start].psi[3]
    return list(ordered.values())


def ramachandran(
    phi_deg: Float[np.ndarray, "*samples"],
    psi_deg: Float[np.ndarray, "*samples"],
    temperature_K: float,
    bins: int = 36,
) -> pd.DataFrame:
    r"""Free energy over two torsions, from how often an equilibrium run visits each square of their map.

    .. math:: F(\phi, \psi) = -k_B T \ln p(\phi, \psi) - F_\mathrm{min}

    Args:
        phi_deg: Degrees; any period of 360.
        psi_deg: Degrees, one for each φ.
        temperature_K: Temperature of the run.
        bins: Squares along each axis, from -180 to 180.

    Returns:
        One row per square: ``phi_deg`` and ``psi_deg`` (centres), ``probability``, ``free_energy_eV`` and
        ``free_energy_kcal_mol``, 0 at the most visited square and NaN where the run never was.

    Raises:
        ValueError: If the temperature is not positive, there are no squares or no samples, or an angle is not finite.
    """
    if not temperature_K > 0:
        raise ValueError(f"temperature_K must be positive, got {temperature_K}")
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    phi, psi = (np.ravel(np.asarray(angles, np.float64)) for angles in (phi_deg, psi_deg))
    if not len(phi) or not (np.isfinite(phi).all() and np.isfinite(psi).all()):
        raise ValueError(f"phi_deg and psi_deg must hold finite angles, got {len(phi)} with NaN or none at all")
    square = [np.floor(((angles + 180.0) % 360.0) * bins / 360.0).astype(int) % bins for angles in (phi, psi)]
    counts = np.bincount(square[0] * bins + square[1], minlength=bins * bins)
    centres = -180.0 + 360.0 / bins * (np.arange(bins) + 0.5)
    probability = counts / counts.sum()
    with np.errstate(divide="ignore"):
        energy = np.where(counts > 0, -units.kB * temperature_K * np.log(counts / counts.max()), np.nan)
    return pd.DataFrame(
        {
            "phi_deg": np.repeat(centres, bins),
            "psi_deg": np.tile(centres, bins),
            "probability": probability,
            "free_energy_eV": energy + 0.0,
            "free_energy_kcal_mol": energy / units.kcal_per_mol + 0.0,
        }
    )
