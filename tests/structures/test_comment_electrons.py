"""What comment lines say of charge and spin is read, asked for, or said to be left out; never passed over."""

import re

import pytest

from so3lab.structures import understand

WATER = "O 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"
HYDROXIDE = "O 0 0 0\nH 0.96 0 0\n"
OXYGEN = "O 0 0 0\nO 0 0 1.21\n"


def read(tmp_path, comment, atoms=HYDROXIDE):
    (tmp_path / "a.xyz").write_text(f"{atoms.count(chr(10))}\n{comment}\n{atoms}", encoding="utf-8")
    return understand(tmp_path / "a.xyz")


@pytest.mark.parametrize(
    ("comment", "atoms", "charge", "unpaired", "source"),
    [
        ("S=0.5", HYDROXIDE, 0, 1, "half a spin is S itself"),
        ("S=2", HYDROXIDE, 0, 1, "an odd number of electrons has no S of 2"),
        ("S=0", OXYGEN, 0, 0, "a closed shell in both conventions"),
        ("-1 1 psi4 hydroxide", HYDROXIDE, -1, 0, "a title behind both numbers"),
        ("-1,1", HYDROXIDE, -1, 0, "Gaussian's comma"),
        ("charge of -1", HYDROXIDE, -1, 0, "words"),
        ("charge 1-", HYDROXIDE, -1, 0, "chemists' order, in which 1 would be +1"),
        ("Charge: \N{MINUS SIGN}1", HYDROXIDE, -1, 0, "a typographer's minus"),
        ("charge -1.0", HYDROXIDE, -1, 0, "a whole number with a point"),
        ("charge,multiplicity: -1 1", HYDROXIDE, -1, 0, "both names before both numbers"),
        ("Charge/mult = -1 1", HYDROXIDE, -1, 0, "the same with an equals sign"),
        ("--chrg -1 --uhf 0", HYDROXIDE, -1, 0, "xtb's options"),
        ("--uhf 2", OXYGEN, 0, 2, "xtb's option"),
        ("Q: -1", HYDROXIDE, -1, 0, "a letter with a colon"),
        ("charge: -1e", HYDROXIDE, -1, 0, "with its unit"),
        ("charge -1 |e|", HYDROXIDE, -1, 0, "with its unit"),
        ("-1 singlet", HYDROXIDE, -1, 0, "a word for the multiplicity"),
        ("(-1), Singlet, wB97X", HYDROXIDE, -1, 0, "the same with a method"),
        ("singlet, 1-", HYDROXIDE, -1, 0, "the other way round"),
        ("+1 doublet", WATER, 1, 1, "Gaussian's titles"),
        ("S=1/2", HYDROXIDE, 0, 1, "a fraction is S itself"),
        ("hydroxide monoanion, wB97X-D", HYDROXIDE, -1, 0, "an ion whose charge its word says"),
        ("Dication", OXYGEN, 2, 0, "another"),
    ],
)  # fmt: skip
def test_words_that_mean_one_thing_are_read(tmp_path, comment, atoms, charge, unpaired, source):
    found = read(tmp_path, comment, atoms)
    assert (found.charge.value, found.unpaired.value) == (charge, unpaired), source
    assert len(found.notes) == bool(charge or unpaired)


@pytest.mark.parametrize(
    ("comment", "atoms", "charge", "unpaired"),
    [
        ("charge: -1, singlet", HYDROXIDE, -1, 0),
        ("charge=+1 doublet", WATER, 1, 1),
        ("doublet, charge 0", HYDROXIDE, 0, 1),
        ("charge 0 and triplet", OXYGEN, 0, 2),
    ],
)
def test_a_word_for_the_multiplicity_counts_beside_a_charge(tmp_path, comment, atoms, charge, unpaired):
    found = read(tmp_path, comment, atoms)
    assert (found.charge.value, found.unpaired.value) == (charge, unpaired)
    assert "of the second line is read as multiplicity" in found.notes[-1]


@pytest.mark.parametrize(
    ("comment", "atoms", "word"),
    [
        ("hydroxide anion", HYDROXIDE, "'anion'"),
        ("monoanion", WATER, "'monoanion'"),
        ("dication from the monocation", OXYGEN, "'dication'"),
        ("not the dication", OXYGEN, "'dication'"),
        ("* xyz -1 1", HYDROXIDE, "'-1 1'"),
        ("hydroxide, B3LYP, -1 1", HYDROXIDE, "'-1 1'"),
        ("OH-", HYDROXIDE, "'OH-'"),
        ("[OH]- of the hydrate", HYDROXIDE, r"'\[OH\]-'"),
        ("OH(-)", HYDROXIDE, r"'OH\(-\)'"),
        ("OH (1-)", HYDROXIDE, r"'OH \(1-\)'"),
        ("[OH](-), MP2", HYDROXIDE, r"'\[OH\]\(-\)'"),
        ("OH^-", HYDROXIDE, r"'OH\^-'"),
        ("OH -1", HYDROXIDE, "'OH -1'"),
        ("O2-- of the oxide", OXYGEN, "'O2--'"),
        ("1 singlet", HYDROXIDE, "'singlet'"),
        ("at -0.5 singlet", HYDROXIDE, "'singlet'"),
        ("protonated water, frame 3", WATER, "'protonated'"),
        ("charge 0.5", HYDROXIDE, "'charge'"),
        ("charge minus one", HYDROXIDE, "'charge'"),
        ("triplet oxygen", OXYGEN, "'triplet'"),
        ("spin 1", OXYGEN, "'spin'"),
        ("Properties=species:S:1:pos:R:3 anion", HYDROXIDE, "'anion'"),
        ("0 3 oxygen", OXYGEN, "begins with '0 3'"),
        ("1 1 step", HYDROXIDE, "begins with '1 1'"),
        ("-1 2 psi4", HYDROXIDE, "begins with '-1 2'"),
        ("Sz=1", OXYGEN, "'Sz' = 1 is left out"),
        ("spin=1", OXYGEN, "spin=1 is read as a multiplicity"),
    ],
)
def test_what_sounds_like_electrons_and_is_not_read_is_said(tmp_path, comment, atoms, word):
    found = read(tmp_path, comment, atoms)
    assert (found.charge.value, found.unpaired.value) == (0, 0)
    (note,) = found.notes
    assert re.search(word, note)


@pytest.mark.parametrize(
    ("comment", "atoms", "sentence"),
    [
        (
            "S=1",
            OXYGEN,
            r"line 2: S=1 may be the total spin \(a multiplicity of 3\) or the multiplicity itself, 1, of 16",
        ),
        ("S=1", HYDROXIDE, "line 2: S=1 is no spin of 9 electrons"),
        ("charge -1 charge 1", HYDROXIDE, "the charge must be said once, but 'charge -1 charge 1' says -1 and 1"),
        ("charge: -1, doublet", HYDROXIDE, "multiplicity means 1 unpaired electrons .* it has 10 electrons"),
        ("charge=-1e", HYDROXIDE, "must be a number, got '-1e'"),
        ("charge=-1 charge=0", HYDROXIDE, "line 2: charge must be said once, got charge=-1 and charge=0"),
        ("-1 1 charge=0", HYDROXIDE, "begins with '-1 1', which would be .* another number stands under 'charge'"),
        ("-1 1 by hand multiplicity=3", HYDROXIDE, "another number stands under 'multiplicity'"),
        ("charge: neutral, charge 1", HYDROXIDE, "says 0 and 1; remove one"),
        ("spin=triplet", HYDROXIDE, "spin means 2 unpaired electrons .* it has 9 electrons"),
    ],
)
def test_what_means_two_things_is_refused(tmp_path, comment, atoms, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path, comment, atoms)


@pytest.mark.parametrize(
    "comment",
    [
        "zwitterion",
        "S=34.2",
        "nickel function, dimension 3",
        'comment="the anion of it"',
        "a=1 a=2",
        "C-H bond, A-B",
        "0 1 water",
        "singlet",
        "H2O (1)",
    ],
)
def test_other_words_say_nothing(tmp_path, comment):
    found = read(tmp_path, comment, WATER)
    assert (found.charge.value, found.unpaired.value, found.notes) == (0, 0, ())


MOL = "{}\n\n\n  2  1  0  0  0  0  0  0  0  0999 V2000\n{}{}  1  2  1  0\n{}M  END\n$$$$\n"
ROW = "    {:.4f}    0.0000    0.0000 {}   0  0\n"
OTHERS = {
    "hf.sdf": MOL.format("{}", ROW.format(0, "F"), ROW.format(0.92, "H"), ""),
    "hf.gro": "{}\n    2\n    1HF      F    1   0.000   0.000   0.000\n    1HF      H    2   0.092   0.000   0.000\n"
    "   0.0   0.0   0.0\n",
    "hf.mol2": "@<TRIPOS>MOLECULE\n{}\n2 1\nSMALL\nNO_CHARGES\n@<TRIPOS>ATOM\n1 F 0 0 0 F\n2 H 0.92 0 0 H\n"
    "@<TRIPOS>BOND\n1 1 2 1\n",
}


@pytest.mark.parametrize("name", OTHERS)
def test_titles_of_other_formats_are_said_to_be_left_out(tmp_path, name):
    (tmp_path / name).write_text(OTHERS[name].format("HF(+)"))
    assert any(
        "the title has 'HF(+)', from which nothing is read; if it tells the charge, give it with --charge" in note
        for note in understand(tmp_path / name).notes
    )
    (tmp_path / name).write_text(OTHERS[name].format("HF, number 1"))
    assert not any("the title" in note for note in understand(tmp_path / name).notes)


@pytest.mark.parametrize("comment", ["coordinates in bohr", "in atomic units, from GAMESS", "units nm"])
def test_words_of_other_units_are_said(tmp_path, comment):
    assert any("read in Å, though" in note for note in read(tmp_path, comment).notes)


@pytest.mark.parametrize("comment", ["units=bohr", 'length_unit="bohr"', 'units="eV, bohr"'])
def test_other_units_are_refused(tmp_path, comment):
    with pytest.raises(ValueError, match=r"coordinates must be in Å, but (units|length_unit)=.* says bohr"):
        read(tmp_path, comment)


def test_a_neutral_charge_in_words_is_a_statement(tmp_path):
    found = read(tmp_path, "charge: neutral")
    assert (found.charge.value, found.charge.source) == (0, "charge")
    assert found.notes == ("read from the words of the second line: charge 0",)


@pytest.mark.parametrize(
    ("comment", "charge", "unpaired"),
    [("mult=doublet", 0, 1), ("spin=Doublet", 0, 1), ("charge=neutral", 0, 0), ("TotalCharge=-1", -1, 0)],
)
def test_values_may_be_words_and_names_may_lack_dashes(tmp_path, comment, charge, unpaired):
    found = read(tmp_path, comment)
    assert (found.charge.value, found.unpaired.value, found.notes) == (charge, unpaired, ())


@pytest.mark.parametrize(
    ("comment", "atoms", "charge"),
    [("radical dianion", HYDROXIDE, -2), ("dianion", HYDROXIDE, 0), ("radical dication", OXYGEN, 0)],
)
def test_the_word_of_an_ion_counts_where_the_number_of_electrons_goes_with_it(tmp_path, comment, atoms, charge):
    """Eleven electrons are those of a radical, fourteen are not."""
    assert read(tmp_path, comment, atoms).charge.value == charge
