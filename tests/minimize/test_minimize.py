"""Relaxation reaches known minima, the same as ASE's with far fewer evaluations, and says of every structure why it
ended."""

import itertools

import ase
import numpy as np
import pytest
from ase.build import molecule
from ase.constraints import FixAtoms, FixedPlane
from ase.optimize import BFGS
from lennard_jones import cluster_in_reduced_units

import so3lab
from so3lab.minimize import Held, minimize, relax
from so3lab.structures import read_structure

LJ7 = (-16.505384, -15.935043, -15.593211, -15.533060)
"""All minima of seven Lennard-Jones particles (Doye and Wales, J. Chem. Phys. 116, 3777, 2002)."""


@pytest.fixture(scope="module")
def ethanol_model():
    return so3lab.load("ethanol")


def distorted(count: int, amplitude: float = 0.07) -> list[ase.Atoms]:
    """Ethanols, each distorted in its own way and put somewhere else."""
    found = []
    for seed in range(count):
        atoms = read_structure("ethanol")
        atoms = ase.Atoms(atoms.numbers, atoms.positions)
        atoms.rattle(amplitude, seed=seed)
        atoms.rotate(40.0 * seed, (1, seed, 2))
        atoms.positions += [300.0 * seed, 0, 0]
        found.append(atoms)
    return found


def random_cluster(size: int, seed: int) -> ase.Atoms:
    """Particles anywhere in a small box, upon each other as they happen to be."""
    positions = np.random.default_rng(seed).uniform(0, 1.1 * size ** (1 / 3), (size, 3))
    return ase.Atoms(f"Ar{size}", positions)


def test_molecules_reach_the_minimum_that_ase_reaches(ethanol_model):
    """More of them than fit at once."""
    starts = distorted(7)
    found = {one.number: one for one in minimize(ethanol_model, starts, batch=3)}
    assert sorted(found) == list(range(7))
    for number in (0, 3):
        slow = starts[number].copy()
        slow.positions -= slow.positions.mean(axis=0)
        slow.calc = ethanol_model.calculator()
        optimizer = BFGS(slow, logfile=None)
        optimizer.run(fmax=0.003, steps=300)
        assert found[number].energy == pytest.approx(slow.get_potential_energy(), abs=2e-3)
        assert found[number].evaluations < optimizer.nsteps
    for number, one in found.items():
        assert one.why == "converged", one.sentence
        assert one.method == "internal"
        assert one.max_force <= 0.01
        assert 0 <= one.gain_meV <= 0.03
        assert one.atoms.get_potential_energy() == one.energy
        away = one.atoms.positions.mean(axis=0) - starts[number].positions.mean(axis=0)
        np.testing.assert_allclose(away, 0, atol=0.05)


@pytest.mark.parametrize("method", ["internal", "cartesian", "fire"])
def test_every_method_ends_in_the_same_minimum(ethanol_model, method):
    start = distorted(1, 0.03)[0]
    found = relax(ethanol_model, start, method=method, max_force=0.003, max_gain_meV=0.02)
    assert found.why == "converged", found.sentence
    assert found.method == method
    reference = relax(ethanol_model, start, max_force=0.001, max_gain_meV=0.01)
    assert found.energy == pytest.approx(reference.energy, abs=2e-4)


def test_results_do_not_depend_on_who_else_is_relaxed(ethanol_model):
    starts = distorted(5)
    together = {one.number: one for one in minimize(ethanol_model, starts, batch=5)}
    alone = {one.number: one for one in minimize(ethanol_model, iter(starts), batch=2)}
    for number in range(5):
        assert together[number].energy == pytest.approx(alone[number].energy, abs=1e-4)


def test_clusters_reach_their_known_minima():
    """Starts with particles upon each other included; nothing flies apart."""
    starts = [random_cluster(7, seed) for seed in range(24)]
    found = list(minimize(cluster_in_reduced_units(), starts, max_force=1e-5, max_gain_meV=1e-6, batch=8))
    assert all(one.converged for one in found)
    assert {one.method for one in found} == {"cartesian"}
    nearest = {min(LJ7, key=lambda known: abs(known - one.energy)) for one in found}
    for one in found:
        assert min(abs(known - one.energy) for known in LJ7) < 1e-5
    assert LJ7[0] in nearest
    assert len(nearest) >= 2


def test_particles_upon_each_other_come_apart_and_stay_together():
    start = random_cluster(7, 0)
    start.positions[1] = start.positions[0] + 1e-2
    found = relax(cluster_in_reduced_units(), start, max_force=1e-4)
    assert found.converged
    assert min(abs(known - found.energy) for known in LJ7) < 1e-3


def test_molecules_of_different_sizes_share_a_batch(ethanol_model):
    starts = [distorted(1)[0], molecule("H2O"), molecule("CH4"), molecule("CH3OH")]
    found = {one.number: one for one in minimize(ethanol_model, starts, batch=2)}
    for number, start in enumerate(starts):
        assert found[number].atoms.get_chemical_formula() == start.get_chemical_formula()
        assert found[number].converged
    water = relax(ethanol_model, starts[1])
    assert found[1].energy == pytest.approx(water.energy, abs=1e-4)


def test_fixed_atoms_stay_and_held_coordinates_keep_their_values(ethanol_model):
    start = distorted(1)[0]
    start.set_constraint(FixAtoms([0, 5]))
    hold = [Held((1, 2)), Held((0, 1, 2), 115.0), Held((3, 0, 1, 2))]
    before = start.get_distance(1, 2), start.get_dihedral(3, 0, 1, 2)
    found = relax(ethanol_model, start, hold=hold)
    assert found.converged, found.sentence
    after = found.atoms
    np.testing.assert_allclose(after.positions[[0, 5]], start.positions[[0, 5]], atol=1e-9)
    np.testing.assert_allclose((after.get_distance(1, 2), after.get_dihedral(3, 0, 1, 2)), before, atol=1e-5)
    assert after.get_angle(0, 1, 2) == pytest.approx(115.0, abs=1e-5)
    assert after.constraints
    free = relax(ethanol_model, distorted(1)[0])
    assert found.energy > free.energy + 1e-3


def test_an_iterator_is_read_as_slots_become_free(ethanol_model):
    taken = itertools.count()
    endless = (atoms for atoms in itertools.cycle(distorted(2)) if next(taken) >= 0)
    results = minimize(ethanol_model, endless, batch=2)
    first = [next(results) for _ in range(3)]
    assert all(one.converged for one in first)
    assert next(taken) < 12


def test_what_did_not_converge_says_so(ethanol_model):
    found = relax(ethanol_model, distorted(1)[0], max_steps=3)
    assert found.why == "out of steps"
    assert found.evaluations == 3
    assert "out of steps after 3 evaluations" in found.sentence
    assert not found.converged


def test_energies_that_are_no_numbers_end_a_structure_and_no_other():
    sound = cluster_in_reduced_units()

    def with_a_hole(parameters, graph, strain=None):
        energies = sound.energy(parameters, graph, strain)
        return energies / (energies < 1e6)

    good, bad = random_cluster(7, 3), random_cluster(7, 0)
    bad.positions[1] = bad.positions[0] + 1e-3
    good.positions *= 1.5
    found = {one.number: one for one in minimize(sound._replace(energy=with_a_hole), [bad, good])}
    assert found[0].why == "not finite"
    assert found[1].why == "converged"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_force": 0.0}, "max_force must be positive"),
        ({"max_gain_meV": -1.0}, "max_gain_meV must be positive"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"method": "newton"}, "method must be auto, internal"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"hold": [Held((0, 40))]}, "Held atoms must be numbers below 9"),
    ],
)
def test_wrong_arguments_are_refused(ethanol_model, options, message):
    with pytest.raises(ValueError, match=message):
        relax(ethanol_model, distorted(1)[0], **options)


def test_other_constraints_are_refused(ethanol_model):
    atoms = distorted(1)[0]
    atoms.set_constraint(FixedPlane([0], (0, 0, 1)))
    with pytest.raises(ValueError, match=r"FixAtoms only, got FixedPlane.*hold="):
        relax(ethanol_model, atoms)


def test_one_structure_is_not_several(ethanol_model):
    with pytest.raises(TypeError, match=r"relax\(potential, atoms\)"):
        next(minimize(ethanol_model, distorted(1)[0]))
