"""A full disk, weights that are no numbers, a wrong file: a run stops with a sentence and loses nothing."""

import shutil
import subprocess
import sys
from dataclasses import replace

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule
from known_frames import write

from so3lab.dynamics import Limits, SimulationError, run
from so3lab.engine.energy_model import EnergyModel
from so3lab.network.settings import preset
from so3lab.potential import Potential
from so3lab.structures.graph import displacements
from so3lab.trajectory import Trajectory

FREE = Limits(None, None, None)  # random weights know no bonds


@pytest.fixture(scope="module")
def potential():
    return Potential.initial(preset("tiny", mean_neighbors=7.0), seed=2)


RUN_UNTIL_FULL = """
import resource, sys
from ase.build import molecule
from so3lab.dynamics import Limits, run
from so3lab.engine.energy_model import EnergyModel
from so3lab.structures.graph import displacements
from so3lab.potential import Potential
from so3lab.network.settings import preset
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
potential = Potential.initial(preset("tiny", mean_neighbors=7.0), seed=2)
free = Limits(None, None, None)  # random weights know no bonds
options = {"steps": 10**7, "interval": 5, "out": sys.argv[1], "seconds_per_chunk": 0.05, "limits": free}
for chunk in run(potential, molecule("CH3CH2OH"), **options):
    pass
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_disk_that_is_full_midway_costs_nothing_once_there_is_room(potential, tmp_path):
    full, straight, atoms = tmp_path / "full.h5", tmp_path / "straight.h5", molecule("CH3CH2OH")
    stopped = subprocess.run([sys.executable, "-c", RUN_UNTIL_FULL, full], capture_output=True, text=True)
    assert stopped.returncode == 1
    assert "OSError: [Errno 27] could not write to" in stopped.stderr
    assert "make room, then continue" in stopped.stderr
    with Trajectory(full) as kept:
        steps = int(kept.steps[-1]) + 200
    assert steps > 500
    list(run(potential, atoms, steps=steps, interval=5, out=full, resume=True, limits=FREE))
    list(run(potential, atoms, steps=steps, interval=5, out=straight, limits=FREE))
    with Trajectory(full) as a, Trajectory(straight) as b:
        np.testing.assert_array_equal(a.steps, b.steps)
        np.testing.assert_array_equal(a.positions(), b.positions())


RUN_ON_A_SMALL_DISK = """
import subprocess, sys
from pathlib import Path
from ase.build import molecule
import numpy as np
from so3lab.dynamics import Limits, run
from so3lab.potential import Potential
from so3lab.network.settings import preset
from so3lab.trajectory import Trajectory

disk, elsewhere = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], check=True)
potential, atoms = Potential.initial(preset("tiny", mean_neighbors=7.0), seed=2), molecule("CH3CH2OH")
options = {"interval": 5, "seconds_per_chunk": 0.05, "limits": Limits(None, None, None)}
try:
    for chunk in run(potential, atoms, steps=10**7, out=disk / "run.h5", **options):
        pass
except OSError as error:
    print(error, flush=True)
with Trajectory(disk / "run.h5") as kept:
    steps = int(kept.steps[-1]) + 200
    print("kept", len(kept), flush=True)
try:
    list(run(potential, atoms, steps=steps, out=disk / "run.h5", resume=True, **options))
except OSError as error:
    print("still", error, flush=True)
subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
list(run(potential, atoms, steps=steps, out=disk / "run.h5", resume=True, **options))
list(run(potential, atoms, steps=steps, out=elsewhere / "straight.h5", **options))
with Trajectory(disk / "run.h5") as a, Trajectory(elsewhere / "straight.h5") as b:
    np.testing.assert_array_equal(a.steps, b.steps)
    np.testing.assert_array_equal(a.positions(), b.positions())
print("the same", flush=True)
"""
OWN_MOUNTS = ["unshare", "--map-root-user", "--mount"]


@pytest.mark.process
def test_a_small_disk_that_fills_up_costs_nothing_once_it_is_larger(tmp_path):
    """A real file system without room: frames up to there are readable, and the run goes on bit by bit."""
    (tmp_path / "disk").mkdir()
    probe = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path / "disk")]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("needs Linux that lets this user mount a small tmpfs")
    command = [*OWN_MOUNTS, sys.executable, "-c", RUN_ON_A_SMALL_DISK, str(tmp_path / "disk"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    full, kept, *still, same = done.stdout.splitlines()
    assert "No space left on device. The file is readable up to frame" in full
    assert "make room, then continue" in full
    assert int(kept.split()[1]) > 100
    assert all("make room" in sentence for sentence in still)
    assert same == "the same"


def test_weights_that_are_not_numbers_stop_a_run_before_it_starts(potential, ethanol, tmp_path):
    leaves, structure = jax.tree.flatten(potential.parameters)
    for number in (0, len(leaves) - 1):
        planted = leaves[number].at[(0,) * leaves[number].ndim].set(np.nan)
        poisoned = jax.tree.unflatten(structure, [*leaves[:number], planted, *leaves[number + 1 :]])
        with pytest.raises(ValueError, match=r"weights of the potential must be finite numbers, but \S+ hold NaN"):
            list(run(replace(potential, parameters=poisoned), ethanol, steps=100, out=tmp_path / "run.h5"))
    assert not (tmp_path / "run.h5").exists()


def test_a_force_field_that_gives_no_numbers_stops_a_run_with_a_sentence(ethanol, tmp_path):
    """Of any origin: good as long as nothing moves much, and then not."""

    def failing(parameters, graph, strain=None):
        d = displacements(graph, strain)
        return jnp.sqrt(parameters - jnp.sum(d * d))[None]

    positions = ethanol.positions
    start = np.sum((positions[:, None] - positions) ** 2) / 2  # each pair once
    field = EnergyModel(failing, jnp.float32(1.0001 * start), 50.0, "float32")
    out = tmp_path / "run.h5"
    with pytest.raises(
        SimulationError,
        match=r"blew up: energy or velocities are not finite numbers at step \d+; just before, the largest force was",
    ):
        list(run(field, ethanol, steps=10**6, interval=1, out=out))
    with Trajectory(out) as kept:
        assert np.isfinite(kept.positions()).all()
        assert np.isfinite(kept.table().to_numpy()).all()


def test_wrong_files_are_not_resumed(potential, ethanol, tmp_path):
    (tmp_path / "text.h5").write_text("mine")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name, sentence in (("text.h5", "not an HDF5 file"), ("other.h5", "not a so3lab trajectory")):
        with pytest.raises(ValueError, match=sentence):
            next(run(potential, ethanol, steps=100, out=tmp_path / name, resume=True))
    with pytest.raises(FileNotFoundError, match="no trajectory file"):
        next(run(potential, ethanol, steps=100, out=tmp_path / "none.h5", resume=True))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_trajectory_of_another_molecule_is_not_resumed(potential, tmp_path):
    list(run(potential, molecule("CH4"), steps=20, out=tmp_path / "run.h5"))
    with pytest.raises(ValueError, match="a trajectory of CH4, not C2H6O"):
        next(run(potential, molecule("CH3CH2OH"), steps=100, out=tmp_path / "run.h5", resume=True))
    path = write(tmp_path / "written.h5", 3)  # by a program of one's own, with a state of another kind
    with pytest.raises(ValueError, match="a trajectory of C2H6O, not CH4"):
        next(run(potential, molecule("CH4"), steps=100, out=path, resume=True))
