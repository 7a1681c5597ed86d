"""Is a relaxed structure a minimum of the compound that is searched, and which?"""

from typing import NamedTuple

import ase
import numpy as np
from jaxtyping import Float
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from so3lab.minima.accounts import Outcome
from so3lab.minima.identity import KnownMinima, Match
from so3lab.minimize import Relaxed
from so3lab.structures.superposition import Matching
from so3lab.structures.symmetry import molecular_graph, signs_of, stereo_units

COLLIDED = 1.3
"""Å within which no two hydrogens lie that were farther apart at the start: the nearest in molecules are those of
water, 1.51 Å apart. Small networks have holes there, deep below every minimum that there is."""
REACH = 2.0
"""Median distances of nearest neighbours across which a cluster without bonds still holds together."""


class Verdict(NamedTuple):
    """What a relaxed structure is."""

    outcome: Outcome
    match: Match | None = None
    """The known minimum that it is a duplicate of, or, being new, the mirror image of."""
    why: str = ""


class Compound:
    """What all minima of a search have in common: bonds, and the hands of centres and double bonds.

    Args:
        atoms: The relaxed start.
        mirror_images: Whether the other enantiomer counts as the same compound.
    """

    def __init__(self, atoms: ase.Atoms, mirror_images: bool):
        self.atoms = atoms
        self._graph = molecular_graph(atoms)
        self._mirror_images = mirror_images
        self._units = stereo_units(self._graph, atoms.positions)
        self._signs = signs_of(self._units, atoms.positions)
        self._matching: Matching | None = None
        self._hydrogens = np.flatnonzero(atoms.numbers == 1)
        self._apart = self._distances(atoms) > COLLIDED

    @property
    def has_bonds(self) -> bool:
        """Whether it is made of molecules; otherwise it is a cluster of atoms."""
        return bool(len(self._graph.bonds))

    def same_atoms(self, atoms: ase.Atoms) -> bool:
        """Whether the atoms are those of the compound, in its order."""
        return np.array_equal(atoms.numbers, self.atoms.numbers)

    def reaction(self, atoms: ase.Atoms) -> str:
        """Which bonds were made and broken, which hydrogens have run into each other, or that a cluster fell apart;
        empty when nothing of the kind happened."""
        graph = molecular_graph(atoms)
        if not self.has_bonds and not len(graph.bonds):
            return "" if in_one_piece(atoms) else "fell apart"
        before, after = ({tuple(pair) for pair in one.bonds.tolist()} for one in (self._graph, graph))
        symbols = atoms.get_chemical_symbols()
        parts = []
        for word, pairs in (("made", after - before), ("broken", before - after)):
            if pairs:
                parts.append(
                    f"bonds {word}: " + ", ".join(f"{symbols[i]}{i}-{symbols[j]}{j}" for i, j in sorted(pairs))
                )
        distances = self._distances(atoms)
        for i, j in np.argwhere(np.triu(self._apart & (distances < COLLIDED))):
            first, second = self._hydrogens[[i, j]]
            parts.append(f"H{first} and H{second} have run into each other ({distances[i, j]:.2f} Å)")
        return "; ".join(parts)

    def _distances(self, atoms: ase.Atoms) -> Float[np.ndarray, "hydrogens hydrogens"]:
        """Å, between hydrogens."""
        at = atoms.positions[self._hydrogens]
        return cdist(at, at)

    def inversion(self, atoms: ase.Atoms) -> str:
        """Which centres or double bonds make it another stereoisomer; empty when it is the same."""
        opposite = self._signs * signs_of(self._units, atoms.positions) < 0
        if not opposite.any():
            return ""
        if self._matching is None:
            self._matching = Matching(self._graph, self.atoms.positions)
        found = self._matching.superpose(self.atoms.positions, atoms.positions[None], mirror_images=self._mirror_images)
        if np.isfinite(found.rmsd[0]):
            return ""
        symbols = atoms.get_chemical_symbols()
        named = [unit.atoms for unit, flag in zip(self._units, opposite, strict=True) if flag]
        return "turned: " + ", ".join("(" + " ".join(f"{symbols[a]}{a}" for a in four) + ")" for four in named)


def judge(relaxed: Relaxed, compound: Compound, known: KnownMinima) -> Verdict:
    """What a relaxed structure is, among the known minima of a compound.

    Args:
        relaxed: What the minimiser says of it.
        compound: What is searched.
        known: Minima that have been found; those with mirror images kept are labelled.
    """
    if not relaxed.converged:
        return Verdict("not converged", why=relaxed.sentence)
    if reaction := compound.reaction(relaxed.atoms):
        return Verdict("reacted", why=reaction)
    if inversion := compound.inversion(relaxed.atoms):
        return Verdict("inverted", why=inversion)
    match = known.find(relaxed.atoms, relaxed.energy)
    if match is not None:
        return Verdict("duplicate", match)
    image = known.find_mirror_image(relaxed.atoms, relaxed.energy) if known.rule.mirror_images == "kept" else None
    return Verdict("new", image)


def in_one_piece(atoms: ase.Atoms) -> bool:
    """Whether a cluster without bonds holds together."""
    if len(atoms) < 2:
        return True
    distances = cdist(atoms.positions, atoms.positions)
    apart = distances + np.where(np.eye(len(atoms), dtype=bool), np.inf, 0.0)
    near = distances < REACH * np.median(apart.min(axis=1))
    return connected_components(near, directed=False)[0] == 1
