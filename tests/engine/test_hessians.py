"""Hessians are the derivatives of forces, of networks with and without long-range terms, and of any energy function."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule
from lennard_jones import cluster_in_reduced_units, truncated_lennard_jones

import so3lab
from so3lab.engine.forces import ForceEvaluator
from so3lab.engine.hessians import hessian
from so3lab.observables.vibrations import finite_difference_hessian


def by_differences(model, atoms: ase.Atoms) -> np.ndarray:
    evaluator = ForceEvaluator(model, [atoms])
    cells = evaluator.lists.cells
    return finite_difference_hessian(lambda at: np.asarray(evaluator(at, cells).forces), atoms.positions, 1e-4)


@pytest.mark.study
def test_a_network_with_its_fast_form(potential64, ethanol):
    exact = hessian(potential64.plain_model, ethanol)
    np.testing.assert_allclose(exact, by_differences(potential64.energy_model, ethanol), atol=2e-5)
    shift = np.tile(np.eye(3), (len(ethanol), 1))
    np.testing.assert_allclose(exact @ shift, 0, atol=1e-8)


@pytest.mark.parametrize("periodic", [False, True])
def test_any_energy_function(periodic):
    if periodic:
        model, atoms = truncated_lennard_jones("float64")[0], bulk("Ar", cubic=True) * (2, 2, 2)
    else:
        model, atoms = cluster_in_reduced_units(), ase.Atoms("Ar5", 1.2 * molecule("CH4").positions)
    atoms.rattle(0.02, seed=1)
    exact = hessian(model, atoms)
    np.testing.assert_allclose(exact, by_differences(model, atoms), atol=1e-4 * np.abs(exact).max())


def test_atoms_upon_each_other_are_refused():
    with pytest.raises(ValueError, match="second derivatives of Ar2 are not finite"):
        hessian(cluster_in_reduced_units(), ase.Atoms("Ar2", [[0, 0, 0], [0, 0, 0]]))


@pytest.mark.study
def test_long_range_terms_count():
    potential, water = so3lab.load("so3lr"), molecule("H2O")
    found = hessian(potential.plain_model, water)
    np.testing.assert_allclose(found, by_differences(potential.plain_model, water), atol=1e-4)
