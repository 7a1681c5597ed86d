"""Inputs that so3lab once misread, one folder each, come out right or are refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from so3lab import datasets
from so3lab.dynamics.fastest_vibration import check_timestep
from so3lab.structures import from_smiles, read_structure, total_charge, understand, unpaired_electrons
from so3lab.structures.plausibility import check_no_overlap
from so3lab.trajectory import TrajectoryWriter, check_same_atoms


@pytest.fixture(scope="module")
def cases(shared):
    """Folder of the cases."""
    folder = shared / "cases"
    if not folder.is_dir():
        pytest.skip("needs the shared cases, which stand beside the repository in development only")
    return folder


def test_total_charge_is_read_as_a_charge(cases):
    found = understand(cases / "total-charge-key" / "sulfate.xyz")
    assert found.charge == (-2, "total_charge")
    assert found.unpaired == (0, "total_spin")  # 1 is a multiplicity, since 50 electrons are an even number


def test_formal_charges_of_an_sdf_file_add_up(cases):
    atoms = read_structure(cases / "sdf-formal-charges" / "succinate.sdf")
    assert (total_charge(atoms), unpaired_electrons(atoms), atoms.get_chemical_formula()) == (-2, 0, "C4H4O4")


@pytest.mark.parametrize("name", ["d2o.xyz", "d2o.pdb"])
def test_deuterium_is_hydrogen_of_mass_two(cases, name):
    atoms = read_structure(cases / "deuterium" / name)
    assert atoms.get_chemical_formula() == "H2O"
    np.testing.assert_allclose(atoms.get_masses(), [15.999, 2.014, 2.014], atol=1e-3)


def test_one_of_two_alternate_locations_is_kept_and_said(cases):
    found = understand(cases / "pdb-altloc" / "altloc.pdb")
    assert found.atoms.get_chemical_formula() == "C2H6O"
    assert "C1 of LIG 1 at B, H4 of LIG 1 at B, H5 of LIG 1 at B" in found.notes[0]
    with pytest.warns(UserWarning, match="alternate locations"):
        read_structure(cases / "pdb-altloc" / "altloc.pdb")


def test_alternate_locations_that_were_kept_are_no_structure(cases):
    both = read(cases / "pdb-altloc" / "altloc.pdb")
    with pytest.raises(ValueError, match=r"are 0\.\d\d Å apart.*alternate locations"):
        understand(both)


@pytest.mark.parametrize("name", ["models.pdb", "models_without_end.pdb"])
def test_the_last_model_stands_in_the_cell_of_the_first_line(cases, name):
    found = understand(cases / "pdb-models-end" / name)
    assert len(found.atoms) == 192
    assert found.atoms.pbc.all()
    np.testing.assert_allclose(found.atoms.cell.lengths(), 12.4)
    assert "the last of 3 models" in found.notes


def test_a_unit_cube_in_a_pdb_file_is_no_cell(cases):
    found = understand(cases / "cryst1-placeholder" / "ethanol.pdb")
    assert not found.atoms.pbc.any()
    assert "placeholder" in found.notes[0]


def test_a_molecule_on_top_of_its_own_images_is_refused(cases):
    atoms = read(cases / "cryst1-placeholder" / "ethanol.pdb")
    assert atoms.pbc.all()
    with pytest.raises(ValueError, match="--no-cell"):
        check_no_overlap(atoms)


def test_a_molecule_in_a_large_empty_box_is_a_molecule(cases):
    found = understand(cases / "big-empty-box" / "one.extxyz")
    assert not found.atoms.pbc.any()
    assert "a molecule without a cell" in found.notes[0]
    data = datasets.load(cases / "big-empty-box" / "two.extxyz")
    assert data.cells is None
    assert "2 frames" in data.meta["cells"]


@pytest.mark.parametrize("smiles", ["c1ccccc1.Cl", "CC.Cl.Cl", "c1ccncc1.F", "C=C.Br"])
def test_molecules_of_one_smiles_do_not_overlap(smiles):
    """The case smiles-fragments-overlap."""
    distances = from_smiles(smiles).get_all_distances() + 9 * np.eye(len(from_smiles(smiles)))
    assert distances.min() > 0.9


def test_another_order_of_atoms_does_not_go_on_with_a_run(cases, tmp_path):
    began, other = (
        read_structure(cases / "resume-with-other-structure" / f"ethanol{end}.xyz") for end in ("", "_permuted")
    )
    path = tmp_path / "run.h5"
    with TrajectoryWriter(path, began, observables=(), state_template={"step": np.int64(0)}, meta={}) as writer:
        frame = {"positions": began.positions[None], "velocities": np.zeros((1, 9, 3)), "forces": np.zeros((1, 9, 3))}
        writer.append({**frame, "step": np.array([0]), "time_fs": np.array([0.0])})
    check_same_atoms(path, began)
    with pytest.raises(ValueError, match="atoms 3 and 4 differ"):
        check_same_atoms(path, other)


def test_five_femtoseconds_are_refused_with_the_step_that_would_do():
    """The case time-step-too-long."""
    with pytest.raises(
        ValueError, match=r"timestep_fs of 5 is too long.*C\d+-H\d+ vibrates.*1 fs or less \(2 fs at most"
    ):
        check_timestep(read_structure("smiles:c1ccccc1"), 5.0)


def test_hypervalent_molecules_have_room():
    """The case smiles-sf6."""
    sf6 = from_smiles("FS(F)(F)(F)(F)F").get_all_distances()[np.ix_([0, 2, 3, 4, 5, 6], [0, 2, 3, 4, 5, 6])]
    assert sf6[np.triu_indices(6, 1)].min() == pytest.approx(2.21, abs=0.1)
    pcl5 = from_smiles("ClP(Cl)(Cl)(Cl)Cl").get_all_distances()[np.ix_([0, 2, 3, 4, 5], [0, 2, 3, 4, 5])]
    assert pcl5[np.triu_indices(5, 1)].min() > 2.8


def test_every_case_has_a_test(cases):
    tests = Path(__file__).parent.parent
    here = "".join(
        (tests / name).read_text() for name in ("structures/test_cases.py", "datasets/test_cases_of_labels.py")
    )
    assert [folder.name for folder in cases.iterdir() if folder.name not in here] == []
