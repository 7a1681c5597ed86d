"""The Dataset type, its statistics and energy shifts."""

import numpy as np
import pytest
from ase.build import bulk, molecule

from so3lab import datasets
from so3lab.datasets import Dataset

ETHANOL = molecule("CH3CH2OH")
WATER = molecule("H2O")


def jiggled(structure, frames, seed=0, energy=-100.0):
    """Stacked arrays of a molecule around one geometry, with forces as large as at 500 K."""
    rng = np.random.default_rng(seed)
    positions = structure.positions + 0.02 * rng.normal(size=(frames, len(structure), 3))
    forces = rng.normal(size=positions.shape)
    return structure.numbers, positions, energy + rng.normal(size=frames), forces


def uniform(frames=20, **changes):
    numbers, positions, energies, forces = jiggled(ETHANOL, frames)
    fields = {
        "name": "test",
        "numbers": [numbers] * frames,
        "positions": list(positions),
        "energies": energies,
        "forces": list(forces),
    }
    return Dataset(**(fields | changes))


def mixed():
    """Ethanol, water and one helium atom."""
    a, b = jiggled(ETHANOL, 4), jiggled(WATER, 3)
    return Dataset(
        name="mixed",
        numbers=(*[a[0]] * 4, *[b[0]] * 3, np.array([2])),
        positions=(*a[1], *b[1], np.zeros((1, 3))),
        energies=np.concatenate([a[2], b[2], [-79.0]]),
        forces=(*a[3], *b[3], np.zeros((1, 3))),
        total_charges=np.array([0, 0, 0, 0, 0, 0, 0, 1.0]),
        labels={"origin": np.array(list("aabbccde"))},
        meta={"licence": "CC0"},
    )


def test_frames_are_ase_atoms_with_reference_energy_and_forces():
    dataset = mixed()
    assert len(dataset) == 8
    assert dataset.max_atoms == 9
    assert dataset.elements == (1, 2, 6, 8)
    for i, atoms in enumerate(dataset.to_atoms()):
        assert atoms.get_potential_energy() == dataset.energies[i]
        np.testing.assert_array_equal(atoms.get_forces(), dataset.forces[i])
        np.testing.assert_array_equal(atoms.positions, dataset.positions[i])
        np.testing.assert_array_equal(atoms.numbers, dataset.numbers[i])
    assert dataset[7].info["charge"] == 1


def test_atoms_and_back_is_the_same_set():
    dataset = mixed()
    again = datasets.from_atoms(dataset.to_atoms(), "mixed")
    for field in ("numbers", "positions", "forces"):
        for ours, theirs in zip(getattr(dataset, field), getattr(again, field), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(dataset.energies, again.energies)
    np.testing.assert_array_equal(dataset.total_charges, again.total_charges)


def test_cells_and_periodicity_reach_the_atoms():
    copper = bulk("Cu", cubic=True)
    dataset = Dataset.from_arrays(
        "cu",
        copper.numbers,
        copper.positions[None],
        np.array([-4.0]),
        np.ones((1, 4, 3)),
        cells=np.asarray(copper.cell)[None],
        pbc=np.ones((1, 3), bool),
    )
    assert dataset[0].pbc.all()
    np.testing.assert_array_equal(dataset[0].cell, copper.cell)


def test_selection_keeps_every_field_and_order():
    dataset = mixed()
    part = dataset.select([7, 0, 5])
    assert [len(z) for z in part.numbers] == [1, 9, 3]
    np.testing.assert_array_equal(part.energies, dataset.energies[[7, 0, 5]])
    np.testing.assert_array_equal(part.total_charges, [1, 0, 0])
    assert list(part.labels["origin"]) == ["e", "a", "c"]
    assert part.meta == dataset.meta
    assert len(dataset.select(slice(2, 5))) == 3
    assert len(dataset.select(dataset.labels["origin"] == "b")) == 2


def test_a_selection_does_not_hold_the_whole_file():
    dataset = uniform(1000)
    part = dataset.select([3])
    assert part.positions[0].base.size < dataset.positions[0].base.size / 100


def test_arrays_cannot_be_changed_by_accident():
    dataset = uniform()
    for array in (dataset.energies, dataset.positions[0], dataset.forces[0], dataset.numbers[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_uniform_sets_stack_and_mixed_ones_say_why_not():
    numbers, positions, forces = uniform(5).stacked()
    assert (numbers.shape, positions.shape, forces.shape) == ((9,), (5, 9, 3), (5, 9, 3))
    with pytest.raises(ValueError, match="mixes molecules"):
        mixed().stacked()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"energies": np.zeros((20, 2))}, r"energies must have shape \(frames,\)"),
        ({"energies": np.zeros(0)}, "at least one frame"),
        ({"energies": np.zeros(19)}, "positions must have one entry for each of 19 energies, got 20"),
        (
            {"forces": [np.zeros((8, 3))] * 20},
            "frame 0: atoms disagree: 9 atomic numbers, 9 positions, 8 forces",
        ),
        ({"forces": [np.zeros((9, 2))] * 20}, r"frame 0: forces must have shape \(atoms, 3\), got \(9, 2\)"),
        ({"numbers": [np.full(9, 0)] * 20}, "frame 0: atomic number 0 is no element"),
        (
            {"numbers": [ETHANOL.numbers] * 19 + [np.full(9, 119)]},
            "frame 19: atomic number 119 is no element",
        ),
        ({"numbers": [np.full(9, 1.5)] * 20}, "whole numbers"),
        (
            {"positions": [np.array([[0.0], [1.0, 2.0]], object)] * 20},
            "positions of frame 0 must be a regular",
        ),
        ({"pbc": np.ones((20, 3), bool)}, "there are no cells"),
        ({"pbc": np.ones((20, 3), bool), "cells": np.zeros((20, 3, 3))}, "cell has no volume"),
        ({"labels": {"origin": np.arange(3)}}, "label 'origin' must have one value for each of 20 frames"),
        ({"total_charges": np.zeros(3)}, "total_charges must have shape"),
    ],
)
def test_frames_that_do_not_fit_together_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        uniform(**changes)


@pytest.mark.parametrize("field", ["positions", "forces"])
def test_numbers_that_are_not_finite_name_their_frame(field):
    _, positions, _, forces = jiggled(ETHANOL, 20)
    array = {"positions": positions, "forces": forces}[field]
    array[13, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"frame 13: .* is nan \(1 such frames\).*remove"):
        uniform(**{field: list(array)})


def test_an_energy_that_is_not_finite_names_its_frame():
    energies = np.zeros(20)
    energies[[4, 6]] = np.inf
    with pytest.raises(ValueError, match=r"frame 4: its energy is inf \(2 such frames\)"):
        uniform(energies=energies)


def test_statistics_count_atoms_and_measure_forces():
    dataset = mixed()
    table = dataset.statistics()
    assert list(table.index) == ["all", "H", "He", "C", "O"]
    assert table.loc["all", ["frames", "atoms", "largest_frame"]].tolist() == [8, 4 * 9 + 3 * 3 + 1, 9]
    assert table.loc["H", ["frames", "atoms", "largest_frame"]].tolist() == [7, 4 * 6 + 3 * 2, 6]
    forces = np.concatenate(dataset.forces)
    assert table.loc["all", "force_rms"] == pytest.approx(np.sqrt((forces**2).mean()))
    assert table.loc["all", "force_max"] == pytest.approx(np.linalg.norm(forces, axis=1).max())
    assert table.loc["He", "force_max"] == 0
    assert table.loc["all", "energy_mean"] == pytest.approx(dataset.energies.mean())


def test_energy_shifts_recover_the_energies_of_elements():
    rng = np.random.default_rng(1)
    known = {1: -13.6, 6: -1029.4, 8: -2041.2}
    numbers = tuple(rng.choice([1, 6, 8], size=rng.integers(3, 9)) for _ in range(50))
    positions = tuple(rng.normal(size=(len(z), 3)) for z in numbers)
    energies = np.array([sum(known[int(z)] for z in frame) for frame in numbers])
    shifts = datasets.energy_shifts(Dataset("mix", numbers, positions, energies, positions))
    assert shifts == pytest.approx(known, rel=1e-9)


def test_energy_shifts_of_one_molecule_sum_to_its_mean_energy():
    dataset = uniform(50)
    shifts = datasets.energy_shifts(dataset)
    assert sum(shifts[int(z)] for z in dataset.numbers[0]) == pytest.approx(dataset.energies.mean(), rel=1e-12)
    # Of all such answers the one of least norm is proportional to how often an element occurs.
    assert shifts[1] / 6 == pytest.approx(shifts[6] / 2) == pytest.approx(shifts[8])


def test_energy_shifts_do_not_depend_on_the_order_of_atoms():
    dataset = uniform(6)
    flipped = Dataset(
        "flipped",
        tuple(z[::-1] if i % 2 else z for i, z in enumerate(dataset.numbers)),
        dataset.positions,
        dataset.energies,
        dataset.forces,
    )
    assert datasets.energy_shifts(flipped) == pytest.approx(datasets.energy_shifts(dataset))


@pytest.mark.parametrize("indices", [[], [20], [-21], np.array([0.5]), np.array([[1]]), np.ones(3, bool)])
def test_impossible_selections_are_refused(indices):
    with pytest.raises(ValueError, match="indices"):
        uniform(20).select(indices)
