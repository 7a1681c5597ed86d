"""How stiff is each internal coordinate, before anything is known of the energy?

Rules by T. H. Fischer and J. Almlöf, J. Phys. Chem. 96, 9768 (1992): a diagonal Hessian from distances and covalent
radii, so good a guess for molecules that an optimiser needs a tenth of the steps. Contacts between molecules follow
the rule of bonds, by which they are as soft as they are long.
"""

import numpy as np
from ase.data import covalent_radii
from ase.units import Bohr, Hartree
from jaxtyping import Float, Int

from so3lab.minimize.coordinates import InternalCoordinates

LINEAR_BEND = 0.16
"""Hartree per squared radian, of a linear bend: about that of the angles of carbon chains."""
LEAST_STRETCH = 2e-4
"""Hartree/bohr²; contacts between molecules that are far from each other still hold a little."""


def force_constants(
    coordinates: InternalCoordinates,
    numbers: Int[np.ndarray, " atoms"],
    xyz: Float[np.ndarray, "3 atoms structures"],
) -> Float[np.ndarray, "coordinates structures"]:
    """Diagonal Hessian in internal coordinates, eV/Å² and eV per squared radian.

    Args:
        coordinates: Which.
        numbers: Atomic numbers.
        xyz: Å.
    """
    radii = covalent_radii[np.asarray(numbers)] / Bohr

    def pair(i, j):
        """Distance and sum of the covalent radii, bohr."""
        return np.linalg.norm(xyz[:, j] - xyz[:, i], axis=0) / Bohr, (radii[i] + radii[j])[:, None]

    r, rc = pair(*coordinates.distances.T)
    stretch = np.maximum(0.3601 * np.exp(-1.944 * (r - rc)), LEAST_STRETCH) / Bohr**2
    a, b, c = coordinates.angles.T
    (left, left_c), (right, right_c) = pair(a, b), pair(b, c)
    excess = left + right - left_c - right_c
    bend = 0.089 + 0.11 * (left_c * right_c) ** 0.42 * np.exp(-0.44 * excess)
    r, rc = pair(*coordinates.dihedrals[:, 1:3].T)
    ends = coordinates.ends[:, None]
    turn = 0.0015 + 14.0 * ends**0.57 * (r * rc) ** -4 * np.exp(-2.85 * (r - rc))
    linear = np.full((2 * len(coordinates.linear_bends), xyz.shape[2]), LINEAR_BEND)
    return Hartree * np.concatenate([stretch, bend, turn, linear])
