"""How a molecule's dipole moves along a trajectory, from the charges that a model predicts; for infrared spectra."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ase
import jax
import numpy as np
from jaxtyping import Array, Float

from so3lab.engine.energy_model import precision, run_network
from so3lab.network.pairwise.long_range import long_range_needs, with_long_range
from so3lab.network.settings import ModelSettings
from so3lab.potential.potential import Potential
from so3lab.structures.graph import Graph, atom_classes, build_graph
from so3lab.structures.neighbors import bucket

_AT_ONCE = 1024
"""Atoms of the frames that are computed together."""


def dipoles(potential: Potential, frames: Sequence[ase.Atoms]) -> Float[np.ndarray, "frames 3"]:
    """Dipole of a molecule in each frame, about its centre of mass (which matters for ions only).

    Args:
        potential: A potential with charges, such as SO3LR.
        frames: The molecule at different times; an open :class:`~so3lab.trajectory.Trajectory` will do.

    Returns:
        e Å, for :func:`so3lab.observables.infrared_spectrum`.

    Raises:
        ValueError: If the model has no charges, there is no frame, or a frame is a cell or not of the same atoms.
    """
    settings = potential.settings
    if settings.electrostatics == "none":
        raise ValueError("potential must predict charges, such as so3lab.load('so3lr'); this one has none")
    if not len(frames):
        raise ValueError("frames must hold at least one structure, got none")
    first = frames[0]
    potential.check_structure(first)
    masses, found = first.get_masses(), []
    capacity = len(first) * (len(first) - 1) // 2
    for batch in _batches(_checked(frames, first), min(len(frames), max(1, _AT_ONCE // len(first)))):
        # Room for all pairs of small molecules: no motion needs another program.
        pairs = bucket(len(batch) * capacity) if capacity * len(batch) <= 16 * _AT_ONCE else None
        graph = build_graph(batch, settings.cutoff, num_pairs=pairs, dtype=potential.dtype)
        graph = with_long_range(graph, batch, long_range_needs(settings))
        with precision(potential.dtype):
            charges = _charges(settings, potential.fast_parameters, graph._replace(atom_classes=atom_classes(batch)))
        charges = np.asarray(charges, np.float64)[: len(batch) * len(first)].reshape(len(batch), -1)
        places = np.stack([atoms.positions for atoms in batch])
        places = places - (masses / masses.sum() @ places)[:, None]
        found.append(np.einsum("fa,fax->fx", charges, places))
    return np.concatenate(found)[: len(frames)]


def _checked(frames: Sequence[ase.Atoms], first: ase.Atoms) -> Iterator[ase.Atoms]:
    for number, atoms in enumerate(frames):
        if atoms.pbc.any() or not np.array_equal(atoms.numbers, first.numbers):
            raise ValueError(
                f"frames must all be the molecule {first.get_chemical_formula()} without a cell, got "
                f"{atoms.get_chemical_formula()} with pbc {atoms.pbc.tolist()} as number {number}"
            )
        yield atoms


def _batches(frames: Iterable[ase.Atoms], size: int) -> Iterator[list[ase.Atoms]]:
    """Batches of one size; the last one is filled up with its last frame."""
    batch: list[ase.Atoms] = []
    for atoms in frames:
        batch.append(atoms)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch + batch[-1:] * (size - len(batch))


@functools.partial(jax.jit, static_argnames="settings")
def _charges(settings: ModelSettings, parameters: Any, graph: Graph) -> Float[Array, " atoms"]:
    charges = run_network(settings, parameters, graph).partial_charges
    assert charges is not None
    return charges
