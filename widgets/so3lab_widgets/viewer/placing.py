"""Where a page draws a frame: laid upon the first one or not; in a cell as it was stored, wrapped or whole."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from ase import Atoms

from so3lab.observables import Molecules, followed

Follow = Literal["off", "molecule", "picked"]
Images = Literal["stored", "wrapped", "whole"]
FOLLOW: tuple[str, ...] = get_args(Follow)
IMAGES: tuple[str, ...] = get_args(Images)


class Placed(NamedTuple):
    """A frame as it is drawn."""

    positions: np.ndarray
    arrows: np.ndarray | None


class Placer:
    """Places frames of one structure.

    Args:
        atoms: The structure, upon which frames are laid.
    """

    def __init__(self, atoms: Atoms):
        self._atoms = atoms.copy()
        self.free = not atoms.pbc.any()
        self._first = self._centred(atoms.positions)
        self._molecules: Molecules | None = None

    def place(
        self,
        positions: np.ndarray,
        cell: np.ndarray | None,
        arrows: np.ndarray | None,
        *,
        follow: str,
        images: str,
        picked: list[int],
    ) -> Placed:
        """Positions and vectors of a frame as they are drawn.

        Args:
            positions: Å.
            cell: Rows, Å; None for a free molecule.
            arrows: A vector per atom, or None.
            follow: ``"molecule"`` lays a free molecule upon the first frame, ``"picked"`` lets the picked atoms stay
                where they were there; cells are not turned.
            images: Of atoms in a cell: as ``"stored"``, each ``"wrapped"`` into it, or molecules ``"whole"``.
            picked: The picked atoms.
        """
        chosen = picked if follow == "picked" else []
        if self.free and (follow == "off" or not np.isfinite(positions).all()):
            return Placed(self._centred(positions), arrows)
        if self.free:
            found = followed(positions, self._first, chosen)
            return Placed(found.positions, None if arrows is None else arrows @ found.rotation)
        if chosen:
            positions = followed(positions, self._first, chosen, turn=False).positions
        if images != "stored" and cell is not None:
            molecules = self._known_molecules()
            positions = (molecules.whole if images == "whole" else molecules.wrapped)(positions, cell)
        return Placed(positions, arrows)

    def _known_molecules(self) -> Molecules:
        if self._molecules is None:
            self._molecules = Molecules(self._atoms)
        return self._molecules

    def _centred(self, positions: np.ndarray) -> np.ndarray:
        return positions - np.mean(positions, axis=0) if self.free else positions
