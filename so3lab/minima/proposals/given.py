"""Structures that somebody has: those of users and their files, and embeddings of a SMILES.

Atoms are put into the order of the structure that the search began with. What is another compound is proposed as it
is, and told to be one when it has been relaxed.
"""

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np

from so3lab.minima.accounts import Account, Minimum, Proposal
from so3lab.structures.electrons import stated_charge, stated_spin, total_charge, unpaired_electrons
from so3lab.structures.reading import from_smiles
from so3lab.structures.superposition import Matching
from so3lab.structures.symmetry import molecular_graph


def renumbered(atoms: ase.Atoms, like: ase.Atoms) -> ase.Atoms:
    """The structure with its atoms in the order of another of the same compound; as it is when it is another compound.

    Args:
        atoms: A molecule.
        like: The order, and charge, spin and constraints, that it gets.
    """
    one, other = molecular_graph(like), molecular_graph(atoms)
    if one.constitution != other.constitution:
        return atoms.copy()
    if len(one.bonds):
        partners = Matching(one, like.positions, other).superpose(like.positions, atoms.positions[None]).partners[0]
    else:
        partners = np.empty(len(atoms), int)
        partners[np.argsort(like.numbers, kind="stable")] = np.argsort(atoms.numbers, kind="stable")
    if (partners < 0).any():
        return atoms.copy()
    result = like.copy()
    result.positions = atoms.positions[partners]
    return result


def check_electrons(structures: Sequence[ase.Atoms], like: ase.Atoms) -> None:
    """Refuse structures that say another charge or spin than the one that a search begins with, whose electrons count.

    Raises:
        ValueError: Naming the structure, what it says, and what the search is of.
    """
    for number, atoms in enumerate(structures):
        for stated, meant, noun in (
            (stated_charge(atoms), total_charge(like), "a total charge of {:+g} e"),
            (stated_spin(atoms), unpaired_electrons(like), "{:g} unpaired electrons"),
        ):
            if stated.source and stated.value != meant:
                raise ValueError(
                    f"given structure {number} says {noun.format(stated.value)} ({stated.source}), the one that the "
                    f"search begins with has {noun.format(meant)}; search for each with its own"
                )


class Given:
    """Structures of a user, each proposed once.

    Args:
        structures: Of the same compound, in any numbering.
        name: Origin under which they appear.
    """

    def __init__(self, structures: Sequence[ase.Atoms], *, name: str = "given"):
        self.name = name
        self._structures, self._next = list(structures), 0

    def propose(self, minima: Sequence[Minimum], count: int, rng: np.random.Generator) -> list[Proposal]:
        """The next of them."""
        chosen = self._structures[self._next : self._next + count]
        self._next += len(chosen)
        return [Proposal(renumbered(atoms, minima[0].atoms), self.name) for atoms in chosen]

    def learn(self, minima: Sequence[Minimum], accounts: Sequence[Account]) -> None:
        """Nothing."""

    def state(self) -> dict[str, Any]:
        """How many have been proposed."""
        return {"next": self._next}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._next = int(state["next"])


class Embeddings:
    """Conformers of a SMILES by distance geometry, each from a seed of its own.

    Args:
        smiles: Of the compound; stereocentres that it leaves open come out as chance has it.
    """

    name = "embeddings"

    def __init__(self, smiles: str):
        from_smiles(smiles, seed=1)  # refuses what cannot be embedded, before a search begins
        self._smiles = smiles

    def propose(self, minima: Sequence[Minimum], count: int, rng: np.random.Generator) -> list[Proposal]:
        """So many embeddings."""
        seeds = rng.integers(1, 2**31 - 1, count).tolist()
        conformers = [from_smiles(self._smiles, seed=seed) for seed in seeds]
        return [Proposal(renumbered(atoms, minima[0].atoms), self.name) for atoms in conformers]

    def learn(self, minima: Sequence[Minimum], accounts: Sequence[Account]) -> None:
        """Nothing."""

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing."""
