"""XYZ files as programs and people write them are read as they were meant, or refused with line and token."""

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

from so3lab import datasets
from so3lab.structures import understand
from so3lab.structures.reading import read_contents

WATER = [("O", "0.0", "0.0", "0.119"), ("H", "0.0", "0.763", "-0.477"), ("H", "0.0", "-0.763", "-0.477")]


def xyz(rows=WATER, comment="", count=None) -> str:
    return "\n".join([str(len(rows) if count is None else count), comment, *(" ".join(row) for row in rows), ""])


def changed(atom: int, column: int, word: str):
    rows = [list(row) for row in WATER]
    rows[atom][column] = word
    return rows


READ = {
    "atomic numbers, mctc-lib#3, psi4#418": xyz([("8", *WATER[0][1:]), *(("1", *row[1:]) for row in WATER[1:])]),
    "exponents of Fortran, MOPAC and older Gaussian": xyz(changed(0, 3, "1.19D-01")),
    "exponents, pymatgen#120": xyz(changed(0, 3, "1.19e-1")),
    "labels, psi4's H5 and H_special": xyz([("O1", *WATER[0][1:]), ("H2", *WATER[1][1:]), ("H_a", *WATER[2][1:])]),
    "lower case, Avogadro's paste": xyz([("o", *WATER[0][1:]), *WATER[1:]]),
    "no comment line, scripts of one's own": xyz().replace("3\n\n", "3\n"),
    "no header at all, ORCA's inline blocks": "\n".join(" ".join(row) for row in WATER),
    "blank lines behind, Windows editors": xyz() + "\n  \n\n",
    "carriage returns, atomes#13": xyz().replace("\n", "\r\n"),
    "a byte order mark, Notepad": "\ufeff" + xyz(),
    "a further column, Molden's charges": xyz([(*row, "0.1") for row in WATER]),
    "properties in small letters, hand-written headers": xyz(comment="properties=species:S:1:pos:R:3"),
    "exponents of Mathematica, QM9": xyz(changed(0, 3, "1.19*^-1")),
    "lines behind the atoms, QM9": xyz(comment="gdb 3\t799.58812") + "1671.46\t3803.63\nO\tO\nInChI=1S/H2O/h1H2\n",
    "forces without a header, sGDML": xyz([(*row, "1", "2", "3") for row in WATER], "-17.5"),
}


@pytest.mark.parametrize("source", READ)
def test_what_was_meant_is_read(tmp_path, source):
    (tmp_path / "water.xyz").write_text(READ[source], encoding="utf-8", newline="")
    atoms = understand(tmp_path / "water.xyz").atoms
    assert atoms.get_chemical_symbols() == ["O", "H", "H"]
    np.testing.assert_allclose(atoms.positions, np.array([row[1:] for row in WATER], float))


def test_letters_of_latin_1_do_not_stop_the_reading(tmp_path):
    (tmp_path / "water.xyz").write_bytes(xyz(comment="Größe in Å").encode("latin-1"))
    found = understand(tmp_path / "water.xyz")
    assert len(found.atoms) == 3
    assert "letters are read as Latin-1" in found.notes


@pytest.mark.parametrize(
    ("word", "mass", "source"),
    [("D", 2.014, "xtb#116"), ("T", 3.016, "IUPAC"), ("2H", 2.014, "ORCA"), ("H@2.014", 2.014, "psi4's mass labels")],
)
def test_isotopes_have_their_mass(tmp_path, word, mass, source):
    (tmp_path / "water.xyz").write_text(xyz(changed(1, 0, word)))
    found = understand(tmp_path / "water.xyz")
    assert found.atoms.get_chemical_formula() == "H2O"
    assert found.facts()["isotopes"] == {"H1": pytest.approx(mass, abs=1e-3)}, source


@pytest.mark.parametrize(
    ("comment", "charge", "unpaired", "source"),
    [
        ("1 2", 1, 1, "Q-Chem, psi4 and qibochem#56 begin a geometry so"),
        ("0 1", 0, 0, "the same"),
        ("charge=1 multiplicity=2", 1, 1, "TCMU#389 reads such headers"),
        ("charge=0 charge_a=0 charge_b=0", 0, 0, "NCIAtlas, xyz2mol#31"),
        ("5 5", 0, 0, "a frame of a sequence: 5 electrons less leave no quintet"),
    ],
)
def test_charge_and_multiplicity_of_the_second_line_are_read(tmp_path, comment, charge, unpaired, source):
    (tmp_path / "water.xyz").write_text(xyz(comment=comment))
    found = understand(tmp_path / "water.xyz")
    assert (found.charge.value, found.unpaired.value) == (charge, unpaired), source


REFUSED = [
    (xyz(count=4), r"line 1: the frame must have 4 atoms, but only 3", "a copy that broke off"),
    (xyz(changed(1, 2, "0,763")), r"line 4: .*got '0,763'; write a point", "decimal commas of German spreadsheets"),
    (xyz(changed(2, 1, "********")), r"line 5: .*stars because the number did not fit", "Fortran's overflow"),
    (xyz(changed(0, 1, "nan")), r"line 3: a coordinate must be a finite number in Å, got 'nan'", "failed optimisation"),
    (xyz(changed(0, 0, "Bq")), r"line 3: .*'Bq'; placeholders and ghost atoms", "Gaussian's ghost atoms"),
    (xyz(changed(0, 0, "@O")), r"line 3: .*'@O'; placeholders and ghost atoms", "psi4's ghost atoms"),
    (xyz(changed(0, 0, "Xx")), r"line 3: .*'Xx'; placeholders", "Avogadro's dummy atoms"),
    (xyz(changed(0, 0, "Q9")), r"line 3: every atom must begin with an element", "typing"),
    (xyz(changed(0, 0, "119")), r"line 3: every atom must begin with an element", "typing"),
    (xyz([WATER[0][:3], *WATER[1:]]), r"line 3: an atom must be an element and three coordinates", "a column lost"),
    (
        "data of mine\n" + xyz(),
        r"line 1: a frame must begin with its number of atoms, got 'data of mine'",
        "own header",
    ),
    (xyz(comment="Properties=species:S:1:pos:R:3:mtt::f:R:3"), r"line 2: Properties must be names", "QUIP#207"),
    (
        xyz(comment="Properties=species:S:1:forces:R:3"),
        r"line 2: Properties must have pos",
        "a header without positions",
    ),
]


@pytest.mark.parametrize(("text", "sentence", "source"), REFUSED, ids=[source for *_, source in REFUSED])
def test_what_cannot_be_mended_is_named(tmp_path, text, sentence, source):
    (tmp_path / "water.xyz").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        understand(tmp_path / "water.xyz")


def test_only_the_last_frame_counts_and_is_said(tmp_path):
    write(tmp_path / "frames.xyz", [molecule("H2O"), molecule("NH3")])
    found = understand(tmp_path / "frames.xyz")
    assert found.atoms.get_chemical_formula() == "H3N"
    assert "the last of 2 frames" in found.notes


def test_columns_without_a_meaning_are_said(tmp_path):
    (tmp_path / "water.xyz").write_text(READ["forces without a header, sGDML"])
    assert "columns 5 to 7 have no names" in understand(tmp_path / "water.xyz").notes[0]
    header = "Properties=species:S:1:pos:R:3:velo:R:3"
    (tmp_path / "water.xyz").write_text(xyz([(*row, "1", "2", "3") for row in WATER], header))
    assert "the column velo is left out" in understand(tmp_path / "water.xyz").notes[0]


def test_velocities_and_their_temperature_are_known(tmp_path):
    from ase.md.velocitydistribution import thermalize_momenta

    atoms = molecule("CH3CH2OH")
    thermalize_momenta(atoms, temperature_K=300, rng=np.random.default_rng(0))
    write(tmp_path / "moving.xyz", atoms)
    found = understand(tmp_path / "moving.xyz")
    assert found.facts()["velocities_temperature_K"] == pytest.approx(atoms.get_temperature(), rel=1e-4)
    assert any("velocities of" in line for line in found.lines())


def test_data_sets_mend_the_same_lines(tmp_path):
    rows = [(*row, "0.1", "0.2", "0.3") for row in WATER]
    rows[1] = ("D", *rows[1][1:])
    frame = xyz(rows, 'Properties=species:S:1:pos:R:3:forces:R:3 energy=-2080.0 pbc="F F F"')
    (tmp_path / "heavy.extxyz").write_text(frame * 2)
    assert datasets.load(tmp_path / "heavy.extxyz").numbers[0].tolist() == [8, 1, 1]
    (tmp_path / "broken.extxyz").write_text(frame + frame.replace("0.763", "0,763"))
    with pytest.raises(ValueError, match=r"broken.extxyz, line 9: .*'0,763'"):
        datasets.load(tmp_path / "broken.extxyz")


def test_types_of_lammps_are_no_elements(tmp_path):
    """LAMMPS manual, dump xyz: the first column is the type unless dump_modify names elements."""
    rows = [("1", *WATER[0][1:]), *(("2", *row[1:]) for row in WATER[1:])]
    path = tmp_path / "dump.xyz"
    path.write_text(xyz(rows, " Atoms. Timestep: 0"))
    for source in (path, f"{path}:0"):
        with pytest.raises(ValueError, match=r"line 3: LAMMPS writes types such as 1 .*dump_modify ID element"):
            understand(source)
    path.write_text(xyz(WATER, " Atoms. Timestep: 0"))
    assert understand(path).atoms.get_chemical_formula() == "H2O"


METHANE = """5
gdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t35.3641\t0.044749\t-40.47893
C\t-0.0126981359\t 1.0858041578\t 0.0080009958\t-0.535689
H\t 0.002150416\t-0.0060313176\t 1.9761204*^-3\t 0.133921
H\t 1.0117308433\t 1.4637511618\t 0.0002765748\t 0.133922
H\t-0.540815069\t 1.4475266138\t-0.8766437152\t 0.133923
H\t-0.5238136345\t 1.4379326443\t 0.9063972942\t 0.133923
1341.307\t1341.3284\t1341.365\t1562.6731
C\tC\t
InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4
"""


@pytest.mark.parametrize("between", ["", "\n"])
def test_files_of_qm9_one_behind_the_other_are_all_read(tmp_path, between):
    """The form of doi.org/10.1038/sdata.2014.22, joined with ``cat``."""
    water = xyz(comment="gdb 3\t799.58812") + "1671.46\t3803.63\nO\tO\nInChI=1S/H2O/h1H2\n"
    (tmp_path / "qm9.xyz").write_text(METHANE + between + water + between + METHANE)
    contents = read_contents(tmp_path / "qm9.xyz")
    assert [content.atoms.get_chemical_formula() for content in contents] == ["CH4", "H2O", "CH4"]
    assert contents[2].atoms.positions[1, 2] == 1.9761204e-3
    assert all("properties and frequencies are left out" in note for content in contents for note in content.notes)
    with pytest.raises(ValueError, match=r"has no energies under .*; it has nothing else"):
        datasets.load(tmp_path / "qm9.xyz")


def test_an_atom_too_many_in_qm9s_form_is_no_frequency(tmp_path):
    (tmp_path / "qm9.xyz").write_text("4" + METHANE[1:])
    with pytest.raises(ValueError, match=r"line 7: a frame must begin .*; are there more atoms than the frame above"):
        read_contents(tmp_path / "qm9.xyz")


COLUMNS = "2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1\nO 0 0 0 {}\nH 0.96 0 0 -0.1 0 0\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("x 0 0", r"line 3: the column forces must hold numbers, got 'x'"),
        ("0.1 ******** 0", r"line 3: .* got '\*+'; a program printed stars"),
        ("0,1 0 0", r"line 3: .* got '0,1'; write a point in place of the comma"),
        ("0.1 0", r"line 3: 7 columns are needed \(1 of species, 3 of pos, 3 of forces\), got 6"),
    ],
)
def test_a_word_among_numbers_is_named_with_its_line_and_column(tmp_path, words, sentence):
    """QUIP#207: ASE says 'could not convert string to float', of whichever atom of whichever frame."""
    (tmp_path / "a.extxyz").write_text(COLUMNS.format(words))
    with pytest.raises(ValueError, match=sentence):
        understand(tmp_path / "a.extxyz")
    with pytest.raises(ValueError, match=sentence):
        datasets.load(tmp_path / "a.extxyz")


def test_exponents_with_d_are_read_in_every_column(tmp_path):
    (tmp_path / "a.extxyz").write_text(COLUMNS.format("1.0D-01 0.0d+00 0"))
    found = datasets.load(tmp_path / "a.extxyz", check=False)
    assert found.forces[0].tolist() == [[0.1, 0, 0], [-0.1, 0, 0]]


def test_two_columns_of_elements_must_agree(tmp_path):
    text = "2\nProperties=species:S:1:pos:R:3:Z:I:1\nO 0 0 0 8\nH 0.96 0 0 {}\n"
    (tmp_path / "a.xyz").write_text(text.format(1))
    assert understand(tmp_path / "a.xyz").atoms.get_chemical_formula() == "HO"
    (tmp_path / "a.xyz").write_text(text.format(2))
    with pytest.raises(ValueError, match="line 4: the columns species and Z must name one element, got H and 2, which"):
        understand(tmp_path / "a.xyz")
