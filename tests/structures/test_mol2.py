"""MOL2 files: partial charges add up to the total one, types of any program name elements, dummies are refused.

The format is that of "Tripos Mol2 File Format", Tripos, St. Louis 2005; other sources stand beside their case.
"""

import numpy as np
import pytest

from so3lab.structures import read_structure, total_charge, understand

ACETATE = (
    ("C1", "C.3", -0.06, 1.36, 0.00), ("C2", "C.2", -0.03, -0.15, 0.00), ("O1", "O.co2", 1.10, -0.70, 0.00),
    ("O2", "O.co2", -1.12, -0.75, 0.00), ("H1", "H", -1.10, 1.66, 0.00), ("H2", "H", 0.45, 1.75, 0.88),
    ("H3", "H", 0.45, 1.75, -0.88),
)  # fmt: skip
BONDS = ((1, 2, "1"), (2, 3, "ar"), (2, 4, "ar"), (1, 5, "1"), (1, 6, "1"), (1, 7, "1"))
PARTIAL = (-0.2, 0.1, -0.55, -0.55, 0.0667, 0.0667, 0.0666)


def mol2(atoms=ACETATE, bonds=BONDS, charges=None, kind="NO_CHARGES", behind=""):
    """One molecule as text."""
    rows = [f"@<TRIPOS>MOLECULE\nacetate\n {len(atoms)} {len(bonds)} 1 0 0\nSMALL\n{kind}\n\n@<TRIPOS>ATOM"]
    for number, (name, sybyl, x, y, z) in enumerate(atoms, start=1):
        residue = "" if charges is None else f" 1 LIG {charges[number - 1]:.4f}"
        rows.append(f"{number:7d} {name:<6} {x:9.4f} {y:9.4f} {z:9.4f} {sybyl:<6}{residue}")
    rows.append("@<TRIPOS>BOND")
    rows += [f"{number} {a} {b} {order}" for number, (a, b, order) in enumerate(bonds, start=1)]
    return "\n".join(["# a comment", *rows, behind, ""])


def read(tmp_path, text):
    (tmp_path / "a.mol2").write_text(text)
    return understand(tmp_path / "a.mol2")


def renamed(types):
    """Acetate with other types."""
    return [(name, types.get(sybyl, sybyl), *place) for name, sybyl, *place in ACETATE]


def test_partial_charges_add_up_to_the_total_charge(tmp_path):
    found = read(tmp_path, mol2(charges=PARTIAL, kind="GASTEIGER"))
    assert (found.charge.value, found.format, len(found.atoms)) == (-1, "MOL2", 7)
    np.testing.assert_allclose(found.atoms.get_initial_charges(), PARTIAL)
    assert list(found.atoms.arrays["atomtypes"][:3]) == ["C1", "C2", "O1"]


def test_a_sum_that_is_no_whole_number_asks_for_the_total_charge(tmp_path):
    text = mol2(charges=(-0.2, 0.1, -0.25, -0.55, 0.07, 0.07, 0.06), kind="USER_CHARGES")
    with pytest.raises(ValueError, match=r"whole number of elementary charges, got -0\.7; give the total charge with"):
        read(tmp_path, text)
    assert total_charge(read_structure(tmp_path / "a.mol2", charge=-1)) == -1


def test_without_charges_bonds_and_types_tell_the_total_one(tmp_path):
    """rdkit#3246 and openbabel#1982: the format has no formal charges; O.co2 shares one between two oxygens."""
    found = read(tmp_path, mol2())
    assert found.charge.value == -1
    assert any("the file has no charges; its bonds and types say a total charge of -1 e" in n for n in found.notes)


@pytest.mark.parametrize(
    ("types", "source"),
    [
        ({"C.3": "c3", "C.2": "c", "O.co2": "o", "H": "hc"}, "GAFF, as antechamber writes it: J. Wang et al. 2004"),
        ({"C.3": "CT", "C.2": "C", "O.co2": "O2", "H": "HC"}, "AMBER, as tleap writes it: Cornell et al. 1995"),
    ],
)
def test_types_of_force_fields_name_their_element(tmp_path, types, source):
    found = read(tmp_path, mol2(renamed(types), charges=PARTIAL))
    assert found.atoms.get_chemical_formula() == "C2H3O2", source
    assert found.charge.value == -1


@pytest.mark.parametrize(
    ("kind", "name", "symbol"),
    [
        ("Ca", "CA", "Ca"),
        ("CA", "C7", "C"),
        ("CL", "CL1", "Cl"),
        ("cl", "x", "Cl"),
        ("ZN", "ZN", "Zn"),
        ("S.O2", "S", "S"),
    ],
)
def test_capitals_are_types_or_metals(tmp_path, kind, name, symbol):
    assert read(tmp_path, mol2([(name, kind, 0, 0, 0)], ())).atoms.get_chemical_symbols() == [symbol]


def test_the_last_of_several_molecules_is_taken_in_its_cell(tmp_path):
    crystal = mol2(charges=PARTIAL, behind="@<TRIPOS>CRYSIN\n 10.0 11.0 12.0 90 90 \\\n 90 14 1")
    (tmp_path / "a.mol2").write_text(mol2([("NE", "Ne", 0, 0, 0)], ()) + crystal)
    found = understand(tmp_path / "a.mol2")
    assert found.notes[0] == "the last of 2 molecules"
    assert any("space group number 14 is left out" in note for note in found.notes)
    np.testing.assert_allclose(found.atoms.cell.lengths(), [10, 11, 12])
    assert len(understand(f"{tmp_path / 'a.mol2'}:0").atoms) == 1


def test_hydrogens_that_are_left_out_are_added_and_radicals_stay(tmp_path):
    """MOL2 files for docking hold heavy atoms alone."""
    heavy = [(name, sybyl, x, y, z + 0.1 * number) for number, (name, sybyl, x, y, z) in enumerate(ACETATE[:4])]
    found = read(tmp_path, mol2(heavy, BONDS[:3]))
    assert found.atoms.get_chemical_formula() == "C2H3O2"
    assert any("hydrogens that the file leaves out were added: 3" in note for note in found.notes)
    methyl = [
        ACETATE[0],
        *((f"H{n}", "H", *xyz) for n, xyz in enumerate(((-1.1, 1.66, 0), (0.45, 1.75, 0.88), (0.45, 1.75, -0.88)))),
    ]
    assert read(tmp_path, mol2(methyl, ((1, 2, "1"), (1, 3, "1"), (1, 4, "1")))).atoms.get_chemical_formula() == "CH3"


def test_bonds_without_orders_add_no_hydrogens(tmp_path):
    """openff-toolkit#1164: tleap writes all bonds as single ones, the carboxylate among them."""
    single = [(a, b, "1") for a, b, _ in BONDS]
    found = read(tmp_path, mol2(renamed({"O.co2": "O.2"}), single, charges=PARTIAL, kind="No Charge or Current Charge"))
    assert (found.charge.value, len(found.atoms)) == (-1, 7)


def test_attributes_of_atoms_state_formal_charges(tmp_path):
    """rdkit#9634: a record UNITY_ATOM_ATTR keeps RDKit from guessing formal charges, whether it has some or not."""
    attributes = "@<TRIPOS>UNITY_ATOM_ATTR\n3 1\ncharge -1\n4 1\nMMFF94 -0.9"
    assert read(tmp_path, mol2(behind=attributes)).charge == (-1, "charge")
    assert read(tmp_path, mol2(charges=PARTIAL, behind=attributes)).charge.value == -1
    with pytest.raises(ValueError, match="the total charge must be said once"):
        read(tmp_path, mol2(charges=PARTIAL, behind=attributes.replace("charge -1", "charge 1")))
    with pytest.raises(ValueError, match=r"the formal charge of an atom must be a whole number, got '-0\.5'"):
        read(tmp_path, mol2(behind=attributes.replace("-1", "-0.5")))


REFUSED = [
    (mol2([*ACETATE, ("LP1", "LP", 1, 1, 1)]), r"line 16: dummies, lone pairs .* the type 'LP' of the atom 'LP1'"),
    (mol2([("D1", "Du.C", 1, 1, 1)], ()), r"got the type 'Du\.C'"),
    (mol2().replace(" 7 6 1", " 9 6 1"), "must have 9 atoms, but 7 follow; is the file complete"),
    (mol2().replace(" 7 6 1", " seven"), "the number of atoms must stand in the second line"),
    (mol2().replace("-0.0600", "*******"), r"line 9: a coordinate must be a finite number, got '\*+'"),
    (mol2([("CA", "CA", 0, 0, 0)], ()), "is Ca to some programs and a kind of C to others"),
    (mol2([("Q", "Qx", 0, 0, 0)], ()), "the type must name an element"),
    (mol2(behind="@<TRIPOS>CRYSIN\n 10.0 11.0"), "three lengths and three angles"),
    ("@<TRIPOS>ATOM\n", "holds no molecule"),
    (mol2().replace("C.3", ""), "an atom must be id, name, x, y, z and type"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_what_cannot_be_read_is_named(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path, text)
