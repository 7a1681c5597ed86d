"""Numbers per atom that a model knows and people colour molecules by: energies, charges, attention."""

from collections.abc import Callable

import ase
import numpy as np
from jaxtyping import Float

from so3lab.attention import attention_received, look_inside
from so3lab.potential.potential import Potential

Values = Callable[[ase.Atoms], Float[np.ndarray, " atoms"]]


def per_atom_functions(potential: Potential) -> dict[str, Values]:
    """What a potential can say of each atom, as functions of a structure.

    Args:
        potential: The potential.

    Returns:
        By name: ``"atomic energy"`` (eV, without the constant energy of the element, so that equal elements can be
        compared), ``"attention"`` (sizes of the weights with which others listen to an atom, summed over listeners,
        layers and heads), and ``"charge"`` (e) where there is electrostatics.
    """
    found: dict[str, Values] = {
        "atomic energy": lambda atoms: look_inside(potential, atoms).energies,
        "attention": lambda atoms: attention_received(look_inside(potential, atoms)),
    }
    if potential.settings.electrostatics != "none":
        found["charge"] = lambda atoms: np.asarray(look_inside(potential, atoms).charges)
    return found
