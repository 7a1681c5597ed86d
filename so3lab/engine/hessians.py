"""How does the energy of a structure curve: exact second derivatives, for normal modes and for telling minima from
saddles."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


class Products(NamedTuple):
    """How gradients change along directions, and what else the energy function gives."""

    gradients: Float[Array, "columns atoms 3"]  # eV/Å² times the direction
    more: Any
    """Changes of what the energy function returns beside the energies, with an axis of columns; None without."""


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
    matrix: np.ndarray = hessians(model, [atoms])[0]
    return matrix


def hessians(
    model: EnergyModel, structures: Sequence[ase.Atoms]
) -> Float[np.ndarray, "structures coordinates coordinates"]:
    """The same of several structures side by side.

    Args:
        model: As for :func:`hessian`.
        structures: With equally many atoms.

    Returns:
        eV/Å², shape ``(structures, 3 atoms, 3 atoms)``.

    Raises:
        ValueError: If their numbers of atoms differ, or numbers come out that are not finite.
    """
    if len(sizes := {len(atoms) for atoms in structures}) != 1:
        raise ValueError(f"structures must have equally many atoms, and theirs are {sorted(sizes)}")
    count, size = len(structures), 3 * len(structures[0])
    columns = np.tile(np.eye(size).reshape(size, -1, 3), (1, count, 1))  # none feels that others move as well
    matrices = np.asarray(products(model, structures, columns).gradients).reshape(size, count, size).swapaxes(0, 1)
    symmetric: np.ndarray = 0.5 * (matrices + matrices.swapaxes(1, 2))
    return symmetric


def products(
    model: EnergyModel, structures: Sequence[ase.Atoms], directions: Float[np.ndarray, "columns atoms 3"]
) -> Products:
    """The Hessian of structures times directions, and the same derivatives of what else the energy function gives.

    Args:
        model: As for :func:`hessian`; where its energy function returns more than energies, that is differentiated too.
        structures: One or several, each of which knows nothing of the others.
        directions: In which the atoms move, those of all structures one after another; Å or any unit of yours.

    Returns:
        Arrays of NumPy.

    Raises:
        ValueError: If numbers come out that are not finite.
    """
    wanted = len(directions)
    count = min(COLUMNS_AT_ONCE, wanted)
    graph = build_graph(structures, model.cutoff, dtype=model.dtype)
    graph = with_long_range(graph, structures, model.long_range)
    parts = []
    with precision(model.dtype):
        for start in range(0, wanted, count):
            columns = np.zeros((count, *directions.shape[1:]), model.dtype)
            here = directions[start : start + count]
            columns[: len(here)] = here
            found = _products(model.energy, model.parameters, graph, columns)
            parts.append(jax.tree.map(functools.partial(_first_rows, len(here)), found))
    joined: Products = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    if not np.isfinite(joined.gradients).all():
        raise ValueError(
            f"the second derivatives of {structures[0].get_chemical_formula()} are not finite numbers; are atoms on "
            "top of each other?"
        )
    return joined


@functools.partial(jax.jit, static_argnames="energy")
def _products(energy: Callable, parameters: Any, graph: Graph, directions: Float[Array, "columns atoms 3"]) -> Products:
    def total(positions: Float[Array, "atoms 3"]) -> tuple[Float[Array, ""], Any]:
        found = energy(parameters, graph._replace(positions=positions), None)
        energies, more = found if isinstance(found, tuple) else (found, None)
        return energies.sum(), more

    def along(direction: Float[Array, "atoms 3"]) -> Products:
        change = jax.jvp(jax.grad(total, has_aux=True), (jnp.asarray(graph.positions),), (direction,))[1]
        return Products(*change)

    columns: Products = jax.vmap(along)(directions)
    return columns


def _first_rows(count: int, leaf: Array) -> np.ndarray:
    return np.asarray(leaf, np.float64)[:count]
