"""Forces of structures of a batch: one may be exchanged, smaller ones have rows to spare, and nothing is compiled."""

import jax
import numpy as np
import pytest
from argon import ARGON
from ase import Atoms
from ase.build import bulk, molecule

from so3lab.engine.forces import ForceEvaluator
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential

FAR = ModelSettings(
    num_features=16, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=3.0, num_radial=8, energy_hidden=8,
    mean_neighbors=6.0, electrostatics="exact", dispersion=True,
)  # fmt: skip


def rattled(atoms: Atoms, seed: int = 0) -> Atoms:
    atoms = atoms.copy()
    atoms.rattle(0.05, seed=seed)
    return atoms


def positions_in(structures: list[Atoms], slots: list[int]) -> np.ndarray:
    return np.concatenate(
        [
            np.pad(atoms.positions, ((0, slot - len(atoms)), (0, 0)))
            for atoms, slot in zip(structures, slots, strict=True)
        ]
    )


def alone(model, atoms: Atoms):
    cells = np.asarray(atoms.cell)[None] if atoms.pbc.any() else None
    return ForceEvaluator(model, [atoms])(atoms.positions, cells)


def assert_each_is_alone(model, evaluator, structures: list[Atoms], slots: list[int], tolerance: float):
    cells = np.stack([np.asarray(atoms.cell) for atoms in structures]) if structures[0].pbc.any() else None
    found = evaluator(positions_in(structures, slots), cells)
    starts = np.cumsum([0, *slots[:-1]])
    for number, (atoms, start, slot) in enumerate(zip(structures, starts, slots, strict=True)):
        expected = alone(model, atoms)
        np.testing.assert_allclose(found.energy[number], expected.energy[0], atol=tolerance)
        forces = np.asarray(found.forces[start : start + slot])
        np.testing.assert_allclose(forces[: len(atoms)], expected.forces, atol=tolerance)
        assert not forces[len(atoms) :].any()


@pytest.fixture
def compiled_programs_counted():
    """How many programs XLA compiled, or read from its cache, since the test began."""
    seen: list[str] = []

    def listen(event: str, seconds: float, **_) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture(scope="module", params=["network", "network with far pairs"])
def model(request, potential64):
    potential = potential64 if request.param == "network" else Potential.initial(FAR, seed=1, dtype="float64")
    return potential.energy_model


def test_a_molecule_is_exchanged_for_another_of_other_size_and_elements(model, compiled_programs_counted):
    ethanol, nitrogen = rattled(molecule("CH3CH2OH")), rattled(molecule("N2"))
    slots = [9, 9, 9]
    structures = [ethanol, rattled(molecule("CH3OCH3"), 1), rattled(ethanol, 2)]
    evaluator = ForceEvaluator(model, structures, slots=slots)
    assert_each_is_alone(model, evaluator, structures, slots, 1e-10)
    before = len(compiled_programs_counted)
    structures[1] = nitrogen
    evaluator.replace(1, nitrogen)  # a fourth kind of atoms
    evaluator(positions_in(structures, slots))
    structures[0] = rattled(ethanol, 5)
    evaluator.replace(0, structures[0])
    evaluator(positions_in(structures, slots))
    assert len(compiled_programs_counted) == before
    assert_each_is_alone(model, evaluator, structures, slots, 1e-10)


def test_a_cell_is_exchanged_and_the_pairs_of_the_others_stay():
    cells = [rattled(bulk("Ar", "fcc", 5.3).repeat(2), seed) for seed in range(3)]
    evaluator, slots = ForceEvaluator(ARGON, cells), [8, 8, 8]
    assert_each_is_alone(ARGON, evaluator, cells, slots, 1e-10)
    gathered = np.asarray(evaluator.lists.candidates.gathered_at)
    cells[1] = rattled(bulk("Ar", "fcc", 5.6).repeat(2), 7)
    evaluator.replace(1, cells[1])
    np.testing.assert_array_equal(np.asarray(evaluator.lists.candidates.gathered_at)[16:], gathered[16:])
    assert_each_is_alone(ARGON, evaluator, cells, slots, 1e-10)


def test_rows_that_nobody_has_never_make_a_list_stale():
    cluster = Atoms("Ar4", positions=[[0, 0, 0], [3.8, 0, 0], [0, 3.8, 0], [0, 0, 3.8]])
    evaluator = ForceEvaluator(ARGON, [cluster], slots=[300])  # too many for all to meet all
    assert evaluator.lists.candidates.gathered_at is not None
    expected = alone(ARGON, cluster)
    positions = positions_in([cluster], [300])
    positions[4:] = 1e3
    np.testing.assert_allclose(evaluator(positions).energy, expected.energy, rtol=1e-12)


def test_a_batch_keeps_what_it_was_given_whatever_becomes_of_it():
    atoms = Atoms("Ar2", positions=[[0, 0, 0], [3.8, 0, 0]])
    evaluator, expected = ForceEvaluator(ARGON, [atoms, atoms], slots=[2, 2]), alone(ARGON, atoms)
    atoms.numbers[0] = 1
    evaluator.replace(1, Atoms("Ar", positions=[[0, 0, 0]]))
    assert evaluator.arrays.atomic_numbers.tolist() == [18, 18, 18, 18]
    np.testing.assert_allclose(evaluator(np.tile([[0, 0, 0], [3.8, 0, 0]], (2, 1))).energy, [expected.energy[0], 0.0])


def test_a_cell_that_is_refused_leaves_everything_as_it_was():
    model = Potential.initial(FAR, seed=1, dtype="float64").energy_model
    cell = rattled(bulk("NaCl", "rocksalt", 5.6, cubic=True))
    lists = ForceEvaluator(model, [cell, cell]).lists
    slab = cell.copy()
    slab.pbc = [True, True, False]
    with pytest.raises(ValueError, match="pbc must be True in all three directions"):
        lists.replace(0, slab)
    lists.replace(1, rattled(cell, 3))


def test_what_does_not_fit_is_refused_by_name():
    evaluator = ForceEvaluator(ARGON, [Atoms("Ar2", positions=[[0, 0, 0], [3.8, 0, 0]])])
    with pytest.raises(ValueError, match="at most 2 atoms in place 0, got 3"):
        evaluator.replace(0, Atoms("Ar3", positions=np.eye(3)))
    with pytest.raises(ValueError, match=r"all molecules, but atoms\.pbc"):
        evaluator.replace(0, bulk("Ar", "fcc", 5.3))
    with pytest.raises(ValueError, match="slots must be at least the numbers of atoms"):
        ForceEvaluator(ARGON, [molecule("H2O")], slots=[2])
