"""Are signs and units of energies and forces right, as far as frames tell: one answer from bonds, strains and sizes?"""

import numpy as np

from so3lab import units
from so3lab.datasets.consistency.bond_stretches import (
    bonds_of_frames,
    by_kind,
    check_forces_along_bonds,
    check_forces_per_bohr,
    clearest_stretches,
)
from so3lab.datasets.consistency.energy_against_forces import (
    agreement,
    check_energy_against_forces,
    groups_of,
    pairs_of_frames,
)
from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.consistency.parts_of_sets import check_forces_of_parts
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.sanity_checks import ratios_to_atoms

_LIKE_TOTAL = (0.97, 1.045)
"""Of total energies over those of the atoms, as far as the sum over free atoms knows them."""
_FIRST_WITH_A_CORE = 6
_LAST_OF_THE_SECOND_PERIOD = 10
_FRAMES = 64
_SIZES = 3
_FEWEST_FOR_BOHR = 15


def check_signs_and_units(dataset: Dataset) -> list[Finding]:
    """What bonds say of forces, then what forces say of energies, and what neither could tell."""
    of_frames = bonds_of_frames(dataset, _FRAMES)
    bonds = by_kind(of_frames.values())
    of_forces = check_forces_along_bonds(dataset, bonds)
    if any(finding.refused for finding in of_forces):
        return of_forces
    known = clearest_stretches(bonds) is not None
    kinds = pairs_of_frames(dataset)
    together = agreement(kinds) if kinds else None
    told = together is not None and together.certain and together.frames >= _FEWEST_FOR_BOHR
    of_forces += check_forces_per_bohr(dataset, bonds, together.slope if together and told else None)
    of_forces = of_forces or check_forces_of_parts(dataset, of_frames)
    if any(finding.refused for finding in of_forces):
        return of_forces
    of_energies = check_energy_against_forces(dataset, kinds, forces_are_right=known and not of_forces)
    if of_forces:  # a doubt about bohr, which energies would only repeat
        of_energies = [finding for finding in of_energies if finding.refused]
    agreed = any(agreement(group).certain for group in groups_of(kinds))
    if not (of_energies or agreed):
        of_energies = _size_of_energies(dataset)
    return of_forces + of_energies + _untold(dataset, known or agreed, agreed or bool(of_energies))


def _untold(dataset: Dataset, forces_known: bool, energies_known: bool) -> list[Finding]:
    """What stays open: few frames, frames at rest, and what has no bonds tell nothing."""
    few = f"{len(dataset)} frame{'s' if len(dataset) > 1 else ''}"
    findings = []
    if not forces_known:
        findings.append(
            Finding(
                f"whether forces have the right sign and unit could not be told from {few}: there are too few "
                "stretched bonds between nonmetals",
                open=True,
            )
        )
    if not energies_known:
        findings.append(
            Finding(
                f"whether energies and forces go together, in sign and unit, could not be told from {few}: too few "
                "hold the same atoms, or they are too far apart",
                open=True,
            )
        )
    return findings


def _size_of_energies(dataset: Dataset) -> list[Finding]:
    """Whether energies are like total ones of all electrons in hartree, or per atom."""
    first = np.unique(dataset.molecules, return_index=True)[1]
    heaviest = np.array([dataset.numbers[i].max() for i in first])[dataset.molecules]
    asked = (heaviest >= _FIRST_WITH_A_CORE) & (heaviest <= _LAST_OF_THE_SECOND_PERIOD)
    if not asked.any():
        return []
    ratios, sizes = ratios_to_atoms(dataset)[asked], dataset.sizes[asked]
    frame = int(np.flatnonzero(asked)[0])
    shown = f"energies, such as {dataset.energies[frame]:.6g} eV of frame {frame}, are like total energies"
    if _all_like_total(ratios * units.hartree):
        return [
            Finding(f"{shown} of all electrons in hartree: if they are, pass energy_unit='hartree' or convert them")
        ]
    if len(np.unique(sizes)) >= _SIZES and _all_like_total(ratios * sizes):
        return [Finding(f"{shown} of all electrons per atom: multiply them by the number of atoms")]
    return []


def _all_like_total(ratios: np.ndarray) -> bool:
    return bool((ratios > _LIKE_TOTAL[0]).all() and (ratios < _LIKE_TOTAL[1]).all())
