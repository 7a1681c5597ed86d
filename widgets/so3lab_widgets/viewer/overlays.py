"""Other structures over the one that is shown, translucent and each in its colour: conformers side by side in place."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from so3lab.observables import overlaid
from so3lab_widgets.theme import PALETTE
from so3lab_widgets.viewer.frame_source import check_size, pdb_text
from so3lab_widgets.viewer.traits import ViewerTraits

MOST = 20
"""More would be a cloud."""


class OverlaysMixin(ViewerTraits):
    """A viewer's overlays; another structure that is shown takes them away."""

    @property
    def atoms(self) -> Atoms | None:
        """The structure as it is drawn now."""
        raise NotImplementedError

    def overlay(
        self,
        structures: Sequence[Atoms],
        names: Sequence[str] | None = None,
        colours: Sequence[str] | None = None,
        *,
        align: bool = True,
    ) -> np.ndarray:
        """Draw structures over the one that is shown, as translucent sticks; none at all removes them.

        Args:
            structures: Of the same atoms, in any order that the bonds allow.
            names: For the legend; numbers unless given.
            colours: Such as ``"#0072B2"``; those of the palette unless given.
            align: Whether to lay them upon the shown structure (:func:`so3lab.observables.overlaid`); else they are
                drawn where they are.

        Returns:
            How far each is from the shown structure, RMSD in Å; NaN where it was not laid upon it.

        Raises:
            ValueError: If nothing is shown, there are too many, names or colours are not as many as structures, or a
                structure is not of the same atoms.
        """
        structures = list(structures)
        now = self.atoms
        if now is None:
            raise ValueError("overlay needs a structure to lie upon; call show first")
        if len(structures) > MOST:
            raise ValueError(f"at most {MOST} structures can be told from each other, got {len(structures)}")
        labels = [str(number) for number in range(len(structures))] if names is None else [str(one) for one in names]
        paints = [PALETTE[k % len(PALETTE)] for k in range(len(structures))] if colours is None else list(colours)
        for argument, given in (("names", labels), ("colours", paints)):
            if len(given) != len(structures):
                raise ValueError(f"{argument} must be {len(structures)}, one per structure, got {len(given)}")
        for atoms in structures:
            check_size(atoms)
        distances = np.full(len(structures), np.nan)
        if align and structures:
            structures, distances = overlaid(now, structures)
        self._overlays = [
            {"text": pdb_text(atoms, centre=not align), "name": label, "colour": paint}
            for atoms, label, paint in zip(structures, labels, paints, strict=True)
        ]
        return distances
