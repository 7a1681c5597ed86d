"""Electrons that a model cannot tell apart are refused, and what nobody said is no reason to refuse anything."""

import warnings
from collections.abc import Callable
from dataclasses import replace

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule
from labelled_springs import as_dataset, springs

import so3lab
from so3lab import dynamics
from so3lab.minimize import minimize
from so3lab.network.settings import ModelSettings
from so3lab.potential.checks import check_electrons
from so3lab.structures.electrons import unpaired_electrons
from so3lab.training import evaluate

NO_SPIN = ModelSettings(spin_embedding=False)


def said(atoms: ase.Atoms, **info: float) -> ase.Atoms:
    atoms.info |= info
    return atoms


def cell(**info: float) -> ase.Atoms:
    return said(bulk("Na", a=4.2), **info)


RIGHT = [
    ("nothing is said", molecule("H2O")),
    ("a closed shell", said(molecule("H2O"), multiplicity=1)),
    ("a radical of which nothing is said", molecule("OH")),
    ("a doublet", said(molecule("OH"), multiplicity=2)),
    ("an anion that makes it a closed shell", said(molecule("OH"), charge=-1, spin=0)),
    ("a metal", cell()),
    ("a metal with moments of its atoms", bulk("Fe")),
    ("a cell with a radical", cell(multiplicity=2)),
]
WRONG = [
    ("a triplet", said(molecule("H2O"), multiplicity=3), "must be 0 unpaired electrons.*got 2"),
    ("2S", said(molecule("H2O"), spin=2), "must be 0 unpaired electrons.*got 2"),
    ("a quartet", said(molecule("OH"), multiplicity=4), "must be 1 unpaired electrons.*got 3"),
    ("a cell", cell(multiplicity=4), "must be 0 or 1 unpaired electrons.*got 3"),
]


def plain(atoms: ase.Atoms) -> ase.Atoms:
    """Without the moments that ASE's molecules have, which are a spin as well."""
    if not atoms.pbc.any():
        atoms.arrays.pop("initial_magmoms", None)
    return atoms


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case[0])
def test_the_least_possible_spin_is_what_a_model_without_spins_means(case):
    check_electrons(plain(case[1]), NO_SPIN, charges=(0.0, -1.0))


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case[0])
def test_another_spin_is_refused_by_a_model_without_spins(case):
    with pytest.raises(ValueError, match=case[2]):
        check_electrons(plain(case[1]), NO_SPIN, charges=(0.0,))


def test_where_nobody_knows_the_training_a_spin_that_changes_nothing_is_said():
    with pytest.warns(UserWarning, match=r"2 unpaired electrons \(multiplicity\) change nothing"):
        check_electrons(plain(said(molecule("H2O"), multiplicity=3)), NO_SPIN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_electrons(plain(said(molecule("H2O"), multiplicity=1)), NO_SPIN)


def test_a_model_that_tells_spins_apart_takes_any():
    check_electrons(plain(said(molecule("H2O"), multiplicity=3)), ModelSettings(spin_embedding=True))


def test_what_training_saw_counts_where_it_is_known():
    triplet = plain(said(molecule("CH2_s3B1d"), multiplicity=3))
    check_electrons(triplet, NO_SPIN, spins=(2.0,))
    with pytest.raises(ValueError, match="that of the training data"):
        check_electrons(triplet, NO_SPIN, spins=(0.0,))


def calculated(potential: so3lab.Potential, atoms: ase.Atoms) -> None:
    atoms.calc = potential.calculator()
    atoms.get_potential_energy()


def evaluated(potential: so3lab.Potential, atoms: ase.Atoms) -> None:
    frames = as_dataset(**springs(frames=2))
    evaluate(potential, replace(frames, unpaired_electrons=np.full(2, unpaired_electrons(atoms))))


DOORS: dict[str, Callable] = {
    "prediction": lambda potential, atoms: potential(atoms),
    "batch": lambda potential, atoms: potential.predict([atoms]),
    "calculator": calculated,
    "dynamics": lambda potential, atoms: list(dynamics.run(potential, atoms, steps=20)),
    "relaxation": lambda potential, atoms: list(minimize(potential, [atoms])),
    "evaluation": evaluated,
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_refuses_a_spin_that_the_model_does_not_know(potential64, ethanol, door):
    with pytest.raises(ValueError, match="spin has no part in this model, got 2"):
        DOORS[door](replace(potential64, metadata={"dataset": "closed shells"}), said(ethanol, multiplicity=3))
