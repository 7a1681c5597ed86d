"""Which minima lie on a path that does not settle, and what do its legs make together?

One band across two barriers has an image that climbs one of them only, and few images for each; those between slide
into the minimum on the way and out of it again. Such a path is two, which meet at that minimum.
"""

from collections.abc import Sequence
from dataclasses import replace

import ase
import numpy as np
from jaxtyping import Bool

from so3lab.engine.energy_model import EnergyModel
from so3lab.landscape.alignment import SAME, align
from so3lab.landscape.bands import Band
from so3lab.minimize import minimize
from so3lab.potential.potential import Potential


def minima_on(potential: Potential | EnergyModel, band: Band, known: Sequence[ase.Atoms] = ()) -> list[ase.Atoms]:
    """Minima on the way of a path, in their order: those to which images relax that lie lower than both of their
    neighbours; where there are none, since images are few, those to which any image relaxes.

    Args:
        potential: Of the path.
        band: A path.
        known: Minima that it must not lead through, such as those where other legs of the same path begin.

    Returns:
        Structures that are none of both ends, and each only once.
    """
    energies = band.energies
    lower = (energies[1:-1] < energies[:-2]) & (energies[1:-1] < energies[2:])
    known = [band.images[0], band.images[-1], *known]
    return _below(potential, band, lower, known) or _below(potential, band, ~lower, known)


def _below(
    potential: Potential | EnergyModel, band: Band, which: Bool[np.ndarray, " inner"], known: Sequence[ase.Atoms]
) -> list[ase.Atoms]:
    chosen = [band.images[number + 1].copy() for number in np.flatnonzero(which).tolist()]
    found: list[ase.Atoms] = []
    for one in sorted(minimize(potential, chosen), key=lambda one: one.number):
        if one.why == "converged" and all(align(other, one.atoms).rmsd >= SAME for other in (*known, *found)):
            found.append(one.atoms)
    return found


def joined(band: Band, legs: Sequence[Band]) -> Band:
    """The path that legs make which follow each other.

    Args:
        band: The path as it was before it was divided.
        legs: Each begins where the one before ends.
    """
    images, energies = list(legs[0].images), [legs[0].energies]
    stops = []
    for leg in legs[1:]:
        stops.append(len(images) - 1)
        images += leg.images[1:]
        energies.append(leg.energies[1:])
    ends = np.cumsum([0, *(len(leg.images) - 1 for leg in legs)])
    inner = [start + np.array(leg.minima, int) for start, leg in zip(ends, legs, strict=False)]
    every = np.concatenate(energies)
    steepest = max(legs, key=lambda leg: leg.energies.max())
    return replace(
        band, images=images, energies=every, converged=all(leg.converged for leg in legs),
        max_force=max(leg.max_force for leg in legs), steps=band.steps + sum(leg.steps for leg in legs),
        highest=int(np.argmax(every)), tangent=steepest.tangent,
        minima=tuple(sorted([*stops, *np.concatenate(inner).tolist()])),
    )  # fmt: skip
