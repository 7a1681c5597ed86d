"""Inputs of ORCA, Q-Chem and NWChem mean what their manuals say: charge, spin, unit, isotopes, several jobs."""

import pytest

from so3lab.structures import understand
from so3lab.units import bohr

ORCA = "! B3LYP def2-SVP{}\n%maxcore 2000\n* xyz {}\n{}\n*\n"
QCHEM = "$molecule\n{}\n{}\n$end\n$rem\nmethod hf\n{}\n$end\n"
NWCHEM = "start oh\ncharge {}\ngeometry {}\n{}\nend\nbasis\n * library 6-31g\nend\ndft\n mult {}\nend\ntask dft\n"
OH = "O 0 0 0\nH 0.96 0 0"
OH_BOHR = f"O 0 0 0\nH {0.96 / bohr} 0 0"


@pytest.mark.parametrize(
    ("name", "text", "source"),
    [
        ("a.inp", ORCA.format("", "-1 1", OH), "ORCA 6 manual, 2.4"),
        ("a.inp", ORCA.format("", "-1 1  # the anion", OH + " # its hydrogen"), "comments begin with #"),
        ("a.inp", ORCA.format("", "-1 1", "O(1) 0 0 0\nH(2) 0.96 0 0"), "fragments"),
        ("a.inp", ORCA.format("", "-1 1", 'O 0 0 0 newgto "def2-TZVP" end\nH 0.96 0 0'), "basis of an atom"),
        ("a.inp", ORCA.format(" Bohrs", "-1 1", OH_BOHR), "the keyword Bohrs"),
        ("a.inp", ORCA.format("", "0 2", OH) + "$new_job\n" + ORCA.format("", "-1 1", OH), "the last of two jobs"),
        ("a.in", QCHEM.format("-1 1", OH, ""), "Q-Chem 6 manual, 3.3"),
        ("a.in", QCHEM.format("-1 1", OH_BOHR, "INPUT_BOHR TRUE"), "INPUT_BOHR"),
        (
            "a.in",
            QCHEM.format("-1 1", OH, "") + "@@@\n" + QCHEM.format("read", "", ""),
            "the molecule of the first job",
        ),
        ("a.nw", NWCHEM.format(-1, "units angstroms", OH, 1), "NWChem manual, Geometry"),
        ("a.nwi", NWCHEM.format(-1, "", OH, 1), "Å where nothing is said"),
        ("a.nw", NWCHEM.format(-1, "units au noautoz", OH_BOHR, 1), "atomic units"),
        ("a.nw", NWCHEM.format(1, "", OH, 2).partition("task")[0] + NWCHEM.format(-1, "", OH, 1), "the last geometry"),
    ],
)
def test_charge_spin_and_unit_are_those_of_the_input(tmp_path, name, text, source):
    (tmp_path / name).write_text(text)
    found = understand(tmp_path / name)
    assert (found.charge.value, found.unpaired.value) == (-1, 0), source
    assert found.atoms.get_distance(0, 1) == pytest.approx(0.96), source
    assert found.atoms.get_chemical_formula() == "HO"


def test_fragments_of_qchem_make_one_molecule(tmp_path):
    water = "O 0 0 3\nH 0.96 0 3\nH -0.24 0.93 3"
    (tmp_path / "a.in").write_text(QCHEM.format("-1 1", f"--\n-1 1\n{OH}\n--\n0 1\n{water}", ""))
    found = understand(tmp_path / "a.in")
    assert (found.atoms.get_chemical_formula(), found.charge.value) == ("H3O2", -1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.inp", ORCA.format("", "-1 1", "O 0 0 0\nH 0.96 0 0 M = 2.014")),
        ("a.nw", NWCHEM.format(-1, "", "O 0 0 0\nH 0.96 0 0 mass 2.014", 1)),
    ],
)
def test_masses_of_isotopes_are_kept(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert understand(tmp_path / name).atoms.get_masses().round(3).tolist() == [15.999, 2.014]


def test_each_job_can_be_asked_for(tmp_path):
    path = tmp_path / "a.inp"
    path.write_text(ORCA.format("", "0 2", OH) + "$new_job\n" + ORCA.format("", "-1 1", OH))
    assert [understand(f"{path}:{number}").charge.value for number in (0, 1)] == [0, -1]
    assert "the last of 2 molecules" in understand(path).notes


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "a.inp",
            "! HF\n%coords\n CTyp xyz\n Charge -1\nend\n",
            r"must be '\* xyz CHARGE MULTIPLICITY'.*got '%coords'",
        ),
        ("a.inp", "! HF\n* int -1 1\nO 0 0 0 0 0 0\n*\n", r"got '\* int -1 1'"),
        ("a.inp", ORCA.format("", "-1 1", "O 0 0 0\nH 0.96 zero 0"), r"a\.inp, line 5: .* got 'zero'"),
        ("a.inp", ORCA.format("", "-1 1", f"{OH}\nQ 0.5 0 0 5"), r"a\.inp, line 6: .* got 'Q'; placeholders"),
        ("a.in", QCHEM.format("-1 1", "O\nH 1 0.96", ""), r"a\.in, line 3: an atom must be an element and three coord"),
        (
            "a.nw",
            NWCHEM.format(0, "", f"symmetry c2v\n{OH}", 2),
            "all atoms in Cartesian coordinates, got 'symmetry c2v'",
        ),
        ("a.nw", NWCHEM.format(0, "", "zmatrix\n O\n H 1 0.96\nend", 2), "got 'zmatrix'"),
        ("a.nw", NWCHEM.format(0, "units furlongs", OH, 2), "units must be one of .* got 'furlongs'"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        understand(tmp_path / name)
