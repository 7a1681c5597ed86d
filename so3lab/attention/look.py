"""What does a network say of the atoms and pairs of a structure: run forwards once, in its fast form, without forces.

Who moves through frames or watches a simulation waits for this, so that it is a program of its own, compiled in a
tenth of the time of a full prediction.
"""

import functools
from typing import Any, NamedTuple

import ase
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab.attention.channels import Channel
from so3lab.engine.energy_model import precision, run_network
from so3lab.network.pairwise.long_range import long_range_needs, with_long_range
from so3lab.network.settings import ModelSettings
from so3lab.network.so3krates import AttentionWeights
from so3lab.potential.potential import Potential
from so3lab.structures.graph import atom_classes, build_graph

_ALL_PAIRS_UP_TO = 64
"""Atoms of a molecule up to which there is room for all pairs, so that no motion needs another program."""


class Inside(NamedTuple):
    """What a network says of one structure; arrays of NumPy.

    A pair is listed once, and each of its atoms listens to the other with a weight of its own.
    """

    settings: ModelSettings
    numbers: Int[np.ndarray, " atoms"]
    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    distances: Float[np.ndarray, " pairs"]  # Å, to the image that is meant
    attention: AttentionWeights
    """Axis 1 is the direction: 0 where the first listens to the second, 1 where the second listens to the first."""
    energies: Float[np.ndarray, " atoms"]
    """eV, without the constant energy of the element."""
    charges: Float[np.ndarray, " atoms"] | None  # e
    features: Float[np.ndarray, "atoms features"]
    """Invariant features after the last layer."""
    euclidean_variables: Float[np.ndarray, "atoms orders"]
    """After the last layer."""

    def weights(self, channel: Channel) -> Float[np.ndarray, "2 pairs"]:
        """Attention of a channel in both directions: signed for one head or degree, else sums of sizes.

        Raises:
            ValueError: If the network has no such channel.
        """
        members = channel.members(self.settings)
        if channel.signed:
            return self._weights(members[0])
        return np.sum([np.abs(self._weights(one)) for one in members], axis=0)

    def _weights(self, channel: Channel) -> Float[np.ndarray, "2 pairs"]:
        assert channel.layer is not None
        assert channel.number is not None
        if channel.kind == "features":
            return np.asarray(self.attention.features[channel.layer - 1, :, :, channel.number - 1])
        degree = self.settings.degrees.index(channel.number)
        return np.asarray(self.attention.euclidean[channel.layer - 1, :, :, degree])


class _Output(NamedTuple):
    """What is kept of a network's output, on the device."""

    attention: AttentionWeights
    energies: Float[Array, " atoms"]
    charges: Float[Array, " atoms"] | None
    features: Float[Array, "atoms features"]
    euclidean_variables: Float[Array, "atoms orders"]


def look_inside(potential: Potential, atoms: ase.Atoms) -> Inside:
    """Attention, features, energies and charges of one structure.

    Args:
        potential: The potential.
        atoms: The structure.

    Raises:
        TypeError: If this is a model without attention, such as Lennard-Jones.
        ValueError: If the structure is one that the model can say nothing about.
    """
    if not isinstance(potential, Potential):
        raise TypeError(f"potential must be a SO3krates network, which alone has attention; got {potential!r}"[:200])
    potential.check_structure(atoms)
    settings, count = potential.settings, len(atoms)
    free = not atoms.pbc.any()
    capacity = count * (count - 1) // 2 if free and count <= _ALL_PAIRS_UP_TO else None
    graph = build_graph([atoms], settings.cutoff, num_pairs=capacity, dtype=potential.dtype)
    graph = with_long_range(graph, [atoms], long_range_needs(settings))
    graph = graph._replace(atom_classes=atom_classes([atoms]))
    with precision(potential.dtype):
        output = _forwards(settings, potential.fast_parameters, graph)
    plain = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), output)._asdict()
    real = np.asarray(graph.pair_mask)
    first, second = (np.asarray(index)[real].astype(int) for index in (graph.receivers, graph.senders))
    vectors = np.asarray(graph.positions)[second] - np.asarray(graph.positions)[first]
    if graph.cells is not None and graph.images is not None:
        vectors = vectors + np.asarray(graph.images)[real] @ np.asarray(graph.cells)[0]
    return Inside(
        settings=settings,
        numbers=atoms.numbers.copy(),
        first=first,
        second=second,
        distances=np.linalg.norm(vectors, axis=-1),
        **plain | {"attention": AttentionWeights(*(weights[:, :, real] for weights in plain["attention"]))},
    )


# A program that runs some times a second need not be the best one, but it is waited for.
@functools.partial(jax.jit, static_argnames="settings", compiler_options={"xla_backend_optimization_level": 0})
def _forwards(settings: ModelSettings, parameters: Any, graph: Any) -> _Output:
    output = run_network(settings, parameters, graph)
    return _Output(
        output.attention,
        output.atomic_energies,
        output.partial_charges,
        output.features,
        output.euclidean_variables,
    )
