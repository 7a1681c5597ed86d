"""The loops in C say the same as XLA, number by number, and XLA goes on alone where they cannot be had."""

import functools

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from differences import central_forces

from so3lab.engine.compressed_filters import compress_filters
from so3lab.engine.energy_model import (
    FastParameters,
    energy_and_forces,
    energy_function,
    precision,
    run_network,
)
from so3lab.engine.kernels import library
from so3lab.machine import c_compiler
from so3lab.network.pairwise.long_range import long_range_needs, with_long_range
from so3lab.network.settings import ModelSettings, preset
from so3lab.potential import Potential
from so3lab.potential.model_file import flat_parameters
from so3lab.structures.graph import atom_classes, build_graph

LONG_RANGE = {"electrostatics": "exact", "dispersion": True}
VARIANTS = {
    "usual": {},
    "other heads, far pairs": {"num_heads": 2, "degrees": (1, 3), **LONG_RANGE},
    "one degree": {"num_heads": 8, "degrees": (2,)},  # another library in C, which takes seconds
    "other cutoff, far pairs that end": {
        "cutoff_function": "cosine",
        **LONG_RANGE, "long_range_cutoff": 3.5, "dispersion_damping": 1.5,
    },
    "everything after the attention, charges that end": {
        "layer_normalization": (True, True), "residual_mlp": (True, True), "cutoff_function": "polynomial",
        **LONG_RANGE, "electrostatics": "wolf", "long_range_cutoff": 3.5, "dispersion_damping": 1.5,
    },
    "nothing after the attention, charges that end in cells": {
        "residual_mlp": (False, False), "cutoff_function": "exponential", **LONG_RANGE, "electrostatics": "compat",
    },
    "as in mlff v0.3": {"layer_form": "v0.3", "residual_mlp": (False, False), "normalization": "sqrt_width"},
}  # fmt: skip

pytestmark = pytest.mark.skipif(c_compiler.compiler() is None, reason="there is no C compiler")


def settings_of(**changes) -> ModelSettings:
    return preset("tiny", **{"num_features": 32, "num_heads": 4, "degrees": (1, 2, 3, 4), "cutoff": 4.5, **changes})


@functools.cache
def potential_of(dtype="float64", **changes) -> Potential:
    return Potential.initial(settings_of(mean_neighbors=4.0, **changes), seed=3, dtype=dtype)


@functools.cache
def fit_of(native: bool | None = None, dtype="float64", **changes):
    """The fast form; by default with the loops in C, if they can be had."""
    potential = potential_of(dtype, **changes)
    with precision(dtype):
        return compress_filters(potential.settings, flat_parameters(potential.parameters), dtype, native)


@functools.partial(jax.jit, static_argnums=0)
def program(energy, parameters, graph):
    return energy_and_forces(energy, parameters, graph, with_strain=True)[:3]


def evaluated(structures, native: bool, with_classes=True, capacities=(), dtype="float64", **changes):
    """Energies, forces and strain gradients by the loops in C, or without them."""
    potential, fit = potential_of(dtype, **changes), fit_of(native, dtype, **changes)
    assert fit.filters.native == native
    graph = build_graph(
        structures,
        potential.settings.cutoff,
        dtype=dtype,
        **dict(zip(("num_atoms", "num_pairs"), capacities, strict=False)),
    )
    graph = graph._replace(atom_classes=atom_classes(structures) if with_classes else None)
    needs = long_range_needs(potential.settings)
    graph = graph if needs is None else with_long_range(graph, structures, needs)
    with precision(dtype):
        parameters = FastParameters(potential.parameters, fit.filters)
        return [np.asarray(x) for x in program(energy_function(potential.settings), parameters, graph)]


def shaken(atoms, seed=0):
    atoms.rattle(0.05, seed=seed)
    return atoms


def water_cell():
    atoms = molecule("H2O")
    atoms.cell, atoms.pbc = [[4.1, 0.3, 0.0], [0.0, 4.3, 0.2], [0.1, 0.0, 4.6]], True
    return shaken(atoms)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.study if name == "one degree" else ()) for name in VARIANTS]
)
def test_same_numbers_as_xla(name):
    """A batch of molecules and a cell, with room to spare; with classes of atoms known and without."""
    structures, capacities = [shaken(molecule("H2O")), water_cell(), shaken(molecule("CH3CH2OH"))], (18, 300)
    changes = VARIANTS[name]
    theirs = evaluated(structures, False, capacities=capacities, **changes)
    for with_classes in (True, False):
        ours = evaluated(structures, True, with_classes, capacities, **changes)
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-11 * max(1.0, np.abs(other).max()))
            assert np.abs(other).max() > 1e-6  # something was compared


def test_single_precision_is_as_good_as_that_of_xla():
    structures = [shaken(molecule("H2O")), water_cell()]
    exact = evaluated(structures, True, **LONG_RANGE)
    single = evaluated(structures, True, dtype="float32", **LONG_RANGE)
    for mine, other in zip(single, exact, strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-5 * max(1.0, np.abs(other).max()))


def test_many_pairs_are_shared_among_threads():
    cell = shaken(bulk("NaCl", "rocksalt", a=5.6, cubic=True).repeat(3))
    cell.numbers = np.where(cell.numbers == 11, 8, 1)
    ours, theirs = (evaluated([cell], native, **LONG_RANGE) for native in (True, False))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-10 * max(1.0, np.abs(other).max()))
    again = evaluated([cell], True, **LONG_RANGE)
    for mine, other in zip(ours, again, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_forces_are_the_exact_gradient():
    atoms = shaken(molecule("CH3OH"))

    def energy(moved) -> float:
        return float(evaluated([moved], True, **LONG_RANGE)[0][0])

    _, forces, _ = evaluated([atoms], True, **LONG_RANGE)
    for place, force in central_forces(energy, atoms):
        assert forces[place] == pytest.approx(force, abs=1e-6)


def test_attention_weights_are_those_of_the_network():
    potential, atoms = potential_of(), shaken(molecule("CH3CH2OH"))
    graph = build_graph([atoms], potential.settings.cutoff, dtype="float64")
    graph = graph._replace(atom_classes=atom_classes([atoms]))
    weights = jax.jit(lambda parameters: run_network(potential.settings, parameters, graph).attention)
    with precision("float64"):
        plain, ours = weights(potential.parameters), weights(FastParameters(potential.parameters, fit_of().filters))
    np.testing.assert_allclose(ours.features, plain.features, atol=1e-9)
    np.testing.assert_allclose(ours.euclidean, plain.euclidean, atol=1e-9)


def test_positions_that_are_no_numbers_give_energies_that_are_none():
    potential, atoms = potential_of(**LONG_RANGE), molecule("CH3CH2OH")
    graph = with_long_range(
        build_graph([atoms], potential.settings.cutoff, dtype="float64"), [atoms], long_range_needs(potential.settings)
    )
    graph.positions[3] = np.nan
    with precision("float64"):
        parameters = FastParameters(potential.parameters, fit_of(**LONG_RANGE).filters)
        assert np.isnan(jax.jit(energy_function(potential.settings))(parameters, graph)[0])


def test_networks_that_the_loops_are_not_made_for_go_to_xla():
    for changes in ({"num_features": 24, "degrees": (1, 2, 3)}, {"qk_activation": "silu"}):
        assert not library.supports(settings_of(**changes))
    assert library.supports(settings_of())


def test_without_a_compiler_xla_computes(monkeypatch, tmp_path):
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    library.register.cache_clear()
    assert not library.available(settings_of(), "float32")
    with pytest.raises(c_compiler.Unavailable, match="install gcc or clang"):
        library.register("float32", 4, 4)
    monkeypatch.undo()
    assert library.available(settings_of(), "float32")


def test_a_compiler_that_fails_says_why(monkeypatch, tmp_path):
    failing = tmp_path / "cc"
    failing.write_text("#!/bin/sh\necho 'error: no such instruction' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", str(failing))
    library.register.cache_clear()
    with pytest.raises(c_compiler.Unavailable, match="no such instruction"):
        library.register("float32", 4, 4)
    assert not list((tmp_path / "cache").rglob("*.so"))
    monkeypatch.undo()
    library.register.cache_clear()


def test_roots_and_error_functions_are_exact_at_all_distances():
    """Dispersion needs seventh roots, electrostatics the error function."""
    pairs = [Atoms("HCl", [[0, 0, 0], [0, 0, d]]) for d in (0.7, 1.9, 2.1, 4.4, 9.0, 60.0, 700.0)]
    ours, theirs = (evaluated(pairs, native, capacities=(14, 8), **LONG_RANGE) for native in (True, False))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-13)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-8, atol=1e-12)


def test_the_library_is_kept_for_the_next_process():
    path = library.register("float32", 4, 4)
    assert path.is_file()
    before = path.stat().st_mtime_ns
    library.register.cache_clear()
    assert library.register("float32", 4, 4).stat().st_mtime_ns == before
