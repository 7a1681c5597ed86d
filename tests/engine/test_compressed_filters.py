"""The fast form of a network says the same as the network, and its forces are exact gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk, molecule
from differences import central_forces

from so3lab import dynamics
from so3lab.engine.compressed_filters import SHORTEST, compress_filters, shared_basis
from so3lab.engine.energy_model import energy_and_forces, precision
from so3lab.engine.messages import head_major, head_minor
from so3lab.network.settings import ModelSettings, preset
from so3lab.potential import Potential
from so3lab.potential.model_file import flat_parameters
from so3lab.structures.graph import atom_classes, build_graph

BASES = [("bernstein", "phys"), ("physnet", "cosine"), ("bessel", "polynomial")]


@functools.partial(jax.jit, static_argnums=(0, 3))
def program(energy, parameters, graph, with_strain=False):
    return energy_and_forces(energy, parameters, graph, with_strain=with_strain)


def evaluated(potential: Potential, atoms, parameters, with_classes: bool = True):
    """Energy and forces through a force field with these parameters."""
    graph = build_graph([atoms], potential.settings.cutoff, dtype=potential.dtype)
    graph = graph._replace(atom_classes=atom_classes([atoms]) if with_classes else None)
    with precision(potential.dtype):
        found = program(potential.energy_model.energy, parameters, graph)
        return float(found.energies[0]), np.asarray(found.forces)


@functools.cache
def random_potential(basis="bernstein", cutoff_function="phys", dtype="float64", **changes) -> Potential:
    settings = preset(
        "tiny",
        radial_basis=basis,
        cutoff_function=cutoff_function,
        num_radial=12,
        cutoff=4.5,
        mean_neighbors=8.0,
        **changes,
    )
    return Potential.initial(settings, seed=5, dtype=dtype)


@pytest.mark.parametrize(("basis", "cutoff_function"), BASES)
def test_fast_form_agrees_with_the_network(basis, cutoff_function, ethanol):
    potential = random_potential(basis, cutoff_function)
    assert potential.uses_compressed_filters
    energy, forces = evaluated(potential, ethanol, potential.parameters)
    for with_classes in (True, False) if basis == "bernstein" else (True,):
        fast_energy, fast_forces = evaluated(potential, ethanol, potential.energy_model.parameters, with_classes)
        assert fast_energy == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(fast_forces, forces, atol=1e-9)


def test_single_precision_keeps_forces_to_a_millionth(ethanol):
    exact = random_potential()
    single = exact.astype("float32")
    _, forces = evaluated(exact, ethanol, exact.parameters)
    _, fast = evaluated(single, ethanol, single.energy_model.parameters)
    np.testing.assert_allclose(fast, forces, atol=1e-4 * np.abs(forces).max())


def test_cells_take_the_fast_form_too():
    potential = random_potential()
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(0.1, seed=2)
    graph = build_graph([atoms], potential.settings.cutoff, dtype="float64")._replace(
        atom_classes=atom_classes([atoms])
    )
    with precision("float64"):
        energy = potential.energy_model.energy
        results = [
            program(energy, parameters, graph, True)
            for parameters in (potential.parameters, potential.energy_model.parameters)
        ]
    np.testing.assert_allclose(results[1].forces, results[0].forces, atol=1e-9)
    np.testing.assert_allclose(results[1].strain_gradient, results[0].strain_gradient, atol=1e-8)


def test_forces_of_the_fast_form_are_its_exact_gradient(ethanol):
    potential = random_potential()
    parameters = potential.energy_model.parameters
    _, forces = evaluated(potential, ethanol, parameters)
    differences = central_forces(lambda moved: evaluated(potential, moved, parameters)[0], ethanol)
    for component, force in differences:
        assert forces[component] == pytest.approx(force, abs=1e-6)


def test_dynamics_in_the_fast_form_conserve_energy_as_well(ethanol):
    """The same error of the total energy with and without, over the same short run."""
    potential = random_potential()
    fast = potential.energy_model
    slow = fast._replace(parameters=potential.parameters)
    spreads = []
    for field in (fast, slow):
        chunks = list(
            dynamics.run(
                field,
                ethanol,
                steps=400,
                ensemble="nve",
                temperature_K=300,
                timestep_fs=0.25,
                limits=dynamics.Limits(None, None, None),
            )
        )
        spreads.append(np.std(np.concatenate([chunk.total_energy for chunk in chunks])))
    assert spreads[0] == pytest.approx(spreads[1], rel=0.01)


def test_a_basis_that_is_not_smooth_enough_is_not_used(ethanol):
    """A hundred sine waves do not fit into the polynomials: the network stays as it is, and says so."""
    settings = ModelSettings(
        num_features=8, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=8.0, radial_basis="bessel", num_radial=100
    )
    potential = Potential.initial(settings, seed=1)
    assert not potential.uses_compressed_filters
    assert potential.energy_model.parameters is potential.parameters
    assert "networks" in potential.explain(ethanol)["radial filters"]


def test_explanation_names_the_path(ethanol):
    told = random_potential(dtype="float32").explain(ethanol)
    assert "36 undirected pairs" in told["pairs"]
    assert "compressed to" in told["radial filters"]
    many = molecule("CH3CONH2")
    many.numbers[:6] = [6, 7, 8, 9, 16, 17]
    assert "table of 3²" in told["first layer"]
    assert "would cost more" in random_potential(dtype="float32").explain(many)["first layer"]


def test_basis_is_constant_below_the_shortest_distance():
    potential = random_potential()
    with precision("float64"):
        fit = compress_filters(potential.settings, flat_parameters(potential.parameters), "float64")
        near, shortest = (
            shared_basis(jnp.array([d]), fit.filters.mixing, potential.settings.cutoff) for d in (0.1, SHORTEST)
        )
    np.testing.assert_allclose(near, shortest, rtol=1e-12)


def test_head_orders_are_inverse():
    x = jnp.arange(24.0)[None]
    order = head_minor(24, 3)
    np.testing.assert_array_equal(head_major(x[:, order], 3), x)
