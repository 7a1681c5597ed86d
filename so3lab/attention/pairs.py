"""Who listens to whom: matrices of atoms by atoms, links to be drawn, and how much each atom is heard."""

import numpy as np
from jaxtyping import Float, Int

from so3lab.attention.channels import Channel
from so3lab.attention.look import Inside

ALL = Channel()
"""Everything summed up."""


def attention_matrix(inside: Inside, channel: Channel = ALL) -> Float[np.ndarray, "atoms atoms"]:
    """Attention of a channel; rows listen, columns are listened to.

    Args:
        inside: From :func:`~so3lab.attention.look_inside`.
        channel: Which attention.

    Returns:
        Weights, summed over periodic images; zero beyond the cutoff. No unit.

    Raises:
        ValueError: If the network has no such channel.
    """
    atoms = len(inside.numbers)
    to_first, to_second = inside.weights(channel)
    listener = np.concatenate([inside.first, inside.second])
    heard = np.concatenate([inside.second, inside.first])
    flat = np.bincount(listener * atoms + heard, np.concatenate([to_first, to_second]), minlength=atoms * atoms)
    return flat.reshape(atoms, atoms)


def attention_links(
    inside: Inside, channel: Channel = ALL, most: int = 60
) -> tuple[Int[np.ndarray, "links 2"], Float[np.ndarray, " links"]]:
    """Pairs of atoms that listen to each other most, and how much.

    Args:
        inside: From :func:`~so3lab.attention.look_inside`.
        channel: Which attention.
        most: How many pairs, the strongest ones.

    Returns:
        Two different atoms per row, the lower index first, and the sum of both directions; largest sizes first.

    Raises:
        ValueError: If the network has no such channel.
    """
    matrix = attention_matrix(inside, channel)
    both = matrix + matrix.T
    pairs = np.unique(np.sort(np.stack([inside.first, inside.second], axis=1), axis=1), axis=0).reshape(-1, 2)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]  # an atom and its own image
    weights = both[pairs[:, 0], pairs[:, 1]]
    strongest = np.argsort(-np.abs(weights), kind="stable")[:most]
    return pairs[strongest], weights[strongest]


def attention_received(inside: Inside, channel: Channel = ALL) -> Float[np.ndarray, " atoms"]:
    """How much others listen to each atom: weights of a channel summed over listeners.

    Args:
        inside: From :func:`~so3lab.attention.look_inside`.
        channel: Which attention.
    """
    return attention_matrix(inside, channel).sum(axis=0)


def nearest_distances(inside: Inside) -> Float[np.ndarray, "atoms atoms"]:
    """Å between the atoms of each pair, the nearest image of several; infinity beyond the cutoff."""
    atoms = len(inside.numbers)
    found = np.full((atoms, atoms), np.inf)
    np.minimum.at(found, (inside.first, inside.second), inside.distances)
    return np.minimum(found, found.T)


def grouped_matrix(
    matrix: Float[np.ndarray, "atoms atoms"], fragments: Int[np.ndarray, " atoms"]
) -> Float[np.ndarray, "fragments fragments"]:
    """A matrix of atoms as one of fragments: sums over their atoms.

    Args:
        matrix: Of atoms.
        fragments: Number of each atom's fragment, from 0, such as :func:`so3lab.attention.fragments` gives.

    Raises:
        ValueError: If there is not a number for each atom.
    """
    if fragments.shape != matrix.shape[:1]:
        raise ValueError(f"fragments must be {len(matrix)} numbers, one per atom, got {len(fragments)}")
    members = np.eye(int(fragments.max(initial=-1)) + 1)[fragments]
    return members.T @ matrix @ members
