r"""Constant pressure and temperature (NPT) by stochastic cell rescaling, of the volume or of the whole cell.

Before each drift the cell, the positions in it and, inversely, the velocities are multiplied by
:math:`\exp(X)`, a step of an overdamped walk whose stationary distribution is the isothermal-isobaric one:

.. math:: X = -\frac{\beta \Delta t}{3 \tau} (P_0 - P) + \sqrt{\frac{2 \beta k_B T \Delta t}{3 V \tau}}\, N

with P the pressure tensor at this moment and N symmetric with normal entries of variance 1 on the diagonal and
1/2 beside it; for the volume alone, X is a third of the unit matrix times the walk of :math:`\ln V`. Symmetric
steps leave out rotations of the cell. P includes :math:`k_B T/V` for every three degrees of freedom that momentum
conservation takes away, so that it is the pressure of all atoms.

What the barostat does to the kinetic energy is known exactly, and its work on the potential is taken with the mean of
the virials before and after the step: with the one before alone, noise squared would pile up as a drift of the
conserved energy.

Sources: Bernetti, Bussi, J. Chem. Phys. 153, 114107 (2020), eqs. 4 and 8; Del Tatto, Raiteri, Bernetti, Bussi,
Appl. Sci. 12, 1139 (2022). Velocities are thermostatted by stochastic rescaling (CSVR).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from so3lab.dynamics.integrators.rescaling import rescaled
from so3lab.dynamics.integrators.state import (
    ForceFunction,
    Integrator,
    MDState,
    Particles,
    StepParameters,
    Temperature,
    finished,
    step_keys,
    sum_of_structures,
    to_atoms,
)


def npt(force_fn: ForceFunction, particles: Particles) -> Integrator:
    """Constant pressure; the cell keeps its shape and changes its volume.

    Args:
        force_fn: Forces at given positions, with the virial.
        particles: What moves.
    """
    return _stochastic_rescaling(force_fn, particles, flexible=False)


def npt_flexible(force_fn: ForceFunction, particles: Particles) -> Integrator:
    """Constant pressure; the cell changes its volume and its shape.

    Args:
        force_fn: Forces at given positions, with the virial.
        particles: What moves.
    """
    return _stochastic_rescaling(force_fn, particles, flexible=True)


def _stochastic_rescaling(force_fn: ForceFunction, particles: Particles, *, flexible: bool) -> Integrator:
    def step(state: MDState, knobs: StepParameters) -> MDState:
        keys = step_keys(state, 0)
        strain = _walk(state, step_keys(state, 1), particles, knobs, flexible)
        stretch, shrink = _exponential(strain), _exponential(-strain)
        assert state.cells is not None
        assert state.virial is not None
        cells = state.cells @ stretch
        positions, velocities = (
            _times(values, matrices, particles)
            for values, matrices in ((state.positions, stretch), (state.velocities, shrink))
        )
        change = _kinetic_tensors(velocities, particles) - _kinetic_tensors(state.velocities, particles)
        half = velocities + 0.5 * knobs.timestep * particles.inverse_masses * state.forces
        positions = positions + knobs.timestep * half
        moved = finished(state, positions, half, particles, knobs.timestep, force_fn, cells)
        assert moved.virial is not None
        mean = 0.5 * (state.virial + moved.virial)
        work = 0.5 * jnp.trace(change, axis1=1, axis2=2) + jnp.sum(mean * strain, axis=(1, 2))
        return rescaled(moved._replace(bath_energy=moved.bath_energy + work), keys, particles, knobs)

    return step


def pressure_tensors(state: MDState, particles: Particles, temperature: Temperature) -> Float[Array, "structures 3 3"]:
    """Pressure of each structure at this moment in eV/Å³, conserved modes counted as if they were thermal."""
    assert state.cells is not None
    assert state.virial is not None
    volumes = jnp.abs(jnp.linalg.det(state.cells))[:, None, None]
    atoms = sum_of_structures(jnp.ones_like(particles.masses), particles)
    lost = (atoms - particles.degrees_of_freedom / 3.0) * temperature
    thermal = _kinetic_tensors(state.velocities, particles) + lost[:, None, None] * jnp.eye(3, dtype=volumes.dtype)
    return (thermal - state.virial) / volumes


def _walk(
    state: MDState, keys: Array, particles: Particles, knobs: StepParameters, flexible: bool
) -> Float[Array, "structures 3 3"]:
    """The strain X of this step, of each structure."""
    dtype = state.positions.dtype
    assert state.cells is not None
    volumes = jnp.abs(jnp.linalg.det(state.cells))
    unit = jnp.eye(3, dtype=dtype)
    excess = pressure_tensors(state, particles, knobs.temperature) - knobs.pressure * unit
    rate = knobs.compressibility * knobs.timestep / jnp.asarray(knobs.barostat_time, dtype)
    width = jnp.sqrt(2.0 * rate * knobs.temperature / volumes)[:, None, None]
    if not flexible:
        noise = jax.vmap(lambda key: jax.random.normal(key, (1, 1), dtype))(keys)
        drift = rate * jnp.trace(excess, axis1=1, axis2=2)[:, None, None] / 3.0
        return (drift + width * noise) / 3.0 * unit
    noise = jax.vmap(lambda key: jax.random.normal(key, (3, 3), dtype))(keys)
    walk = rate / 3.0 * excess + width / jnp.sqrt(3.0) * noise
    return 0.5 * (walk + walk.swapaxes(1, 2))


def _exponential(strain: Float[Array, "structures 3 3"]) -> Float[Array, "structures 3 3"]:
    """Matrix exponential of a small symmetric matrix, by its first terms; the error is of fifth order."""
    result = unit = jnp.eye(3, dtype=strain.dtype)
    for order in (4, 3, 2, 1):
        result = unit + strain @ result / order
    return result


def _times(
    rows: Float[Array, "atoms 3"], matrices: Float[Array, "structures 3 3"], particles: Particles
) -> Float[Array, "atoms 3"]:
    """Row vectors of atoms times the matrix of their structure."""
    if particles.structures == 1:
        return rows @ matrices[0]
    return jnp.einsum("ai,aij->aj", rows, to_atoms(matrices, particles))


def _kinetic_tensors(velocities: Float[Array, "atoms 3"], particles: Particles) -> Float[Array, "structures 3 3"]:
    """Sum of m v v over the atoms of each structure, eV."""
    products = particles.masses[:, None, None] * velocities[:, :, None] * velocities[:, None, :]
    return sum_of_structures(products, particles)
