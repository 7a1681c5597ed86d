"""Files that cannot be training data are refused with a sentence that says which frame and what to do."""

import json
import re

import ase.db
import ase.io
import h5py
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from reference_frames import ETHANOL, assert_same, md17_arrays, reference, save, write_qm7x

from so3lab import datasets
from so3lab.units import bohr as BOHR
from so3lab.units import kcal_per_mol as KCAL_PER_MOL


def refused(path, sentence, **arguments):
    with pytest.raises(ValueError, match=sentence) as caught:
        datasets.load(path, **arguments)
    assert re.search(r"[a-z]", str(caught.value))


def test_units_are_never_guessed(tmp_path):
    path = save(tmp_path / "a.npz", md17_arrays())
    refused(path, r"a\.npz does not state its energy unit; pass energy_unit='kcal/mol' .* or another of")


@pytest.mark.parametrize(
    ("fields", "arguments", "sentence"),
    [
        ({}, {"energy_unit": "kcal"}, None),
        ({}, {"energy_unit": "furlong"}, "energy_unit must be one of eV, .*, got 'furlong'"),
        (
            {},
            {"energy_unit": "eV", "length_unit": "mile"},
            "length_unit must be one of angstrom, .*, got 'mile'",
        ),
        ({"e_unit": "furlong"}, {}, "states e_unit='furlong', which is none of"),
        (
            {"e_unit": "eV"},
            {"energy_unit": "kcal/mol"},
            "'kcal/mol' was given, but field 'e_unit' of the file says 'eV'",
        ),
        ({"e_unit": "eV", "f_unit": "newton"}, {}, "f_unit='newton', which is no known force unit"),
    ],
)
def test_unit_names_are_checked(tmp_path, fields, arguments, sentence):
    path = save(tmp_path / "a.npz", md17_arrays(KCAL_PER_MOL if sentence is None else 1.0, **fields))
    if sentence is None:
        assert_same(datasets.load(path, **arguments))
    else:
        refused(path, sentence, **arguments)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"F": None}, r"has no forces under 'forces' or .*; it has 'E', 'R', 'z': .*keys=\{'forces'"),
        ({"z": None}, "has no numbers under 'z'"),
        (
            {"F": np.ones((12, 8, 3))},
            r"forces of 'bad' must have the positions' shape \(12, 9, 3\), got \(12, 8, 3\)",
        ),
        ({"E": np.ones(11)}, "energies of 'bad' must be one for each of 12 frames"),
        ({"R": np.ones((12, 27))}, r"positions of 'bad' must have shape \(frames, atoms, 3\)"),
        ({"z": np.ones(8, int)}, r"atomic numbers of 'bad' must have shape \(9,\) or \(12, 9\)"),
        ({"F": np.zeros((12, 9, 3))}, "forces of 'bad' are all zero"),
    ],
)
def test_archives_that_do_not_fit_together(tmp_path, change, sentence):
    arrays = {key: value for key, value in (md17_arrays() | change).items() if value is not None}
    refused(save(tmp_path / "bad.npz", arrays), sentence, energy_unit="eV")


@pytest.mark.parametrize("charge", ["-1", np.array(["-1"] * 12), b"-1", "\N{MINUS SIGN}1", -1])
def test_charges_written_as_text_are_charges(tmp_path, charge):
    path = save(tmp_path / "ion.npz", md17_arrays(charge=charge))
    assert datasets.load(path, energy_unit="eV", check=False).total_charges.tolist() == [-1.0] * 12


@pytest.mark.parametrize("fields", [{"charge": "abc"}, {"charge": True}, {"charge": np.nan}, {"multiplicity": "two"}])
def test_charges_and_spins_that_are_no_numbers_are_refused(tmp_path, fields):
    path = save(tmp_path / "ion.npz", md17_arrays(**fields))
    refused(path, f"'{next(iter(fields))}', frame 0: must be a|'{next(iter(fields))}': must be a", energy_unit="eV")


@pytest.mark.parametrize("ending", ["npz", "extxyz"])
def test_fractional_charges_are_refused_and_rounding_is_not(tmp_path, ending):
    def written(charge):
        charges = np.array([0.0, 0.0, 0.0, charge, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        path = tmp_path / f"ion.{ending}"
        if ending == "npz":
            return save(path, md17_arrays(charge=charges, e_unit="eV"))
        frames = list(reference())
        for atoms, one in zip(frames, charges, strict=True):
            atoms.info["charge"] = one
        ase.io.write(path, frames)
        return path

    refused(written(0.5), r"frame 3: its total charge must be a whole number of elementary charges, got 0\.5 \(1 of 12")
    assert datasets.load(written(-0.99999), check=False).total_charges.tolist() == [0.0] * 3 + [-1.0] + [0.0] * 8


def test_ragged_archives_are_not_unpickled(tmp_path):
    ragged = np.array([np.zeros((3, 3)), np.zeros((2, 3))], dtype=object)
    path = save(tmp_path / "a.npz", md17_arrays(F=ragged))
    refused(path, "'F' holds Python objects, probably arrays of different lengths.*extxyz", energy_unit="eV")


def broken(change):
    arrays = md17_arrays()
    change(arrays)
    return arrays


def set_value(key, index, value):
    return lambda arrays: arrays[key].__setitem__(index, value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (set_value("E", 7, np.nan), "'E', frame 7: must be a finite number, got 'nan'; its reference calculation"),
        (set_value("F", (5, 0, 0), np.inf), "'F', frame 5, atom 0: must be a finite number, got 'inf'"),
        (
            set_value("R", (3, 0), ETHANOL.positions[1]),
            r"frame 3: atoms 0 \(C\) and 1|frame 3: atoms 1 .* and 0",
        ),
        (
            set_value("F", (2, 4), [3000.0, 0, 0]),
            "frame 2: the force on atom 4 is 3e.03 eV/Å.*remove this frame",
        ),
        (set_value("E", 6, 0.0), "frame 6: energy 0 eV is .* eV per atom away from"),
        (set_value("z", 0, 0), "atomic number 0 is no element"),
        (set_value("z", 0, -6), "atomic number -6 is no element"),
    ],
)
def test_bad_frames_are_named(tmp_path, change, sentence):
    path = save(tmp_path / "a.npz", broken(change))
    refused(path, sentence, energy_unit="eV")


@pytest.mark.parametrize(
    ("factor", "sentence"),
    [
        (KCAL_PER_MOL, r"rms of 22.8 eV/Å per component.*check energy_unit.*would be 0.988 eV/Å in kcal/mol"),
        (KCAL_PER_MOL / 4.184, r"rms of 95.3 eV/Å.*would be 0.988 eV/Å in kJ/mol"),
    ],
)
def test_other_units_taken_for_ev_are_noticed_by_the_forces(tmp_path, factor, sentence):
    refused(save(tmp_path / "a.npz", md17_arrays(factor)), sentence, energy_unit="eV")


def test_kcal_taken_for_ev_is_noticed_by_total_energies_near_minima(tmp_path):
    arrays = md17_arrays(KCAL_PER_MOL)
    arrays["F"] *= 0.01
    sentence = r"frame \d+: energy .* eV is 23.* times the total energy of its atoms.*look like kcal/mol"
    refused(save(tmp_path / "a.npz", arrays), sentence, energy_unit="eV")


def test_bohr_taken_for_angstrom_is_noticed_by_the_bonds(tmp_path):
    arrays = md17_arrays(1.0, BOHR)
    refused(save(tmp_path / "a.npz", arrays), "probably in bohr: pass length_unit='bohr'", energy_unit="eV")


@pytest.mark.parametrize("unit", ["bohr", "nm"])
def test_angstrom_taken_for_another_unit_is_noticed_by_the_bonds(tmp_path, unit):
    path = save(tmp_path / "a.npz", md17_arrays())
    sentence = "check length_unit" if unit == "bohr" else "probably in bohr"  # either way: not this unit
    refused(path, sentence, energy_unit="eV", length_unit=unit)


def test_periodic_images_on_top_of_each_other_are_noticed(tmp_path):
    atoms = bulk("Cu", cubic=True)
    atoms.append("Cu")
    atoms.positions[-1] = [0, 0, atoms.cell[2, 2] - 0.05]
    atoms.calc = SinglePointCalculator(atoms, energy=-15.0, forces=np.full((5, 3), 0.1))
    ase.io.write(tmp_path / "cu.extxyz", atoms)
    refused(tmp_path / "cu.extxyz", "frame 0: atoms . .Cu. and . .Cu. are 0.050 Å apart")


def test_checks_can_be_left_out(tmp_path):
    path = save(tmp_path / "a.npz", broken(set_value("E", 6, 0.0)))
    assert len(datasets.load(path, energy_unit="eV", check=False)) == 12


@pytest.mark.parametrize("name", ["a.npz", "a.hdf5", "a.xz", "a.extxyz", "a.db", "a.zzz"])
def test_files_of_rubbish_get_a_sentence(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00rubbish" * 100)
    refused(tmp_path / name, re.escape(str(tmp_path / name)))


@pytest.mark.parametrize("name", ["a.npz", "a.hdf5", "a.extxyz"])
def test_files_that_break_off_get_a_sentence(tmp_path, name):
    path = tmp_path / name
    if name.endswith("npz"):
        save(path, md17_arrays())
    elif name.endswith("hdf5"):
        write_qm7x(path)
    else:
        ase.io.write(path, reference().to_atoms())
    path.write_bytes(path.read_bytes()[:1500])
    refused(path, re.escape(name), energy_unit="eV")


def test_hdf5_files_without_frames(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x/y"] = [1.0]
    refused(tmp_path / "a.h5", "has no group with positions")


def test_keys_are_checked(tmp_path):
    path = save(tmp_path / "a.npz", md17_arrays())
    refused(path, "keys may name numbers, positions, energies, forces, got charges", keys={"charges": "Q"})
    renamed = md17_arrays(dft=md17_arrays()["E"])
    del renamed["E"]
    path = save(tmp_path / "b.npz", renamed)
    refused(path, r"has no energies .* it has .*'dft'", energy_unit="eV")
    assert_same(datasets.load(path, energy_unit="eV", keys={"energies": "dft"}))


def test_names_that_are_nothing_get_suggestions(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'rmd17-etanol' is neither .* did you mean 'rmd17-ethanol'"):
        datasets.load("rmd17-etanol")
    with pytest.raises(FileNotFoundError, match="neither a file nor a set"):
        datasets.load(tmp_path / "missing.npz")


def test_description_is_plain_json(tmp_path):
    path = save(tmp_path / "a.npz", md17_arrays(energy_unit="eV", meta=json.dumps({"licence": "CC0-1.0"})))
    facts = datasets.describe(path)
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["frames"], facts["atoms"], facts["elements"]) == (12, 9, [1, 6, 8])
    assert (facts["where"], facts["licence"]) == ("file", "CC0-1.0")
    assert [row["element"] for row in facts["statistics"]] == ["all", "H", "C", "O"]
