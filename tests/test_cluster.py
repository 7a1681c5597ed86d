"""Many runs on workers that die: every run ends, and its trajectory is that of an undisturbed one."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import ase
import numpy as np
import pytest
from ase.build import molecule

from so3lab.cluster import OwnProcesses, Run, connect, executor_at, run_on, simulate
from so3lab.cluster.one_run import frames_in
from so3lab.potential import Potential
from so3lab.settings import preset
from so3lab.trajectory import Trajectory, TrajectoryWriter

STEPS = 6000
SPAWNED = partial(ProcessPoolExecutor, 2, multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file; workers keep what they compile beside it."""
    folder = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SO3LAB_CACHE", str(folder / "cache"))
        yield Potential.initial(preset("tiny", mean_neighbors=7.0), seed=2).save(folder / "m.so3.safetensors")


@pytest.fixture(scope="module")
def undisturbed(model, tmp_path_factory):
    """Trajectories of three runs that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert all(summary.failure is None for summary in run_on(SPAWNED, runs_in(folder, model)))
    return folder


def runs_in(folder, model, count=3, **changes):
    settings = {"steps": STEPS, "interval": 10} | changes
    return [Run(model, molecule("CH3CH2OH"), folder / f"{k}.h5", seed=k, **settings) for k in range(count)]


def assert_same_trajectories(folder, expected, count=3):
    for k in range(count):
        with Trajectory(folder / f"{k}.h5") as a, Trajectory(expected / f"{k}.h5") as b:
            assert len(a) == len(b) == STEPS // 10 + 1
            np.testing.assert_array_equal(a.steps, b.steps)
            np.testing.assert_array_equal(a.positions(), b.positions())
            np.testing.assert_array_equal(a.velocities(), b.velocities())


class Killer:
    """Kills one worker process, once, when a run is midway."""

    def __init__(self, path, worker_of):
        self.path, self.worker_of, self.killed_at = path, worker_of, None

    def __call__(self):
        frames = frames_in(self.path)
        if self.killed_at is None and frames > 20:
            os.kill(self.worker_of(self.path), signal.SIGKILL)
            self.killed_at = frames


def writer_of(path):
    """Process that has a file open; not this one."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            opened = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
        except OSError:
            continue
        if str(path) in opened and int(pid) != os.getpid():
            return int(pid)
    raise AssertionError(f"nobody writes {path}")


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="finds the worker in /proc")


@needs_proc
def test_killed_dask_worker_costs_nothing(model, undisturbed, tmp_path):
    dask = pytest.importorskip("dask")
    from distributed import LocalCluster

    calm = {"distributed.scheduler.allowed-failures": 0}  # Dask itself tries again no more: we do
    with (
        dask.config.set(calm),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        connect(cluster.scheduler_address) as client,
    ):
        kill = Killer(tmp_path / "0.h5", writer_of)
        done = list(run_on(client.get_executor(pure=False), runs_in(tmp_path, model), on_wait=kill))
    assert kill.killed_at < STEPS // 10
    assert [summary.failure for summary in done] == [None] * 3
    assert_same_trajectories(tmp_path, undisturbed)


@needs_proc
def test_broken_process_pool_is_made_again(model, undisturbed, tmp_path):
    made = []

    def make():
        made.append(SPAWNED())
        return made[-1]

    kill = Killer(tmp_path / "1.h5", writer_of)
    done = list(run_on(make, runs_in(tmp_path, model), on_wait=kill))
    assert kill.killed_at < STEPS // 10
    assert len(made) == 2
    assert {summary.failure for summary in done} == {None}
    assert all(summary.step == STEPS and 50 < summary.mean_temperature_K < 600 for summary in done)
    assert_same_trajectories(tmp_path, undisturbed)
