"""An integrator with its force function, and its state before the first step, for tests of integrators alone."""

from collections.abc import Callable

import jax.numpy as jnp

from so3lab.dynamics.integrators import ForceFunction, Integrator, MDState, Particles


class Moving:
    """What moves, by which forces and which integrator.

    Args:
        make: The integrator.
        force_fn: Forces at given positions.
        particles: What moves.
        variables: How many variables its thermostat has.
    """

    def __init__(
        self,
        make: Callable[[ForceFunction, Particles], Integrator],
        force_fn: ForceFunction,
        particles: Particles,
        variables: int = 0,
    ):
        self.step = make(force_fn, particles)
        self._force_fn, self._particles, self._variables = force_fn, particles, variables

    def init(self, positions, velocities, seeds, cells=None) -> MDState:
        """The state before the first step, with its forces and a thermostat at rest."""
        found, structures = self._force_fn(positions, cells), self._particles.structures
        none, nothing = jnp.zeros(structures, jnp.int32), jnp.zeros(structures, positions.dtype)
        return MDState(
            positions, velocities, found.forces, found.energy, found.bias, nothing,
            jnp.zeros((structures, self._variables), positions.dtype), seeds, jnp.zeros((), jnp.int32),
            found.pair_list_flags, none, none, cells, found.virial,
        )  # fmt: skip
