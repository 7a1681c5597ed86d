"""Stresses of cells: read under every usual name and form, and refused where energies of near cells contradict them."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from strained_crystals import strained

from so3lab import datasets, units
from so3lab.datasets.consistency.stress_against_energy import check_stress_against_energy

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@pytest.fixture(scope="module")
def crystals():
    return strained(frames=40)


def volumes(dataset):
    return np.linalg.det(dataset.cells)[:, None, None]


def six(tensors, order=(0, 1, 2, 3, 4, 5)):
    """Six numbers of each tensor, of ASE's in this order."""
    return np.stack([tensors[:, i, j] for i, j in _VOIGT], axis=1)[:, list(order)]


def loaded(tmp_path, dataset, name, values, **arguments):
    """What is read of a file in which stresses stand so."""
    frames = dataset.to_atoms()
    for atoms, value in zip(frames, values, strict=True):
        del atoms.calc.results["stress"]
        atoms.info[name] = value
    ase.io.write(tmp_path / "a.extxyz", frames, format="extxyz")
    return datasets.load(tmp_path / "a.extxyz", **arguments)


@pytest.mark.parametrize(
    ("name", "form", "source"),
    [
        ("stress", lambda d: six(d.stresses), "ASE: six numbers"),
        ("stress", lambda d: d.stresses, "ASE: a tensor"),
        ("REF_stress", lambda d: d.stresses, "mace#527"),
        ("virial", lambda d: -volumes(d) * d.stresses, "QUIP#227: minus stress times volume"),
        ("REF_virials", lambda d: (-volumes(d) * d.stresses).reshape(-1, 9), "mace#1518: nine numbers in a row"),
    ],
)
def test_every_usual_form_is_one_stress(tmp_path, crystals, name, form, source):
    dataset = loaded(tmp_path, crystals, name, form(crystals))
    np.testing.assert_allclose(dataset.stresses, crystals.stresses, atol=1e-7, err_msg=source)
    assert dataset.meta["stresses_read_from"].startswith(name)
    assert dataset.remarks == ()
    assert "left_out" not in dataset.meta


@pytest.mark.parametrize("name", ["stress", "virials"])
def test_arrays_have_stresses_too(tmp_path, crystals, name):
    values = crystals.stresses if name == "stress" else -volumes(crystals) * crystals.stresses
    arrays = {
        "z": crystals.numbers[0], "R": np.stack(crystals.positions), "E": crystals.energies,
        "F": np.stack(crystals.forces), "cell": crystals.cells, "pbc": True, name: values,
    }  # fmt: skip
    np.savez(tmp_path / "a.npz", **arrays)
    dataset = datasets.load(tmp_path / "a.npz", energy_unit="eV")
    np.testing.assert_allclose(dataset.stresses, crystals.stresses, atol=1e-10)
    assert name not in dataset.labels


def test_frames_keep_their_stress_wherever_they_go(crystals):
    some = crystals.select([5, 3])
    np.testing.assert_array_equal(some.stresses, crystals.stresses[[5, 3]])
    np.testing.assert_allclose(crystals[3].get_stress(voigt=False), crystals.stresses[3])
    both = datasets.joined(some, replace(some, stresses=None))
    np.testing.assert_array_equal(np.isfinite(both.stresses).all(axis=(1, 2)), [True, True, False, False])
    assert replace(crystals, cells=None, pbc=None).stresses is None  # molecules have none
    with pytest.raises(ValueError, match="frame 0: stresses must be symmetric"):
        replace(crystals, stresses=crystals.stresses + np.triu(np.ones((3, 3)), 1))


@pytest.mark.parametrize(
    ("factor", "reason", "source"),
    [
        (-1.0, "the stress has the wrong sign", "QUIP#227: VASP's pressure is positive under compression"),
        (1 / units.GPa, "the stress is in GPa: divide it by 160.218", "GPUMD#580"),
        (10 / units.GPa, "the stress is in kbar: divide it by 1602.18", "matpes#6, mlearn#64"),
        (-10 / units.GPa, "wrong sign.*and the stress is in kbar", "OUTCAR of VASP as it stands"),
        (1e4 / units.GPa, "the stress is in bar", "cp2kdata#98"),
        (units.bohr**3 / units.hartree, r"the stress is in hartree/bohr³", "CP2K, FHI-aims in atomic units"),
    ],
)
def test_signs_and_units_are_held_against_energies(crystals, factor, reason, source):
    wrong = replace(crystals, stresses=factor * crystals.stresses)
    with pytest.raises(ValueError, match=reason):
        datasets.check_labels(wrong)


def test_virials_under_the_name_of_stress(crystals):
    """QUIP#646, nequip#404: the unit of a virial is eV."""
    wrong = replace(crystals, stresses=-volumes(crystals) * crystals.stresses)
    (finding,) = check_stress_against_energy(wrong)
    assert "it is a virial under the name of a stress" in finding.sentence
    assert "wrong sign" not in finding.sentence


@pytest.mark.parametrize(("order", "program"), [((0, 1, 2, 5, 3, 4), "VASP"), ((0, 1, 2, 5, 4, 3), "LAMMPS")])
def test_orders_of_six_numbers_are_told_apart(tmp_path, crystals, order, program):
    """QUIP#227, mlearn#64: xx yy zz xy yz xz."""
    with pytest.raises(ValueError, match=rf"order xx, yy, zz, xy, .* \({program}\)"):
        loaded(tmp_path, crystals, "stress", six(crystals.stresses, order))


def test_right_stresses_of_few_many_and_equal_cells_pass(crystals):
    for dataset in (crystals, strained(frames=6, seed=1), strained(strain=0.005, seed=2), strained(strain=0.0, seed=3)):
        assert check_stress_against_energy(dataset) == []


def test_stresses_of_one_cell_are_doubted_by_their_size():
    """Without another cell, energies know nothing of them."""
    one = strained(strain=0.0)
    (finding,) = check_stress_against_energy(replace(one, stresses=one.stresses * 10 / units.GPa))
    assert "probably kbar or GPa" in finding.sentence
    assert not finding.refused


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("virial", np.arange(9.0).reshape(3, 3), r"frame 0 of .*'virial': a stress must be symmetric"),
        ("virial", np.ones(4), "expecting special 3x3 matrix"),
        (
            "REF_virial",
            np.ones(4),
            r"'REF_virial': must be six numbers \(xx, yy, zz, yz, xz, xy\) or a tensor of nine, got 4",
        ),
        ("REF_virial", np.full(6, np.nan), r"'REF_virial': must be a finite number"),
    ],
)
def test_what_is_no_stress_is_named(tmp_path, crystals, name, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        loaded(tmp_path, crystals, name, [value] * len(crystals))


def test_of_two_labels_one_is_read_and_the_other_is_said(tmp_path, crystals):
    """GPUMD#278: files with stress and virial beside each other."""
    frames = crystals.to_atoms()
    for atoms in frames:
        atoms.info["virial"] = np.zeros((3, 3))
    ase.io.write(tmp_path / "a.extxyz", frames, format="extxyz")
    dataset = datasets.load(tmp_path / "a.extxyz")
    assert dataset.meta["stresses_read_from"] == "stress"
    assert dataset.remarks == ("left out: 'virial': stresses are those of 'stress'",)
