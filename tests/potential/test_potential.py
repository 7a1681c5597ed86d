"""What must hold for any potential: symmetries, exact gradients, batches."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from scipy.spatial.transform import Rotation

import so3lab
from so3lab.engine.energy_model import precision
from so3lab.potential.potential import predict_graph
from so3lab.structures.graph import build_graph


def crystal() -> ase.Atoms:
    atoms = bulk("NaCl", "rocksalt", a=4.2).repeat((2, 1, 1))
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.05 * np.random.default_rng(0).normal(size=(3, 3))), scale_atoms=True)
    atoms.rattle(0.1, seed=4)
    return atoms


def close(a, b) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("reflect", [False, True])
def test_rotation_and_reflection_turn_forces_and_keep_the_energy(potential64, ethanol, reflect):
    matrix = Rotation.random(random_state=5).as_matrix() * (-1.0 if reflect else 1.0)
    turned = ethanol.copy()
    turned.positions = ethanol.positions @ matrix.T
    before, after = potential64(ethanol), potential64(turned)
    close(after.energy, before.energy)
    close(after.forces, before.forces @ matrix.T)


def test_translation_changes_nothing(potential64, ethanol):
    moved = ethanol.copy()
    moved.translate([13.0, -7.0, 100.0])
    close(potential64(moved).energy, potential64(ethanol).energy)
    close(potential64(moved).forces, potential64(ethanol).forces)


def test_net_force_and_torque_vanish(potential64, ethanol):
    forces = potential64(ethanol).forces
    close(forces.sum(axis=0), 0)
    close(np.cross(ethanol.positions, forces).sum(axis=0), 0)


def test_order_of_atoms_is_only_an_order(potential64, ethanol):
    order = np.random.default_rng(0).permutation(len(ethanol))
    before, after = potential64(ethanol), potential64(ethanol[order])
    close(after.energy, before.energy)
    close(after.forces, before.forces[order])
    close(after.atomic_energies, before.atomic_energies[order])


def test_padding_changes_nothing(potential64, ethanol):
    cutoff = potential64.settings.cutoff
    plain, padded = (
        build_graph([ethanol], cutoff, dtype="float64", **capacity)
        for capacity in ({}, {"num_atoms": 20, "num_pairs": 200})
    )
    with precision("float64"):
        a, b = (predict_graph(potential64.settings, potential64.parameters, g, False, False) for g in (plain, padded))
    close(b.energies, a.energies)
    close(b.forces[:9], a.forces)
    close(b.forces[9:], 0)


def test_order_and_direction_of_pairs_change_nothing(potential64, ethanol):
    graph = build_graph([ethanol], potential64.settings.cutoff, dtype="float64")
    order = np.random.default_rng(1).permutation(len(graph.receivers))
    turned = graph._replace(
        receivers=graph.senders[order], senders=graph.receivers[order], pair_mask=graph.pair_mask[order]
    )
    with precision("float64"):
        a, b = (predict_graph(potential64.settings, potential64.parameters, g, False, False) for g in (graph, turned))
    close(a.energies, b.energies)
    close(a.forces, b.forces)


def test_a_batch_of_different_structures_gives_each_its_own_result(potential64, ethanol):
    """As alone, whoever the others are."""
    structures = [ethanol, molecule("H2O"), crystal(), molecule("C6H6"), ase.Atoms("H")]
    first = potential64.predict(structures)

    def same(together, alone):
        close(together.energy, alone.energy)
        close(together.forces, alone.forces)
        close(together.atomic_energies, alone.atomic_energies)
        if alone.stress is not None:
            close(together.stress, alone.stress)

    for number in (0, 2):
        same(first[number], potential64(structures[number]))
        structures[number] = structures[number].copy()
        structures[number].positions[0] += 0.05
    second = potential64.predict(structures)
    for number in range(5):
        if number in (0, 2):
            assert abs(second[number].energy - first[number].energy) > 1e-5
        else:
            same(second[number], first[number])


@pytest.mark.parametrize("name", ["molecule", "crystal"])
def test_forces_are_the_exact_gradient(potential64, ethanol, name):
    atoms = ethanol if name == "molecule" else crystal()
    atoms.calc = potential64.calculator()
    numerical = calculate_numerical_forces(atoms, eps=1e-5, iatoms=[0, 1])
    np.testing.assert_allclose(atoms.get_forces()[:2], numerical, atol=1e-7)


def test_stress_equals_finite_differences(potential64):
    atoms = crystal()
    atoms.calc = potential64.calculator()
    np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-8)


def test_a_repeated_cell_has_the_same_energy_per_cell(potential64):
    one = crystal()
    two = one.repeat((1, 2, 1))
    close(potential64(two).energy, 2 * potential64(one).energy)
    close(potential64(two).forces[: len(one)], potential64(one).forces)
    close(potential64(two).stress, potential64(one).stress)


def test_atoms_moved_by_lattice_vectors_change_nothing(potential64):
    atoms = crystal()
    moved = atoms.copy()
    moved.positions[1] += 2 * moved.cell[0] - moved.cell[2]
    close(potential64(moved).energy, potential64(atoms).energy)
    close(potential64(moved).forces, potential64(atoms).forces)


def test_single_precision_agrees_with_double(potential64, ethanol):
    single, double = potential64.astype("float32")(ethanol), potential64(ethanol)
    np.testing.assert_allclose(single.forces, double.forces, atol=2e-5)
    assert abs(single.energy - double.energy) < 1e-5


def test_atomic_energies_sum_to_the_energy_with_shifts(potential64, ethanol):
    from dataclasses import replace

    shifted = replace(potential64, energy_shifts={1: -13.6, 6: -1029.0, 8: -2042.0})
    result, plain = shifted(ethanol), potential64(ethanol)
    close(result.atomic_energies.sum(), result.energy)
    close(result.energy - plain.energy, 6 * -13.6 + 2 * -1029.0 - 2042.0)


def test_bad_structures_are_refused_with_a_sentence(potential64):
    from dataclasses import replace

    trained = replace(potential64, energy_shifts={1: 0.0, 6: 0.0})
    with pytest.raises(ValueError, match="atoms hold O, but this model was trained on H, C only"):
        trained(molecule("H2O"))
    with pytest.raises(ValueError, match="at least one atom"):
        potential64(ase.Atoms())
    broken = ase.Atoms("H2", [[0, 0, 0], [np.nan, 0, 0]])
    for use in (potential64, lambda atoms: next(so3lab.dynamics.run(potential64, atoms, steps=20))):
        with pytest.raises(ValueError, match="positions must be finite numbers in Å, atom 1 is at"):
            use(broken)
    with pytest.raises(ValueError, match="dtype must be"):
        potential64.astype("float16")


def test_importing_and_predicting_leave_jax_as_it_was(potential64, ethanol):
    import jax

    before = jax.config.jax_enable_x64
    potential64(ethanol)
    assert jax.config.jax_enable_x64 == before
    assert jax.numpy.ones(1).dtype == np.float32


def test_network_is_an_open_nnx_module(potential64):
    network = potential64.network
    assert network.layers[0].attention.filter_features.radial.first.kernel[...].shape == (8, 16)
