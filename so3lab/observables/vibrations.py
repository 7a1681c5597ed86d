"""Which vibrations does a minimum have, in the harmonic approximation?"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from so3lab import units


class NormalModes(NamedTuple):
    """Vibrations, slowest first."""

    wavenumbers_per_cm: Float[np.ndarray, " modes"]
    """cm⁻¹; those of negative curvature, imaginary, are given as negative numbers."""
    modes: Float[np.ndarray, "modes atoms 3"]
    """Displacements of the atoms, each mode of length one."""
    reduced_masses: Float[np.ndarray, " modes"]
    """amu, of these displacements."""


def finite_difference_hessian(
    forces: Callable[[Float[np.ndarray, "atoms 3"]], Float[np.ndarray, "atoms 3"]],
    positions: Float[np.ndarray, "atoms 3"],
    step: float = 0.005,
) -> Float[np.ndarray, "coordinates coordinates"]:
    r"""Second derivatives of the energy from central differences of forces, made symmetric.

    .. math:: H_{ij} = -\frac{F_j(x + h e_i) - F_j(x - h e_i)}{2 h}

    Args:
        forces: Gives forces in eV/Å at positions in Å; called 6 times per atom.
        positions: Å.
        step: Displacement h in Å. In float32 a larger one, 0.01 to 0.02, loses less to rounding.

    Returns:
        eV/Å², shape ``(3 atoms, 3 atoms)``, coordinates in the order x0, y0, z0, x1, ...

    Raises:
        ValueError: If the step is not positive, or forces of another shape or not finite come back.
    """
    if not step > 0:
        raise ValueError(f"step must be positive (Å), got {step}")
    centre = np.asarray(positions, np.float64)
    rows = []
    for coordinate in range(centre.size):
        shift = np.zeros(centre.size)
        shift[coordinate] = step
        ahead, behind = (np.asarray(forces(centre + s * shift.reshape(-1, 3)), np.float64) for s in (1.0, -1.0))
        if ahead.shape != centre.shape or not np.isfinite(ahead + behind).all():
            raise ValueError(
                f"forces must give finite numbers of shape {centre.shape}, got shape {ahead.shape} with atom "
                f"{coordinate // 3} moved by {step} Å"
            )
        rows.append((behind - ahead).ravel() / (2.0 * step))
    matrix = np.array(rows)
    return 0.5 * (matrix + matrix.T)


def normal_modes(
    hessian: Float[np.ndarray, "coordinates coordinates"],
    masses: Float[np.ndarray, " atoms"],
    positions: Float[np.ndarray, "atoms 3"] | None = None,
) -> NormalModes:
    r"""Harmonic vibrations, with overall translation and rotation projected out.

    .. math:: M^{-1/2} P H P M^{-1/2} = L\, \omega^2 L^T, \qquad \tilde\nu = \omega / 2 \pi c

    Args:
        hessian: eV/Å², at a minimum or a saddle point.
        masses: amu.
        positions: Å, of a free molecule. None for a cell, where only translation is projected out.

    Returns:
        3N-6 modes of a molecule (3N-5 of a linear one), 3N-3 of a cell.

    Raises:
        ValueError: If the shapes do not belong together, the Hessian is not symmetric or finite, or a mass is not
            positive.

    Source: E. B. Wilson, J. C. Decius, P. C. Cross, Molecular Vibrations (1955), chapter 2.
    """
    masses, hessian = np.asarray(masses, np.float64), np.asarray(hessian, np.float64)
    if hessian.shape != (3 * len(masses),) * 2:
        raise ValueError(
            f"hessian must be {3 * len(masses)} x {3 * len(masses)} for {len(masses)} masses, got {hessian.shape}"
        )
    if not (masses > 0).all():
        raise ValueError(f"masses must be positive (amu), got {masses.min()}")
    asymmetry = np.abs(hessian - hessian.T).max()
    if not asymmetry <= 1e-3 * np.abs(hessian).max():
        raise ValueError(f"hessian must be symmetric and finite, its largest asymmetry is {asymmetry:.3g} eV/Å²")
    roots = np.repeat(np.sqrt(masses), 3)
    inside = _vibrational_space(masses, positions)
    weighted = inside.T @ (0.5 * (hessian + hessian.T) / np.outer(roots, roots)) @ inside
    squares, vectors = np.linalg.eigh(weighted)
    displacements = (inside @ vectors).T / roots
    lengths = np.linalg.norm(displacements, axis=1)
    wavenumbers = np.sign(squares) * np.sqrt(np.abs(squares)) / (2.0 * np.pi * units.per_cm)
    modes = (displacements / lengths[:, None]).reshape(-1, len(masses), 3)
    return NormalModes(wavenumbers, modes, 1.0 / lengths**2)


def _vibrational_space(masses: np.ndarray, positions: np.ndarray | None) -> np.ndarray:
    """Orthonormal columns, in mass-weighted coordinates, of all motion but translation and rotation."""
    roots = np.sqrt(masses)
    rigid = [np.broadcast_to(axis, (len(masses), 3)) for axis in np.eye(3)]
    if positions is not None:
        positions = np.asarray(positions, np.float64)
        centred = positions - masses @ positions / masses.sum()
        rigid += [np.cross(axis, centred) for axis in np.eye(3)]
    columns = np.array([(roots[:, None] * motion).ravel() for motion in rigid]).T
    columns /= np.maximum(np.linalg.norm(columns, axis=0), 1e-12)
    basis, sizes, _ = np.linalg.svd(columns)
    return basis[:, np.count_nonzero(sizes > 1e-4) :]  # a linear molecule turns about two axes only
