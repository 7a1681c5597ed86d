"""What follows when an atom moves: how forces, charges and energies of all others change, exactly.

This is the causal check beside attention. A large weight says that one atom's features enter another's; whether the
energy depends on that, and how much, only a derivative tells.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import ase
import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab.attention.channels import Channel
from so3lab.attention.look import Inside
from so3lab.attention.pairs import ALL, attention_matrix
from so3lab.engine.energy_model import run_network
from so3lab.engine.hessians import products
from so3lab.network.settings import ModelSettings
from so3lab.potential.potential import Potential
from so3lab.structures.graph import Graph

RESPONSES = ("force_response", "charge_response", "energy_response")


def response_table(potential: Potential, atoms: ase.Atoms, moved: Sequence[int] | None = None) -> pd.DataFrame:
    r"""How much every other atom feels that an atom moves, from exact derivatives in double precision.

    Args:
        potential: The potential.
        atoms: The structure.
        moved: Which atoms move; default: each in turn, which takes as long as a Hessian.

    Returns:
        One row per moved atom (``sender``) and other atom (``receiver``), as in tables of attention, and their
        ``distance`` (Å, to the nearest image). ``force_response`` is the Frobenius norm of
        :math:`\partial^2 E / \partial r_i \partial r_j` (eV/Å²), the same in both directions; ``charge_response``
        the length of :math:`\partial q_i / \partial r_j` (e/Å, where the model has charges), and ``energy_response``
        that of :math:`\partial e_i / \partial r_j` of the energy per atom (eV/Å), which knows who is whose receiver.

    Raises:
        ValueError: If an atom does not exist, or the structure is one that the model can say nothing about.
    """
    chosen = _checked(potential, atoms, range(len(atoms)) if moved is None else moved)
    directions = np.zeros((3 * len(chosen), len(atoms), 3))
    for row, atom in enumerate(chosen):
        directions[3 * row : 3 * row + 3, atom] = np.eye(3)
    model = potential.plain_model._replace(energy=_with_atoms(potential.settings))
    found = products(model, [atoms], directions)
    grouped = (len(chosen), 3, len(atoms))
    columns = {"force_response": np.linalg.norm(found.gradients.reshape(*grouped, 3), axis=(1, 3))}
    if "charge" in found.more:
        columns["charge_response"] = np.linalg.norm(found.more["charge"].reshape(grouped), axis=1)
    columns["energy_response"] = np.linalg.norm(found.more["energy"].reshape(grouped), axis=1)
    return _rows(atoms, chosen, columns)


def displacement_table(potential: Potential, atoms: ase.Atoms, moved: int, distance: float = 0.1) -> pd.DataFrame:
    """What really changes elsewhere when an atom is displaced: along x, y and z, forth and back, and computed anew.

    Args:
        potential: The potential.
        atoms: The structure.
        moved: The atom.
        distance: How far, Å.

    Returns:
        One row per other atom, as in :func:`response_table`: ``force_change`` (eV/Å), ``charge_change`` (e, where the
        model has charges) and ``energy_change`` (eV, of the energy per atom), each the root of the mean square over the
        six displacements of how far it is then from where it was. For small distances these are the distance times the
        responses over the root of three.

    Raises:
        ValueError: If the atom does not exist, or the distance is not positive.
    """
    (chosen,) = _checked(potential, atoms, [moved])
    if not distance > 0:
        raise ValueError(f"distance must be positive (in Å), got {distance}")
    structures = [atoms.copy() for _ in range(7)]
    for number, one in enumerate(structures[1:]):
        one.set_constraint()
        one.positions[chosen, number // 2] += distance * (1 if number % 2 else -1)
    start, *others = potential.astype("float64").predict(structures)

    def change(of: Callable[[Any], np.ndarray]) -> Float[np.ndarray, "one atoms"]:
        away = np.stack([of(one) - of(start) for one in others]).reshape(6, len(atoms), -1)
        return np.sqrt(np.sum(away**2, axis=2).mean(axis=0))[None]

    columns = {"force_change": change(lambda one: one.forces)}
    if start.partial_charges is not None:
        columns["charge_change"] = change(lambda one: one.partial_charges)
    columns["energy_change"] = change(lambda one: one.atomic_energies)
    return _rows(atoms, [chosen], columns)


def with_attention(responses: pd.DataFrame, inside: Inside, channel: Channel = ALL) -> pd.DataFrame:
    """Responses beside the attention that the receiver pays to the sender, in a column ``attention``; 0 beyond the
    cutoff.

    Args:
        responses: From :func:`response_table` or :func:`displacement_table`.
        inside: What the network says of the same structure.
        channel: Which attention.
    """
    matrix = attention_matrix(inside, channel)
    return responses.assign(attention=matrix[responses["receiver"], responses["sender"]])


def rank_correlation(table: pd.DataFrame, response: str = "force_response") -> float:
    """How well sizes of attention order responses: Spearman's rank correlation of the pairs within the cutoff; 1 where
    they are in the same order, 0 where one says nothing of the other, NaN where there are no three pairs."""
    near = table[table["attention"] != 0.0]
    if len(near) < 3:
        return float("nan")
    return float(near["attention"].abs().rank().corr(near[response].rank()))


def _checked(potential: Potential, atoms: ase.Atoms, moved: Sequence[int]) -> list[int]:
    potential.check_structure(atoms)
    chosen = [int(atom) for atom in moved]
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= atom < len(atoms) for atom in chosen):
        raise ValueError(f"moved must be different atoms, 0 to {len(atoms) - 1}, got {chosen}")
    return chosen


def _rows(atoms: ase.Atoms, moved: Sequence[int], columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """A row for each other atom; columns have one row per moved atom."""
    senders, receivers = np.repeat(moved, len(atoms)), np.tile(np.arange(len(atoms)), len(moved))
    distances = np.concatenate([atoms.get_distances(atom, range(len(atoms)), mic=atoms.pbc.any()) for atom in moved])
    table = pd.DataFrame({"receiver": receivers, "sender": senders, "distance": distances})
    table = table.assign(**{name: values.ravel() for name, values in columns.items()})
    return table[table["receiver"] != table["sender"]].reset_index(drop=True)


@functools.lru_cache(maxsize=32)
def _with_atoms(settings: ModelSettings) -> Callable[..., Any]:
    """Energies with energies and charges of the atoms; the same function for the same settings."""

    def energy(parameters: Any, graph: Graph, strain: Any = None) -> tuple[Any, dict[str, Any]]:
        output = run_network(settings, parameters, graph, strain)
        more = {"energy": output.atomic_energies}
        return output.energies, more if output.partial_charges is None else more | {"charge": output.partial_charges}

    return energy
