"""Molecules that force fields do not know have the shapes that they have in the gas phase; several stand apart."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from so3lab.structures import from_smiles
from so3lab.structures.smiles import geometry_fault

SHAPES = [
    ("FS(F)(F)(F)(F)F", [1.56] * 6, [90.0, 180.0]),
    ("F[P-](F)(F)(F)(F)F", [1.60] * 6, [90.0, 180.0]),
    ("F[Sb-](F)(F)(F)(F)F", [1.87] * 6, [90.0, 180.0]),
    ("FP(F)(F)(F)F", [1.53] * 3 + [1.58] * 2, [90.0, 120.0, 180.0]),
    ("ClP(Cl)(Cl)(Cl)Cl", [2.02] * 3 + [2.12] * 2, [90.0, 120.0, 180.0]),
    ("F[As](F)(F)(F)F", [1.66] * 3 + [1.71] * 2, [90.0, 120.0, 180.0]),
    ("FS(F)(F)F", [1.55] * 2 + [1.65] * 2, [90.0, 120.0, 180.0]),
    ("F[Xe]F", [1.98] * 2, [180.0]),
    ("F[Xe](F)(F)F", [1.94] * 4, [90.0, 180.0]),
]
"""Bond lengths in Å from the CRC Handbook's gas-phase structures, and the angles of VSEPR."""


@pytest.mark.parametrize(("smiles", "lengths", "angles"), SHAPES)
def test_hypervalent_centres_have_their_shape(smiles, lengths, angles):
    atoms = from_smiles(smiles)
    ligands = [0, *range(2, len(atoms))]
    np.testing.assert_allclose(np.sort(atoms.get_distances(1, ligands)), lengths, atol=0.1)
    found = [atoms.get_angle(i, 1, j) for i in ligands for j in ligands if i < j]
    for angle in found:
        assert min(abs(angle - ideal) for ideal in angles) < 6
    assert {min(angles, key=lambda ideal: abs(angle - ideal)) for angle in found} == set(angles)


@pytest.mark.parametrize(
    "smiles", ["FC(F)(F)S(F)(F)(F)(F)F", "CP(C)(C)(C)C", "O=S(F)(F)(F)F", "c1ccccc1S(F)(F)(F)(F)F"]
)
def test_hypervalent_groups_of_larger_molecules_stand_apart(smiles):
    apart = from_smiles(smiles).get_all_distances() + 9 * np.eye(len(from_smiles(smiles)))
    assert apart.min() > 0.9
    assert np.sort(apart[np.triu_indices(len(apart), 1)])[len(apart)] > 1.3


FRAGMENTS = ["c1ccccc1.Cl", "CC.Cl.Cl", "c1ccncc1.F", "C=C.Br", "CC(=O)[O-].[Na+]", "O.O.O", "[H][H].[He]", "C.C.C.C.C"]


@pytest.mark.parametrize("smiles", FRAGMENTS)
def test_several_molecules_touch_and_do_not_overlap(smiles):
    atoms = from_smiles(smiles)
    sizes = [from_smiles(part) for part in smiles.split(".")]
    owner = owners(smiles, atoms)
    for one in set(owner):
        between = cdist(atoms.positions[owner == one], atoms.positions[owner != one])
        assert 2.0 < between.min() < 4.0
    assert len(atoms) == sum(map(len, sizes))


def owners(smiles: str, atoms) -> np.ndarray:
    """Which molecule each atom belongs to, by RDKit's own account."""
    from rdkit import Chem

    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    result = np.zeros(len(atoms), int)
    for number, members in enumerate(Chem.GetMolFrags(molecule)):
        result[list(members)] = number
    return result


def test_every_seed_is_another_embedding():
    lengths = [np.sort(from_smiles("CCO", seed=seed).get_all_distances().ravel()) for seed in range(2)]
    assert np.abs(from_smiles("CCO", seed=0).positions - from_smiles("CCO", seed=1).positions).max() > 0.1
    np.testing.assert_allclose(*lengths, atol=0.5)


def test_what_overlaps_is_named():
    from rdkit import Chem
    from rdkit.Geometry import Point3D

    molecule = Chem.AddHs(Chem.MolFromSmiles("C"))
    molecule.AddConformer(Chem.Conformer(5))
    for atom, place in enumerate(from_smiles("C").positions):
        molecule.GetConformer().SetAtomPosition(atom, Point3D(*place))
    assert geometry_fault(molecule) == ""
    first, second = from_smiles("C").positions[1:3]
    molecule.GetConformer().SetAtomPosition(2, Point3D(*(first + 0.2 * (second - first))))
    assert geometry_fault(molecule) == "H1 and H2 are not bonded and only 0.36 Å apart"


def test_a_molecule_without_a_geometry_is_refused(monkeypatch):
    from so3lab.structures import smiles

    monkeypatch.setattr(smiles, "geometry_fault", lambda molecule: "C0 and H1 are bonded and 0.10 Å apart")
    with pytest.raises(ValueError, match=r"'C' has no geometry that so3lab can make.*C0 and H1.*read a file"):
        from_smiles("C")
