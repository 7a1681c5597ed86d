"""Are two minima one and the same?

Constitution and stereochemistry come first: another compound is another minimum, however similar it looks. Then energy
and the smallest RMSD over turns, equivalent atoms and, when asked, mirror images. Bounds that cost little say of most
structures that they are different: distances of atoms by class, sorted, never differ more than the atoms do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import ase
import numpy as np
from jaxtyping import Float, Int

from so3lab import units
from so3lab.structures.assignment import superpose_unbonded
from so3lab.structures.neighbors import check_finite
from so3lab.structures.superposition import Matching, Superposed
from so3lab.structures.symmetry import MolecularGraph, molecular_graph

MirrorImages = Literal["merged", "kept"]
COMPARED_ATOMS = 64
"""Atoms whose distances are compared before anything is superposed; more would need more memory than they save time."""
_ROUNDING = 2e-3  # Å, of distances in single precision
_MOST = 1e6
"""eV or Å, far beyond what any two minima differ by: squares of much larger numbers are none."""


@dataclass(frozen=True)
class DuplicateRule:
    """Minima are the same when energies and positions are this close; both must hold.

    The defaults are those of CREST's conformer sorting: 0.05 kcal/mol and 0.125 Å (P. Pracht, F. Bohle and S. Grimme,
    Phys. Chem. Chem. Phys. 22, 7169, 2020). They may be changed afterwards, see :func:`distinct`.
    """

    max_energy_difference: float = 0.05 * units.kcal_per_mol
    """eV."""
    max_rmsd: float = 0.125
    """Å, of all atoms."""
    mirror_images: MirrorImages = "merged"
    """Mirror images have the same energy; ``kept`` counts them as two."""

    def __post_init__(self) -> None:
        for name in ("max_energy_difference", "max_rmsd"):
            value = getattr(self, name)
            if not 0 < value < _MOST:
                raise ValueError(f"{name} must be a positive number below a million, got {value}")
        if self.mirror_images not in ("merged", "kept"):
            raise ValueError(f"mirror_images must be 'merged' or 'kept', got {self.mirror_images!r}")


class Match(NamedTuple):
    """A known minimum that is the same as another structure, or its mirror image."""

    number: int
    energy_difference: float  # eV, of the other structure above the known one
    rmsd: float  # Å
    mirrored: bool


class KnownMinima:
    """Minima that have been found, to be compared with others.

    Args:
        rule: When two are the same.
    """

    def __init__(self, rule: DuplicateRule | None = None):
        self.rule = rule or DuplicateRule()
        self._numberings: dict[bytes, _Numbering] = {}
        self._constitutions: dict[tuple[int, ...], int] = {}
        self._numbering_of: list[_Numbering] = []
        self._positions: list[np.ndarray] = []
        self._energies = _Growing(())
        self._fingerprints: dict[int, _Growing] = {}
        self._rows: dict[int, _Growing] = {}

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def energies(self) -> Float[np.ndarray, " minima"]:
        """eV, in the order in which they came."""
        return self._energies.values

    def add(self, atoms: ase.Atoms, energy: float) -> int:
        """Take a minimum in, whatever it resembles; return its number, counted from 0."""
        numbering = self._numbering(atoms)
        kind, number = numbering.constitution, len(self)
        fingerprint = numbering.fingerprint(atoms.positions)
        self._fingerprints.setdefault(kind, _Growing(fingerprint.shape, np.float32)).append(fingerprint)
        self._rows.setdefault(kind, _Growing((), int)).append(number)
        self._numbering_of.append(numbering)
        self._positions.append(np.array(atoms.positions, float))
        self._energies.append(energy)
        return number

    def find(self, atoms: ase.Atoms, energy: float) -> Match | None:
        """The known minimum that a structure is the same as; the most similar one where there are several.

        Args:
            atoms: A relaxed structure.
            energy: eV.

        Raises:
            ValueError: If the structure is periodic or has no finite positions and energy.
        """
        return self._closest(atoms, energy, self.rule.mirror_images == "merged")

    def find_mirror_image(self, atoms: ase.Atoms, energy: float) -> Match | None:
        """The known minimum whose mirror image a structure is, or None; for those that are kept."""
        found = self._closest(atoms, energy, True)
        return found if found is not None and found.mirrored else None

    def _closest(self, atoms: ase.Atoms, energy: float, mirror_images: bool) -> Match | None:
        if not np.isfinite(energy):
            raise ValueError(f"energy must be a finite number in eV, got {energy}")
        numbering = self._numbering(atoms)
        candidates = self._candidates(numbering, atoms.positions, energy)
        best: Match | None = None
        by_numbering: dict[int, list[int]] = {}
        for number in candidates.tolist():
            by_numbering.setdefault(id(self._numbering_of[number]), []).append(number)
        for numbers in by_numbering.values():
            positions = np.stack([self._positions[number] for number in numbers])
            target = self._numbering_of[numbers[0]]
            found = numbering.superpose(atoms.positions, target, positions, self.rule.max_rmsd, mirror_images)
            row = int(np.argmin(found.rmsd))
            if np.isfinite(found.rmsd[row]) and (best is None or found.rmsd[row] < best.rmsd):
                higher = energy - float(self.energies[numbers[row]])
                best = Match(numbers[row], higher, float(found.rmsd[row]), bool(found.mirrored[row]))
        return best

    def _candidates(self, numbering: "_Numbering", positions: np.ndarray, energy: float) -> Int[np.ndarray, " some"]:
        """Those that may be the same by energy and by distances."""
        kind = numbering.constitution
        if kind not in self._rows:
            return np.zeros(0, int)
        rows = self._rows[kind].values
        near = np.flatnonzero(np.abs(self.energies[rows] - energy) <= self.rule.max_energy_difference)
        if not len(near):
            return near
        own = numbering.fingerprint(positions)
        apart = self._fingerprints[kind].values[near] - own
        bound = np.sqrt(np.einsum("sd,sd->s", apart, apart) / numbering.scale)
        return rows[near[bound <= self.rule.max_rmsd + _ROUNDING]]

    def _numbering(self, atoms: ase.Atoms) -> "_Numbering":
        check_finite(atoms.positions)
        graph = molecular_graph(atoms)
        known = self._numberings.get(graph.key)
        if known is None:
            kind = self._constitutions.setdefault(graph.constitution, len(self._constitutions))
            known = self._numberings[graph.key] = _Numbering(graph, kind)
        return known


def distinct(
    structures: Sequence[ase.Atoms], energies: Sequence[float], rule: DuplicateRule
) -> Int[np.ndarray, " all"]:
    """For each structure the number of the one that stands for it, the lowest in energy of its group.

    Args:
        structures: Minima.
        energies: eV.
        rule: When two are the same; any, without a new search.
    """
    known, numbers = KnownMinima(rule), []
    stands_for = np.zeros(len(structures), int)
    for number in np.argsort(np.asarray(energies, float), kind="stable").tolist():
        match = known.find(structures[number], energies[number])
        if match is None:
            known.add(structures[number], energies[number])
            numbers.append(number)
        stands_for[number] = number if match is None else numbers[match.number]
    return stands_for


class _Numbering:
    """Atoms and bonds in one order: what is made once for all structures that have them."""

    def __init__(self, graph: MolecularGraph, constitution: int):
        self.graph, self.constitution = graph, constitution
        self._matchings: dict[bytes, Matching] = {}
        counts = np.bincount(graph.classes)
        chosen: list[int] = []
        for kind in np.lexsort((np.arange(len(counts)), counts)):
            members = np.flatnonzero(graph.classes == kind)
            if chosen and len(chosen) + len(members) > COMPARED_ATOMS:
                break
            chosen += members.tolist()
        first, second = np.triu_indices(len(chosen), 1)
        atoms = np.array(chosen, int)
        classes = np.sort(np.stack([graph.classes[atoms[first]], graph.classes[atoms[second]]]), axis=0)
        order = np.lexsort(classes)
        self._first, self._second = atoms[first[order]], atoms[second[order]]
        changes = np.any(np.diff(classes[:, order], axis=1, prepend=classes[:, order[:1]]) != 0, axis=0)
        self._group = np.cumsum(changes).astype(float)
        self.scale = float(max(1, len(chosen) * graph.atoms))
        """Divides the sum of squared differences of fingerprints into a lower bound of the mean squared distance."""

    def fingerprint(self, positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, " pairs"]:
        """Distances, Å, sorted within pairs of classes."""
        distances = np.linalg.norm(positions[self._first] - positions[self._second], axis=1)
        room = 2.0 * (distances.max(initial=0.0) + 1.0)
        return (np.sort(distances + room * self._group) - room * self._group).astype(np.float32)

    def superpose(
        self, one: np.ndarray, target: "_Numbering", others: np.ndarray, limit: float, mirror_images: bool
    ) -> Superposed:
        """One structure of this numbering on others of another."""
        if not len(self.graph.bonds):
            return superpose_unbonded(
                self.graph.numbers, one, others, limit=limit, mirror_images=mirror_images,
                numbers_of_others=target.graph.numbers,
            )  # fmt: skip
        matching = self._matchings.get(target.graph.key)
        if matching is None:
            matching = self._matchings[target.graph.key] = Matching(self.graph, one, target.graph)
        return matching.superpose(one, others, limit=limit, mirror_images=mirror_images)


class _Growing:
    """An array whose rows come one after another."""

    def __init__(self, shape: tuple[int, ...], dtype: type = float):
        self._array: np.ndarray = np.zeros((16, *shape), dtype)
        self._size = 0

    @property
    def values(self) -> np.ndarray:
        return self._array[: self._size]

    def append(self, row: np.ndarray | float) -> None:
        if self._size == len(self._array):
            self._array = np.concatenate([self._array, np.zeros_like(self._array)])
        self._array[self._size] = row
        self._size += 1
