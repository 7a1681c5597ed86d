"""Which atoms and parts of a structure lie so far from the others that somebody should be asked about it?

Nothing here is wrong for certain: molecules dissociate, and ions are far from each other. But a molecule that a
boundary cut in two, a slipped decimal point and a foreign unit look the same.
"""

import ase
import numpy as np
from ase.data import covalent_radii
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from so3lab.structures.elements import COVALENT
from so3lab.structures.plausibility import FARTHEST, nearest_shares

APART = 6.0
"""Å between parts of a molecule, from which they hardly feel each other."""
_IONS = frozenset((9, 17, 35, 53))
"""Halogens, which stand alone as ions."""
_NOBLE_GASES = frozenset((2, 10, 18, 36, 54, 86))


def loose_parts(atoms: ase.Atoms) -> list[str]:
    """Atoms without a neighbour at the distance of a bond, and parts far from each other, a sentence for each kind."""
    if len(atoms) < 2:
        return []
    lone = nearest_shares(atoms, FARTHEST) > FARTHEST
    if lone.all():
        return _all_alone(atoms)
    bonding = np.isin(atoms.numbers, list(COVALENT - _IONS))
    found = np.flatnonzero(lone & bonding)
    notes = []
    if found.size:
        symbols = atoms.get_chemical_symbols()
        named = ", ".join(f"{symbols[atom]}{atom}" for atom in found[:4]) + (", ..." if found.size > 4 else "")
        notes.append(
            f"{named} without a neighbour at the distance of a bond: is a coordinate wrong, or the molecule cut by a "
            "boundary?"
        )
    return notes + (_parts(atoms) if not atoms.pbc.any() else [])


def _all_alone(atoms: ase.Atoms) -> list[str]:
    if np.isin(atoms.numbers, list(_NOBLE_GASES)).any():
        return []
    radii = covalent_radii[atoms.numbers]
    distances, neighbours = cKDTree(atoms.positions).query(atoms.positions, k=2)
    typical = float(np.median(distances[:, 1] / (radii + radii[neighbours[:, 1]])))
    return [f"no atom has a neighbour at the distance of a bond ({typical:.3g} times that is usual): are they in Å?"]


def _parts(atoms: ase.Atoms) -> list[str]:
    """Parts of a molecule with nothing within ``APART`` between them."""
    tree = cKDTree(atoms.positions)
    pairs = tree.query_pairs(APART, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(atoms), len(atoms)))
    count, part = connected_components(links, directed=False)
    if count == 1:
        return []
    sizes = np.bincount(part)
    smallest = part == np.argmin(sizes)
    gap = float(cKDTree(atoms.positions[~smallest]).query(atoms.positions[smallest])[0].min())
    shown = " and ".join(map(str, sorted(sizes.tolist(), reverse=True))) if count < 4 else f"{sizes.max()} at most"
    return [
        f"{count} parts of {shown} atoms lie apart, {gap:.3g} Å from the nearest other: if a boundary cut a molecule, "
        "read it with its cell or make it whole"
    ]
