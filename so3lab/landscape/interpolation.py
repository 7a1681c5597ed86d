"""Where do the images of a path lie before anything is known of the energy?

Molecules whose bonds stay go through internal coordinates, so that dihedrals turn while bonds keep their lengths. All
else goes along the image-dependent pair potential (S. Smidstrup, A. Pedersen, K. Stokbro and H. Jónsson, J. Chem.
Phys. 140, 214106, 2014): distances between atoms change evenly, as far as they can.
"""

import ase
import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize as smallest
from scipy.spatial.distance import pdist

from so3lab.minimize.assembly import Assembly
from so3lab.minimize.coordinates import CoordinatesError, internal_coordinates
from so3lab.minimize.model_hessian import force_constants
from so3lab.minimize.wilson import difference, values, values_and_rows
from so3lab.observables import superpose
from so3lab.structures.bonds import bonded_pairs
from so3lab.structures.constraints import held_atoms
from so3lab.structures.neighbors import pair_list

ANGLE = np.radians(8.0)
"""By which a coordinate changes at most in a step of a walk."""
SOFTEST = 1e-3
"""eV/Å², of what internal coordinates do not know."""
ARRIVED = 0.3
"""Å of RMSD from the end at which a walk has arrived; what is left is shared out."""
TOO_CLOSE = 0.55
"""Times the shortest distance of two such elements at both ends: nearer atoms clash."""
REACH = 6.0
"""Å of pairs in cells."""
TRIES, NOISE = 4, 0.1

Images = Float[np.ndarray, "images atoms 3"]


def interpolated(first: ase.Atoms, last: Float[np.ndarray, "atoms 3"], images: int) -> Images:
    """Positions of the images of a path, both ends included, Å.

    The last image is the end that was given, but for a turn and shift as a whole of a molecule.

    Args:
        first: One end.
        last: Positions of the other, aligned with it.
        images: How many, both ends included.
    """
    walked = _through_internal(first, last, images)
    if walked is not None and not clashing(walked, first.numbers):
        return walked
    rng = np.random.default_rng(0)
    for attempt in range(TRIES):
        found = _by_distances(first, last, images, noise=attempt * NOISE, rng=rng)
        if first.pbc.any() or not clashing(found, first.numbers):
            break
    return found


def clashing(images: Images, numbers: np.ndarray) -> bool:
    """Whether atoms between the ends come much closer than any of their elements do at the ends.

    Args:
        images: Å, of a structure without a cell.
        numbers: Atomic numbers.
    """
    if len(numbers) < 2:
        return False
    first, second = np.triu_indices(len(numbers), 1)
    low, high = np.minimum(numbers[first], numbers[second]), np.maximum(numbers[first], numbers[second])
    kinds = np.unique(low * 1000 + high, return_inverse=True)[1]
    distances = np.stack([pdist(image) for image in images])
    nearest = np.full(kinds.max() + 1, np.inf)
    np.minimum.at(nearest, kinds, distances[[0, -1]].min(axis=0))
    return bool((distances < TOO_CLOSE * nearest[kinds]).any())


def _through_internal(first: ase.Atoms, last: np.ndarray, images: int) -> Images | None:
    """A walk along internal coordinates, each by the shorter way; None where they are no good for it."""
    if first.pbc.any() or first.constraints:
        return None
    there = first.copy()
    there.positions = last
    bonds = [
        {(min(i, j), max(i, j)) for i, j in zip(*bonded_pairs(atoms)[:2], strict=True)} for atoms in (first, there)
    ]
    if not bonds[0] or bonds[0] != bonds[1]:
        return None
    try:
        coordinates = internal_coordinates(first.numbers, first.positions, np.array(sorted(bonds[0]), int))
    except CoordinatesError:
        return None
    assembly, goal = Assembly(coordinates), values(coordinates, last.T[:, :, None])
    place = first.positions.copy()
    whole = np.abs(difference(coordinates, goal, values(coordinates, place.T[:, :, None]))).max()
    substeps = int(np.ceil(whole / ANGLE / (images - 1))) + 1
    walked, left = [place], substeps * (images - 1)
    for number in range(left):
        place = _step(coordinates, assembly, first.numbers, place, goal, 1.0 / (left - number))
        if (number + 1) % substeps == 0:
            walked.append(place)
    end = superpose(last[None], walked[-1])[0]
    missing = end - walked[-1]
    if not np.isfinite(missing).all() or np.sqrt(np.mean(np.sum(missing**2, axis=1))) > ARRIVED:
        return None
    shares = np.linspace(0.0, 1.0, images)[:, None, None]
    return np.stack(walked) + shares * missing


def _step(coordinates, assembly: Assembly, numbers, place: np.ndarray, goal: np.ndarray, share: float) -> np.ndarray:
    """One share of the way that is left, by the least change of stiff coordinates."""
    xyz = place.T[:, :, None]
    q, rows = values_and_rows(coordinates, xyz)
    constants = force_constants(coordinates, numbers, xyz)
    model = assembly.hessian(rows, constants)[0]
    factor = cho_factor(model + SOFTEST * np.eye(len(model)), lower=True)
    pull = assembly.to_cartesian(rows, share * constants * difference(coordinates, goal, q))[:, 0]
    return place + cho_solve(factor, pull).reshape(-1, 3)


def _by_distances(first: ase.Atoms, last: np.ndarray, images: int, noise: float, rng: np.random.Generator) -> Images:
    """Each image where distances of atoms are nearest to those between the ends'."""
    start = first.positions
    senders, receivers, shifts = _pairs(first, last)
    ends = [np.linalg.norm(at[senders] - at[receivers] + shifts, axis=1) for at in (start, last)]
    found, moves = [start], ~held_atoms(first)
    for share in np.linspace(0.0, 1.0, images)[1:-1]:
        wanted = (1.0 - share) * ends[0] + share * ends[1]
        straight = (1.0 - share) * start + share * last
        if noise:
            straight = straight + rng.normal(0.0, noise, start.shape)

        def objective(flat: np.ndarray, wanted: np.ndarray = wanted) -> tuple[float, np.ndarray]:
            at = flat.reshape(-1, 3)
            vectors = at[senders] - at[receivers] + shifts
            lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-3)
            missing, weights = lengths - wanted, np.maximum(wanted, 1e-3) ** -4.0
            slope = 2.0 * weights * missing / lengths
            gradient = np.zeros_like(at)
            np.add.at(gradient, senders, slope[:, None] * vectors)
            np.add.at(gradient, receivers, -slope[:, None] * vectors)
            return float(np.sum(weights * missing**2)), np.where(moves[:, None], gradient, 0.0).ravel()

        best = smallest(objective, straight.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 300})
        image = best.x.reshape(-1, 3)
        found.append(image if first.pbc.any() or first.constraints else superpose(image[None], straight)[0])
    return np.stack([*found, last])


def _pairs(first: ase.Atoms, last: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of atoms with the shifts of their images, Å: all of them, or in a cell those that are near at an end."""
    if not first.pbc.any():
        receivers, senders = np.triu_indices(len(first), 1)
        return senders, receivers, np.zeros((len(senders), 3))
    cell, rows = np.asarray(first.cell), []
    for at in (first.positions, last):
        pairs = pair_list(at, REACH, cell, first.pbc)
        rows.append(np.column_stack([pairs.senders, pairs.receivers, pairs.images]))
    senders, receivers, *images = np.unique(np.concatenate(rows), axis=0).T
    return senders, receivers, np.column_stack(images) @ cell
