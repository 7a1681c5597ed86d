"""Where do conformations lie on a map of two coordinates: two torsions, or what a compound's shapes differ by most?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import ase
import numpy as np
from jaxtyping import Float

from so3lab.landscape.fingerprints import Fingerprints
from so3lab.landscape.superposing import Superposition
from so3lab.minima.torsions import rotatable_dihedrals
from so3lab.observables import backbone_torsions, dihedral_degrees
from so3lab.observables.internal import Dihedral

UMAP_MISSING = "a UMAP map needs umap-learn, which is not installed; run: pip install 'so3lab[maps]'"


class ConformationMap(Protocol):
    """Two coordinates of any structure of a compound."""

    @property
    def name(self) -> str:
        """What it shows."""
        ...

    @property
    def axes(self) -> tuple[str, str]:
        """Names with units."""
        ...

    @property
    def periodic(self) -> bool:
        """Whether both are angles, degrees, and the map goes on behind its edges."""
        ...

    def place(self, structures: Sequence[ase.Atoms]) -> Float[np.ndarray, "structures 2"]:
        """Where structures lie, minima and saddles alike."""
        ...


@dataclass(frozen=True)
class TorsionMap:
    """Two torsions, each from -180° to 180°."""

    first: Dihedral
    """Atoms of the horizontal one."""
    second: Dihedral
    """Atoms of the vertical one."""
    axes: tuple[str, str] = ("first torsion (°)", "second torsion (°)")
    name: str = "Two torsions"
    periodic: bool = True

    def place(self, structures: Sequence[ase.Atoms]) -> Float[np.ndarray, "structures 2"]:
        """Both torsions, degrees; structures have one numbering.

        Raises:
            ValueError: If a torsion names atoms that a structure does not have.
        """
        angles = [
            [float(dihedral_degrees(one.positions[None], torsion)[0]) for torsion in (self.first, self.second)]
            for one in structures
        ]
        return np.reshape(np.array(angles), (-1, 2))


def ramachandran_maps(atoms: ase.Atoms) -> list[TorsionMap]:
    """A map of φ and ψ for each residue of a peptide, from the N terminus on.

    Args:
        atoms: A structure with usual bonds.

    Raises:
        ValueError: If there is no residue between two amide groups.
    """
    residues = backbone_torsions(atoms)
    marks = [""] if len(residues) == 1 else [str(number) for number in range(1, len(residues) + 1)]
    subscripts = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    return [
        TorsionMap(
            one.phi, one.psi, (f"φ{mark.translate(subscripts)} (°)", f"ψ{mark.translate(subscripts)} (°)"),
            f"Ramachandran map of residue {mark}" if mark else "Ramachandran map",
        )
        for one, mark in zip(residues, marks, strict=True)
    ]  # fmt: skip


class PrincipalMap:
    r"""The two directions in which the structures of a compound differ most.

    .. math:: y = V^T (x - \langle x \rangle)

    with the right singular vectors :math:`V` of the centred rows :math:`x`: cosines and sines of torsions (sorted
    distances, for what has no torsions), or positions, superposed on the first structure.

    Args:
        structures: Those whose differences count, such as all minima.
        of: ``"fingerprint"`` or ``"positions"``.

    Raises:
        ValueError: If there are fewer than two structures, or they are not of one compound.

    Source: Y. Mu, P. H. Nguyen and G. Stock, Proteins 58, 45 (2005), for torsions.
    """

    name = "Principal components"
    periodic = False

    def __init__(self, structures: Sequence[ase.Atoms], *, of: Literal["fingerprint", "positions"] = "fingerprint"):
        if of not in ("fingerprint", "positions"):
            raise ValueError(f"of must be 'fingerprint' or 'positions', got {of!r}")
        if len(structures) < 2:
            raise ValueError(f"structures must be at least two to differ, got {len(structures)}")
        self._first, self._of = structures[0], of
        self._fingerprints = Fingerprints(structures[0])
        rows = self._rows(structures)
        self._mean = rows.mean(axis=0)
        _, lengths, directions = np.linalg.svd(rows - self._mean, full_matrices=False)
        padded = np.zeros((2, rows.shape[1]))
        padded[: min(2, len(directions))] = directions[:2]
        # a direction has no sign of its own: that in which its largest component is positive is taken
        largest = np.abs(padded).argmax(axis=1)
        self._directions = padded * np.where(padded[[0, 1], largest] < 0, -1.0, 1.0)[:, None]
        total = max(float(np.sum(lengths**2)), 1e-300)
        shares = [*(lengths[:2] ** 2 / total), 0.0][:2]
        self.shares = (float(shares[0]), float(shares[1]))
        """Of the variance along each axis."""
        unit = " (Å)" if of == "positions" or self._fingerprints.kind.unit == "Å" else ""
        self.axes = (
            f"component 1{unit}, {100 * self.shares[0]:.0f} % of the variance",
            f"component 2{unit}, {100 * self.shares[1]:.0f} %",
        )

    def place(self, structures: Sequence[ase.Atoms]) -> Float[np.ndarray, "structures 2"]:
        """Components of structures, those of the map or others of the compound."""
        return (self._rows(structures) - self._mean) @ self._directions.T if structures else np.zeros((0, 2))

    def _rows(self, structures: Sequence[ase.Atoms]) -> Float[np.ndarray, "structures numbers"]:
        if self._of == "fingerprint":
            return self._fingerprints.vectors(structures)
        everything = Superposition([self._first, *structures], mirror_images=not self._fingerprints.has_hand)
        return everything.aligned()[1:].reshape(len(structures), -1)


class NeighbourMap:
    """A map that keeps neighbours together, by UMAP, of torsions (sorted distances, for what has no torsions).

    What lies far apart on it says nothing of how different it is.

    Args:
        structures: Those that lay it out, such as all minima.
        neighbours: How many neighbours of each are kept near.
        seed: Of its layout.

    Raises:
        ImportError: If umap-learn is not installed.
        ValueError: If there are too few structures.

    Source: L. McInnes, J. Healy and J. Melville, arXiv:1802.03426 (2018).
    """

    name = "Neighbours, by UMAP"
    periodic = False
    axes = ("UMAP 1", "UMAP 2")

    def __init__(self, structures: Sequence[ase.Atoms], *, neighbours: int = 15, seed: int = 0):
        try:
            from umap import UMAP
        except ImportError as error:
            raise ImportError(UMAP_MISSING) from error
        if len(structures) <= neighbours:
            raise ValueError(f"structures must be more than neighbours, got {len(structures)} and {neighbours}")
        self._fingerprints = Fingerprints(structures[0])
        self._layout = UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1)
        self._layout.fit(self._fingerprints.vectors(structures))

    def place(self, structures: Sequence[ase.Atoms]) -> Float[np.ndarray, "structures 2"]:
        """Where structures lie, those of the map or others of the compound."""
        if not structures:
            return np.zeros((0, 2))
        return np.asarray(self._layout.transform(self._fingerprints.vectors(structures)), float)


def maps_for(structures: Sequence[ase.Atoms]) -> list[ConformationMap]:
    """The maps that say most of a compound: φ and ψ of each residue of a peptide, or both torsions where there are two,
    then the principal components.

    Args:
        structures: Minima of one compound, all in one numbering.
    """
    maps: list[ConformationMap] = []
    try:
        maps += ramachandran_maps(structures[0])
    except ValueError:
        torsions = rotatable_dihedrals(structures[0])
        if len(torsions) == 2:
            names = [_name(structures[0], torsion) for torsion in torsions]
            maps.append(TorsionMap(torsions[0], torsions[1], (names[0], names[1])))
    return maps + ([PrincipalMap(structures)] if len(structures) > 1 and len(structures[0]) > 1 else [])


def _name(atoms: ase.Atoms, torsion: Dihedral) -> str:
    symbols = atoms.get_chemical_symbols()
    return "–".join(f"{symbols[atom]}{atom}" for atom in torsion) + " (°)"
