"""Many runs on workers that die: every run ends, and its trajectory is that of an undisturbed one."""

import json
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np
import pytest
from ase.build import molecule

from so3lab.app import main
from so3lab.cluster import OwnProcesses, RunSpec, connect, executor_at, run_all, simulate
from so3lab.cluster.one_run import frames_in
from so3lab.dynamics.limits import Limits
from so3lab.network.settings import preset
from so3lab.potential import Potential
from so3lab.trajectory import Trajectory, TrajectoryWriter

STEPS = 6000
UNLIMITED = Limits(None, None, None)
"""Bonds do not last under the random weights of the test's model."""
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
    assert all(summary.failure is None for summary in run_all(SPAWNED, runs_in(folder, model)))
    return folder


def runs_in(folder, model, count=3, **changes):
    settings = {"steps": STEPS, "interval": 10} | changes
    return [
        RunSpec(model, molecule("CH3CH2OH"), folder / f"{k}.h5", seed=k, limits=UNLIMITED, **settings)
        for k in range(count)
    ]


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


@pytest.mark.process
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
        done = list(run_all(client.get_executor(pure=False), runs_in(tmp_path, model), on_wait=kill))
    assert kill.killed_at < STEPS // 10
    assert [summary.failure for summary in done] == [None] * 3
    assert_same_trajectories(tmp_path, undisturbed)


@pytest.mark.process
@needs_proc
def test_broken_process_pool_is_made_again(model, undisturbed, tmp_path):
    made = []

    def make():
        made.append(SPAWNED())
        return made[-1]

    kill = Killer(tmp_path / "1.h5", writer_of)
    done = list(run_all(make, runs_in(tmp_path, model), on_wait=kill))
    assert kill.killed_at < STEPS // 10
    assert len(made) == 2
    assert {summary.failure for summary in done} == {None}
    assert all(summary.step == STEPS and 50 < summary.mean_temperature_K < 600 for summary in done)
    assert_same_trajectories(tmp_path, undisturbed)


# --- what stops one run and no other -----------------------------------------------------------


def test_a_run_that_blows_up_reports_its_sentence_and_stops_no_other(model, tmp_path):
    runs = [
        RunSpec(model, "ethanol", tmp_path / "wild.h5", 1000, temperature_K=1e5),
        RunSpec(model, "nowhere.xyz", tmp_path / "strange.h5", 100),
        RunSpec(model, "ethanol", tmp_path / "calm.h5", 105, seed=4, limits=UNLIMITED),
    ]
    with ThreadPoolExecutor(1) as executor:
        wild, strange, calm = run_all(executor, runs)
    assert "the simulation blew up" in wild.failure
    assert "structure must be a file" in strange.failure
    assert strange.frames == 0
    assert (calm.failure, calm.frames, calm.step) == (None, 6, 100)
    with Trajectory(calm.run.path) as trajectory:
        assert trajectory.meta["seed"] == 4
        assert trajectory.meta["structure"] == "ethanol"


def test_complete_runs_are_not_run_again_and_longer_ones_go_on(model, tmp_path):
    run = RunSpec(model, "ethanol", tmp_path / "run.h5", 100, limits=UNLIMITED)
    assert simulate(run).failure is None
    written = run.path.stat().st_mtime_ns
    again = simulate(RunSpec("a model that is gone", "ethanol", run.path, 100, limits=UNLIMITED))
    assert (again.failure, again.frames) == (None, 6)
    assert run.path.stat().st_mtime_ns == written
    assert simulate(RunSpec(model, "ethanol", run.path, 200, limits=UNLIMITED)).frames == 11
    failure = simulate(RunSpec(model, "ethanol", run.path, 300, seed=1, temperature_K=400.0, limits=UNLIMITED)).failure
    assert "belongs to another run, with temperature_K 300.0 instead of 400.0, seed 0 instead of 1" in failure
    failure = simulate(RunSpec(model, molecule("CH4"), run.path, 300, limits=UNLIMITED)).failure
    assert "it is a trajectory of C2H6O, not CH4" in failure
    run.path.unlink()
    run.path.write_text("mine")
    assert "is not an HDF5 file" in simulate(run).failure
    assert run.path.read_text() == "mine"


def test_a_file_is_waited_for_while_another_worker_holds_it(model, tmp_path):
    """A worker that is slow to die, then a file in which it left nothing to go on from."""
    run = RunSpec(model, molecule("CH3CH2OH"), tmp_path / "run.h5", 100, limits=UNLIMITED)
    writer = TrajectoryWriter(run.path, run.atoms(), state_template={"a": np.zeros(1)}, meta=run.settings())
    with ThreadPoolExecutor(1) as executor:
        held = executor.submit(simulate, run)
        time.sleep(1.0)
        assert not held.done()
        writer.close()
        assert held.result().failure is None
    with Trajectory(run.path) as trajectory:
        assert len(trajectory) == 6


# --- what becomes of lost workers, without killing any ------------------------------------------


class Unlucky(Executor):
    """Loses its worker at the first calls, as many as it is told."""

    def __init__(self, losses):
        self.losses, self.calls = losses, 0

    def submit(self, function, run):
        future = Future()
        future.set_running_or_notify_cancel()
        self.calls += 1
        if self.calls <= self.losses:
            future.set_exception(BrokenProcessPool("a process died"))
        else:
            future.set_result(function(run))
        return future


def test_a_run_is_given_up_after_so_many_losses(model, tmp_path):
    run = RunSpec(model, "ethanol", tmp_path / "run.h5", 20, limits=UNLIMITED)
    executor = Unlucky(2)
    (summary,) = run_all(executor, [run], retries=1)
    assert "given up: its worker died 2 times in a row without a new frame" in summary.failure
    (summary,) = run_all(Unlucky(2), [run], retries=2)
    assert (summary.failure, summary.frames) == (None, 2)


def test_a_broken_pool_that_cannot_be_made_again_is_explained(tmp_path):
    class Broken(Executor):
        def submit(self, function, run):
            raise BrokenProcessPool("a process died")

    runs = runs_in(tmp_path, "ethanol")
    assert ["give a function" in summary.failure for summary in run_all(Broken(), runs)] == [True] * 3


def test_closing_cancels_what_has_not_started(tmp_path):
    class Full(Executor):
        def __init__(self):
            self.futures = []

        def submit(self, function, run):
            self.futures.append(Future())
            return self.futures[-1]

    def interrupt():
        raise KeyboardInterrupt

    executor = Full()
    with pytest.raises(KeyboardInterrupt):
        list(run_all(executor, runs_in(tmp_path, "ethanol"), on_wait=interrupt))
    assert [future.cancelled() for future in executor.futures] == [True] * 3


@pytest.mark.process
def test_own_processes_stop_in_good_order_when_closed(model, tmp_path):
    """And an executor of one process goes on exactly there, which the test of the command checks."""

    def interrupt():
        if frames_in(run.path) > 5:
            raise KeyboardInterrupt

    run = RunSpec(model, "ethanol", tmp_path / "run.h5", 10**8, limits=UNLIMITED)
    with pytest.raises(KeyboardInterrupt):
        list(run_all(partial(OwnProcesses, 1), [run], on_wait=interrupt))
    TrajectoryWriter.resume(run.path)[0].close()  # nobody writes any more
    with Trajectory(run.path) as trajectory:
        assert int(trajectory.restart_state()["step"]) == trajectory.steps[-1]


# --- the command ------------------------------------------------------------------------------


@pytest.mark.process
def test_replicas_on_the_command_line(model, capsys, tmp_path):
    command = [
        "md",
        str(model),
        "ethanol",
        "--out",
        str(tmp_path / "all"),
        "--seed",
        "5",
        "--cluster",
        "local:2",
        "--no-limits",
    ]
    command += ["--temperatures-K", "200", "300", "--interval", "10", "--json"]
    assert main([*command, "--steps", "50"]) == 0
    first = json.loads(capsys.readouterr().out)["replicas"]
    assert [row["frames"] for row in first] == [6, 6]
    assert main([*command, "--steps", "50"]) == 1
    assert "replica_0000.h5 exists; go on with --resume" in " ".join(capsys.readouterr().err.split())
    assert main([*command, "--steps", "100", "--resume"]) == 0
    output = capsys.readouterr()
    rows = json.loads(output.out)["replicas"]
    assert [(row["replica"], row["seed"], row["temperature_K"], row["frames"]) for row in rows] == [
        ("replica_0000.h5", 5, 200.0, 11),
        ("replica_0001.h5", 6, 300.0, 11),
    ]
    assert "2 of 2 replicas complete" in output.err
    for number, temperature_K in enumerate((200.0, 300.0)):
        straight = RunSpec(
            model,
            "ethanol",
            tmp_path / f"{number}.h5",
            100,
            "langevin",
            temperature_K,
            interval=10,
            seed=5 + number,
            limits=UNLIMITED,
        )
        assert simulate(straight).failure is None
        with Trajectory(straight.path) as a, Trajectory(tmp_path / "all" / f"replica_000{number}.h5") as b:
            np.testing.assert_allclose(a.positions(), b.positions(), atol=1e-4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--replicas", "0", "--cluster", "local"], "--replicas must be positive, got 0"),
        (
            ["--replicas", "3", "--temperatures-K", "300", "--cluster", "local"],
            "for each of the 3 replicas, got 1",
        ),
        (["--cluster", "local:none"], "local must be followed by a number"),
        (["--cluster", "nowhere"], "must look like tcp://host:8786"),
        (["--cluster", "no.json"], "no scheduler file no.json"),
    ],
)
def test_replicas_are_refused_with_a_sentence(words, sentence, capsys, tmp_path):
    command = ["md", "ethanol", "ethanol", "--out", str(tmp_path / "all"), "--steps", "10"]
    assert main(command + words) == 1
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_refusals_say_what_to_do(tmp_path, monkeypatch):
    one = RunSpec("ethanol", "ethanol", tmp_path / "run.h5", 10)
    other = RunSpec("ethanol", "ethanol", tmp_path / "." / "run.h5", 10)
    with pytest.raises(ValueError, match=r"runs 0 and 1 write .*run\.h5"):
        run_all(OwnProcesses, [one, other])
    with pytest.raises(ValueError, match="retries must not be negative"):
        run_all(OwnProcesses, [one], retries=-1)
    with pytest.raises(ValueError, match="steps and interval must be positive"):
        RunSpec("ethanol", "ethanol", "run.h5", 0)
    with pytest.raises(ValueError, match="number of processes must be positive"):
        OwnProcesses(0)
    with pytest.raises(ConnectionError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        connect("tcp://127.0.0.1:9", timeout_s=0.5)
    with executor_at("local:7", 3) as make:
        assert make.args == (3,)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r'pip install "so3lab\[cluster\]"'):
        connect("tcp://host:8786")
