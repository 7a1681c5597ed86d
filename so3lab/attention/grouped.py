"""Attention by atoms, by pairs of elements and by pairs of fragments: sums and means of the tidy table."""

from collections.abc import Sequence
from typing import Literal

import ase
import numpy as np
import pandas as pd
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from so3lab.structures.bonds import bonds

By = Literal["group", "molecule", "residue"]
_CHANNEL = ["layer", "kind", "head_or_degree"]
_NEEDED = [*_CHANNEL, "receiver", "sender", "distance", "weight"]


def by_atom(table: pd.DataFrame) -> pd.DataFrame:
    """How much each atom listens and is listened to, in each layer and head.

    Args:
        table: From :func:`~so3lab.attention.attention_table`.

    Returns:
        Columns ``layer``, ``kind``, ``head_or_degree``, ``atom``, ``listens`` and ``heard`` (sums of weights as
        receiver and as sender), ``listens_size`` and ``heard_size`` (sums of sizes). No units.
    """
    _check(table)
    sized = table.assign(size=table["weight"].abs())
    sides = []
    for column, word in (("receiver", "listens"), ("sender", "heard")):
        sums = sized.groupby([*_CHANNEL, column], sort=True)[["weight", "size"]].sum()
        sides.append(sums.set_axis([word, f"{word}_size"], axis=1).rename_axis(index={column: "atom"}))
    joined = sides[0].join(sides[1], how="outer").fillna(0.0).reset_index()
    return joined[[*_CHANNEL, "atom", "listens", "heard", "listens_size", "heard_size"]]


def by_elements(table: pd.DataFrame, atoms: ase.Atoms) -> pd.DataFrame:
    """Attention of elements to elements, in each layer and head.

    Args:
        table: From :func:`~so3lab.attention.attention_table`.
        atoms: The structure it is of.

    Returns:
        One row per channel and ordered pair of elements: ``listener``, ``speaker``, ``pairs`` (how many), ``sum``,
        ``mean`` and ``mean_size`` of the weights, and their mean ``distance`` (Å).
    """
    return _by_names(table, np.array(atoms.get_chemical_symbols()))


def by_fragments(table: pd.DataFrame, fragments: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """Attention of fragments to fragments, in each layer and head; columns as in :func:`by_elements`.

    Args:
        table: From :func:`~so3lab.attention.attention_table`.
        fragments: Number or name of the fragment of each atom, such as :func:`fragments` gives.
    """
    return _by_names(table, np.asarray(fragments))


def fragments(atoms: ase.Atoms, by: By = "group") -> Int[np.ndarray, " atoms"]:
    """Which fragment each atom belongs to.

    Args:
        atoms: The structure.
        by: ``"group"`` for a heavy atom with its hydrogens, ``"molecule"`` for all that is joined by bonds, or
            ``"residue"`` for what a PDB file calls one.

    Returns:
        Numbers from 0, in the order of the first atom of each fragment.

    Raises:
        ValueError: If ``by`` is something else, or the structure knows no residues.
    """
    if by == "residue":
        if "residuenumbers" not in atoms.arrays:
            raise ValueError("by='residue' needs a structure with residues, as a PDB file has; take 'group' instead")
        return _in_order(np.asarray(atoms.arrays["residuenumbers"]))
    if by not in ("group", "molecule"):
        raise ValueError(f"by must be 'group', 'molecule' or 'residue', got {by!r}")
    first, second = bonds(atoms).T
    if by == "group":
        hydrogen = atoms.numbers == 1
        kept = hydrogen[first] != hydrogen[second]
        first, second = first[kept], second[kept]
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(atoms), len(atoms)))
    return _in_order(connected_components(graph, directed=False)[1])


def _in_order(labels: np.ndarray) -> Int[np.ndarray, " atoms"]:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels.tolist()], int)


def _by_names(table: pd.DataFrame, names: np.ndarray) -> pd.DataFrame:
    _check(table)
    needed = 1 + int(table[["receiver", "sender"]].to_numpy().max(initial=-1))
    if names.shape != (max(len(names), needed),):
        raise ValueError(f"there must be a name for each of the {needed} atoms of the table, got {len(names)}")
    named = table.assign(
        listener=names[table["receiver"]], speaker=names[table["sender"]], size=table["weight"].abs()
    ).groupby([*_CHANNEL, "listener", "speaker"])
    found = named.agg(
        pairs=("weight", "size"),
        sum=("weight", "sum"),
        mean=("weight", "mean"),
        mean_size=("size", "mean"),
        distance=("distance", "mean"),
    )
    return found.reset_index()


def _check(table: pd.DataFrame) -> None:
    missing = [column for column in _NEEDED if column not in table]
    if missing:
        raise ValueError(f"table must be one of attention_table, it lacks {', '.join(missing)}")
