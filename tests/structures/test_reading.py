"""Structures from SMILES are the molecules that were meant, at lengths that molecules have; files by name or path."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.data import covalent_radii
from ase.io import write
from rdkit import Chem

from so3lab.machine.paths import bundled
from so3lab.structures import from_smiles, read_structure
from so3lab.structures.reading import understand

FORMULAS = {
    "CCO": ("C2H6O", 0),
    "CC(=O)[O-]": ("C2H3O2", -1),
    "[NH4+]": ("H4N", 1),
    "[O-]S(=O)(=O)[O-]": ("O4S", -2),
    "NCC(=O)O": ("C2H5NO2", 0),
    "[NH3+]CC(=O)[O-]": ("C2H5NO2", 0),
    "c1ccccc1Cl": ("C6H5Cl", 0),
    "CC(=O)N[C@@H](C)C(=O)NC": ("C6H12N2O2", 0),
    "[Ar]": ("Ar", 0),
    "[H][H]": ("H2", 0),
}


@pytest.mark.parametrize("smiles", FORMULAS)
def test_formula_and_charge_are_those_of_the_smiles(smiles):
    atoms, (formula, charge) = from_smiles(smiles), FORMULAS[smiles]
    assert atoms.get_chemical_formula() == formula
    assert atoms.info["charge"] == charge
    assert atoms.info["spin"] == 0
    assert not atoms.pbc.any()
    assert atoms.cell.volume == 0
    np.testing.assert_allclose(atoms.positions.mean(axis=0), 0.0, atol=1e-12)


@pytest.mark.parametrize("smiles", FORMULAS)
def test_no_two_atoms_are_nearer_than_a_bond(smiles):
    atoms = from_smiles(smiles)
    radii = covalent_radii[atoms.numbers]
    apart = atoms.get_all_distances() + 10 * np.eye(len(atoms))
    assert (apart > 0.75 * (radii[:, None] + radii)).all()


@pytest.mark.parametrize(
    ("smiles", "measured"),
    [
        ("CCO", 1.51),
        ("C=C", 1.34),
        ("C#C", 1.20),
        ("O=C=O", 1.16),
        ("N#N", 1.10),
        ("S=C=S", 1.55),
        ("O=S=O", 1.43),
        ("[C-]#N", 1.18),
        ("C#N", 1.15),
        ("ClCl", 1.99),
    ],
)
def test_the_first_bond_has_about_its_measured_length(smiles, measured):
    """Gas-phase bond lengths in Å from the CRC Handbook; multiple bonds that MMFF does not know are among them."""
    assert from_smiles(smiles).get_distance(0, 1) == pytest.approx(measured, abs=0.1)


def test_the_seed_decides_the_conformer():
    first, same, *others = (from_smiles("CCCCCCO", seed=seed) for seed in (0, 0, 1, 2))
    np.testing.assert_array_equal(first.positions, same.positions)
    for other in others:
        assert np.abs(np.sort(first.get_all_distances()) - np.sort(other.get_all_distances())).max() > 0.1


def handedness(atoms: Atoms) -> float:
    """Sign of the volume that N, CA's methyl and carbonyl carbons span in alanine, N[C](C)C(=O)O."""
    nitrogen, alpha, methyl, carbonyl = atoms.positions[:4]
    return float(np.sign(np.linalg.det([nitrogen - alpha, methyl - alpha, carbonyl - alpha])))


def test_stereocentres_are_kept():
    for seed in range(3):
        left, right = (from_smiles(f"N[{name}H](C)C(=O)O", seed=seed) for name in ("C@@", "C@"))
        assert handedness(left) == -handedness(right) == handedness(from_smiles("N[C@@H](C)C(=O)O", seed=9))


@pytest.mark.parametrize(("smiles", "angle"), [("F/C=C/F", 180), ("F/C=C\\F", 0)])
def test_double_bonds_keep_their_side(smiles, angle):
    dihedral = from_smiles(smiles).get_dihedral(0, 1, 2, 3)
    assert np.cos(np.radians(dihedral - angle)) > 0.99


@pytest.mark.parametrize("smiles", ["O.O.O.O", "CC(=O)[O-].[NH4+]", "C1CCCCC1.c1ccccc1"])
def test_several_molecules_stand_side_by_side(smiles):
    together = from_smiles(smiles)
    parts = [from_smiles(part) for part in smiles.split(".")]
    assert len(together) == sum(map(len, parts))
    assert together.info["charge"] == sum(part.info["charge"] for part in parts)
    apart = together.get_all_distances() + 10 * np.eye(len(together))
    assert apart.min() > 0.9
    assert apart.min(axis=1).max() < 1.6
    assert together.get_all_distances().max() < 15


def test_radicals_and_isotopes_are_told_apart():
    assert from_smiles("[CH3]").info["spin"] == 1
    assert from_smiles("[O][O]").info["spin"] == 2
    np.testing.assert_allclose(from_smiles("[2H]O[2H]").get_masses(), [2.014, 15.999, 2.014], atol=1e-3)


@pytest.mark.parametrize(
    ("smiles", "sentence"),
    [
        ("C1CC", "grammar.*got 'C1CC'"),
        ("ethanol", "grammar"),
        ("", "at least one atom"),
        ("C(C)(C)(C)(C)C", "valence for atom # 0 C, 5"),
        ("c1cccc1", "kekulize"),
        ("CC*", "element of every atom"),
        ("C[C@H]1[C@@H]2C[C@H]1[C@]2(F)Cl.C1%10CC%11CC1CC%10%11", "embedded in three dimensions"),
    ],
)
def test_smiles_that_are_no_molecule_are_refused(smiles, sentence, capfd):
    with pytest.raises(ValueError, match=f"(?i){sentence}"):
        from_smiles(smiles)
    assert capfd.readouterr().err == ""


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r"seed must not be negative.*got -1"):
        from_smiles("CCO", seed=-1)


def test_structures_are_read_from_smiles_files_and_bundled_names(tmp_path):
    assert read_structure("smiles:CCO") == from_smiles("CCO")
    assert read_structure("ethanol") == read_structure(str(bundled("data") / "ethanol.xyz"))
    write(tmp_path / "frames.xyz", [molecule("H2O"), molecule("NH3")])
    assert read_structure(str(tmp_path / "frames.xyz")).get_chemical_formula() == "H3N"


def test_what_is_no_structure_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ala2, ala3, ethanol.*smiles:CCO, got 'benzine'"):
        read_structure("benzine")
    with pytest.raises(ValueError, match="grammar"):
        read_structure("smiles:CC(")
    (tmp_path / "broken.xyz").write_text("3\n\nO 0 0 0\n")
    with pytest.raises(ValueError, match=r"broken.xyz, line 1: the frame must have 3 atoms, but only 1"):
        read_structure(str(tmp_path / "broken.xyz"))


@pytest.mark.parametrize("name", ["three.pdb", "three.sdf", "three.xyz"])
def test_one_of_several_structures_is_taken_by_its_number(tmp_path, name):
    frames = [molecule(formula) for formula in ("H2O", "NH3", "CH4")]
    path = tmp_path / name
    if path.suffix == ".sdf":
        hydrides = (Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in ("O", "N", "C"))
        path.write_text("".join(f"{Chem.MolToMolBlock(one)}$$$$\n" for one in hydrides))
    elif path.suffix == ".pdb":
        text = ""
        for number, atoms in enumerate(frames, start=1):
            write(tmp_path / "one.pdb", atoms)
            rows = [line for line in (tmp_path / "one.pdb").read_text().splitlines() if line.startswith("ATOM")]
            text += "\n".join([f"MODEL {number:8d}", *rows, "ENDMDL", ""])
        path.write_text(text)
    else:
        write(path, frames)
    sizes = [len(understand(f"{path}{which}").atoms) for which in (":0", ":1", ":2", ":-1", ":-3", "")]
    assert sizes == [3, 4, 5, 5, 3, 5]
    assert understand(f"{path}:1").notes[0].startswith("number 1 of 3")
    with pytest.raises(ValueError, match=rf"holds 3 \w+, counted from 0, so there is no {name}:3"):
        understand(f"{path}:3")


@pytest.mark.parametrize("masses", [[16.0, 0.0], [16.0, -1.0], [16.0, np.inf]])
def test_masses_that_are_none_are_refused(masses):
    with pytest.raises(ValueError, match=r"HO: masses must be positive numbers in amu, got .* for atom 1"):
        understand(Atoms("OH", [[0, 0, 0], [0, 0, 0.97]], masses=masses))


def test_a_cell_that_is_no_number_is_refused_by_its_vectors():
    with pytest.raises(ValueError, match="the vectors of the cell must be finite numbers, got"):
        understand(Atoms("OH", [[0, 0, 0], [0, 0, 0.97]], cell=[np.nan] * 3, pbc=True))


def test_a_file_of_smiles_says_how_to_give_one(tmp_path):
    (tmp_path / "a.smi").write_text("CCO ethanol\n")
    with pytest.raises(ValueError, match="holds SMILES; give one of them as smiles: and the SMILES"):
        understand(tmp_path / "a.smi")
