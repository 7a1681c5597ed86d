"""Inputs of Gaussian: charge and multiplicity stand behind the title, and atoms bring fragments, isotopes and codes.

The format is that of the Gaussian 16 manual, "Molecule Specifications"; other sources stand beside their case.
"""

import pytest

from so3lab.structures import read_structure, understand

WATER = "O 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"


def job(atoms=WATER, charges="0 1", route="# pbe1pbe/def2svp", title="water"):
    return f"%chk=water.chk\n{route}\n\n{title}\n\n{charges}\n{atoms}\n"


def read(tmp_path, text):
    (tmp_path / "a.gjf").write_text(text)
    return understand(tmp_path / "a.gjf")


@pytest.mark.parametrize(
    ("text", "electrons", "source"),
    [
        (job(), (0, 0), "coordinates without a decimal point"),
        (job(title="1 2"), (0, 0), "a title of two numbers is none of charges"),
        (job(title="water\nsecond line of the title"), (0, 0), "iodata#229: titles of several lines"),
        (job(charges="-1,2"), (-1, 1), "commas"),
        (job(charges="+1 2"), (1, 1), "signs"),
        (job(charges="1 2 0 1 1 2", atoms=WATER.replace(" 0 0 0", "(Fragment=1) 0 0 0")), (1, 1), "cclib#116"),
        (job(WATER.replace("H 0", "H 0 0").replace("H -0", "H -1 -0")), (0, 0), "aqme#185: codes of held atoms"),
        (job(WATER.replace("O", "8").replace("H", "1")), (0, 0), "atomic numbers"),
        (job(WATER.replace("O", "O-OW--0.834").replace("H", "H-HW-0.417")), (0, 0), "types and charges of MM"),
        (job("O\nH 1 0.96\nH 1 0.96 2 104.5\n"), (0, 0), "a Z-matrix"),
        (job(WATER.replace("0.96 0 0", "0.96D+00, 0, 0")), (0, 0), "exponents of Fortran, commas"),
        (job(route="# pbe1pbe/def2svp\n# opt") + "1 2 3 F\n", (0, 0), "torsiondrive#64: routes of several lines"),
        (job() + "--Link1--\n" + job(charges="-1 2") + "--link1--\n# geom=check\n\ntitle\n\n", (-1, 1), "several jobs"),
    ],
)
def test_charge_and_multiplicity_are_those_of_the_molecule(tmp_path, text, electrons, source):
    found = read(tmp_path, text)
    assert (found.charge.value, found.unpaired.value) == electrons, source
    assert found.atoms.get_chemical_formula() == "H2O"


def test_isotopes_held_atoms_and_bohr(tmp_path):
    text = WATER.replace("H 0.96", "H(Iso=2) -1 0.96").replace("H -0.24", "H(iso=2.0141) 0 -0.24")
    atoms = read(tmp_path, job(text)).atoms
    assert atoms.get_masses().round(3).tolist() == [15.999, 2.014, 2.014]
    assert atoms.constraints[0].index.tolist() == [1]
    bohr = read(tmp_path, job("O 0 0 0\nH 1.814 0 0\nH -0.453 1.757 0\n", route="# opt units=(bohr)"))
    assert bohr.atoms.get_distance(0, 1) == pytest.approx(0.96, abs=1e-3)
    assert "the route says that lengths are in bohr" in bohr.notes


def test_the_first_of_several_jobs_can_be_asked_for(tmp_path):
    (tmp_path / "a.com").write_text(job() + "--Link1--\n" + job(charges="1 2"))
    with pytest.warns(UserWarning, match="the last of 2 jobs"):
        assert read_structure(tmp_path / "a.com").info["charge"] == 1
    with pytest.warns(UserWarning, match="number 0 of 2 jobs"):
        assert read_structure(f"{tmp_path / 'a.com'}:0").info["charge"] == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# opt\n\ntitle\n", "charge and multiplicity must stand, and atoms below them"),
        (job(charges="zero one"), "charge and multiplicity must stand, and atoms below them"),
        (job(""), r"line 6: no atoms stand below charge and multiplicity"),
        (job(WATER.replace("0.93", "y1")), r"line 9: a coordinate must be a finite number, got 'y1'"),
        (job(WATER.replace("0.93 0", "0.93")), r"line 9: an atom must have three coordinates"),
        (job(WATER + "Tv 10 0 0\n"), r"line 10: every atom must be an element.*translation vectors are not read"),
        (job(WATER + "H-Bq 2 0 0\n"), r"line 10: ghost atoms have no place in a structure"),
        (job("O\nH 7 0.96\n"), "this is no Z-matrix that ASE reads"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path, text)


def test_variables_of_a_z_matrix_may_stand_behind_an_empty_line(tmp_path):
    """Gaussian 16 manual, "Z-matrix": the usual form."""
    found = read(tmp_path, job(atoms="O\nH 1 r\nH 1 r 2 a\n\nr=0.96\na=104.5\n"))
    assert found.atoms.get_distance(0, 1) == pytest.approx(0.96)
    assert found.atoms.get_angle(1, 0, 2) == pytest.approx(104.5)
