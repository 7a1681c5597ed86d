"""A trajectory goes on with the atoms it began with, and with no others; its name and place are looked at first."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from so3lab.machine.files import check_folder, check_writable
from so3lab.trajectory import TrajectoryWriter, check_same_atoms
from so3lab.trajectory.names import check_new_trajectory


@pytest.fixture
def began(tmp_path):
    """A trajectory of one frame of ethanol."""
    atoms = molecule("CH3CH2OH")
    path = tmp_path / "run.h5"
    with TrajectoryWriter(path, atoms, observables=(), state_template={"step": np.int64(0)}, meta={}) as writer:
        zeros = np.zeros((1, 9, 3))
        frame = {"positions": atoms.positions[None], "velocities": zeros, "forces": zeros}
        writer.append({**frame, "step": np.array([0]), "time_fs": np.array([0.0])})
    return path


def test_the_same_structure_and_other_geometries_of_it_go_on(began):
    atoms = molecule("CH3CH2OH")
    check_same_atoms(began, atoms)
    atoms.rattle(0.1, seed=1)
    check_same_atoms(began, atoms)
    atoms.positions += 5.0
    atoms.rotate(70, "x")
    check_same_atoms(began, atoms)


def exchanged(first: int, second: int) -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.positions[[first, second]] = atoms.positions[[second, first]]
    return atoms


def turned(atoms: Atoms) -> Atoms:
    atoms.rotate(50, "z")
    return atoms


def with_mass(atom: int, mass: float) -> Atoms:
    atoms = molecule("CH3CH2OH")
    masses = atoms.get_masses()
    masses[atom] = mass
    atoms.set_masses(masses)
    return atoms


ethanol = molecule("CH3CH2OH")
OTHERS = [
    (exchanged(3, 4), "atoms 3 and 4 differ: H3 and H4 are in another order"),
    (turned(exchanged(3, 4)), r"atoms \d and \d differ: .* are bonded"),
    (ethanol[[1, 0, 2, 3, 4, 5, 6, 7, 8]], "atoms 0 and 1 differ"),
    (ethanol[[2, 1, 0, 3, 4, 5, 6, 7, 8]], "another order, in which atom 0 is C instead of O"),
    (ethanol[:8], "it is a trajectory of C2H6O, not C2H5O"),
    (with_mass(3, 2.014), r"H3 has a mass of 1\.008 amu there, instead of 2\.014"),
    (Atoms(ethanol, cell=[20] * 3, pbc=True), "C2H6O, not C2H6O in a cell"),
]


@pytest.mark.parametrize(("atoms", "sentence"), OTHERS)
def test_other_atoms_are_refused_by_name(began, atoms, sentence):
    with pytest.raises(ValueError, match=f"cannot be resumed with this structure: .*{sentence}"):
        check_same_atoms(began, atoms)


@pytest.mark.parametrize("name", ["run.xyz", "run.extxyz", "my run.pdb", "run.dcd", "run.traj", "RUN.XYZ"])
def test_a_name_of_another_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.h5, \.h5md, \.hdf5.*so3lab export ") as refused:
        check_new_trajectory(tmp_path / name)
    assert ("'" in str(refused.value).partition("export ")[2]) == (" " in name)  # can be pasted into a shell


@pytest.mark.parametrize("name", ["run.h5", "run.h5md", "run.hdf5", "run", "run.300K", "run.2"])
def test_other_names_are_fine(tmp_path, name):
    check_new_trajectory(tmp_path / name)


def test_where_nothing_can_be_written_is_said_at_once(tmp_path, began):
    with pytest.raises(FileNotFoundError, match=r"make it with: mkdir -p '.*/no such folder'"):
        check_writable(tmp_path / "no such folder" / "run.h5")
    with pytest.raises(NotADirectoryError, match=r"run\.h5 is a file, so"):
        check_writable(began / "run.h5")
    with pytest.raises(IsADirectoryError, match="is a folder; name a file"):
        check_writable(tmp_path)
    with pytest.raises(NotADirectoryError, match=r"must be a folder, but .* is a file"):
        check_folder(began / "tables")
    with pytest.raises(FileExistsError, match="is not overwritten"):
        check_new_trajectory(began)
    check_folder(tmp_path / "new" / "and deeper")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["x2.h5", "errors.csv", "deep/run.xyz", "report.HTML"])
def test_a_new_folder_has_no_name_of_a_file(tmp_path, name):
    """``so3lab md --replicas 2 --out x2.h5`` made a folder of that name."""
    with pytest.raises(ValueError, match=r"must be a folder, and has the name of a file; choose another"):
        check_folder(tmp_path / name)
    (tmp_path / name).mkdir(parents=True)
    check_folder(tmp_path / name)  # whoever has one keeps it


def test_what_may_not_be_written_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="may not be written"):
        check_writable(tmp_path / "run.h5")
    with pytest.raises(PermissionError, match="may not be written"):
        check_folder(tmp_path / "tables")
