"""Frames of any origin: the same positions, cells and numbers as were written, read one by one."""

import io

import ase.io
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab import datasets
from so3lab.frames import OpenedFrames, open_frames, read_columns
from so3lab.trajectory import Trajectory, TrajectoryWriter, export

FRAMES = 12


def frames_of(count: int = FRAMES, cell: bool = False) -> list[Atoms]:
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        atoms = molecule("CH3CH2OH")
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape) + 5.0
        if cell:
            atoms.set_cell([10.0 + 0.1 * number, 11.0, 12.0, 90.0, 80.0, 90.0])
            atoms.pbc = True
        atoms.info.update(step=10 * number, time_fs=5.0 * number, note="a word", temperature_K=300.0 + number)
        atoms.arrays["charges"] = rng.normal(size=9)
        atoms.calc = SinglePointCalculator(atoms, energy=-100.0 - number, forces=rng.normal(size=(9, 3)))
        made.append(atoms)
    return made


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A trajectory of so3lab."""
    path, written = tmp_path_factory.mktemp("own") / "run.h5", frames_of()
    with TrajectoryWriter(path, written[0], state_template={}, meta={}, precision="float64") as writer:
        writer.append({
            "step": 10 * np.arange(FRAMES), "time_fs": 5.0 * np.arange(FRAMES),
            "positions": np.stack([atoms.positions for atoms in written]),
            "velocities": np.zeros((FRAMES, 9, 3)),
            "forces": np.stack([atoms.get_forces() for atoms in written]),
            "temperature": 300.0 + np.arange(FRAMES), "kinetic_energy": np.ones(FRAMES),
            "potential_energy": -100.0 - np.arange(FRAMES),
        })  # fmt: skip
    return path


@pytest.mark.parametrize("ending", [".extxyz", ".xyz", ".traj", ".pdb", ".dcd"])
def test_what_was_exported_is_opened_again(own, tmp_path, ending):
    if ending == ".dcd":
        pytest.importorskip("MDAnalysis")
    path = tmp_path / f"run{ending}"
    export(own, path)
    opened = open_frames(path, topology=frames_of()[0] if ending == ".dcd" else None)
    original = Trajectory(own)
    assert isinstance(opened, OpenedFrames)
    assert len(opened) == FRAMES
    assert opened.atomic_numbers.tolist() == original.atomic_numbers.tolist()
    np.testing.assert_allclose(opened.positions(), original.positions(), atol=6e-4)
    np.testing.assert_allclose(opened.positions(7), opened[7].positions)
    if ending in (".extxyz", ".xyz", ".traj"):
        table = opened.table()
        np.testing.assert_allclose(table["potential_energy"], -100.0 - np.arange(FRAMES))
        np.testing.assert_allclose(table["temperature"], 300.0 + np.arange(FRAMES))
        np.testing.assert_allclose(opened.forces(3), original.forces(3), atol=1e-6)
    if ending != ".pdb":
        assert opened.has_times
        np.testing.assert_allclose(opened.times_fs, original.times_fs, atol=1e-6)
    else:
        assert not opened.has_times
        assert opened.forces(0) is None


def test_an_own_trajectory_is_opened_as_what_it_is(own):
    assert isinstance(open_frames(own), Trajectory)


@pytest.mark.parametrize("ending", [".extxyz", ".traj", ".pdb"])
def test_cells_come_along(tmp_path, ending):
    frames = frames_of(4, cell=True)
    ase.io.write(tmp_path / f"cell{ending}", frames)
    opened = open_frames(tmp_path / f"cell{ending}")
    assert opened.pbc == (True, True, True)
    expected = [atoms.cell.cellpar() for atoms in frames]
    np.testing.assert_allclose([atoms.cell.cellpar() for atoms in opened], expected, atol=2e-2)


def test_frames_of_a_text_file_are_read_when_they_are_looked_at(tmp_path):
    path = tmp_path / "long.xyz"
    ase.io.write(path, frames_of(50))
    text = path.read_text().splitlines()
    text[11 * 30 + 2] = "C not a number at all"
    path.write_text("\n".join(text))
    opened = open_frames(path)
    np.testing.assert_allclose(opened.positions(29), frames_of(50)[29].positions, atol=1e-7)
    with pytest.raises(ValueError, match=r"frame 30 of .*long\.xyz cannot be read"):
        opened[30]


def test_an_xyz_file_that_must_be_mended_is_mended(tmp_path):
    (tmp_path / "odd.xyz").write_text("2\n\nD 0 0 0\nH 0 0 0.74D0\n2\n\nD 0 0 0\nH 0 0 0.8D0\n")
    opened = open_frames(tmp_path / "odd.xyz")
    assert len(opened) == 2
    assert opened[1].positions[1, 2] == pytest.approx(0.8)


def test_a_dump_of_lammps_needs_elements(tmp_path):
    head = "ITEM: TIMESTEP\n{}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 9\n0 9\n0 9\n"
    rows = "ITEM: ATOMS id {} x y z\n1 {} 1 1 {}\n2 {} 2 2 2\n"
    dump = "".join(head.format(step) + rows.format("element", "C", step / 100, "O") for step in (0, 50, 100))
    (tmp_path / "good.lammpstrj").write_text(dump)
    opened = open_frames(tmp_path / "good.lammpstrj")
    assert opened[2].get_chemical_symbols() == ["C", "O"]
    assert opened[2].positions[0, 2] == pytest.approx(1.0)
    assert opened.table()["step"].tolist() == [0, 50, 100]
    (tmp_path / "types.lammpstrj").write_text(head.format(0) + rows.format("type", "1", 0, "2"))
    with pytest.raises(ValueError, match="types and no elements"):
        open_frames(tmp_path / "types.lammpstrj")


@pytest.mark.parametrize("kind", [".xtc", ".trr", ".nc"])
def test_files_of_other_programs_are_opened_with_a_topology(tmp_path, kind):
    mda = pytest.importorskip("MDAnalysis")
    frames, path = frames_of(5), tmp_path / f"run{kind}"
    universe = mda.Universe.empty(9, trajectory=True)
    universe.dimensions = [20, 20, 20, 90, 90, 90]
    try:
        with mda.Writer(str(path), 9, dt=0.5) as writer:
            for number, atoms in enumerate(frames):
                universe.atoms.positions = atoms.positions
                universe.trajectory.ts.time, universe.trajectory.ts.frame = 0.5 * number, number
                writer.write(universe.atoms)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"MDAnalysis cannot write {kind} here: {error}")
    ase.io.write(tmp_path / "first.pdb", frames[0])
    opened = open_frames(path, topology=tmp_path / "first.pdb")
    np.testing.assert_allclose(opened.positions(), [atoms.positions for atoms in frames], atol=1e-2)
    assert opened[0].get_chemical_formula() == "C2H6O"
    assert opened.code == f"so3lab.frames.open_frames({str(path)!r}, topology={str(tmp_path / 'first.pdb')!r})"
    with pytest.raises(ValueError, match="holds positions and no elements; give topology="):
        open_frames(path)
    with pytest.raises(ValueError, match="MDAnalysis cannot read"):
        open_frames(path, topology=molecule("CH4")).positions()


def test_lists_and_data_sets_are_opened_with_their_numbers():
    opened = open_frames(frames_of())
    assert opened.path is None
    table = opened.table()
    assert set(table) == {"step", "time_fs", "potential_energy", "temperature"}
    np.testing.assert_allclose(opened.per_atom["charge"](3), frames_of()[3].arrays["charges"])
    part = opened[4:8]
    assert part.table()["step"].tolist() == [40, 50, 60, 70]
    assert len(part) == 4
    np.testing.assert_allclose(part.positions(0), frames_of()[4].positions)
    data = datasets.load("ethanol").select(range(6))
    opened = open_frames(data)
    np.testing.assert_allclose(opened.table()["potential_energy"], data.energies)
    np.testing.assert_allclose(opened.forces(2), data.forces[2])
    assert len(open_frames("ethanol")) == 1


def test_a_slice_outlives_what_it_was_cut_from(own, tmp_path):
    export(own, tmp_path / "run.traj")
    opened = open_frames(tmp_path / "run.traj")
    part = opened[2:]
    opened.close()
    np.testing.assert_allclose(part.positions(0), Trajectory(own).positions(2), atol=1e-6)
    with pytest.raises(ValueError, match="is closed; open it again"):
        opened.positions(0)


def test_what_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*gone\.xtc"):
        open_frames(tmp_path / "gone.xtc")
    with pytest.raises(TypeError, match="frames must be a file"):
        open_frames(7)
    with pytest.raises(ValueError, match="holds no frames"):
        open_frames([])
    with pytest.raises(TypeError, match="frames must be Atoms, frame 0 is of type int"):
        open_frames([1, 2])
    with pytest.raises(ValueError, match=r"same atoms in the same order, frame 0 is C2H6O and frame 1 is CH4"):
        open_frames([molecule("CH3CH2OH"), molecule("CH4")])[1]


def test_numbers_of_a_csv_file_go_with_frames():
    table = read_columns(pd.read_csv(io.StringIO("frame,name,gap_eV\n0,a,1.5\n1,b,2.5\n")), 2)
    assert list(table) == ["gap_eV"]
    assert table["gap_eV"].tolist() == [1.5, 2.5]
    with pytest.raises(ValueError, match="must have one row for each of the 3 frames, got 2"):
        read_columns(pd.DataFrame({"gap_eV": [1.0, 2.0]}), 3)
    with pytest.raises(ValueError, match="must have columns of numbers, got name"):
        read_columns(pd.DataFrame({"name": ["a", "b"]}), 2)
