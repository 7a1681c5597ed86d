"""Which forces hold the images of a path apart and pull them onto the way of lowest energy?

Sources: tangents, G. Henkelman and H. Jónsson, J. Chem. Phys. 113, 9978 (2000), equations 8 to 12; the image that
climbs, G. Henkelman, B. P. Uberuaga and H. Jónsson, J. Chem. Phys. 113, 9901 (2000), equation 5.
"""

import numpy as np
from jaxtyping import Float

Images = Float[np.ndarray, "images atoms 3"]


def tangents(positions: Images, energies: Float[np.ndarray, " images"]) -> Float[np.ndarray, "inner atoms 3"]:
    """Directions of the path at its inner images, of length 1: towards the higher neighbour, and near extrema a mixture
    of both that changes evenly.

    Args:
        positions: Å, both ends included.
        energies: eV.
    """
    steps = np.diff(positions, axis=0)
    back, forth = steps[:-1], steps[1:]
    below, here, above = energies[:-2], energies[1:-1], energies[2:]
    rising, falling = (above > here) & (here > below), (above < here) & (here < below)
    differences = np.abs(np.stack([above - here, below - here]))
    most, least = differences.max(axis=0), differences.min(axis=0)
    upwards = above > below
    weight_forth = np.where(rising, 1.0, np.where(falling, 0.0, np.where(upwards, most, least)))
    weight_back = np.where(rising, 0.0, np.where(falling, 1.0, np.where(upwards, least, most)))
    flat = (weight_forth == 0) & (weight_back == 0)
    weight_forth, weight_back = np.where(flat, 1.0, weight_forth), np.where(flat, 1.0, weight_back)
    found = weight_forth[:, None, None] * forth + weight_back[:, None, None] * back
    return found / np.maximum(np.linalg.norm(found, axis=(1, 2), keepdims=True), 1e-12)


def nudged_forces(
    positions: Images,
    energies: Float[np.ndarray, " images"],
    gradients: Float[np.ndarray, "inner atoms 3"],
    spring: float,
    climbing: int | None = None,
) -> Float[np.ndarray, "inner atoms 3"]:
    """Forces on the inner images, eV/Å: the energy's across the path, the springs' along it.

    Args:
        positions: Å, both ends included.
        energies: eV.
        gradients: eV/Å, of the inner images.
        spring: eV/Å².
        climbing: The inner image, from 0, that climbs along the path without springs.
    """
    along = tangents(positions, energies)
    lengths = np.linalg.norm(np.diff(positions, axis=0), axis=(1, 2))
    slopes = np.einsum("iax,iax->i", gradients, along)
    pulls = slopes + spring * np.diff(lengths)
    if climbing is not None:
        pulls[climbing] = 2.0 * slopes[climbing]
    forces: np.ndarray = -gradients + pulls[:, None, None] * along
    return forces
