"""Frames on disk: nothing flushed is lost, what is read back is what was written."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from so3lab import units
from so3lab.trajectory import Trajectory, TrajectoryWriter, export, salvage

ETHANOL = molecule("CH3CH2OH")


def frames_of(start: int, count: int, atoms: Atoms = ETHANOL) -> dict:
    """Frames that are a known function of their index."""
    index = np.arange(start, start + count)
    wiggle = np.sin(0.1 * index[:, None, None] + np.arange(len(atoms))[:, None] + np.arange(3))
    return {
        "positions": (atoms.positions + 0.1 * wiggle).astype(np.float32),
        "velocities": (0.05 * wiggle).astype(np.float32),
        "forces": (-2.0 * wiggle).astype(np.float32),
        "potential_energy": -4000.0 - 1e-9 * index,
        "kinetic_energy": 0.3 + 0.0 * index,
        "temperature": 300.0 + index,
        "step": 20 * index,
        "time_fs": 10.0 * index,
    }


def state_of(frames: int, atoms: Atoms = ETHANOL) -> dict:
    """Restart state that says how many frames precede it."""
    generator = np.random.default_rng(frames)
    return {
        "positions": generator.normal(size=(len(atoms), 3)),
        "velocities": generator.normal(size=(len(atoms), 3)).astype(np.float32),
        "key": generator.integers(0, 2**32, 2, dtype=np.uint32),
        "frames": np.int64(frames),
        "running": np.bool_(True),
    }


def new_writer(path: Path, atoms: Atoms = ETHANOL, **options) -> TrajectoryWriter:
    return TrajectoryWriter(path, atoms, state_template=state_of(0, atoms), meta={"seed": 7}, **options)


def write(path: Path, frames: int, atoms: Atoms = ETHANOL, **options) -> Path:
    with new_writer(path, atoms, **options) as writer:
        for start in range(0, frames, 500):
            writer.append(frames_of(start, min(500, frames - start), atoms))
        writer.save_state(state_of(frames, atoms))
    return path


def assert_same(state: dict, expected: dict) -> None:
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert state[name].dtype == value.dtype
        assert state[name].tobytes() == value.tobytes()


def assert_frames_are_right(trajectory: Trajectory, frames: int, start: int = 0) -> None:
    expected = frames_of(start, frames)
    assert len(trajectory) == frames
    np.testing.assert_array_equal(trajectory.positions(), expected["positions"])
    np.testing.assert_allclose(trajectory.velocities(), expected["velocities"], rtol=1e-6)
    np.testing.assert_allclose(trajectory.forces(), expected["forces"], rtol=1e-6)
    table = trajectory.table()
    for name in ("step", "time_fs", "potential_energy", "kinetic_energy", "temperature"):
        np.testing.assert_array_equal(table[name], expected[name])


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
        assert atoms.info == {"step": 1540, "time_fs": 770.0}
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
        np.testing.assert_allclose(
            trajectory[1].get_velocities(), frames_of(1, 1)["velocities"][0], rtol=1e-6
        )


def test_hundred_thousand_frames_open_at_once_and_frames_come_in_milliseconds(tmp_path):
    path = tmp_path / "long.h5"
    template = frames_of(0, 5000)
    with new_writer(path) as writer:
        for start in range(0, 100_000, 5000):
            writer.append(template | {"step": np.arange(start, start + 5000)})
    begin = time.perf_counter()
    with Trajectory(path) as trajectory:
        opened = time.perf_counter() - begin
        assert len(trajectory) == 100_000
        chosen = np.random.default_rng(0).integers(0, 100_000, 50)
        begin = time.perf_counter()
        assert [trajectory[int(i)].info["step"] for i in chosen] == chosen.tolist()
        per_frame = (time.perf_counter() - begin) / 50
    assert opened < 0.5
    assert per_frame < 0.02  # about 0.7 ms on a quiet machine


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


def test_export_refuses_with_a_sentence(tmp_path, monkeypatch):
    path = write(tmp_path / "run.h5", 3)
    with pytest.raises(ValueError, match=r"must end in one of \.extxyz"):
        export(path, tmp_path / "run.abc")
    with pytest.raises(ValueError, match="at least one of the 3"):
        export(path, tmp_path / "run.xyz", slice(5, None))
    (tmp_path / "taken.xyz").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export(path, tmp_path / "taken.xyz")
    assert (tmp_path / "taken.xyz").read_text() == "mine"
    assert export(path, tmp_path / "taken.xyz", overwrite=True) == 3
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    with pytest.raises(ImportError, match="pip install MDAnalysis"):
        export(path, tmp_path / "run.dcd")
    assert {p.name for p in tmp_path.iterdir()} == {"run.h5", "taken.xyz"}


# --- kills, restarts, readers beside a writer --------------------------------------------------


def write_until_killed(path: Path, started) -> None:
    if path.exists():
        writer, _ = TrajectoryWriter.resume(path)
    else:
        writer = new_writer(path)
        writer.save_state(state_of(0))
    started.set()
    while True:
        for _ in range(3):
            writer.append(frames_of(writer.frames, 7))
        writer.save_state(state_of(writer.frames))


@pytest.fixture(scope="module")
def start_writing():
    """Start processes that write a file; they fork from one clean process and so start at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ase.build", "ase.io", "pandas", "pytest", "so3lab.trajectory"])

    def start(path: Path) -> multiprocessing.Process:
        started = context.Event()
        process = context.Process(target=write_until_killed, args=(path, started), daemon=True)
        process.start()
        assert started.wait(60)
        return process

    return start


def test_a_run_killed_again_and_again_loses_nothing_that_was_flushed(tmp_path, start_writing):
    path, before = tmp_path / "run.h5", 0
    for delay in np.random.default_rng().uniform(0.0, 0.4, size=int(os.environ.get("SO3LAB_KILLS", "4"))):
        process = start_writing(path)
        time.sleep(delay)
        process.kill()
        process.join()
        with Trajectory(path) as trajectory:
            assert len(trajectory) >= before
            assert_frames_are_right(trajectory, len(trajectory))
            saved = trajectory.restart_state()
            before = int(saved["frames"])
            assert before <= len(trajectory) <= before + 21  # states are saved every 21 frames
    writer, state = TrajectoryWriter.resume(path)
    with writer:
        assert writer.frames == before == state["frames"]
        assert_same(state, state_of(before))
        writer.append(frames_of(before, 5))
        writer.save_state(state_of(before + 5))
    with Trajectory(path) as trajectory:
        assert_frames_are_right(trajectory, before + 5)
    with h5py.File(path) as file:  # closed in good order: any HDF5 program opens it
        assert file["particles/trajectory/position/value"].shape == (before + 5, 9, 3)
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]


def test_reading_while_another_process_writes(tmp_path, start_writing):
    path = tmp_path / "run.h5"
    process = start_writing(path)
    try:
        with Trajectory(path) as trajectory, Trajectory(path) as another:
            lengths, first, present = [len(trajectory)], another[:7], len(another)
            deadline = time.monotonic() + 20
            while len(lengths) < 6 and time.monotonic() < deadline:
                time.sleep(0.02)
                if trajectory.refresh() > lengths[-1]:
                    lengths.append(len(trajectory))
                    assert_frames_are_right(trajectory, len(trajectory))
            assert len(lengths) == 6
            assert_frames_are_right(first, min(7, present))
            assert another.refresh() >= lengths[-1]
            assert_frames_are_right(another, len(another))
        with pytest.raises(BlockingIOError, match="being written by another run"):
            TrajectoryWriter.resume(path)
    finally:
        process.kill()
        process.join()


def test_reading_in_the_process_that_writes(tmp_path):
    path = tmp_path / "run.h5"
    with new_writer(path) as writer:
        writer.append(frames_of(0, 10))
        trajectory = Trajectory(path)
        writer.append(frames_of(10, 10))
        assert len(trajectory) == 10
        assert trajectory.refresh() == 20
        assert_frames_are_right(trajectory, 20)
        writer.save_state(state_of(20))
    writer, _ = TrajectoryWriter.resume(path)  # with the reader still open
    with writer:
        writer.append(frames_of(20, 10))
    assert_frames_are_right(trajectory, 20)
    trajectory.close()
    with Trajectory(path) as trajectory:
        assert_frames_are_right(trajectory, 30)


def test_resume_cuts_frames_younger_than_the_state(tmp_path):
    path = tmp_path / "run.h5"
    with new_writer(path) as writer:
        writer.append(frames_of(0, 10))
        writer.save_state(state_of(10))
        writer.append(frames_of(500, 8))  # never belonged to a saved state
    writer, state = TrajectoryWriter.resume(path)
    with writer:
        assert_same(state, state_of(10))
        assert writer.meta == {"seed": 7}
        writer.append(frames_of(10, 4))
    with Trajectory(path) as trajectory:
        assert_frames_are_right(trajectory, 14)


def test_a_torn_state_is_not_used(tmp_path):
    path = tmp_path / "run.h5"
    with new_writer(path) as writer:
        for frames in (5, 10):
            writer.append(frames_of(frames - 5, 5))
            writer.save_state(state_of(frames))
    with h5py.File(path, "r+") as file:  # the second state is in slot 0
        file["parameters/so3lab/state/0/arrays/positions"][3, 1] += 1e-15
    writer, state = TrajectoryWriter.resume(path)
    with writer:
        assert_same(state, state_of(5))
        assert writer.frames == 5


def test_two_runs_cannot_write_one_file(tmp_path):
    path = tmp_path / "run.h5"
    with new_writer(path) as writer:
        writer.save_state(state_of(0))
        with pytest.raises(BlockingIOError, match="stop that run"):
            TrajectoryWriter.resume(path)
    TrajectoryWriter.resume(path)[0].close()


# --- damage and refusals -----------------------------------------------------------------------


def test_a_truncated_file_is_recognised_and_salvaged(tmp_path):
    path = write(tmp_path / "run.h5", 1000)
    size = path.stat().st_size
    os.truncate(path, int(0.6 * size))
    with pytest.raises(ValueError, match=r"damaged.*salvage"):
        Trajectory(path)
    with pytest.raises(ValueError, match="damaged"):
        TrajectoryWriter.resume(path)
    frames = salvage(path, tmp_path / "saved.h5")
    assert 300 < frames < 1000
    with Trajectory(tmp_path / "saved.h5") as trajectory:
        assert_frames_are_right(trajectory, frames)
    with pytest.raises(ValueError, match="cannot be resumed"):
        TrajectoryWriter.resume(tmp_path / "saved.h5")
    os.truncate(path, 200)
    with pytest.raises(ValueError, match="its end is missing"):
        Trajectory(path)
    with pytest.raises(ValueError, match="not a so3lab trajectory, or is damaged"):
        salvage(path, tmp_path / "nothing.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5", "saved.h5"]


def test_flipped_bits_in_the_description_are_noticed(tmp_path):
    path = write(tmp_path / "run.h5", 100)
    content = bytearray(path.read_bytes())
    for offset in range(200, 4000, 40):
        content[offset] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        Trajectory(path)


WRITE_UNTIL_FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_trajectory import *
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
with new_writer(Path(sys.argv[1])) as writer:
    while True:
        writer.append(frames_of(writer.frames, 7))
        writer.save_state(state_of(writer.frames))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("limit", [333_333])
def test_a_full_disk_stops_with_a_sentence_and_loses_nothing(tmp_path, limit):
    path = tmp_path / "run.h5"
    command = [sys.executable, "-c", WRITE_UNTIL_FULL, str(path), str(Path(__file__).parent), str(limit)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1  # an exception, not a crash at the end of the interpreter
    assert "OSError: [Errno 27] could not write to" in result.stderr
    assert "File too large. The file is readable up to frame" in result.stderr
    with Trajectory(path) as trajectory:
        assert len(trajectory) > 100
        assert_frames_are_right(trajectory, len(trajectory))
    writer, state = TrajectoryWriter.resume(path)
    with writer:
        assert_same(state, state_of(writer.frames))


def test_after_a_failed_write_nothing_more_is_written(tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    writer = new_writer(path)
    writer.append(frames_of(0, 4))
    writer.save_state(state_of(4))

    def refuse(self):
        raise RuntimeError("(file write failed: errno = 28, error message = 'No space left on device', buf)")

    with monkeypatch.context() as patch:
        patch.setattr(h5py.File, "flush", refuse)
        with pytest.raises(OSError, match=r"No space left on device\. The file is readable up to frame 4"):
            writer.append(frames_of(4, 4))
    with pytest.raises(ValueError, match="stopped after a failed write"):
        writer.append(frames_of(4, 4))
    writer.close()
    with Trajectory(path) as trajectory:
        assert_frames_are_right(trajectory, 4)
    writer, _ = TrajectoryWriter.resume(path)
    with writer:
        writer.append(frames_of(4, 4))
    with Trajectory(path) as trajectory:
        assert_frames_are_right(trajectory, 8)


def test_an_existing_file_is_never_overwritten(tmp_path):
    path = write(tmp_path / "run.h5", 3)
    with pytest.raises(FileExistsError, match=r"not overwritten.*resume"):
        new_writer(path)
    with pytest.raises(FileExistsError, match="not overwritten"):
        salvage(path, path)
    with Trajectory(path) as trajectory:
        assert len(trajectory) == 3


def test_refusals_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="mkdir -p"):
        new_writer(tmp_path / "no" / "run.h5")
    with pytest.raises(FileNotFoundError, match="there is no trajectory file"):
        Trajectory(tmp_path / "run.h5")
    with pytest.raises(FileNotFoundError, match="to resume"):
        TrajectoryWriter.resume(tmp_path / "run.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        Trajectory(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="not a so3lab trajectory"):
        Trajectory(tmp_path / "other.h5")
    with new_writer(tmp_path / "stateless.h5") as writer:
        writer.append(frames_of(0, 2))
    with pytest.raises(ValueError, match="no complete restart state"):
        TrajectoryWriter.resume(tmp_path / "stateless.h5")
    with pytest.raises(ValueError, match="precision must be"):
        new_writer(tmp_path / "run.h5", precision="float16")
    with pytest.raises(TypeError, match="what JSON can hold"):
        TrajectoryWriter(tmp_path / "run.h5", ETHANOL, state_template={}, meta={"a": np.ones(2)})
    with pytest.raises(TypeError, match=r"state_template\['name'\] must be a plain numeric array"):
        TrajectoryWriter(tmp_path / "run.h5", ETHANOL, state_template={"name": "x"}, meta={})


def test_wrong_frames_and_states_are_refused_before_anything_is_written(tmp_path):
    with new_writer(tmp_path / "run.h5") as writer:
        frames = frames_of(0, 2)
        frames["force"] = frames.pop("forces")
        with pytest.raises(ValueError, match=r"missing \['forces'\], unknown \['force'\]"):
            writer.append(frames)
        with pytest.raises(ValueError, match=r"'positions'\] must have shape \(2, 9, 3\)"):
            writer.append(frames_of(0, 2) | {"positions": np.zeros((2, 8, 3))})
        with pytest.raises(ValueError, match=r"missing \['key'\]"):
            writer.save_state({name: value for name, value in state_of(0).items() if name != "key"})
        with pytest.raises(ValueError, match="different or unknown"):
            writer.save_state(state_of(0) | {"key": np.zeros(2, np.int32)})
        writer.append(frames_of(0, 2))
    with pytest.raises(ValueError, match="is closed"):
        writer.append(frames_of(2, 2))
    with Trajectory(tmp_path / "run.h5") as trajectory:
        assert_frames_are_right(trajectory, 2)
    with pytest.raises(ValueError, match="is closed; open it again"):
        trajectory.positions(0)
