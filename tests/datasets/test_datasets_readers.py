"""Every format arrives as the same numbers in eV and Å."""

import json
import lzma
import warnings
from pathlib import Path

import ase.db
import ase.io
import h5py
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from reference_frames import ETHANOL, assert_same, md17_arrays, reference, save, write_qm7x

from so3lab import datasets
from so3lab.datasets.sources import BUNDLED
from so3lab.machine import paths
from so3lab.units import bohr as BOHR
from so3lab.units import hartree as HARTREE
from so3lab.units import kcal_per_mol as KCAL_PER_MOL

SHARED = Path(__file__).resolve().parents[3] / "shared" / "public_data"
needs_public_files = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared/public_data with published frames is not beside this repository"
)


def test_units_are_the_si_ones():
    assert pytest.approx(4184 / 6.02214076e23 / 1.602176634e-19, rel=1e-6) == KCAL_PER_MOL
    assert pytest.approx(27.211386245988, rel=1e-7) == HARTREE
    assert pytest.approx(0.529177210903, rel=1e-7) == BOHR


# --- formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "value"),
    [("kcal/mol", KCAL_PER_MOL), ("eV", 1.0), ("hartree", HARTREE), ("kJ/mol", KCAL_PER_MOL / 4.184)],
)
def test_md17_files_are_converted_from_the_unit_given(tmp_path, unit, value):
    path = save(tmp_path / "md17.npz", md17_arrays(value))
    dataset = datasets.load(path, energy_unit=unit)
    assert_same(dataset)
    assert dataset.meta["energy_unit_read"] == unit
    assert dataset.meta["energy_unit_known_from"] == "argument energy_unit"


@pytest.mark.parametrize(
    "field",
    [
        {"e_unit": "kcal/mol", "r_unit": "Ang"},
        {"e_unit": np.array(b"kcal/mol"), "r_unit": np.array(b"Ang")},
        {"energy_unit": np.array(["kcal/mol"])},
        {"E_unit": "kcal/mol"},
        {"unit": "kcal/mol"},
        {"units": "kcal/mol, Angstrom"},
        {"units": json.dumps({"E": "kcal/mol", "R": "Angstrom", "F": "kcal/mol/Angstrom"})},
        {"meta": json.dumps({"units": {"energy": "kcal/mol", "forces": "kcal/mol/Ang"}})},
        {"meta": json.dumps({"energy_unit": "kcal/mol"})},
    ],
)
def test_the_file_may_state_its_unit_itself(tmp_path, field):
    dataset = datasets.load(save(tmp_path / "md22.npz", md17_arrays(KCAL_PER_MOL, **field)))
    assert_same(dataset)
    assert "of the file" in dataset.meta["energy_unit_known_from"]


def test_lengths_in_bohr_convert_positions_and_forces(tmp_path):
    arrays = md17_arrays(HARTREE, BOHR)
    assert_same(datasets.load(save(tmp_path / "a.npz", arrays), energy_unit="hartree", length_unit="bohr"))
    arrays |= {"energy_unit": "hartree", "length_unit": "bohr"}
    assert_same(datasets.load(save(tmp_path / "b.npz", arrays)))


def test_forces_may_have_a_unit_of_their_own(tmp_path):
    arrays = md17_arrays(e_unit="hartree", f_unit="eV/Ang")
    arrays["E"] = arrays["E"] / HARTREE
    assert_same(datasets.load(save(tmp_path / "a.npz", arrays)))


def test_rmd17_keys(tmp_path):
    a = md17_arrays(KCAL_PER_MOL)
    arrays = {"nuclear_charges": a["z"], "coords": a["R"], "energies": a["E"], "forces": a["F"]}
    arrays["old_indices"] = np.arange(12)[::-1]
    dataset = datasets.load(save(tmp_path / "rmd17.npz", arrays), energy_unit="kcal/mol")
    assert_same(dataset)
    np.testing.assert_array_equal(dataset.labels["old_indices"], np.arange(12)[::-1])


def test_energies_in_a_column_and_bytes_beside_them(tmp_path):
    arrays = md17_arrays(theory=np.array(b"PBE+MBD"), name=np.array(b"ethanol"))
    arrays["E"] = arrays["E"][:, None]
    dataset = datasets.load(save(tmp_path / "md22.npz", arrays), energy_unit="eV")
    assert_same(dataset)
    assert dataset.meta["level_of_theory"] == "PBE+MBD"


def test_labels_and_meta_survive(tmp_path):
    origin = np.array(["md", "distorted"] * 6)
    arrays = md17_arrays(origin=origin, energy_unit="eV", length_unit="angstrom")
    arrays["meta"] = json.dumps({"licence": "CC0-1.0", "seed": 3})
    dataset = datasets.load(save(tmp_path / "ours.npz", arrays))
    assert list(dataset.labels["origin"]) == list(origin)
    assert dataset.meta["licence"] == "CC0-1.0"
    assert dataset.meta["seed"] == 3


def test_padded_archives_with_atom_counts(tmp_path):
    water = molecule("H2O")
    numbers = np.zeros((2, 9), int)
    positions, forces = np.zeros((2, 9, 3)), np.zeros((2, 9, 3))
    for i, atoms in enumerate((ETHANOL, water)):
        numbers[i, : len(atoms)] = atoms.numbers
        positions[i, : len(atoms)] = atoms.positions
        forces[i, : len(atoms)] = 0.5
    arrays = {
        "Z": numbers,
        "R": positions,
        "E": np.array([-4209.0, -2078.0]),
        "F": forces,
        "N": np.array([9, 3]),
    }
    dataset = datasets.load(save(tmp_path / "padded.npz", arrays | {"Q": np.array([0, 1.0])}), energy_unit="eV")
    assert [len(z) for z in dataset.numbers] == [9, 3]
    assert dataset.total_charges.tolist() == [0, 1]
    del arrays["N"]
    dataset = datasets.load(save(tmp_path / "zeros.npz", arrays), energy_unit="eV")  # zeros at the end say the same
    assert [len(z) for z in dataset.numbers] == [9, 3]
    arrays["Z"][1, 4] = 1
    with pytest.raises(ValueError, match=r"frame 1: atomic number 0 is no element.*atom counts as N"):
        datasets.load(save(tmp_path / "no_counts.npz", arrays), energy_unit="eV")


def test_qm7x_files_packed_and_unpacked(tmp_path):
    plain, packed = tmp_path / "1000.hdf5", tmp_path / "1000.xz"
    write_qm7x(plain)
    packed.write_bytes(lzma.compress(plain.read_bytes()))
    for path in (plain, packed):
        dataset = datasets.load(path)
        assert sorted(dataset.labels["id"])[0] == "Geom-m0-i1-c1-d0"
        assert set(dataset.labels["molecule"]) == {"/0", "/1"}
        order = np.argsort([int(name.rsplit("-d")[-1]) for name in dataset.labels["id"]])
        assert_same(dataset.select(order))
        assert dataset.meta["energy_unit_known_from"] == "QM7-X"


def test_hdf5_groups_with_several_frames(tmp_path):
    arrays = md17_arrays(KCAL_PER_MOL)
    with h5py.File(tmp_path / "sets.h5", "w") as file:
        for key, value in arrays.items():
            file[f"ethanol/{key}"] = value
    assert_same(datasets.load(tmp_path / "sets.h5", energy_unit="kcal/mol"))
    with pytest.raises(ValueError, match="does not state its energy unit"):
        datasets.load(tmp_path / "sets.h5")


@pytest.mark.parametrize("name", ["a.extxyz", "a.xyz", "a.traj", "a.db"])
def test_files_that_ase_reads(tmp_path, name):
    ase.io.write(tmp_path / name, reference().to_atoms())
    dataset = datasets.load(tmp_path / name)
    assert_same(dataset)
    assert dataset.meta["energy_unit_known_from"] == "ASE's convention"


def test_ase_files_in_other_units(tmp_path):
    frames = []
    for atoms in reference():
        copy = atoms.copy()
        energy, forces = atoms.get_potential_energy() / KCAL_PER_MOL, atoms.get_forces() / KCAL_PER_MOL
        copy.calc = SinglePointCalculator(copy, energy=energy, forces=forces)
        frames.append(copy)
    ase.io.write(tmp_path / "kcal.extxyz", frames)
    assert_same(datasets.load(tmp_path / "kcal.extxyz", energy_unit="kcal/mol"))
    for copy in frames:
        copy.info["energy_unit"] = "kcal/mol"
    ase.io.write(tmp_path / "stated.extxyz", frames)
    assert_same(datasets.load(tmp_path / "stated.extxyz"))


def test_ase_files_with_names_of_their_own(tmp_path):
    frames = []
    for i, atoms in enumerate(reference()):
        copy = atoms.copy()
        copy.info |= {"REF_energy": atoms.get_potential_energy(), "trajectory": f"run{i // 4}", "charge": 1}
        copy.arrays["REF_forces"] = atoms.get_forces()
        frames.append(copy)
    ase.io.write(tmp_path / "mace.extxyz", frames)
    dataset = datasets.load(tmp_path / "mace.extxyz", keys={"energies": "REF_energy", "forces": "REF_forces"})
    assert_same(dataset)
    assert list(dataset.labels) == ["trajectory"]
    assert (dataset.total_charges == 1).all()
    usual = datasets.load(tmp_path / "mace.extxyz")
    assert_same(usual)
    assert usual.meta["energies_read_from"] == "REF_energy"
    assert usual.meta["forces_read_from"] == "REF_forces"
    with pytest.raises(
        ValueError, match=r"frame 0 of .*mace.extxyz has no energies under 'DFT_energy'; it has .*'REF_energy'"
    ):
        datasets.load(tmp_path / "mace.extxyz", keys={"energies": "DFT_energy"})


def test_ase_databases_with_arrays_beside_the_rows(tmp_path):
    with ase.db.connect(tmp_path / "schnet.db") as database:
        for atoms in reference():
            forces = atoms.get_forces() / KCAL_PER_MOL
            data = {"energy": np.array([atoms.get_potential_energy() / KCAL_PER_MOL]), "forces": forces}
            database.write(atoms.copy(), data=data)
        database.metadata = {
            "_property_unit_dict": {"energy": "kcal/mol", "forces": "kcal/mol/Ang"},
            "_distance_unit": "Ang",
        }
    assert_same(datasets.load(tmp_path / "schnet.db"))


def test_periodic_frames_keep_their_cells(tmp_path):
    frames = []
    for i in range(3):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.rattle(0.05, seed=i)
        atoms.calc = SinglePointCalculator(atoms, energy=-30.0 - i, forces=np.full((8, 3), 0.1))
        frames.append(atoms)
    ase.io.write(tmp_path / "cu.extxyz", frames)
    dataset = datasets.load(tmp_path / "cu.extxyz")
    assert dataset.pbc.all()
    np.testing.assert_allclose(dataset.cells[1], frames[1].cell)
    assert datasets.describe(tmp_path / "cu.extxyz")["periodic"]


# --- the real ones -----------------------------------------------------------------------------


@needs_public_files
@pytest.mark.parametrize(
    ("name", "frames", "atoms", "unit"),
    [
        ("ethanol_pbe_rmd17", 2000, 9, "eV"),
        ("aspirin_pbe_rmd17", 3000, 21, None),
        ("acac_pbe_d3", 2300, 15, "eV"),
        ("md22_ala3_5frames", 5, 42, "eV"),
    ],
)
def test_published_sets_are_read_and_plausible(name, frames, atoms, unit):
    dataset = datasets.load(SHARED / f"{name}.npz", energy_unit=unit)
    assert (len(dataset), dataset.max_atoms) == (frames, atoms)
    assert 0.3 < dataset.statistics().loc["all", "force_rms"] < 2


@needs_public_files
@pytest.mark.parametrize("wrong", [{"energy_unit": "eV"}, {"energy_unit": "kcal/mol", "length_unit": "bohr"}])
def test_published_sets_in_the_wrong_unit_are_refused(tmp_path, wrong):
    with np.load(SHARED / "ethanol_pbe_rmd17.npz") as file:
        arrays = {
            "z": file["z"],
            "R": file["R"],
            "E": file["E"] / KCAL_PER_MOL,
            "F": file["F"] / KCAL_PER_MOL,
        }
    assert len(datasets.load(save(tmp_path / "e.npz", arrays), energy_unit="kcal/mol")) == 2000
    with pytest.raises(ValueError, match=r"check energy_unit|check length_unit"):
        datasets.load(tmp_path / "e.npz", **wrong)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_load_by_name(name):
    if not (paths.bundled("data") / f"{name}.npz").is_file():
        pytest.skip(f"data/{name}.npz has not been computed yet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = datasets.load(name)
    assert dataset.remarks == ()
    row = datasets.catalogue().set_index("name").loc[name]
    assert row["where"] == "bundled"
    assert row["frames"] == len(dataset)
    assert row["atoms"] == dataset.max_atoms
    assert dataset.name == name
    assert dataset.meta["licence"]
    assert datasets.describe(name)["where"] == "bundled"


def test_outputs_without_forces_say_so_and_name_no_keys(tmp_path):
    rows = "".join(f"      {k + 1}   {z}   0   0.0   0.0   {0.96 * k:.6f}\n" for k, z in enumerate((8, 1)))
    (tmp_path / "oh.log").write_text(
        " Entering Gaussian System, Link 0=g16\n Charge = -1 Multiplicity = 1\n Standard orientation:\n ---\n Center\n"
        f" Number\n ---\n{rows} ---\n SCF Done:  E(RB3LYP) =  -75.7 A.U.\n Normal termination of Gaussian 16\n"
    )
    with pytest.raises(ValueError, match=r"frame 0 of .*oh\.log has no forces, nor .*: compute them") as caught:
        datasets.load(tmp_path / "oh.log")
    assert "keys" not in str(caught.value)


def test_tables_of_another_name_may_be_forces(tmp_path):
    atoms = molecule("H2O")
    atoms.info["energy"], atoms.arrays["pull"] = -14.0, np.zeros((3, 3))
    ase.io.write(tmp_path / "pull.extxyz", atoms)
    with pytest.raises(ValueError, match=r"frame 0 of .*has no forces under .*'pull'.*keys=\{'forces'"):
        datasets.load(tmp_path / "pull.extxyz")
