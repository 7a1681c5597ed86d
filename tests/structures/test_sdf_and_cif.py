"""SDF and CIF files: charges, radicals, isotopes, drawings and half-occupied sites are what the formats say."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from so3lab.structures import from_smiles, understand


def block(smiles: str, *, flat: bool = False, hydrogens: bool = True, version: str = "V2000") -> str:
    """A MOL block made by RDKit, as of a drawing or of a geometry."""
    molecule = Chem.MolFromSmiles(smiles)
    molecule = Chem.AddHs(molecule) if hydrogens or not flat else molecule
    if flat:
        AllChem.Compute2DCoords(molecule)
    else:
        AllChem.EmbedMolecule(molecule, randomSeed=1)
        molecule = molecule if hydrogens else Chem.RemoveHs(molecule)
    return Chem.MolToV3KMolBlock(molecule) if version == "V3000" else Chem.MolToMolBlock(molecule)


def understood(tmp_path, text: str, name: str = "molecule.sdf"):
    (tmp_path / name).write_text(text)
    return understand(tmp_path / name)


CHARGES = [
    ("CC(=O)[O-]", -1, 0, "CTfile formats: M  CHG"),
    ("[NH3+]CC(=O)[O-]", 0, 0, "a zwitterion"),
    ("[O-]C(=O)CCC(=O)[O-]", -2, 0, "xtb#26"),
    ("C[N+](C)(C)C", 1, 0, "butylammonium of benchmarksets#68, methylated"),
    ("[CH3]", 0, 1, "CTfile formats: M  RAD"),
    ("[O][O]", 0, 2, "two radicals"),
    ("CC[O]", 0, 1, "an alkoxyl radical"),
]


@pytest.mark.parametrize("version", ["V2000", "V3000"])
@pytest.mark.parametrize(("smiles", "charge", "unpaired", "source"), CHARGES)
def test_formal_charges_and_radicals_are_read(tmp_path, smiles, charge, unpaired, source, version):
    found = understood(tmp_path, block(smiles, version=version))
    assert (found.charge.value, found.unpaired.value) == (charge, unpaired), source
    assert found.atoms.get_chemical_formula() == from_smiles(smiles).get_chemical_formula()


def test_the_old_column_of_charges_counts_where_there_is_no_list(tmp_path):
    """CTfile formats: a code of 5 in the atom block is a charge of -1."""
    lines = block("CC(=O)[O-]").split("\n")
    lines = [line for line in lines if not line.startswith("M  CHG")]
    lines[7] = lines[7][:36] + "  5" + lines[7][39:]
    assert understood(tmp_path, "\n".join(lines)).charge.value == -1


def test_isotopes_are_read(tmp_path):
    masses = understood(tmp_path, block("[2H]O[2H]")).atoms.get_masses()
    assert np.sum(np.abs(masses - 2.014) < 1e-3) == 2


@pytest.mark.parametrize("hydrogens", [True, False])
def test_a_drawing_is_embedded_and_said(tmp_path, hydrogens):
    found = understood(tmp_path, block("C[C@H](O)CCO", flat=True, hydrogens=hydrogens))
    assert found.atoms.get_chemical_formula() == "C4H10O2"
    assert "a drawing in two dimensions, which was embedded in three" in found.notes
    assert min(np.ptp(found.atoms.positions, axis=0)) > 0.5


def test_a_drawing_keeps_its_wedges(tmp_path):
    for chirality in ("@", "@@"):
        smiles = f"N[C{chirality}H](C)C(=O)O"
        atoms = understood(tmp_path, block(smiles, flat=True)).atoms
        embedded, straight = (
            np.sign(np.linalg.det(a.positions[[0, 2, 3]] - a.positions[1])) for a in (atoms, from_smiles(smiles))
        )
        assert embedded == straight


def test_coordinates_that_are_all_zero_are_none(tmp_path):
    """MAYGEN#66 and Indigo#139 write zeros where they have no coordinates."""
    molecule = Chem.AddHs(Chem.MolFromSmiles("CO"))
    found = understood(tmp_path, Chem.MolToMolBlock(molecule))
    assert found.atoms.get_distance(0, 1) == pytest.approx(1.42, abs=0.05)


def test_a_flat_molecule_that_says_3d_stays_as_it_is(tmp_path):
    """xtb#26: the second line says whether coordinates are a drawing."""
    benzene = block("c1ccccc1").split("\n")
    rows = range(4, 16)
    for row in rows:
        benzene[row] = benzene[row][:20] + f"{0.0:10.4f}" + benzene[row][30:]
    found = understood(tmp_path, "\n".join(benzene))
    assert found.notes == ()
    assert np.ptp(found.atoms.positions[:, 2]) == 0


def test_hydrogens_that_are_left_out_are_added(tmp_path):
    found = understood(tmp_path, block("CCO", hydrogens=False))
    assert found.atoms.get_chemical_formula() == "C2H6O"
    assert "hydrogens that the file leaves out were added: 6" in found.notes


def test_the_charge_of_pubchem_must_agree(tmp_path):
    data = "\n> <PUBCHEM_TOTAL_CHARGE>\n{}\n\n$$$$\n"
    assert understood(tmp_path, block("CC(=O)[O-]") + data.format(-1)).charge.value == -1
    with pytest.raises(ValueError, match="PUBCHEM_TOTAL_CHARGE"):
        understood(tmp_path, block("CC(=O)[O-]") + data.format(0))


@pytest.mark.parametrize(
    ("number", "unpaired", "source"),
    [(3, 2, "CTfile Formats: 3 is a triplet"), (1, 0, "RMG-Py#372: 1 is a singlet, whose electrons are paired")],
)
@pytest.mark.parametrize("version", ["V2000", "V3000"])
def test_carbenes_are_singlets_or_triplets(tmp_path, number, unpaired, source, version):
    text = block("[CH2]", version=version)
    old, new = ("M  RAD  1   1   3", f"M  RAD  1   1   {number}"), ("RAD=3", f"RAD={number}")
    found = understood(tmp_path, text.replace(*old).replace(*new))
    assert found.unpaired.value == unpaired, source


def test_data_behind_a_molecule_say_charge_and_spin(tmp_path):
    """Fields of quantum chemistry's data sets, whose molecules have no lines of formal charges."""
    data = "\n> <charge>\n1\n\n> <Multiplicity>\n2\n\n$$$$\n"
    found = understood(tmp_path, block("O") + data)
    assert (found.charge.value, found.unpaired.value) == (1, 1)


def test_a_charge_among_the_data_says_nothing_of_a_spin(tmp_path):
    """Bonds without formal charges do not know which electrons are paired, so that no spin contradicts the charge."""
    found = understood(tmp_path, block("O") + "\n> <Total charge>\n1\n\n$$$$\n")
    assert (found.charge.value, found.unpaired.source) == (1, "")


def test_hydrogens_of_an_ion_are_not_guessed(tmp_path):
    """Hydroxide whose charge stands among the data alone has no hydrogen left out."""
    text = "\n".join(line for line in block("[OH-]").split("\n") if not line.startswith("M  CHG"))
    with pytest.raises(ValueError, match=r"formal charges \(M  CHG\).*Total charge is -1"):
        understood(tmp_path, text + "\n> <Total charge>\n-1\n\n$$$$\n")


def test_without_bonds_nothing_is_added(tmp_path):
    """CTfile Formats: the number of bonds may be 0, as in files that were made of coordinates alone."""
    atoms, _, _ = block("O").partition("  1  2  1")
    found = understood(tmp_path, atoms.replace("  3  2", "  3  0") + "M  END\n")
    assert found.atoms.get_chemical_formula() == "H2O"
    assert any("the file has no bonds" in note for note in found.notes)


def test_the_last_molecule_counts_and_is_said(tmp_path):
    found = understood(tmp_path, block("CCO") + "$$$$\n" + block("O") + "$$$$\n")
    assert found.atoms.get_chemical_formula() == "H2O"
    assert "the last of 2 molecules" in found.notes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (block("CCO").replace("V2000", "     ").replace("  9  8", "  x  8"), "line 4 must begin with the numbers"),
        (block("CCO").partition("M  END")[0][:200], "line 4 promises 9 atoms, but the file ends before"),
        (block("CO").replace(" C ", " R#", 1), r"line 5: every atom must be an element, and atom 0 is a placeholder"),
        ("", "holds no molecule"),
    ],
)
def test_what_is_no_molecule_is_refused(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        understood(tmp_path, text)


def cif(sites: str, columns: str = "_atom_site_occupancy") -> str:
    cell = "".join(f"_cell_length_{edge} 8.0\n" for edge in "abc")
    cell += "".join(f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma"))
    fixed = "_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
    return f"data_x\n{cell}_symmetry_space_group_name_H-M 'P 1'\nloop_\n{fixed}{columns}\n{sites}\n"


def test_whole_sites_are_read_and_deuterium_is_heavy(tmp_path):
    atoms = understood(tmp_path, cif("O1 O 0 0 0 1.0\nD1 D 0.12 0 0 1\nD2 D 0 0.12 0 1.00(2)"), "ice.cif").atoms
    assert atoms.get_chemical_formula() == "H2O"
    np.testing.assert_allclose(atoms.get_masses()[1:], 2.014, atol=1e-3)


@pytest.mark.parametrize(
    ("sites", "named", "source"),
    [
        ("O1 O 0 0 0 1\nH1 H 0.12 0 0 0.5\nH2 H 0 0.12 0 0.5", "H1 0.5, H2 0.5", "ice VII, dissolve#1683"),
        ("Fe0 Fe 0 0 0 0.5\nSi0 Si 0 0 0 0.5", "Fe0 0.5, Si0 0.5", "an alloy, supercell#58"),
        ("Li2 Li1+ 0 0 0 0.70(16)\nS1 S2- 0.5 0 0 1.", "Li2 0.7", "ICSD's digits in brackets, OBELiX#7"),
    ],
)
def test_half_sites_are_refused_by_name(tmp_path, sites, named, source):
    with pytest.raises(ValueError, match=f"some are in part: {named}; decide"):
        understood(tmp_path, cif(sites), "half.cif")


@pytest.mark.parametrize(
    ("sites", "sentence", "source"),
    [
        (
            "C1 C 0 0 0 . .\nO1A O 0.12 0 0 A 1\nO1B O 0 0.12 0 A 2",
            "O1A or O1B; keep one group",
            "CIF dictionary: PART",
        ),
        ("C1 C 0 0 0 . .\nO1A O 0.12 0 0 . 1\nO1B O 0 0.12 0 . 2", "group 1, 2 do", "SHELXL names no assembly"),
        ("C1 C 0 0 0 . .\nO1 O 0.12 0 0 A -1", "write one arrangement without symmetry", "about a special position"),
        ("C1 C 0 0 0 . .\nO1 O 0.12 0 0 A 1", None, "one of two alternatives was kept"),
        ("C1 C 0 0 0 . .\nO1 O 0.12 0 0 A 1\nO2 O 0 0.12 0 B 1", None, "kept in two places"),
    ],
)
def test_alternatives_of_disorder_are_refused_by_name(tmp_path, sites, sentence, source):
    """Groups whose sites stand for each other, though no occupancy says so."""
    text = cif(sites, "_atom_site_disorder_assembly\n_atom_site_disorder_group")
    if sentence is None:
        assert "C" in understood(tmp_path, text, "whole.cif").atoms.get_chemical_symbols(), source
        return
    with pytest.raises(ValueError, match=sentence):
        understood(tmp_path, text, "disorder.cif")


def test_a_formal_charge_that_is_missing_is_asked_for(tmp_path):
    """Ammonium without M  CHG: nobody said a spin, but eleven electrons cannot all be in bonds."""
    text = block("[NH4+]").replace("M  CHG  1   1   1\n", "")
    with pytest.raises(ValueError, match=r"bonds without a charged atom mean 0 .* another charge \(--charge\)"):
        understood(tmp_path, text)
    (tmp_path / "b.sdf").write_text(text)
    assert understand(tmp_path / "b.sdf", charge=1).charge.value == 1


def test_the_other_kind_of_cif_is_told_apart(tmp_path):
    with pytest.raises(ValueError, match=r"mmCIF file.*PDB form"):
        understood(tmp_path, "data_1ABC\nloop_\n_atom_site.Cartn_x\n1.0\n", "protein.cif")


def test_sites_without_a_place_and_files_without_sites_are_refused(tmp_path):
    (tmp_path / "a.cif").write_text(cif("O1 O ? ? ? 1.0"))
    with pytest.raises(ValueError, match=r"the site O1 has no place \(\? \? \?\)"):
        understand(tmp_path / "a.cif")
    (tmp_path / "a.cif").write_text("data_x\n_cell_length_a 8.0\n")
    with pytest.raises(ValueError, match="no block of it has a cell and sites"):
        understand(tmp_path / "a.cif")


def test_a_crystal_without_symmetry_is_said(tmp_path):
    text = cif("O1 O 0.1 0.1 0.1 1.0").replace("_symmetry_space_group_name_H-M 'P 1'\n", "")
    (tmp_path / "a.cif").write_text(text)
    assert any("no symmetry is given" in note for note in understand(tmp_path / "a.cif").notes)


@pytest.mark.parametrize("name", ["TotalCharge", "Total Charge", "total-charge", "NetCharge"])
def test_data_of_an_ion_must_agree_with_its_atoms_whatever_their_spelling(tmp_path, name):
    ion = block("CC(=O)[O-]")
    assert understood(tmp_path, f"{ion}> <{name}>\n-1\n\n$$$$\n").charge.value == -1
    with pytest.raises(ValueError, match="the total charge must be said once"):
        understood(tmp_path, f"{ion}> <{name}>\n0\n\n$$$$\n")


def test_data_that_sound_like_electrons_are_said_to_be_left_out(tmp_path):
    found = understood(tmp_path, block("C") + "> <nelectrons>\n10\n\n> <MMFF94_PARTIAL_CHARGES>\n5\n\n$$$$\n")
    (note,) = found.notes
    assert "'nelectrons' = 10 is left out" in note


CIF = (
    "data_benzene\n_chemical_formula_sum '{}'\n_cell_length_a 9\n_cell_length_b 9\n_cell_length_c 9\n"
    "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n_symmetry_space_group_name_H-M 'P 1'\n"
    "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n{}"
)


def ring(symbol: str, radius: float) -> str:
    angles = np.arange(6) * np.pi / 3
    return "".join(
        f"{symbol}{k} {symbol} {0.5 + radius / 9 * np.cos(a):.5f} {0.5 + radius / 9 * np.sin(a):.5f} 0.5\n"
        for k, a in enumerate(angles)
    )


@pytest.mark.parametrize(
    ("formula", "sites", "missing"),
    [
        ("C6 H6", ring("C", 1.39), "H"),
        ("C6 H6 O1", ring("C", 1.39) + ring("H", 2.48), "O"),
        ("C6 H6", ring("C", 1.39) + ring("H", 2.48), ""),
        ("C3 D3", ring("C", 1.39) + ring("D", 2.48), ""),
        ("?", ring("C", 1.39) + ring("H", 2.48), ""),
    ],
)
def test_atoms_that_the_formula_of_a_crystal_has_and_its_sites_lack_are_said(tmp_path, formula, sites, missing):
    """Crystal structures of X-rays often lack hydrogens, and solvents that were squeezed out."""
    notes = understood(tmp_path, CIF.format(formula, sites), "benzene.cif").notes
    assert any(f"{missing} is missing; what is computed is another" in note for note in notes) == bool(missing)
