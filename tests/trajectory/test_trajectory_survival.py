"""Frames on disk survive: kills, restarts, readers beside a writer, damage."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import known_frames
import numpy as np
import pytest
from ase.build import molecule
from known_frames import ETHANOL, assert_frames_are_right, assert_same, frames_of, new_writer, state_of, write

from so3lab.app import main
from so3lab.trajectory import Trajectory, TrajectoryWriter, salvage

SUPPORT = Path(known_frames.__file__).parent

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


@pytest.mark.process
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


@pytest.mark.process
def test_reading_while_another_process_writes(tmp_path, start_writing):
    path = tmp_path / "run.h5"
    process = start_writing(path)
    try:
        with Trajectory(path) as trajectory, Trajectory(path) as another:
            lengths, first, present = [len(trajectory)], another[:7], len(another)
            deadline = time.monotonic() + 300
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


@pytest.mark.process
def test_a_reader_does_not_make_a_resumed_run_lose_frames(tmp_path, start_writing):
    """HDF5 keeps one cache per process and file: what the reader saw early must not be taken for all there is."""
    path = tmp_path / "run.h5"
    process = start_writing(path)
    with Trajectory(path) as trajectory:
        early = trajectory.refresh()
        while os.path.getsize(path) < 1_000_000:
            time.sleep(0.01)
        process.kill()
        process.join()
        writer, state = TrajectoryWriter.resume(path)
        with writer:
            assert writer.frames == state["frames"] > early + 21
        assert trajectory.refresh() == writer.frames
        assert_frames_are_right(trajectory, writer.frames)


def test_resume_refuses_other_atoms(tmp_path):
    path = write(tmp_path / "run.h5", 3)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"a trajectory of C2H6O, not H2O; give the structure that it began with"):
        TrajectoryWriter.resume(path, molecule("H2O"))
    with pytest.raises(ValueError, match=r"the atoms of C2H6O in another order"):
        TrajectoryWriter.resume(path, ETHANOL[::-1])
    boxed = ETHANOL.copy()
    boxed.cell, boxed.pbc = np.eye(3) * 20, True
    with pytest.raises(ValueError, match=r"a trajectory of C2H6O, not C2H6O in a cell"):
        TrajectoryWriter.resume(path, boxed)
    assert path.read_bytes() == before
    TrajectoryWriter.resume(path, ETHANOL)[0].close()


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


def test_a_truncated_file_is_recognised_and_salvaged(tmp_path, capsys):
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
    assert main(["export", str(path), str(tmp_path / "again.h5"), "--salvage"]) == 0
    assert f"{frames} frames saved" in " ".join(capsys.readouterr().out.split())
    (tmp_path / "again.h5").unlink()
    assert main(["export", str(path), str(tmp_path / "a.xyz"), "--salvage"]) == 1
    assert "must end in .h5 or .h5md with --salvage" in " ".join(capsys.readouterr().err.split())
    assert main(["export", str(path), str(tmp_path / "a.h5"), "--salvage", "--frames", "5:"]) == 1
    assert "--salvage saves every frame there is" in " ".join(capsys.readouterr().err.split())
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
from known_frames import *
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
with new_writer(Path(sys.argv[1])) as writer:
    while True:
        writer.append(frames_of(writer.frames, 7))
        writer.save_state(state_of(writer.frames))
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("limit", [333_333])
def test_a_full_disk_stops_with_a_sentence_and_loses_nothing(tmp_path, limit):
    path = tmp_path / "run.h5"
    command = [sys.executable, "-c", WRITE_UNTIL_FULL, str(path), str(SUPPORT), str(limit)]
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

    reader = Trajectory(path)  # shares HDF5's handle with the writer, and must survive it

    def refuse(self):
        raise RuntimeError("(file write failed: errno = 28, error message = 'No space left on device', buf)")

    with monkeypatch.context() as patch:
        patch.setattr(h5py.File, "flush", refuse)
        with pytest.raises(OSError, match=r"No space left on device\. The file is readable up to frame 4"):
            writer.append(frames_of(4, 4))
    with pytest.raises(ValueError, match="stopped after a failed write"):
        writer.append(frames_of(4, 4))
    writer.close()
    assert reader.refresh() == 4
    assert_frames_are_right(reader, 4)
    with Trajectory(path) as trajectory:
        assert_frames_are_right(trajectory, 4)
    writer, _ = TrajectoryWriter.resume(path)
    with writer:
        writer.append(frames_of(4, 4))
    reader.close()
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
