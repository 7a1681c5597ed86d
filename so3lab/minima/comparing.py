"""Why are two minima two? Their difference in the numbers by which duplicates are told, and in torsions."""

from dataclasses import dataclass

import ase
import numpy as np
import pandas as pd

from so3lab.minima.accounts import Minimum
from so3lab.minima.identity import DuplicateRule
from so3lab.minima.torsions import rotatable_dihedrals
from so3lab.observables.internal import dihedral_degrees
from so3lab.structures.assignment import superpose_unbonded
from so3lab.structures.superposition import Matching, Superposed
from so3lab.structures.symmetry import molecular_graph


@dataclass(frozen=True)
class Comparison:
    """Two minima side by side."""

    first: int
    second: int
    """Their numbers."""
    energy_difference: float
    """eV of the second above the first."""
    rmsd: float
    """Å, the smallest over turns and equivalent atoms; infinity between different compounds."""
    mirrored: bool
    """Whether it is the mirror image of the second that lies so."""
    rule: DuplicateRule
    torsions: pd.DataFrame
    """``atoms``, ``first_deg``, ``second_deg`` and ``difference_deg`` of each torsion, the second's with its atoms in
    the order in which they lie on the first's, and reflected where it is mirrored."""

    @property
    def same(self) -> bool:
        """Whether the rule takes them for one."""
        near = abs(self.energy_difference) <= self.rule.max_energy_difference
        return near and self.rmsd <= self.rule.max_rmsd

    @property
    def why(self) -> str:
        """Why they are kept apart, or are one, by the numbers of the rule."""
        if not np.isfinite(self.rmsd):
            return f"Minima {self.first} and {self.second} are different compounds or stereoisomers."
        energy, most = 1000 * abs(self.energy_difference), 1000 * self.rule.max_energy_difference
        numbers = (
            (energy > most, f"energies differ by {energy:.3g} meV", f"{most:.3g} meV"),
            (self.rmsd > self.rule.max_rmsd, f"the RMSD is {self.rmsd:.3g} Å", f"{self.rule.max_rmsd:.3g} Å"),
        )
        pair = f"Minima {self.first} and {self.second}"
        if self.same:
            held = ", ".join(f"{what} (at most {limit})" for _, what, limit in numbers)
            return f"{pair} are one by this rule: {held}."
        return (
            f"{pair} are two: "
            + " and ".join(f"{what}, more than {limit}" for apart, what, limit in numbers if apart)
            + "."
        )


def compare(first: Minimum, second: Minimum, rule: DuplicateRule | None = None) -> Comparison:
    """Two minima side by side, and whether a rule takes them for one.

    Args:
        first, second: Of one compound.
        rule: Default: that of searches.
    """
    rule = rule or DuplicateRule()
    found = _superposed(first.atoms, second.atoms, rule.mirror_images == "merged")
    rmsd, mirrored, partners = float(found.rmsd[0]), bool(found.mirrored[0]), found.partners[0]
    return Comparison(
        first.number, second.number, second.energy - first.energy, rmsd, mirrored, rule,
        _torsions(first.atoms, second.atoms, partners, mirrored),
    )  # fmt: skip


def _superposed(first: ase.Atoms, second: ase.Atoms, mirror_images: bool) -> Superposed:
    graph, target = molecular_graph(first), molecular_graph(second)
    others = second.positions[None]
    if graph.atoms != target.atoms:
        return Superposed(np.array([np.inf]), np.array([False]), np.full((1, graph.atoms), -1))
    if len(graph.bonds) or len(target.bonds):
        return Matching(graph, first.positions, target).superpose(first.positions, others, mirror_images=mirror_images)
    largest = float(np.linalg.norm(first.positions - first.positions.mean(axis=0), axis=1).max(initial=1.0))
    return superpose_unbonded(
        graph.numbers, first.positions, others, limit=2.0 * largest, mirror_images=mirror_images,
        numbers_of_others=target.numbers,
    )  # fmt: skip


def _torsions(first: ase.Atoms, second: ase.Atoms, partners: np.ndarray, mirrored: bool) -> pd.DataFrame:
    rows = []
    symbols = first.get_chemical_symbols()
    for four in rotatable_dihedrals(first) if (partners >= 0).all() else []:
        here = float(dihedral_degrees(first.positions[None], four)[0])
        a, b, c, d = (int(partners[atom]) for atom in four)
        there = float(dihedral_degrees(second.positions[None], (a, b, c, d))[0]) * (-1.0 if mirrored else 1.0)
        rows.append(("–".join(f"{symbols[atom]}{atom}" for atom in four), here, there, _turn(there - here)))
    return pd.DataFrame(rows, columns=["atoms", "first_deg", "second_deg", "difference_deg"])


def _turn(degrees: float) -> float:
    """The same angle from -180 to 180."""
    return float((degrees + 180.0) % 360.0 - 180.0)
