r"""Electrostatics of large cells: the sum over waves by fast Fourier transform of charges spread on a mesh.

Charges are spread with B-splines of order 6 (Essmann et al., J. Chem. Phys. 103, 8577, 1995). Because the
interaction is a wide Gaussian in reciprocal space, a coarse mesh suffices and there is no part in real
space: the cost is linear in atoms, apart from the logarithm of the transform. The energy is a smooth function
of positions and its gradient is exact.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab.network.pairwise.waves import fractional, gaussian_weight, reciprocal_cells
from so3lab.structures.graph import Graph
from so3lab.structures.neighbors import HostOrDevice

ORDER = 6
"""Order of the B-splines; a charge touches 6 × 6 × 6 mesh points."""
SPACINGS_PER_LENGTH = 5.0
"""Mesh points per screening length σ; errors of forces of charges as in water are then below 1e-5 eV/Å."""

MOST_POINTS = 2**23
"""Largest mesh: a cube of 160 Å at the usual screening length of 4 Å."""


def mesh_shape(cell: Float[np.ndarray, "3 3"], screening_length: float) -> tuple[int, ...]:
    """Even numbers of mesh points along the lattice vectors, products of 2, 3 and 5."""
    wanted = np.linalg.norm(np.asarray(cell), axis=1) * SPACINGS_PER_LENGTH / screening_length
    return tuple(_even_smooth(max(int(np.ceil(points)), 2 * ORDER)) for points in wanted)


def _even_smooth(least: int) -> int:
    number = least + least % 2
    while True:
        rest = number
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 2


def mesh_factors(cell: Float[np.ndarray, "3 3"], screening_length: float) -> Float[np.ndarray, "x y z"]:
    """Weights of mesh waves that undo the B-splines' smoothing; the last axis is halved, as in a real transform.

    Both halves of a wave pair count: waves whose partner is left out by the real transform count twice.

    Args:
        cell: Lattice vectors as rows, Å.
        screening_length: σ in Å.

    Raises:
        ValueError: If the cell is so large that the mesh would exceed ``MOST_POINTS``.
    """
    shape = mesh_shape(cell, screening_length)
    if np.prod(shape) > MOST_POINTS:
        edges = " x ".join(f"{length:.4g}" for length in np.linalg.norm(np.asarray(cell), axis=1))
        raise ValueError(
            f"atoms.cell must not need a mesh of more than {MOST_POINTS:,} points, got {edges} Å and "
            f"{int(np.prod(shape)):,} points; for a molecule in an empty box set atoms.pbc = False "
            '(so3lab md: --no-cell), otherwise use potential.with_electrostatics("wolf")'
        )
    x, y, z = (_spline_factors(points) for points in shape)
    z = z[: shape[2] // 2 + 1].copy()
    z[1:-1] *= 2.0
    factors: Float[np.ndarray, "x y z"] = x[:, None, None] * y[None, :, None] * z[None, None, :]
    return factors


def _spline_factors(points: int) -> Float[np.ndarray, " points"]:
    """Inverse squared Fourier transform of the B-spline at integers, Essmann et al., eq. 4.4."""
    spline = np.concatenate(_spline_weights(np.zeros(1)))  # M(0), M(1), ..., M(order - 1)
    waves = np.exp(2j * np.pi * np.outer(np.arange(points), np.arange(ORDER)) / points)
    factors: Float[np.ndarray, " points"] = 1.0 / np.abs(waves @ spline) ** 2
    return factors


def _spline_weights(t: Float[HostOrDevice, "*any"]) -> list[Float[HostOrDevice, "*any"]]:
    """B-spline values :math:`M(t), M(t + 1), ..., M(t + p - 1)` for t in [0, 1), by the recursion of eq. 4.1."""
    weights = [1.0 + 0.0 * t]
    for order in range(2, ORDER + 1):
        padded = [0.0, *weights, 0.0]
        weights = [((t + j) * padded[j + 1] + (order - t - j) * padded[j]) / (order - 1) for j in range(order)]
    return weights


def mesh_energy(
    charges: Float[Array, " atoms"],
    graph: Graph,
    strain: Float[Array, "structures 3 3"] | None,
    screening_length: float,
) -> Float[Array, ""]:
    """The sum over waves of :mod:`so3lab.network.pairwise.ewald` for one cell, in e²/Å.

    Args:
        charges: Partial charges in e, zero on padding.
        graph: One structure with ``long_range.mesh``.
        strain: See :func:`so3lab.structures.graph.displacements`.
        screening_length: σ in Å.
    """
    assert graph.long_range is not None
    assert graph.long_range.mesh is not None
    factors = jnp.asarray(graph.long_range.mesh).astype(charges.dtype)
    shape = (factors.shape[0], factors.shape[1], 2 * (factors.shape[2] - 1))
    reciprocal, volumes = reciprocal_cells(graph, strain)
    transformed = jnp.fft.rfftn(_spread(charges, fractional(graph), shape))
    strengths = transformed.real**2 + transformed.imag**2
    waves = jnp.asarray(_mesh_waves(shape), charges.dtype) @ reciprocal[0]
    weights = factors * gaussian_weight(waves, screening_length)
    return 2.0 * jnp.pi / volumes[0] * jnp.sum(weights * strengths)


def _mesh_waves(shape: tuple[int, ...]) -> Int[np.ndarray, "x y z 3"]:
    """Multiples of the reciprocal vectors on the mesh of a real transform."""
    axes = [np.fft.fftfreq(n, 1.0 / n) for n in shape[:2]] + [np.arange(shape[2] // 2 + 1)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.int32)


def _spread(
    charges: Float[Array, " atoms"], fractions: Float[Array, "atoms 3"], shape: tuple[int, ...]
) -> Float[Array, "x y z"]:
    """Charges spread on the mesh; every atom reaches the ``ORDER`` points below it along each axis."""
    scaled = fractions * jnp.asarray(shape, fractions.dtype)
    below = jnp.floor(scaled)
    x, y, z = jnp.stack(_spline_weights(scaled - below), axis=-1).swapaxes(0, 1)  # axis: (atoms, order)
    points = below.astype(jnp.int32)[:, :, None] - jnp.arange(ORDER)
    i, j, k = (points[:, axis] % shape[axis] for axis in range(3))
    index = (i[:, :, None, None] * shape[1] + j[:, None, :, None]) * shape[2] + k[:, None, None, :]
    rows = (charges[:, None] * x)[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]
    flat = jnp.zeros(shape[0] * shape[1] * shape[2], rows.dtype)
    return flat.at[index.reshape(-1)].add(rows.reshape(-1), mode="promise_in_bounds").reshape(shape)
