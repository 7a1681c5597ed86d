"""Restraints, pulls and walls push as their energies say, hold what they should, and compile nothing again."""

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule
from compiled_programs import programs_of
from lennard_jones import truncated_lennard_jones
from springs import SPRINGS, nothing

from so3lab import units
from so3lab.dynamics import BiasCapacity, Control, Limits, Pull, Restraint, Simulation, SphericalWall, compiled_loop
from so3lab.engine.biases import bias_arrays, bias_energies
from so3lab.engine.energy_model import EnergyModel
from so3lab.machine.compilation import on_device

FREE = Limits(None, None, None)
EVERYTHING = (
    Restraint((0, 1), 1.4, 5.0),
    Restraint((0, 1, 2), 100.0, 2.0),
    Restraint((4, 0, 1, 2), 170.0, 1.0),
    Pull((3, 5), 0.3),
    Pull((2,), (0.1, -0.2, 0.3)),
    SphericalWall(1.5, 2.0),
)


def energy_of(biases, atoms, bias_capacity=BiasCapacity()):  # noqa: B008
    arrays = on_device(bias_arrays(biases, [atoms], bias_capacity.with_capacity_for(biases), "float64"))
    cells = jnp.asarray(atoms.cell.array)[None] if atoms.pbc.any() else None
    index = np.zeros(len(atoms), int)

    def energy(positions):
        return bias_energies(arrays, positions, jnp.asarray(atoms.get_masses()), jnp.asarray(index), cells, 1)[0]

    return jax.jit(energy)


def test_energies_are_what_they_are_said_to_be():
    atoms = molecule("CH3CH2OH")
    with jax.enable_x64(True):
        at = lambda bias: float(energy_of([bias], atoms)(jnp.asarray(atoms.positions)))  # noqa: E731
        assert at(Restraint((0, 1), 1.4, 5.0)) == pytest.approx(2.5 * (atoms.get_distance(0, 1) - 1.4) ** 2)
        off = np.radians(atoms.get_angle(0, 1, 2) - 100)
        assert at(Restraint((0, 1, 2), 100.0, 2.0)) == pytest.approx(off**2)
        dihedral = atoms.get_dihedral(4, 0, 1, 2)
        assert at(Restraint((4, 0, 1, 2), dihedral - 350.0, 2.0)) == pytest.approx(np.radians(10) ** 2, rel=1e-6)
        assert at(Pull((3, 5), 0.3)) == pytest.approx(-0.3 * atoms.get_distance(3, 5))
        far = np.linalg.norm(atoms.positions - atoms.get_center_of_mass(), axis=1)
        assert at(SphericalWall(1.5, 2.0)) == pytest.approx(np.sum(np.maximum(far - 1.5, 0) ** 2))


def test_forces_are_the_gradient_and_keep_the_centre_of_mass():
    atoms = molecule("CH3CH2OH")
    with jax.enable_x64(True):
        energy = energy_of(EVERYTHING, atoms)
        gradient = np.asarray(jax.grad(energy)(jnp.asarray(atoms.positions)))
        h = 1e-5
        for atom, axis in [(0, 0), (2, 1), (5, 2), (8, 0)]:
            moved = [atoms.positions.copy() for _ in range(2)]
            moved[0][atom, axis] += h
            moved[1][atom, axis] -= h
            slope = (energy(jnp.asarray(moved[0])) - energy(jnp.asarray(moved[1]))) / (2 * h)
            assert gradient[atom, axis] == pytest.approx(float(slope), abs=1e-8)
        np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-12)


def test_empty_slots_push_nothing_anywhere():
    atoms = ase.Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 0]])
    with jax.enable_x64(True):
        energy = energy_of([], atoms, BiasCapacity(2, 2, 2, 2, 2, 1))
        np.testing.assert_array_equal(jax.grad(energy)(jnp.asarray(atoms.positions)), 0)


def test_nearest_images_are_held_across_a_boundary():
    atoms = ase.Atoms("Ar2", positions=[[0.5, 0, 0], [9.5, 0, 0]], cell=[10, 10, 10], pbc=True)
    with jax.enable_x64(True):
        energy = energy_of([Restraint((0, 1), 1.0, 1.0)], atoms)(jnp.asarray(atoms.positions))
    assert float(energy) == pytest.approx(0.0, abs=1e-12)


def test_a_restraint_turned_on_and_moved_while_running_holds_and_compiles_nothing(ethanol):
    control = Control(50.0, timestep_fs=0.5, friction_per_ps=20)
    moving = Simulation(
        SPRINGS, ethanol, control=control, limits=FREE, bias_capacity=BiasCapacity(distances=1, pair_forces=1)
    )
    moving.advance(1, 10)
    compiled = programs_of(compiled_loop.run_chunk)
    for centre in (3.0, 2.2):
        control.biases = [Restraint((0, 2), centre, 50.0)]
        chunk = moving.advance(64, 40)
        distance = np.linalg.norm(chunk.positions[-20:, 0] - chunk.positions[-20:, 2], axis=1)
        assert distance.mean() == pytest.approx(centre, abs=0.15)
        assert chunk.bias_energy[-1] == pytest.approx(25.0 * (distance[-1] - centre) ** 2, rel=1e-9)
    control.biases = [Pull((0, 2), 3.0)]
    pulled = moving.advance(64, 40)
    apart = np.linalg.norm(pulled.positions[-20:, 0] - pulled.positions[-20:, 2], axis=1)
    assert apart.mean() > distance.mean() + 0.1
    assert programs_of(compiled_loop.run_chunk) == compiled


def test_constant_energy_with_biases_is_conserved(ethanol):
    control = Control(300.0, timestep_fs=0.1, biases=EVERYTHING[:4] + EVERYTHING[5:])
    moving = Simulation(SPRINGS, ethanol, ensemble="nve", control=control, limits=FREE)
    chunk = moving.advance(64, 50)
    assert np.std(chunk.conserved_energy) < 0.02 * np.std(chunk.kinetic_energy)
    assert np.std(chunk.total_energy) > 20 * np.std(chunk.conserved_energy)  # the biases do work


def test_a_sphere_keeps_a_gas_together():
    random = np.random.default_rng(0)
    atoms = ase.Atoms("Ar10", positions=random.uniform(-2, 2, (10, 3)))
    gas = EnergyModel(nothing, (), 1.0, "float64")
    for biases, kept in (((), False), ((SphericalWall(6.0, 1.0),), True)):
        control = Control(300.0, timestep_fs=5.0, biases=biases)
        chunk = Simulation(gas, atoms, ensemble="csvr", control=control, limits=FREE).advance(64, 40)
        far = np.linalg.norm(chunk.positions[-1] - chunk.positions[-1].mean(axis=0), axis=1)
        assert bool(far.max() < 8.0) is kept


@pytest.mark.study
def test_atoms_that_are_held_stay_and_carry_no_heat():
    field, _, _ = truncated_lennard_jones("float64")
    atoms = ase.build.bulk("Ar", "fcc", a=5.3, cubic=True).repeat(4)
    atoms.set_constraint(ase.constraints.FixAtoms(range(100)))
    for ensemble in ("langevin", "csvr", "nve"):
        control = Control(40.0, timestep_fs=5.0, friction_per_ps=10)
        moving = Simulation(field, atoms, ensemble=ensemble, control=control, limits=FREE)
        chunk = moving.advance(20, 20)
        np.testing.assert_array_equal(chunk.positions[-1, :100], atoms.positions[:100])
        np.testing.assert_array_equal(chunk.velocities[:, :100], 0)
        kinetic = 0.5 * np.sum(atoms.get_masses()[:, None] * chunk.velocities[-1] ** 2)
        assert chunk.temperature[-1] == pytest.approx(2 * kinetic / (3 * 156 * units.kB))
        if ensemble != "nve":
            assert chunk.temperature[10:].mean() == pytest.approx(40.0, rel=0.1)


def test_bad_biases_are_refused_with_a_sentence(ethanol):
    with pytest.raises(ValueError, match=r"Restraint atoms must be 2 or 3 or 4 different numbers, got \(1, 1\)"):
        Restraint((1, 1), 2.0, 1.0)
    with pytest.raises(ValueError, match="strength must be finite and not negative, got -1"):
        Restraint((0, 1), 2.0, -1.0)
    with pytest.raises(ValueError, match=r"force on 1 atom\(s\) must be three components"):
        Pull((1,), 0.2)
    with pytest.raises(ValueError, match="radius must be positive"):
        SphericalWall(0.0)
    with pytest.raises(TypeError, match="biases must be Restraint, Pull or SphericalWall"):
        Control(biases=["pull"])
    with pytest.raises(ValueError, match="must be below 9, the number of atoms"):
        Simulation(SPRINGS, ethanol, control=Control(biases=[Restraint((0, 9), 2.0, 1.0)]))
    ethanol.set_constraint(ase.constraints.FixBondLength(0, 1))
    with pytest.raises(ValueError, match="may hold ASE's FixAtoms only, got FixBondLengths; hold distances"):
        Simulation(SPRINGS, ethanol)
