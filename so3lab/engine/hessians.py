"""How does the energy of a structure curve: exact second derivatives, for normal modes and for telling minima from
saddles."""

import functools
from collections.abc import Callable
from typing import Any

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from so3lab.engine.energy_model import EnergyModel, precision
from so3lab.network.pairwise.long_range import with_long_range
from so3lab.structures.graph import Graph, build_graph

COLUMNS_AT_ONCE = 24
"""Columns of a Hessian that are computed side by side; each takes the memory of an energy with its forces."""


def hessian(model: EnergyModel, atoms: ase.Atoms) -> Float[np.ndarray, "coordinates coordinates"]:
    """Second derivatives of the energy by the positions of the atoms, made symmetric.

    Forward over reverse: the change of the gradient along each coordinate in turn, many of them side by side.

    Args:
        model: Energy function that can be differentiated twice: a network as it stands
            (:attr:`so3lab.potential.Potential.plain_model`), not its fast form. Double precision is worth its time.
        atoms: The structure.

    Returns:
        eV/Å², shape ``(3 atoms, 3 atoms)``, coordinates in the order x0, y0, z0, x1, ...

    Raises:
        ValueError: If numbers come out that are not finite.
    """
    size = 3 * len(atoms)
    count = min(COLUMNS_AT_ONCE, size)
    graph = with_long_range(build_graph([atoms], model.cutoff, dtype=model.dtype), [atoms], model.long_range)
    columns = []
    with precision(model.dtype):
        for start in range(0, size, count):
            directions = np.zeros((count, size), model.dtype)
            rows = np.arange(min(count, size - start))
            directions[rows, start + rows] = 1.0
            found = _products(model.energy, model.parameters, graph, directions.reshape(count, -1, 3))
            columns.append(np.asarray(found, np.float64).reshape(count, size)[rows])
    matrix = np.concatenate(columns)
    if not np.isfinite(matrix).all():
        raise ValueError(
            f"the second derivatives of {atoms.get_chemical_formula()} are not finite numbers; are atoms on top of "
            "each other?"
        )
    symmetric: np.ndarray = 0.5 * (matrix + matrix.T)
    return symmetric


@functools.partial(jax.jit, static_argnames="energy")
def _products(
    energy: Callable, parameters: Any, graph: Graph, directions: Float[Array, "columns atoms 3"]
) -> Float[Array, "columns atoms 3"]:
    """The Hessian times directions."""

    def total(positions: Float[Array, "atoms 3"]) -> Float[Array, ""]:
        found = energy(parameters, graph._replace(positions=positions), None)
        energies: Float[Array, " structures"] = found[0] if isinstance(found, tuple) else found
        return energies.sum()

    def along(direction: Float[Array, "atoms 3"]) -> Float[Array, "atoms 3"]:
        change: Float[Array, "atoms 3"] = jax.jvp(jax.grad(total), (jnp.asarray(graph.positions),), (direction,))[1]
        return change

    columns: Float[Array, "columns atoms 3"] = jax.vmap(along)(directions)
    return columns
