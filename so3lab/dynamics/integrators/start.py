"""How a simulation begins: thermal velocities without overall motion, and how many degrees of freedom carry heat."""

import numpy as np
from jaxtyping import Bool, Float

from so3lab import units
from so3lab.dynamics.ensembles import ENSEMBLES, Ensemble


def degrees_of_freedom(atoms: int, ensemble: Ensemble, periodic: bool, linear: bool = False, held: int = 0) -> int:
    """Degrees of freedom that carry kinetic energy: 3N less what the start sets to zero and the dynamics keep.

    Langevin noise heats overall translation and rotation too. Constant energy and the thermostats that rescale
    keep the momentum at zero and, without a cell, the angular momentum as well; atoms that are held take part in
    nothing, and where some are held, momentum is not kept.

    Args:
        atoms: How many, held ones included.
        ensemble: A name in :data:`so3lab.dynamics.ensembles.ENSEMBLES`.
        periodic: Whether there is a cell.
        linear: Whether all atoms of a free molecule lie on a line.
        held: How many atoms stay where they are.
    """
    if ENSEMBLES[ensemble].thermostat == "noise" or held:
        return max(3 * (atoms - held), 1)
    lost = 3 if periodic or atoms == 1 else (5 if linear else 6)
    return max(3 * atoms - lost, 1)


def thermal_velocities(
    positions: Float[np.ndarray, "atoms 3"],
    masses: Float[np.ndarray, " atoms"],
    temperature_K: float,
    *,
    seed: int,
    periodic: bool = False,
    held: Bool[np.ndarray, " atoms"] | None = None,
) -> Float[np.ndarray, "atoms 3"]:
    """Maxwell-Boltzmann velocities without net momentum and, for a free molecule, without rotation.

    They are scaled so that the kinetic temperature over the remaining degrees of freedom is exactly the
    one asked for. Where atoms are held, the others move as they like.

    Args:
        positions: Å.
        masses: amu.
        temperature_K: K.
        seed: Of the random numbers.
        periodic: Whether there is a cell; rotation is then kept.
        held: True for atoms that stay where they are.

    Returns:
        Å per ASE time unit, float64.
    """
    if temperature_K < 0:
        raise ValueError(f"temperature_K must not be negative, got {temperature_K}")
    random = np.random.default_rng(seed)
    velocities = random.normal(size=positions.shape) * np.sqrt(units.kB * temperature_K / masses)[:, None]
    count = 0 if held is None else int(np.sum(held))
    if held is not None and count:
        velocities[held] = 0.0
    elif len(masses) > 1:
        velocities = without_overall_motion(positions, velocities, masses, periodic)
    kinetic = 0.5 * np.sum(masses[:, None] * velocities**2)
    wanted = 0.5 * units.kB * temperature_K
    wanted *= degrees_of_freedom(len(masses), "nve", periodic, is_linear(positions), count)
    return velocities * np.sqrt(wanted / kinetic) if kinetic > 0 else velocities


def without_overall_motion(
    positions: Float[np.ndarray, "*frames atoms 3"],
    velocities: Float[np.ndarray, "*frames atoms 3"],
    masses: Float[np.ndarray, " atoms"],
    periodic: bool,
) -> Float[np.ndarray, "*frames atoms 3"]:
    """Velocities less those of the centre of mass and, without a cell, of the rigid rotation."""
    velocities = velocities - _mean(velocities, masses)
    if periodic or len(masses) == 1:
        return velocities
    return velocities - _rigid_rotation(positions, velocities, masses)


def is_linear(positions: Float[np.ndarray, "atoms 3"]) -> bool:
    """Whether all atoms lie on a line."""
    spread = np.linalg.svd(positions - positions.mean(axis=0), compute_uv=False)
    return bool(len(spread) < 2 or spread[1] < 1e-3 * max(spread[0], 1e-9))


def _mean(
    vectors: Float[np.ndarray, "*frames atoms 3"], masses: Float[np.ndarray, " atoms"]
) -> Float[np.ndarray, "*frames 1 3"]:
    """Mean of all atoms, weighted by mass."""
    return (masses / masses.sum() @ vectors)[..., None, :]


def _rigid_rotation(
    positions: Float[np.ndarray, "*frames atoms 3"],
    velocities: Float[np.ndarray, "*frames atoms 3"],
    masses: Float[np.ndarray, " atoms"],
) -> Float[np.ndarray, "*frames atoms 3"]:
    """Velocities of the rigid rotation that has the same angular momentum."""
    centred = positions - _mean(positions, masses)
    momentum = np.sum(np.cross(centred, masses[:, None] * velocities), axis=-2)
    squares = np.sum(masses * np.sum(centred**2, axis=-1), axis=-1)[..., None, None] * np.eye(3)
    inertia = squares - np.einsum("a,...ai,...aj->...ij", masses, centred, centred)
    turning = np.linalg.pinv(inertia, rcond=1e-8, hermitian=True) @ momentum[..., None]
    return np.cross(turning[..., None, :, 0], centred)
