"""The surface of K. Müller and L. D. Brown, Theor. Chim. Acta 53, 75 (1979), with its published minima and saddles.

One atom moves on it, x and y relative to another one that is fixed; z is a stiff spring.
"""

import ase
import jax.numpy as jnp
import numpy as np
from ase.constraints import FixAtoms

from so3lab.engine.energy_model import EnergyModel

HEIGHTS = (-200.0, -100.0, -170.0, 15.0)
CURVATURES = ((-1.0, 0.0, -10.0), (-1.0, 0.0, -10.0), (-6.5, 11.0, -6.5), (0.7, 0.6, 0.7))
CENTRES = ((1.0, 0.0), (0.0, 0.5), (-0.5, 1.5), (-1.0, 1.0))
SPRING = 500.0
MINIMA = {(-0.558, 1.442): -146.700, (0.623, 0.028): -108.167, (-0.050, 0.467): -80.768}
SADDLES = {(-0.822, 0.624): -40.665, (0.212, 0.293): -72.249}
"""Coordinates and energies."""


def _energy(parameters, graph, strain=None):
    heights, curvatures, centres = parameters
    place = graph.positions[1::2] - graph.positions[0::2]
    x, y = (place[:, None, axis] - centres[None, :, axis] for axis in (0, 1))
    exponents = curvatures[:, 0] * x * x + curvatures[:, 1] * x * y + curvatures[:, 2] * y * y
    return jnp.sum(heights * jnp.exp(exponents), axis=1) + 0.5 * SPRING * place[:, 2] ** 2


def muller_brown() -> EnergyModel:
    """The surface as a model of two atoms."""
    parameters = (np.array(HEIGHTS), np.array(CURVATURES), np.array(CENTRES))
    return EnergyModel(_energy, parameters, 100.0, "float64")


def point(x: float, y: float) -> ase.Atoms:
    """A place on it."""
    atoms = ase.Atoms("He2", [[0, 0, 0], [x, y, 0]])
    atoms.set_constraint(FixAtoms([0]))
    return atoms


def place_of(atoms: ase.Atoms) -> np.ndarray:
    """x and y."""
    return (atoms.positions[1] - atoms.positions[0])[:2]
