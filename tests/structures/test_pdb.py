"""PDB files are read by the format's own rules: locations, models, cells, deuterium, elements and charges."""

import numpy as np
import pytest
from ase.build import molecule

from so3lab.structures import understand


def record(name, element="", x=0.0, y=0.0, z=0.0, *, serial=1, alternate=" ", residue="LIG", number=1, occupancy=1.0,
           charge="", kind="HETATM") -> str:  # fmt: skip
    return (
        f"{kind:<6}{serial:>5} {name:<4}{alternate}{residue:>3} A{number:>4}    {x:8.3f}{y:8.3f}{z:8.3f}"
        f"{occupancy:6.2f}{0.0:6.2f}          {element:>2}{charge:<2}"
    )


def written(path, *lines):
    path.write_text("\n".join([*lines, "END", ""]))
    return path


WATER = [record(" O  ", "O"), record(" H1 ", "H", 0.96), record(" H2 ", "H", -0.24, 0.93)]


@pytest.mark.parametrize(
    ("occupancies", "kept", "source"),
    [
        ((0.5, 0.5), 0.0, "openmm#2077: the first where both are equal"),
        ((0.3, 0.7), 0.4, "wwPDB 3.3: occupancy of column 55"),
        ((0.76, 0.24), 0.0, "1HX0"),
    ],
)
def test_the_most_occupied_location_is_kept(tmp_path, occupancies, kept, source):
    lines = [
        record(" O  ", "O"), record(" H2 ", "H", -0.24, 0.93),
        record(" H1 ", "H", 0.96, 0.0, 0.0, alternate="A", occupancy=occupancies[0]),
        record(" H1 ", "H", 0.96, 0.0, 0.4, alternate="B", occupancy=occupancies[1]),
    ]  # fmt: skip
    found = understand(written(tmp_path / "water.pdb", *lines))
    assert found.atoms.get_chemical_formula() == "H2O", source
    assert found.atoms.positions[2, 2] == kept
    assert "H1 of LIG 1" in found.notes[0]


def test_two_residues_at_one_place_leave_one_of_them(tmp_path):
    """1HX0, where sugars GLC (A) and BGC (B) share number and chain; BiochemicalAlgorithms.jl#265."""
    of_a = [line.replace(" LIG", "AGLC") for line in (record(" C1 ", "C"), record(" O1 ", "O", 1.2))]
    of_b = [
        record(" C1 ", "C", 0.1, alternate="B", residue="BGC", occupancy=0.2),
        record(" O6 ", "O", 1.3, alternate="B", residue="BGC", occupancy=0.2),
    ]
    found = understand(written(tmp_path / "sugar.pdb", *of_a, *of_b))
    assert found.atoms.arrays["residuenames"].tolist() == ["GLC", "GLC"]


def test_digits_are_locations_as_letters_are(tmp_path):
    """1K6P; biotite#856."""
    lines = [record(" O  ", "O", alternate="1", occupancy=0.4), record(" O  ", "O", 0.5, alternate="2", occupancy=0.6)]
    atoms = understand(written(tmp_path / "oxygen.pdb", *lines)).atoms
    assert atoms.positions[:, 0].tolist() == [0.5]


def test_a_residue_that_exists_at_b_alone_stays(tmp_path):
    """pdb-tools#153."""
    lines = [line[:16] + "B" + line[17:] for line in WATER]
    assert len(understand(written(tmp_path / "water.pdb", *lines)).atoms) == 3


CELLS = [
    ("   1.000   1.000   1.000", False, "wwPDB 3.3: the unit cube where there is no crystal; mdtraj#970"),
    ("   0.000   0.000   0.000", False, "MDAnalysis#2599"),
    ("  12.400  12.400  12.400", True, "a box of water"),
]


@pytest.mark.parametrize(("edges", "periodic", "source"), CELLS)
def test_placeholders_are_no_cells(tmp_path, edges, periodic, source):
    line = "CRYST1" + "".join(f"{float(edge):9.3f}" for edge in edges.split()) + "  90.00  90.00  90.00 P 1           1"
    atoms = understand(written(tmp_path / "water.pdb", line, *WATER)).atoms
    assert atoms.pbc.all() == periodic, source


def test_a_space_group_is_not_passed_over(tmp_path):
    line = "CRYST1   30.000   30.000   30.000  90.00  90.00  90.00 P 21 21 21    4"
    notes = understand(written(tmp_path / "water.pdb", line, *WATER)).notes
    assert any("the space group 'P 21 21 21' is left out" in note for note in notes)


def test_models_share_the_cell_and_the_last_counts(tmp_path):
    """Gromacs' trjconv writes CRYST1 before each model, others once; gufe#611."""
    line = "CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 P 1           1"
    moved = [record(" O  ", "O", 1.0), record(" H1 ", "H", 1.96), record(" H2 ", "H", 0.76, 0.93)]
    models = ["MODEL        1", *WATER, "ENDMDL", "MODEL        2", *moved, "ENDMDL"]
    atoms = understand(written(tmp_path / "water.pdb", line, *models)).atoms
    assert atoms.positions[0, 0] == 1.0
    assert atoms.cell.lengths().tolist() == [20.0] * 3


@pytest.mark.parametrize(
    ("name", "residue", "symbol", "source"),
    [
        (" CA ", "ALA", "C", "wwPDB 3.3: the element stands right-justified in columns 13 and 14"),
        ("CA  ", " CA", "Ca", "the same for the ion"),
        ("HG11", "VAL", "H", "four letters begin one column to the left"),
        ("1HB ", "ALA", "H", "the names before 2007"),
        (" D1 ", "DOD", "H", "heavy water of neutron structures; biopython#980"),
        ("CL  ", " CL", "Cl", "a chloride"),
        ("NA  ", " NA", "Na", "a sodium ion"),
        (" OW ", "SOL", "O", "Gromacs"),
    ],
)
def test_missing_elements_are_read_from_names(tmp_path, name, residue, symbol, source):
    found = understand(written(tmp_path / "one.pdb", record(name, "", residue=residue)))
    assert found.atoms.get_chemical_symbols() == [symbol], source
    assert any("names were read as elements" in note for note in found.notes)


def test_deuterium_has_its_mass(tmp_path):
    lines = [record(" O  ", "O"), record(" D1 ", "D", 0.96), record(" D2 ", "D", -0.24, 0.93)]
    atoms = understand(written(tmp_path / "water.pdb", *lines)).atoms
    np.testing.assert_allclose(atoms.get_masses(), [15.999, 2.014, 2.014], atol=1e-3)


@pytest.mark.parametrize(
    ("charges", "total", "source"),
    [
        (["1-", "", ""], -1, "wwPDB 3.3: digit and sign"),
        (["2+", "1-", ""], 1, "the same"),
        (["0", "", ""], 0, "Maestro"),
    ],
)
def test_formal_charges_add_up(tmp_path, charges, total, source):
    lines = [line[:78] + f"{charge:<2}" for line, charge in zip(WATER, charges, strict=True)]
    assert understand(written(tmp_path / "water.pdb", *lines)).charge.value == total, source


@pytest.mark.parametrize(
    ("word", "total", "source"),
    [("-1", -1, "sign and digit"), ("-", -1, "a sign alone"), ("0-", 0, "no charge with a sign")],
)
def test_charges_in_other_orders(tmp_path, word, total, source):
    lines = [WATER[0][:78] + f"{word:<2}", *WATER[1:]]
    assert understand(written(tmp_path / "water.pdb", *lines)).charge.value == total, source


def test_elements_two_columns_too_far_are_elements(tmp_path):
    """Columns that a hand or an editor has moved."""
    lines = [line[:76] + "  " + line[76:78].strip() for line in WATER]
    assert understand(written(tmp_path / "water.pdb", *lines)).atoms.get_chemical_formula() == "H2O"


def test_crystal_structures_without_hydrogens_are_said(tmp_path):
    """What the Protein Data Bank has of most entries: heavy atoms alone."""
    found = understand(written(tmp_path / "a.pdb", WATER[0].replace("LIG", "HOH")))
    assert any("1 residues have no hydrogens, such as HOH" in note for note in found.notes)


def test_atoms_that_are_there_in_part_are_said(tmp_path):
    lines = [WATER[0], WATER[1].replace("  1.00", "  0.50", 1), WATER[2]]
    found = understand(written(tmp_path / "a.pdb", *lines))
    assert any("1 atoms are occupied in part" in note for note in found.notes)


REFUSED = [
    (record(" O  ", "O").replace("   0.000", "     abc", 1), r"line 1: a coordinate in columns 31 to 54.*got 'abc'"),
    (record(" O  ", "Oq"), r"line 1: columns 77 and 78 must hold an element, got 'Oq'"),
    (record(" O  ", "O", charge="x9"), r"line 1: columns 79 and 80 must hold a formal charge such as 2- or 1\+"),
    (
        record("   1", ""),
        r"line 1: columns 77 and 78 must hold an element; they are empty, and the name '1' tells none",
    ),
    ("CRYST1   nodata   1.000   1.000  90.00  90.00  90.00\n" + WATER[0], r"line 1: CRYST1 must hold three lengths"),
    ("REMARK nothing", r"holds no atoms: no line begins with ATOM or HETATM"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        understand(written(tmp_path / "wrong.pdb", text))


def test_what_ase_writes_comes_back(tmp_path):
    ethanol = molecule("CH3CH2OH")
    ethanol.write(tmp_path / "ethanol.pdb")
    np.testing.assert_allclose(understand(tmp_path / "ethanol.pdb").atoms.positions, ethanol.positions, atol=6e-4)


@pytest.mark.parametrize(
    ("name", "residue", "symbol"),
    [
        (" SOD", "SOD", "Na"), (" CLA", "CLA", "Cl"), (" POT", "POT", "K"), (" CAL", "CAL", "Ca"), (" NA ", "NA", "Na"),
        (" CL ", "CL", "Cl"), (" Na+", "Na+", "Na"), (" CD ", "CD", "Cd"), (" FE ", "HEM", "Fe"), ("HG21", "TPO", "H"),
        ("HE1 ", "MSE", "H"), ("HO4 ", "LIG", "H"), ("HG  ", "HG", "Hg"), (" CA ", "ALA", "C"), (" CD ", "GLU", "C"),
    ],
)  # fmt: skip
def test_names_of_atoms_and_residues_tell_elements(tmp_path, name, residue, symbol):
    found = understand(written(tmp_path / "a.pdb", record(name, residue=residue)))
    assert found.atoms.get_chemical_symbols() == [symbol]


@pytest.mark.parametrize(("of_deuterium", "mass"), [(0.7, 2.014), (0.3, 1.008)])
def test_hydrogen_and_deuterium_in_one_place_are_one_atom(tmp_path, of_deuterium, mass):
    """Neutron structures of exchanged crystals, such as 5E5K: H at A and D at B, each with a name of its own."""
    lines = [record(" O  ", "O")]
    for number, (x, y) in enumerate(((0.96, 0.0), (-0.24, 0.93)), start=1):
        lines += [
            record(f" H{number} ", "H", x, y, alternate="A", occupancy=1.0 - of_deuterium),
            record(f" D{number} ", "D", x, y, alternate="B", occupancy=of_deuterium),
        ]
    atoms = understand(written(tmp_path / "water.pdb", *lines)).atoms
    assert atoms.get_chemical_formula() == "H2O"
    assert atoms.get_masses()[1:] == pytest.approx([mass, mass], abs=1e-3)
