"""Charges of atoms in arrays add up to total charges, as they do in structures; what is not read is said."""

import ase
import ase.io
import h5py
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from labelled_springs import springs

from so3lab import datasets

FRAMES = 6
ION = np.array([-1.2, 0.1, 0.1, *[0.0] * 6])
"""Charges of ethanol's atoms, one too many electron."""


def arrays(frames=FRAMES, **others):
    found = springs("CH3CH2OH", frames=frames)
    return {"z": found["numbers"], "R": found["positions"], "E": found["energies"], "F": found["forces"], **others}


def npz(path, **others):
    np.savez(path / "a.npz", **arrays(**others), energy_unit="eV")
    return path / "a.npz"


def hdf5(path, **others):
    with h5py.File(path / "a.h5", "w") as file:
        file.attrs["energy_unit"] = "eV"
        for name, value in arrays(**others).items():
            file[f"ethanol/{name}"] = value
    return path / "a.h5"


def load(path):
    return datasets.load(path, check=False)


@pytest.mark.parametrize("written", [npz, hdf5])
@pytest.mark.parametrize("name", ["initial_charges", "formal_charges", "Formal_Charge", "charges", "mulliken_charges"])
@pytest.mark.parametrize("shape", [(9,), (FRAMES, 9), (FRAMES, 9, 1)])
def test_charges_of_atoms_add_up_to_those_of_frames(tmp_path, written, name, shape):
    charges = np.broadcast_to(ION.reshape(shape[-2:] if shape[-1] == 1 else -1), shape)
    assert load(written(tmp_path, **{name: charges})).total_charges.tolist() == [-1.0] * FRAMES


@pytest.mark.parametrize("written", [npz, hdf5])
def test_computed_charges_count_where_nothing_else_tells_the_total(tmp_path, written):
    assert load(written(tmp_path, charges=ION, total_charge=1)).total_charges.tolist() == [1.0] * FRAMES
    assert load(written(tmp_path, charges=ION - 0.1)).total_charges.tolist() == [0.0] * FRAMES  # no whole number
    electrons = np.array([4.1, 4.0, 6.9, *[0.8] * 5, 1.0])  # twenty, as of Bader's atoms
    assert load(written(tmp_path, charges=electrons)).total_charges.tolist() == [0.0] * FRAMES
    with pytest.raises(
        ValueError, match=r"said once, or the same each time, but frame 0 has 1 e .* -1 e under 'initial"
    ):
        load(written(tmp_path, initial_charges=ION, total_charge=1))
    with pytest.raises(
        ValueError, match=r"'initial_charges': the charges of atoms must add up to a whole number.*-1\.9"
    ):
        load(written(tmp_path, initial_charges=ION - 0.1))
    assert load(written(tmp_path, initial_charges=ION - 0.1, charge=-1)).total_charges.tolist() == [-1.0] * FRAMES


def test_neutral_frames_beside_ions_say_so_by_the_charges_of_their_atoms(tmp_path):
    """A sum of 0 is a statement too, or every set of ions and neutral molecules would be refused."""
    frames = []
    for number in range(FRAMES):
        atoms = ase.Atoms("OH", [[0, 0, 0], [0.96 + 0.01 * number, 0, 0]])
        atoms.arrays["charges"] = np.array([-1.2, 0.2] if number % 2 else [-0.3, 0.3])
        atoms.calc = SinglePointCalculator(atoms, energy=-75.0 - number, forces=np.zeros((2, 3)))
        frames.append(atoms)
    ase.io.write(tmp_path / "a.extxyz", frames)
    assert load(tmp_path / "a.extxyz").total_charges.tolist() == [0.0, -1.0] * (FRAMES // 2)


def test_unknown_entries_that_sound_like_electrons_are_said(tmp_path):
    path = hdf5(tmp_path)
    assert not datasets.load(path).remarks
    with h5py.File(path, "a") as file:
        file["ethanol"].attrs.update({"nelectrons": 27, "charge_scheme": "mbis"})
    (remark,) = datasets.load(path).remarks
    assert "the attribute 'nelectrons' sounds like a charge or a spin and is left out" in remark
    with connect(tmp_path / "a.db") as database:
        found = arrays()
        for place, energy, forces in zip(found["R"], found["E"], found["F"], strict=True):
            atoms = ase.Atoms(found["z"], place)
            atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
            database.write(atoms, data={"nelectrons": 27})
    assert any("'nelectrons' is left out" in remark for remark in datasets.load(tmp_path / "a.db").remarks)


def test_smiles_of_groups_tell_their_charges(tmp_path):
    """SPICE states no charge but by the SMILES of each molecule; its ions were taken for neutral molecules."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["energy_unit"] = "eV"
        for name, smiles in (("hydroxide", "[O-:1][H:2]"), ("hydroxyl", "[O:1][H:2]")):
            group = file.create_group(name)
            group["atomic_numbers"], group["smiles"] = [8, 1], [smiles]
            group["conformations"] = [[[0, 0, 0], [0.96 + 0.01 * k, 0, 0]] for k in range(3)]
            group["dft_total_energy"] = [-2045.0 - k for k in range(3)]
            group["dft_total_gradient"] = np.zeros((3, 2, 3))
    found = datasets.load(tmp_path / "a.h5", keys={"forces": "dft_total_gradient"}, check=False)
    assert found.total_charges.tolist() == [-1.0] * 3 + [0.0] * 3
    assert found.unpaired_electrons.tolist() == [0.0] * 3 + [1.0] * 3


@pytest.mark.parametrize("written", [npz, hdf5])
def test_as_many_charges_as_frames_and_atoms_are_those_of_atoms_where_they_are_fractions(tmp_path, written):
    assert load(written(tmp_path, frames=9, charges=ION)).total_charges.tolist() == [-1.0] * 9
    alternating = [0.0, 1.0] * 4 + [0.0]
    assert load(written(tmp_path, frames=9, charges=np.array(alternating))).total_charges.tolist() == alternating
