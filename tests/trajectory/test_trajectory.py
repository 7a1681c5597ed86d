"""Frames on disk: what is read back is what was written, by us and by other programs."""

import os
import sys
import time

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from known_frames import ETHANOL, assert_frames_are_right, assert_same, frames_of, new_writer, state_of, write

from so3lab import units
from so3lab.app import main
from so3lab.trajectory import Trajectory, TrajectoryWriter, export, salvage

# --- writing and reading -----------------------------------------------------------------------


def test_what_is_read_is_what_was_written(tmp_path):
    path = write(tmp_path / "run.h5", 130)
    with Trajectory(path) as trajectory:
        assert_frames_are_right(trajectory, 130)
        assert trajectory.meta == {"seed": 7}
        atoms, expected = trajectory[77], frames_of(77, 1)
        assert atoms.get_chemical_symbols() == ETHANOL.get_chemical_symbols()
        np.testing.assert_allclose(atoms.get_velocities(), expected["velocities"][0], rtol=1e-6)
        np.testing.assert_allclose(atoms.get_forces(), expected["forces"][0], rtol=1e-6)
        assert atoms.get_potential_energy() == expected["potential_energy"][0]
        assert atoms.info == {"step": 1540, "time_fs": 770.0, "temperature_K": 377.0}
        total = trajectory.table()["total_energy"]
        np.testing.assert_array_equal(total, frames_of(0, 130)["potential_energy"] + 0.3)
        assert_same(trajectory.restart_state(), state_of(130))


def test_trajectory_is_a_sequence(tmp_path):
    with Trajectory(write(tmp_path / "run.h5", 150)) as trajectory:
        assert trajectory[-1].info["step"] == 149 * 20
        with pytest.raises(IndexError):
            trajectory[150]
        part = trajectory[140:100:-10]
        assert [atoms.info["step"] // 20 for atoms in part] == [140, 130, 120, 110]
        np.testing.assert_array_equal(part.steps // 20, [140, 130, 120, 110])
        np.testing.assert_array_equal(part.positions(slice(1, 3)), trajectory.positions()[[130, 120]])
        np.testing.assert_array_equal(part.positions(-1), trajectory.positions(110))
        assert len(trajectory[200:]) == 0
        assert list(trajectory[200:]) == []
        assert trajectory[200:].positions().shape == (0, 9, 3)
        assert [atoms.info["step"] // 20 for atoms in trajectory] == list(range(150))


def test_float64_frames_keep_every_bit(tmp_path):
    positions = np.random.default_rng(0).normal(size=(1, 9, 3))
    with new_writer(tmp_path / "run.h5", precision="float64") as writer:
        writer.append(frames_of(0, 1) | {"positions": positions})
    with Trajectory(tmp_path / "run.h5") as trajectory:
        assert trajectory.positions().tobytes() == positions.tobytes()


def test_no_frames_are_no_frames(tmp_path):
    with new_writer(tmp_path / "run.h5") as writer:
        writer.append(frames_of(0, 0))
        writer.append(frames_of(0, 2))
        writer.append(frames_of(2, 0))
    with Trajectory(tmp_path / "run.h5") as trajectory:
        assert_frames_are_right(trajectory, 2)


def test_cells_of_a_periodic_run_may_change(tmp_path):
    copper = bulk("Cu", cubic=True)
    cells = np.array([copper.cell.array * scale for scale in (1.0, 1.01, 1.02)])
    with new_writer(tmp_path / "run.h5", copper) as writer:
        writer.append(frames_of(0, 3, copper) | {"cell": cells})
        writer.append(frames_of(3, 1, copper))  # without: the first cell
    with Trajectory(tmp_path / "run.h5") as trajectory:
        np.testing.assert_array_equal(trajectory.cells(slice(3)), cells)
        np.testing.assert_array_equal(trajectory[1].cell.array, cells[1])
        np.testing.assert_array_equal(trajectory.cells(3), cells[0])
        assert trajectory[0].pbc.all()


def test_arrays_instead_of_atoms_and_isotopes(tmp_path):
    masses = np.where(ETHANOL.numbers == 1, 2.014, ETHANOL.get_masses())
    structure = (ETHANOL.numbers, masses, np.zeros((3, 3)), (False, False, False))
    with TrajectoryWriter(tmp_path / "run.h5", structure, state_template={}, meta={}) as writer:
        writer.append(frames_of(0, 2))
        writer.save_state({})
    with Trajectory(tmp_path / "run.h5") as trajectory:
        np.testing.assert_array_equal(trajectory[0].get_masses(), masses)
        np.testing.assert_allclose(trajectory[1].get_velocities(), frames_of(1, 1)["velocities"][0], rtol=1e-6)


def test_hundred_thousand_frames_open_and_give_frames_as_fast_as_a_thousand(tmp_path):
    template = frames_of(0, 1000)

    def seconds(frames: int) -> tuple[float, float]:
        """To open a file of so many frames, and to take 50 of them: the best of some tries."""
        path = tmp_path / f"{frames}.h5"
        with new_writer(path) as writer:
            for start in range(0, frames, 1000):
                writer.append(template | {"step": np.arange(start, start + 1000)})
        chosen, opened, taken = np.random.default_rng(0).integers(0, frames, 50), [], []
        for _ in range(8):
            begin = time.perf_counter()
            with Trajectory(path) as trajectory:
                opened.append(time.perf_counter() - begin)
                assert len(trajectory) == frames
                begin = time.perf_counter()
                assert [trajectory[int(i)].info["step"] for i in chosen] == chosen.tolist()
                taken.append(time.perf_counter() - begin)
        return min(opened), min(taken)

    (open_short, take_short), (open_long, take_long) = seconds(1000), seconds(100_000)
    assert open_long < 20 * open_short  # a hundred times as many frames
    assert take_long < 20 * take_short


# --- other programs ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("atoms", [ETHANOL, bulk("Cu", cubic=True)], ids=["free", "periodic"])
def test_mdanalysis_reads_the_same_numbers(tmp_path, atoms):
    mda = pytest.importorskip("MDAnalysis")
    universe = mda.Universe(str(write(tmp_path / "run.h5md", 70, atoms)))
    expected = frames_of(0, 70, atoms)
    assert universe.trajectory.n_frames == 70
    for i in (0, 33, 69):
        frame = universe.trajectory[i]
        np.testing.assert_array_equal(frame.positions, expected["positions"][i])
        in_per_ps = expected["velocities"][i] * units.ps
        np.testing.assert_allclose(frame.velocities, in_per_ps, rtol=1e-5)
        in_kj_per_mol = expected["forces"][i] / units.kcal_per_mol * 4.184
        np.testing.assert_allclose(frame.forces, in_kj_per_mol, rtol=1e-5)
        assert frame.time == pytest.approx(expected["time_fs"][i] / 1000)
        assert frame.data["potential_energy"] == expected["potential_energy"][i]
        assert frame.data["step"] == expected["step"][i]
    if atoms.pbc.any():
        np.testing.assert_allclose(frame.dimensions, atoms.cell.cellpar(), rtol=1e-6)
    else:
        assert frame.dimensions is None
    universe.trajectory.close()


@pytest.mark.parametrize("suffix", [".extxyz", ".xyz", ".traj"])
def test_export_keeps_velocities_energies_and_forces(tmp_path, suffix):
    path = write(tmp_path / "run.h5", 90)
    out = tmp_path / f"run{suffix}"
    assert export(path, out, slice(10, None, 20)) == 4
    images = ase.io.read(out, ":", format="extxyz" if suffix == ".xyz" else None)
    with Trajectory(path) as trajectory:
        for atoms, original in zip(images, trajectory[10::20], strict=True):
            np.testing.assert_array_equal(atoms.numbers, original.numbers)
            np.testing.assert_allclose(atoms.positions, original.positions, atol=1e-8)
            np.testing.assert_allclose(atoms.get_velocities(), original.get_velocities(), atol=1e-8)
            np.testing.assert_allclose(atoms.get_forces(), original.get_forces(), atol=1e-8)
            assert atoms.get_potential_energy() == pytest.approx(original.get_potential_energy(), abs=1e-8)
            if suffix != ".traj":  # ASE's .traj keeps the atoms, not the notes beside them
                assert atoms.info["step"] == original.info["step"]


@pytest.mark.filterwarnings("ignore")
def test_exported_trajectories_are_compressed_and_others_read_them(tmp_path):
    path, out = write(tmp_path / "run.h5", 600), tmp_path / "run.h5md"
    export(path, out)
    assert out.stat().st_size < 0.95 * path.stat().st_size
    mda = pytest.importorskip("MDAnalysis")
    universe = mda.Universe(str(out))
    np.testing.assert_array_equal(universe.trajectory[599].positions, frames_of(599, 1)["positions"][0])
    universe.trajectory.close()
    os.truncate(out, int(0.75 * out.stat().st_size))
    with pytest.raises(ValueError, match="damaged"):
        Trajectory(out)
    assert 0 < salvage(out, tmp_path / "saved.h5") < 600


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".pdb", ".dcd"])
def test_export_of_positions(tmp_path, suffix):
    path, out = write(tmp_path / "run.h5", 12), tmp_path / f"run{suffix}"
    assert export(path, out) == 12
    expected = frames_of(0, 12)["positions"]
    if suffix == ".pdb":
        images = ase.io.read(out, ":")
        np.testing.assert_allclose([atoms.positions for atoms in images], expected, atol=6e-4)
    else:
        mda = pytest.importorskip("MDAnalysis")
        universe = mda.Universe.empty(9, trajectory=False)
        universe.load_new(str(out))
        np.testing.assert_allclose([frame.positions for frame in universe.trajectory], expected, atol=1e-5)
        assert universe.trajectory.dt == pytest.approx(0.01, rel=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".extxyz", ".traj", ".pdb", ".dcd", ".h5"])
def test_export_of_chosen_atoms(tmp_path, suffix):
    path, out = write(tmp_path / "run.h5", 12), tmp_path / f"part{suffix}"
    assert export(path, out, slice(0, None, 3), atoms="heavy") == 4
    heavy = np.flatnonzero(ETHANOL.numbers > 1)
    expected = frames_of(0, 12)["positions"][::3][:, heavy]
    if suffix == ".dcd":
        mda = pytest.importorskip("MDAnalysis")
        universe = mda.Universe.empty(3, trajectory=False)
        universe.load_new(str(out))
        np.testing.assert_allclose([frame.positions for frame in universe.trajectory], expected, atol=1e-5)
        return
    images = list(Trajectory(out)) if suffix == ".h5" else ase.io.read(out, ":")
    np.testing.assert_allclose([atoms.positions for atoms in images], expected, atol=6e-4)
    assert all(np.array_equal(atoms.numbers, ETHANOL.numbers[heavy]) for atoms in images)
    if suffix != ".pdb":
        with Trajectory(path) as trajectory:
            for atoms, original in zip(images, trajectory[::3], strict=True):
                np.testing.assert_allclose(atoms.get_velocities(), original.get_velocities()[heavy], atol=1e-7)
                np.testing.assert_allclose(atoms.get_forces(), original.get_forces()[heavy], rtol=1e-6, atol=1e-7)
                assert "energy" not in atoms.calc.results  # it is that of all atoms


@pytest.mark.parametrize("atoms", [ETHANOL, bulk("Cu", cubic=True)], ids=["free", "periodic"])
def test_export_to_a_new_trajectory(tmp_path, atoms):
    path, out = write(tmp_path / "run.h5", 600, atoms), tmp_path / "thin.h5"
    assert export(path, out, slice(None, None, -2)) == 300
    with Trajectory(path) as trajectory, Trajectory(out) as thin:
        chosen = trajectory[::-2]
        np.testing.assert_array_equal(thin.positions(), chosen.positions())
        np.testing.assert_array_equal(thin.cells(), chosen.cells())
        np.testing.assert_allclose(thin.velocities(), chosen.velocities(), rtol=1e-6)
        np.testing.assert_allclose(thin.forces(), chosen.forces(), rtol=1e-6)
        assert thin.table().equals(chosen.table())
        assert thin.meta == {"seed": 7, "exported_from": {"file": "run.h5", "atoms": "all"}}
        assert thin.restart_state() is None
    with pytest.raises(ValueError, match="no complete restart state"):
        TrajectoryWriter.resume(out)


def test_chosen_atoms_keep_the_order_in_which_they_were_given(tmp_path):
    path = write(tmp_path / "run.h5", 2)
    for selection, indices in {
        "5,0:3": [5, 0, 1, 2],
        "-1": [8],
        "7:": [7, 8],
        "::4": [0, 4, 8],
        (3, 1): [3, 1],
        tuple(range(8, -1, -1)): list(range(8, -1, -1)),
        tuple((ETHANOL.numbers == 8).tolist()): np.flatnonzero(ETHANOL.numbers == 8).tolist(),
    }.items():
        export(path, tmp_path / "part.h5", atoms=selection, overwrite=True)
        with Trajectory(tmp_path / "part.h5") as part:
            np.testing.assert_array_equal(part.positions(), frames_of(0, 2)["positions"][:, indices])
            np.testing.assert_array_equal(part.atomic_numbers, ETHANOL.numbers[indices])
            assert ("energy" in part[0].calc.results) == (len(indices) == 9)


@pytest.mark.parametrize(
    ("selection", "error", "sentence"),
    [
        ("0:3,9", ValueError, "indices from 0 to 8, got 9"),
        ([-10], ValueError, "indices from 0 to 8, got -10"),
        ("5:10", ValueError, "'5:10' must end at 9 or before"),
        ("0:3,2", ValueError, "each atom once, but 2"),
        ([], ValueError, "at least one of the 9 atoms"),
        ("3:3", ValueError, "at least one of the 9 atoms"),
        (np.zeros(9, bool), ValueError, "at least one of the 9 atoms"),
        ([True, False], ValueError, "9 truth values, one for each atom, got 2"),
        ("light", ValueError, "must be heavy, or indices and ranges such as 0:10,12, got 'light'"),
        ("", ValueError, "must be heavy"),
        ("0:9:0", ValueError, "must be heavy"),
        (np.array([0.5]), TypeError, "integer indices or truth values, got values of type float64"),
        (np.array([[0, 1]]), ValueError, "a list of indices or a mask"),
    ],
)
def test_wrong_choices_of_atoms_are_refused(tmp_path, selection, error, sentence):
    path = write(tmp_path / "run.h5", 2)
    with pytest.raises(error, match=sentence):
        export(path, tmp_path / "part.xyz", atoms=selection)
    assert {p.name for p in tmp_path.iterdir()} == {"run.h5"}


def test_export_of_chosen_atoms_on_the_command_line(tmp_path, capsys):
    path, out = write(tmp_path / "run.h5", 4), tmp_path / "part.xyz"
    assert main(["export", str(path), str(out), "--atoms", "0:2,4", "--frames", "1:"]) == 0
    assert "part.xyz: 3 frames" in " ".join(capsys.readouterr().out.split())
    assert [len(atoms) for atoms in ase.io.read(out, ":", format="extxyz")] == [3, 3, 3]
    assert main(["export", str(path), str(out), "--atoms", "40", "--overwrite"]) == 1
    assert "indices from 0 to 8, got 40" in capsys.readouterr().err
    assert main(["export", str(path), str(out), "--frames", "::0", "--overwrite"]) == 1
    assert "--frames must have a step other than 0" in " ".join(capsys.readouterr().err.split())
    assert main(["export", str(path), str(tmp_path / "no" / "part.xyz")]) == 1
    assert capsys.readouterr().err.startswith("so3lab: the folder of ")  # not [Errno 2]


def test_export_refuses_with_a_sentence(tmp_path, monkeypatch):
    path = write(tmp_path / "run.h5", 3)
    with pytest.raises(ValueError, match=r"must end in one of \.extxyz"):
        export(path, tmp_path / "run.abc")
    with pytest.raises(ValueError, match="must be another file than path_in"):
        export(path, path, overwrite=True)
    with pytest.raises(ValueError, match=r"at least one of the 3 of .*, got 5:$"):
        export(path, tmp_path / "run.xyz", slice(5, None))
    with pytest.raises(FileNotFoundError, match=r"the folder of .*run\.xyz does not exist; make it with: mkdir -p"):
        export(path, tmp_path / "no" / "run.xyz")
    (tmp_path / "taken.xyz").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export(path, tmp_path / "taken.xyz")
    assert (tmp_path / "taken.xyz").read_text() == "mine"
    assert export(path, tmp_path / "taken.xyz", overwrite=True) == 3
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    with pytest.raises(ImportError, match="pip install MDAnalysis"):
        export(path, tmp_path / "run.dcd")
    assert {p.name for p in tmp_path.iterdir()} == {"run.h5", "taken.xyz"}
