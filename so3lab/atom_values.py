"""Numbers per atom that a model knows and people colour molecules by: energies, charges, attention."""

from collections.abc import Callable

import ase
import numpy as np
from jaxtyping import Float, Int

from so3lab.potential import Potential

Values = Callable[[ase.Atoms], Float[np.ndarray, " atoms"]]


def of(potential: Potential) -> dict[str, Values]:
    """What a potential can say of each atom, as functions of a structure.

    Args:
        potential: The potential.

    Returns:
        By name: ``"atomic energy"`` (eV, without the constant energy of the element, so that equal elements can be
        compared), ``"attention"`` (see :func:`attention_received`), and ``"charge"`` (e) where there is electrostatics.
    """
    shifts = potential.energy_shifts

    def energies(atoms: ase.Atoms) -> np.ndarray:
        constant = [shifts.get(number, 0.0) for number in atoms.numbers]
        return potential(atoms).atomic_energies - np.array(constant)

    found: dict[str, Values] = {
        "atomic energy": energies,
        "attention": lambda atoms: attention_received(potential, atoms),
    }
    if potential.settings.electrostatics != "none":
        found["charge"] = lambda atoms: np.asarray(potential(atoms).partial_charges)
    return found


def attention_received(potential: Potential, atoms: ase.Atoms) -> Float[np.ndarray, " atoms"]:
    """How much others listen to each atom: sizes of attention weights summed over listeners, layers and heads."""
    first, second, listening = _listening(potential, atoms)
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
    first, second, listening = _listening(potential, atoms)
    apart = first != second  # an atom and its own image
    both = np.sort(np.stack([first, second], axis=1)[apart], axis=1)
    pairs, which = np.unique(both, axis=0, return_inverse=True)
    weights = np.bincount(which.ravel(), listening.sum(axis=0)[apart], minlength=len(pairs))
    strongest = np.argsort(-weights, kind="stable")[:most]
    return pairs[strongest], weights[strongest]


def _listening(
    potential: Potential, atoms: ase.Atoms
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"], Float[np.ndarray, "2 pairs"]]:
    """Both atoms of each pair, and sizes of weights: of the first listening to the second, and the other way."""
    result = potential(atoms, attention=True)
    graph, weights = result.graph, result.attention
    assert weights is not None
    real = np.asarray(graph.pair_mask)
    layers = [np.asarray(layer) for layer in (*weights.features, *weights.euclidean)]
    sizes = sum(np.abs(layer[:, real]).sum(axis=-1, dtype=np.float64) for layer in layers)
    return np.asarray(graph.receivers)[real], np.asarray(graph.senders)[real], np.asarray(sizes)
