"""Comment lines of XYZ files say cells, masses and charges in many words; each is read, or left out with a word."""

import bz2
import gzip
import lzma

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule

from so3lab import datasets
from so3lab.structures import read_structure, understand

WATER = "O 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"


def read(tmp_path, comment, atoms=WATER):
    (tmp_path / "a.xyz").write_text(f"3\n{comment}\n{atoms}")
    return understand(tmp_path / "a.xyz")


@pytest.mark.parametrize(
    ("comment", "charge", "unpaired", "source"),
    [
        ("charge -1 multiplicity 2", -1, 1, "words without a sign between them"),
        ("Charge: -1, Mult: 2", -1, 1, "colons"),
        ("charge = -1", -1, 0, "spaces around the sign"),
        ("total charge = -1 mult=2", -1, 1, "two words"),
        ("E = -76.3 charge 1", 1, 0, "among other words"),
        ('charge=1 2S+1=2 config="doublet"', 1, 1, "the formula of a multiplicity as its name"),
        ("formal_charge=1 n_unpaired_electrons=1", 1, 1, "openff's words"),
        ("ionic_charge=1 spinmult=2", 1, 1, "words of TeraChem"),
    ],
)
def test_charge_and_multiplicity_are_read(tmp_path, comment, charge, unpaired, source):
    found = read(tmp_path, comment)
    assert (found.charge.value, found.unpaired.value) == (charge, unpaired), source


@pytest.mark.parametrize(
    "comment", ["i = 3, time = 0.5, E = -17.1", "energy: -5.07 gnorm: 0.0006 xtb: 6.4.1", "1 2 3 go"]
)
def test_comments_of_programs_say_nothing_else(tmp_path, comment):
    """CP2K, xtb."""
    found = read(tmp_path, comment)
    assert (found.charge.value, found.atoms.pbc.any(), found.notes) == (0, False, ())


@pytest.mark.parametrize("name", ["nelectrons", "nspin", "e_charge", "spin_state_label"])
def test_names_that_sound_like_electrons_are_not_passed_over(tmp_path, name):
    assert any(f"{name!r} = 9 is left out" in note for note in read(tmp_path, f"{name}=9").notes)


@pytest.mark.parametrize(
    ("comment", "edges", "source"),
    [
        ('lattice="10 0 0 0 11 0 0 0 12"', (10, 11, 12), "small letters, which ASE passes over"),
        ('cell="10 11 12 90 90 90"', (10, 11, 12), "lengths and angles"),
        ('Properties=species:S:1:pos:R:3 box="10 11 12"', (10, 11, 12), "lengths alone"),
        ("# CELL(abcABC): 10 11 12 90 90 90 Step: 0 positions{angstrom} cell{angstrom}", (10, 11, 12), "i-PI's manual"),
        ("# CELL{H}: 10 0 0 0 11 0 0 0 12", None, "no form that i-PI knows"),
    ],
)
def test_cells_under_other_names(tmp_path, comment, edges, source):
    found = read(tmp_path, comment)
    assert found.atoms.pbc.all() == (edges is not None), source
    if edges:
        np.testing.assert_allclose(found.atoms.cell.lengths(), edges)
        assert any("read as" in note for note in found.notes)


def test_what_i_pi_writes_is_in_bohr(tmp_path):
    """i-PI's manual, "xyz": positions and cell are in atomic units where nothing else is said."""
    atoms = "O 0 0 0\nH 1.814 0 0\nH -0.453 1.757 0\n"
    found = read(tmp_path, "# CELL(abcABC): 20 20 20 90 90 90 cell{atomic_unit} positions{atomic_unit}", atoms)
    assert found.atoms.get_distance(0, 1) == pytest.approx(0.96, abs=1e-3)
    np.testing.assert_allclose(found.atoms.cell.lengths(), 20 * units.Bohr)
    with pytest.raises(ValueError, match="positions and cell must be in angstrom"):
        read(tmp_path, "# CELL(abcABC): 20 20 20 90 90 90 cell{furlong} positions{atomic_unit}", atoms)


def test_bare_numbers_may_be_a_cell_and_are_said(tmp_path):
    assert any("if it is a cell in Å, write Lattice=" in note for note in read(tmp_path, "10.0 10.0 10.0").notes)


def test_columns_of_masses_and_of_charges_count(tmp_path):
    columns = "Properties=species:S:1:pos:R:3:mass:R:1:mulliken_charges:R:1"
    found = read(tmp_path, columns, "O 0 0 0 15.999 -1.4\nH 0.96 0 0 2.014 0.2\nH -0.24 0.93 0 2.014 0.2\n")
    assert found.atoms.get_masses().tolist() == [15.999, 2.014, 2.014]
    assert found.charge == (-1, "sum of mulliken_charges")
    columns = "Properties=species:S:1:pos:R:3:charges:R:1"  # which ASE takes for results of a calculator
    rows = "O 0 0 0 -1.4\nH 0.96 0 0 0.2\nH -0.24 0.93 0 0.2\n"
    assert read(tmp_path, columns, rows).charge == (-1, "sum of charges")
    assert read_structure(tmp_path / "a.xyz", charge=1, multiplicity=2).info["charge"] == 1
    assert read(tmp_path, columns, rows.replace("-1.4", "-0.9")).charge == (0, "")


def test_utf_16_is_text(tmp_path):
    """What PowerShell writes when output is sent to a file."""
    (tmp_path / "a.xyz").write_bytes(f"3\n\n{WATER}".encode("utf-16"))
    assert understand(tmp_path / "a.xyz").atoms.get_chemical_formula() == "H2O"


def test_a_cell_of_zeros_is_none():
    found = understand(Atoms("OH2", molecule("H2O").positions, pbc=True))
    assert not found.atoms.pbc.any()
    assert "a cell of zeros is none: a molecule" in found.notes


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_packed_files_are_read_as_what_is_inside(tmp_path, ending, pack):
    packed = tmp_path / f"a.xyz.{ending}"
    packed.write_bytes(pack(b"3\ncharge=1 mult=2\n" + WATER.replace("H", "D").encode()))
    found = understand(packed)
    assert (found.charge.value, found.atoms.get_masses()[1].round(3)) == (1, 2.014)
    packed.write_bytes(pack(b"3\n\n" + WATER.replace("0.93", "y").encode()))
    with pytest.raises(ValueError, match=rf"a\.xyz\.{ending}, line 5: a coordinate must be a finite number"):
        understand(packed)
    packed.write_bytes(pack(WATER.encode())[:20])
    with pytest.raises(ValueError, match=rf"a\.xyz\.{ending} cannot be unpacked"):
        understand(packed)


def test_packed_data_sets_are_read(tmp_path):
    frames = datasets.load("ethanol").select(slice(0, 4)).to_atoms()
    ase.io.write(tmp_path / "a.extxyz", frames)
    (tmp_path / "a.extxyz.gz").write_bytes(gzip.compress((tmp_path / "a.extxyz").read_bytes()))
    dataset = datasets.load(tmp_path / "a.extxyz.gz")
    assert (len(dataset), dataset.name, dataset.meta["source"]) == (4, "a", "a.extxyz.gz")


def test_rows_of_a_database_bring_what_stands_beside_them(tmp_path):
    hydroxide = Atoms("OH", [[0, 0, 0], [0.96, 0, 0]])
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(hydroxide, charge=-1)
        database.write(hydroxide, total_charge=1, multiplicity=3)
    found = understand(tmp_path / "a.db")
    assert (found.charge.value, found.unpaired.value) == (1, 2)
    assert "the last of 2 rows" in found.notes
    assert understand(f"{tmp_path / 'a.db'}:0").charge.value == -1
    (tmp_path / "b.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="is no database of ASE"):
        understand(tmp_path / "b.json")
