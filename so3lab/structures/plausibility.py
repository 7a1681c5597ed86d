"""Can a structure be one? Atoms too near or too far for their elements, drawings, cells that hold nothing.

Each refusal names the atoms and the likely reason: a wrong unit, molecules upon each other, a placeholder for a cell.
"""

from typing import NamedTuple

import ase
import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float
from scipy.spatial import cKDTree
from vesin import ase_neighbor_list

from so3lab.counting import counted
from so3lab.structures.elements import COVALENT
from so3lab.structures.neighbors import pair_list

NEAREST, NEAREST_METAL = 0.6, 0.5
"""Times the sum of covalent radii: nonmetals are never nearer in a structure that means something (the most compressed
frames of our reference sets have 0.73), metals in the shortest multiple bonds (Cr2) have 0.6."""
OVERLAP = 0.25
"""Times the sum of covalent radii below which no model is asked, not even for a curve of energies."""
FARTHEST = 1.5
"""Times the sum of covalent radii within which an atom of a molecule has a neighbour."""
_BOHR, _PICOMETRE = (1.6, 2.2), (20.0, 500.0)
"""Times a bond length that neighbours seem apart when numbers in bohr or pm are taken for Å."""
_NANOMETRE = 0.25
"""Times a bond length that neighbours seem apart at most when numbers in nm are taken for Å."""
_SAME = 0.01
"""Å; atoms that are nearer are one atom twice."""
_FLAT = 1e-4
"""Å; a drawing has one coordinate that never varies by more."""
_SINGLE = 0.95
"""Times the sum of covalent radii; carbon's double and triple bonds are shorter."""
_BENT = 0.6
"""Length of the sum of both unit vectors to the neighbours of a carbon; 0 in a straight line, 1 at 120 degrees."""
_BOND, _DRAWN_BOND = 1.25, 1.45
"""Times the sum of covalent radii up to which atoms of a drawing count as bonded, and hydrogens, drawn too long."""


class Contact(NamedTuple):
    """Two atoms that are near each other."""

    first: int
    second: int
    distance: float
    """Å."""
    share: float
    """Of the sum of their covalent radii."""
    across: bool
    """Whether the second is an image in another cell."""

    def words(self, atoms: ase.Atoms) -> str:
        """Both atoms by element and number, and how far apart they are."""
        symbols = atoms.get_chemical_symbols()
        image = "an image of " if self.across else ""
        return (
            f"{symbols[self.first]}{self.first} and {image}{symbols[self.second]}{self.second} are "
            f"{self.distance:.2f} Å apart"
        )


def closest_contact(atoms: ase.Atoms, nonmetals: float = NEAREST, metals: float = NEAREST_METAL) -> Contact | None:
    """The two atoms that are nearest for their elements; None when none is too near.

    Args:
        atoms: The structure; images count.
        nonmetals: Share of the sum of covalent radii below which two nonmetals are too near.
        metals: The same where one of them is a metal or a noble gas.
    """
    radii = covalent_radii[atoms.numbers]
    reach, cell = 2.0 * float(radii.max()) * max(nonmetals, metals), np.asarray(atoms.cell)
    i, j, images = pair_list(atoms.positions, reach, cell, atoms.pbc)
    distances = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + images @ cell, axis=1)
    covalent = np.isin(atoms.numbers, list(COVALENT))
    shares = distances / (radii[i] + radii[j])
    near = np.flatnonzero(shares < np.where(covalent[i] & covalent[j], nonmetals, metals))
    if not near.size:
        return None
    nearest = near[np.argmin(shares[near])]
    first, second = sorted((int(i[nearest]), int(j[nearest])))
    return Contact(first, second, float(distances[nearest]), float(shares[nearest]), bool(images[nearest].any()))


def check_no_overlap(atoms: ase.Atoms) -> None:
    """Refuse atoms on top of each other or of their own images: what every model extrapolates.

    Raises:
        ValueError: With the two atoms and the likely reason.
    """
    contact = closest_contact(atoms, OVERLAP, OVERLAP)
    if contact is not None:
        raise ValueError(_too_near(atoms, contact))


def check_plausible(atoms: ase.Atoms) -> None:
    """Refuse a structure that cannot be one.

    Args:
        atoms: The structure, with finite positions in Å. Single atoms, ions, noble gases, stretched bonds, transition
            states, liquids and crystals all pass.

    Raises:
        ValueError: If atoms are too near for their elements, all too far apart, or a molecule with tetrahedral atoms
            lies in a plane.
    """
    if not atoms.positions.size:
        return
    contact = closest_contact(atoms)
    if contact is not None:
        raise ValueError(_too_near(atoms, contact))
    _check_not_scattered(atoms)
    _check_not_drawn(atoms)


def _too_near(atoms: ase.Atoms, contact: Contact) -> str:
    typical = float(np.median(nearest_shares(atoms)))
    positions = atoms.positions
    flat = len(atoms) > 4 and np.ptp(positions, axis=0).min() < _FLAT
    advice = "do two molecules overlap, or two alternate locations? Remove one of them"
    if contact.across:
        lengths = " x ".join(f"{length:.4g}" for length in atoms.cell.lengths())
        advice = (
            f"the cell of {lengths} Å is too small for what it holds; correct it, or leave out a cell that is none "
            "(--no-cell, atoms.pbc = False)"
        )
    elif atoms.pbc.any() and atoms.cell.rank == 3 and positions.min() >= -0.01 and positions.max() <= 1.01:
        advice = "the coordinates look like fractions of the cell; multiply them by its vectors"
    elif contact.distance < _SAME and not flat:
        advice = "the second is a copy of the first: is a molecule there twice, or an alternate location? Remove one"
    elif typical < _NANOMETRE:
        within_one = positions.min() >= -0.01 and positions.max() <= 1.01
        fractions = ", or like fractions of a cell that is missing" if within_one else ""
        advice = f"the coordinates look like nm (multiply them by 10){fractions}"
    elif flat:
        advice = "all atoms lie in one plane: is a coordinate lost, or is it a drawing?"
    return (
        f"{contact.words(atoms)}, {contact.share:.2f} times the sum of their covalent radii and nearer than atoms can "
        f"be: {advice}"
    )


def _check_not_scattered(atoms: ase.Atoms) -> None:
    """Refuse three or more nonmetal atoms of which hardly one has a neighbour at the distance of a bond."""
    covalent = np.isin(atoms.numbers, list(COVALENT))
    if covalent.sum() < 3:
        return
    if np.mean(nearest_shares(atoms, FARTHEST)[covalent] > FARTHEST) < 0.9:
        return
    typical = float(np.median(_shares_at_any_distance(atoms)[covalent]))
    if _BOHR[0] < typical < _BOHR[1]:
        unit, factor = "bohr", "0.529177"
    elif _PICOMETRE[0] < typical < _PICOMETRE[1]:
        unit, factor = "pm", "0.01"
    elif typical > _PICOMETRE[1]:
        unit, factor = "no unit of chemistry", "what makes Å of them"
    else:
        return
    raise ValueError(
        f"neighbouring atoms are {typical:.3g} times a bond length apart, too far for a molecule: the coordinates look "
        f"like {unit}; multiply them by {factor}"
    )


def _check_not_drawn(atoms: ase.Atoms) -> None:
    """Refuse CH2, CH3 and NH3 groups that lie in one plane with all that they are bonded to."""
    if atoms.pbc.any() or np.sum(np.ptp(atoms.positions, axis=0) < _FLAT) != 1:
        return
    radii = covalent_radii[atoms.numbers]
    i, j, distances = ase_neighbor_list("ijd", atoms, 2.0 * float(radii.max()) * _DRAWN_BOND)
    hydrogen = atoms.numbers == 1
    bonded = distances < (radii[i] + radii[j]) * np.where(hydrogen[i] | hydrogen[j], _DRAWN_BOND, _BOND)
    neighbours = np.bincount(i[bonded], minlength=len(atoms))
    hydrogens = np.bincount(i[bonded & hydrogen[j]], minlength=len(atoms))
    drawn = np.flatnonzero(np.isin(atoms.numbers, (6, 7, 14)) & (neighbours == 4) & (hydrogens >= 2))
    if drawn.size:
        atom = int(drawn[0])
        raise ValueError(
            f"{atoms.get_chemical_symbols()[atom]}{atom} lies in one plane with its four neighbours, as all atoms do: "
            "this is a drawing, not a geometry; embed it in three dimensions (smiles:..., or the SDF file of it)"
        )


def bare_carbon(atoms: ase.Atoms) -> str:
    """A carbon with one or two neighbours at the length of single bonds, or with two in a bend, in a molecule or an
    organic crystal without any hydrogen, in words.

    Returns:
        Empty where there is none.
    """
    carbons = atoms.numbers == 6
    if not carbons.any() or (atoms.numbers == 1).any() or len(atoms) < 3:
        return ""
    if atoms.pbc.any() and not np.isin(atoms.numbers, (7, 8, 9, 16, 17, 35)).any():
        return ""  # diamond, graphite and their surfaces
    radii = covalent_radii[atoms.numbers]
    i, j, distances, arrows = ase_neighbor_list("ijdD", atoms, 2.0 * float(radii.max()) * _BOND)
    shares = distances / (radii[i] + radii[j])
    bonded = shares < _BOND
    neighbours, single, to_carbon = (
        np.bincount(i[bonded & chosen], minlength=len(atoms)) for chosen in (True, shares > _SINGLE, carbons[j])
    )
    bare = np.flatnonzero(carbons & (neighbours <= 2) & (single == neighbours) & (to_carbon > 0))
    if not bare.size:
        along = np.zeros(
            (len(atoms), 3)
        )  # of two unit vectors the sum is longer than one where they bend by 60 degrees
        np.add.at(along, i[bonded], arrows[bonded] / distances[bonded, None])
        bent = np.flatnonzero(carbons & (neighbours == 2) & (np.linalg.norm(along, axis=1) > _BENT))
        return f"C{bent[0]} has 2 neighbours alone, in a bend" if bent.size else ""
    atom = int(bare[0])
    return f"C{atom} has {counted(int(neighbours[atom]), 'neighbour')} alone, as far away as in a single bond"


def nearest_shares(atoms: ase.Atoms, within: float = 1.0) -> Float[np.ndarray, " atoms"]:
    """Distance of each atom to its nearest neighbour over the sum of their covalent radii; inf where there is none
    within so many sums of the largest radii."""
    radii = covalent_radii[atoms.numbers]
    i, j, distances = ase_neighbor_list("ijd", atoms, 2.0 * float(radii.max()) * within)
    shares = np.full(len(atoms), np.inf)
    np.minimum.at(shares, i, distances / (radii[i] + radii[j]))
    return shares


def _shares_at_any_distance(atoms: ase.Atoms) -> Float[np.ndarray, " atoms"]:
    """The same however far neighbours are, images left out."""
    radii = covalent_radii[atoms.numbers]
    distances, neighbours = cKDTree(atoms.positions).query(atoms.positions, k=2)
    return distances[:, 1] / (radii + radii[neighbours[:, 1]])
