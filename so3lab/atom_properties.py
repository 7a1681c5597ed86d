"""Numbers per atom that a model knows and people colour molecules by: energies, charges, attention.

Who colours a molecule waits for its first colours, so that this is a program of its own: the network forwards in its
fast form, without forces, compiled in a tenth of the time of a full prediction, and the same for all these numbers.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab.engine.energy_model import precision, run_network
from so3lab.network.pairwise.long_range import long_range_needs, with_long_range
from so3lab.network.settings import ModelSettings
from so3lab.potential.potential import Potential
from so3lab.structures.graph import Graph, atom_classes, build_graph

Values = Callable[[ase.Atoms], Float[np.ndarray, " atoms"]]
_ALL_PAIRS_UP_TO = 64
"""Atoms of a molecule up to which there is room for all pairs, so that no motion needs another program."""


def per_atom_functions(potential: Potential) -> dict[str, Values]:
    """What a potential can say of each atom, as functions of a structure.

    Args:
        potential: The potential.

    Returns:
        By name: ``"atomic energy"`` (eV, without the constant energy of the element, so that equal elements can be
        compared), ``"attention"`` (see :func:`attention_received`), and ``"charge"`` (e) where there is electrostatics.
    """
    found: dict[str, Values] = {
        "atomic energy": lambda atoms: np.asarray(evaluate(potential, atoms)[0].energies, np.float64),
        "attention": lambda atoms: attention_received(potential, atoms),
    }
    if potential.settings.electrostatics != "none":
        found["charge"] = lambda atoms: np.asarray(evaluate(potential, atoms)[0].charges, np.float64)
    return found


def attention_received(potential: Potential, atoms: ase.Atoms) -> Float[np.ndarray, " atoms"]:
    """How much others listen to each atom: sizes of attention weights summed over listeners, layers and heads."""
    first, second, listening = attention_sizes(potential, atoms)
    heard = np.bincount(second, listening[0], minlength=len(atoms))
    return heard + np.bincount(first, listening[1], minlength=len(atoms))


def attention_links(
    potential: Potential, atoms: ase.Atoms, most: int = 60
) -> tuple[Int[np.ndarray, "links 2"], Float[np.ndarray, " links"]]:
    """Pairs of atoms that listen to each other most, and how much.

    Args:
        potential: The potential.
        atoms: The structure.
        most: How many pairs, the strongest ones.

    Returns:
        Two atoms per row, the lower index first, and sizes of attention weights, summed over both directions, layers,
        heads, and periodic images.
    """
    first, second, listening = attention_sizes(potential, atoms)
    apart = first != second  # an atom and its own image
    both = np.sort(np.stack([first, second], axis=1)[apart], axis=1)
    pairs, which = np.unique(both, axis=0, return_inverse=True)
    weights = np.bincount(which.ravel(), listening.sum(axis=0)[apart], minlength=len(pairs))
    strongest = np.argsort(-weights, kind="stable")[:most]
    return pairs[strongest], weights[strongest]


class _Seen(NamedTuple):
    """What the network says of the atoms and pairs of one structure."""

    energies: Float[Array, " atoms"]
    """eV, without element shifts."""
    charges: Float[Array, " atoms"] | None  # e
    listening: Float[Array, "2 pairs"]
    """Sizes of attention weights, summed over layers and heads."""


def attention_sizes(
    potential: Potential, atoms: ase.Atoms
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"], Float[np.ndarray, "2 pairs"]]:
    """Both atoms of each pair, and sizes of weights: of the first listening to the second, and the other way."""
    seen, graph = evaluate(potential, atoms)
    real = np.asarray(graph.pair_mask)
    sizes = np.asarray(seen.listening, np.float64)[:, real]
    return np.asarray(graph.receivers)[real], np.asarray(graph.senders)[real], sizes


def evaluate(potential: Potential, atoms: ase.Atoms) -> tuple[_Seen, Graph]:
    """The network's numbers for a structure, and the graph it saw."""
    potential.check_structure(atoms)
    settings, count = potential.settings, len(atoms)
    free = not atoms.pbc.any()
    capacity = count * (count - 1) // 2 if free and count <= _ALL_PAIRS_UP_TO else None
    graph = build_graph([atoms], settings.cutoff, num_pairs=capacity, dtype=potential.dtype)
    graph = with_long_range(graph, [atoms], long_range_needs(settings))
    graph = graph._replace(atom_classes=atom_classes([atoms]))
    with precision(potential.dtype):
        return _forwards(settings, potential.fast_parameters, graph), graph


# A program that runs some times a second need not be the best one, but it is waited for.
@functools.partial(jax.jit, static_argnames="settings", compiler_options={"xla_backend_optimization_level": 0})
def _forwards(settings: ModelSettings, parameters: Any, graph: Graph) -> _Seen:
    output = run_network(settings, parameters, graph)
    layers = (*output.attention.features, *output.attention.euclidean)
    listening = jnp.stack([jnp.abs(layer).sum(axis=-1) for layer in layers]).sum(axis=0)
    return _Seen(output.atomic_energies, output.partial_charges, listening)
