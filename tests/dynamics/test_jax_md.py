"""Agreement with jax-md where jax-md is right: many atoms in a periodic box."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk
from lennard_jones import truncated_lennard_jones

from so3lab import units
from so3lab.dynamics import Control, Limits, Simulation

pytestmark = pytest.mark.study

pytest.importorskip("jax_md", reason="needs jax-md, which brings 65 packages: pip install 'so3lab[oracle]'")

FREE = Limits(None, None, None)


@pytest.fixture(scope="module")
def argon():
    """The force field, a warm crystal, and the same force field as jax-md wants it."""
    from jax_md import space

    field, epsilon, sigma = truncated_lennard_jones("float64")
    atoms = bulk("Ar", "fcc", a=1.65 * sigma, cubic=True).repeat(4)
    atoms.rattle(0.1, seed=0)
    box = float(atoms.cell[0, 0])
    displacement, shift = space.periodic(box)
    every = space.map_product(displacement)

    def energy(positions, **ignored):
        vectors = every(positions, positions)
        squares = jnp.sum(vectors**2, axis=-1)
        near = (squares < (3 * sigma) ** 2) & ~jnp.eye(len(positions), dtype=bool)
        sixth = (sigma**2 / jnp.where(near, squares, 1e3)) ** 3
        return 0.5 * jnp.sum(jnp.where(near, 4 * epsilon * (sixth**2 - sixth), 0.0))

    return field, atoms, energy, shift


def sampled(step, state, energy, chunks: int = 356, discard: int = 100):
    """Kinetic and potential energy of jax-md after every 20 steps, without those of the beginning."""
    from jax_md import quantity

    @jax.jit
    def run(state):
        def some(state, _):
            state = jax.lax.fori_loop(0, 20, lambda _, inner: step(inner), state)
            kinetic = quantity.kinetic_energy(momentum=state.momentum, mass=state.mass)
            return state, (kinetic, energy(state.position))

        return jax.lax.scan(some, state, None, chunks)[1]

    return [np.asarray(x)[discard:] for x in run(state)]


def test_constant_energy_gives_the_same_trajectory(argon):
    from jax_md import simulate

    field, atoms, energy, _ = argon
    atoms = atoms.copy()
    atoms.set_velocities(np.random.default_rng(1).normal(scale=0.02, size=(len(atoms), 3)))
    chunk = Simulation(field, atoms, ensemble="nve", control=Control(timestep_fs=5.0), limits=FREE).advance(1, 300)
    with jax.enable_x64(True):
        masses = jnp.asarray(atoms.get_masses())
        init, step = simulate.nve(energy, lambda r, dr, **kw: r + dr, dt=5.0 * units.fs)
        state = init(jax.random.key(0), jnp.asarray(atoms.positions), mass=masses, kT=0.0)
        state = state.set(momentum=masses[:, None] * jnp.asarray(atoms.get_velocities()))
        state = jax.jit(lambda s: jax.lax.fori_loop(0, 300, lambda _, inner: step(inner), s))(state)
        np.testing.assert_allclose(chunk.positions[0], state.position, atol=1e-6)


def test_a_nose_hoover_chain_gives_the_same_averages(argon):
    """Kinetic energy per degree of freedom and potential energy; jax-md heats the three it does not move."""
    from jax_md import simulate

    field, atoms, energy, _ = argon
    kT = units.kB * 60.0
    control = Control(60.0, timestep_fs=5.0, thermostat_fs=200.0)
    moving = Simulation(field, atoms, ensemble="nose-hoover", control=control, limits=FREE)
    moving.advance(50, 40)
    ours = [moving.advance(64, 20) for _ in range(4)]
    with jax.enable_x64(True):
        init, step = simulate.nvt_nose_hoover(
            energy,
            lambda r, dr, **kw: r + dr,
            5.0 * units.fs,
            kT,
            chain_length=3,
            chain_steps=1,
            tau=200.0 * units.fs,
        )
        state = init(jax.random.key(0), jnp.asarray(atoms.positions), mass=jnp.asarray(atoms.get_masses()))

        kinetic, potential = sampled(step, state, energy)
    assert np.mean([c.kinetic_energy for c in ours]) / (3 * 255 / 2) == pytest.approx(kT, rel=0.01)
    assert kinetic.mean() / (3 * 256 / 2) == pytest.approx(kT, rel=0.01)
    # What jax-md's atoms have too much is a third of a percent; the potential energy is what can be compared.
    wells = np.mean([c.potential_energy for c in ours])
    assert wells == pytest.approx(potential.mean(), abs=4 * 256 * kT / np.sqrt(256 * 60))


def test_langevin_gives_the_same_averages(argon):
    """The thermostat of both acts on all 3N degrees of freedom; a cold crystal warms up at the same rate."""
    from jax_md import simulate

    field, atoms, energy, _ = argon
    kT, friction_per_ps = units.kB * 60.0, 5.0
    cold = atoms.copy()
    cold.set_velocities(np.full((len(atoms), 3), 1e-9))
    control = Control(60.0, timestep_fs=5.0, friction_per_ps=friction_per_ps)
    moving = Simulation(field, cold, ensemble="langevin", control=control, limits=FREE)
    warming = moving.advance(16, 1)
    moving.advance(50, 40)
    ours = [moving.advance(64, 20) for _ in range(4)]
    with jax.enable_x64(True):
        init, step = simulate.nvt_langevin(
            energy, lambda r, dr, **kw: r + dr, 5.0 * units.fs, kT, gamma=friction_per_ps / units.ps
        )
        masses = jnp.asarray(atoms.get_masses())
        start = init(jax.random.key(0), jnp.asarray(atoms.positions), mass=masses)
        kinetic, potential = sampled(step, start, energy)
        state, theirs = start.set(momentum=jnp.zeros_like(start.momentum)), []
        for _ in range(16):
            state = jax.jit(step)(state)
            theirs.append(0.5 * float(jnp.sum(state.momentum**2 / masses[:, None])))
    half = 3 * 256 / 2
    assert np.mean([c.kinetic_energy for c in ours]) / half == pytest.approx(kT, rel=0.01)
    assert kinetic.mean() / half == pytest.approx(kT, rel=0.01)
    wells = np.mean([c.potential_energy for c in ours])
    assert wells == pytest.approx(potential.mean(), abs=4 * 256 * kT / np.sqrt(256 * 60))
    np.testing.assert_allclose(warming.kinetic_energy, theirs, rtol=0.25)
    assert theirs[-1] < 0.8 * half * kT  # it was still warming up
