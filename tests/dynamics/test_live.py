"""A live simulation remembers, forgets, goes back, and obeys its knobs without compiling anything."""

import itertools
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from argon import ARGON
from ase.build import bulk
from compiled_programs import programs_of

import so3lab
from so3lab import dynamics
from so3lab.dynamics import Limits, compiled_loop
from so3lab.dynamics.control import Control
from so3lab.dynamics.live import LiveDynamics
from so3lab.dynamics.replicas import SimulationError
from so3lab.engine.biases import Pull, Restraint
from so3lab.structures import read_structure
from so3lab.trajectory import Trajectory


@pytest.fixture(scope="module")
def potential():
    return so3lab.load("ethanol", "float64")


def live(potential, copies: int = 1, **options) -> LiveDynamics:
    return LiveDynamics(potential, [read_structure("ethanol")] * copies, interval=4, **options)


def start_of(simulation: LiveDynamics):
    return simulation.replicas.structures[0]


def some(simulation, chunks: int):
    return list(itertools.islice(simulation.run(0.01), chunks))


@pytest.mark.parametrize(("seconds_per_step", "steps"), [(0.0005, 8), (0.02, 3), (0.2, 1)])
def test_frames_of_slow_steps_come_as_often_as_they_can(potential, seconds_per_step, steps, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("so3lab.dynamics.live.time", SimpleNamespace(monotonic=lambda: clock[0]))
    simulation = LiveDynamics(potential, [read_structure("ethanol")])
    advance = simulation.replicas.advance

    def slowly(frames, interval):
        clock[0] += seconds_per_step * frames * interval
        return advance(frames, interval)

    simulation.replicas.advance = slowly
    chunks = simulation.run()
    for _ in range(8):
        next(chunks)
    assert simulation.interval == steps
    assert len(set(np.diff(simulation.table()["step"])[-2:])) == 1


def test_the_past_is_what_was_handed_out(potential):
    simulation = live(potential, seeds=[3])
    handed = [of_all[0] for of_all in some(simulation, 6)]
    table = simulation.table()
    np.testing.assert_array_equal(table["step"], 4 * np.arange(len(table)))
    np.testing.assert_array_equal(simulation.positions()[1:], np.concatenate([x.positions for x in handed]))
    np.testing.assert_array_equal(
        simulation.velocities(0, slice(2, 9, 3)), simulation.velocities()[2:9:3]
    )  # across chunks
    inner, masses = simulation.inner_velocities(0, slice(2, 9, 3)), simulation.atoms().get_masses()
    places = simulation.positions(0, slice(2, 9, 3)).astype(float)
    centred = places - (masses @ places)[:, None] / masses.sum()
    np.testing.assert_allclose(masses @ inner, 0, atol=1e-12)
    np.testing.assert_allclose(np.cross(centred, masses[:, None] * inner).sum(axis=1), 0, atol=1e-10)
    turned = simulation.velocities(0, slice(2, 9, 3)) - inner  # a rigid body: no two of its atoms come nearer
    apart = places[:, 0] - places[:, 1]
    np.testing.assert_allclose(np.sum(apart * (turned[:, 0] - turned[:, 1]), axis=1), 0, atol=1e-10)
    assert simulation.frames() == len(table)
    atoms = simulation.atoms(0, -1)
    np.testing.assert_allclose(atoms.positions, handed[-1].positions[-1])
    assert simulation.time_ps == pytest.approx(0.001 * table["time_fs"].iloc[-1])
    assert simulation.steps_per_second > 0
    with pytest.raises(IndexError, match="frame must be 0 to"):
        simulation.atoms(0, len(table))


def test_going_back_is_going_the_same_way_again(potential):
    simulation = live(potential, seeds=[5])
    while simulation.frames() < 20:
        some(simulation, 1)
    before, frame = simulation.positions(), 7
    energies = simulation.table()
    simulation.go_back(frame)
    assert simulation.frames() == frame + 1
    row = simulation.table().iloc[-1]
    for name in ("step", "time_fs", "potential_energy", "temperature", "conserved_energy"):
        assert row[name] == pytest.approx(energies[name][frame], rel=1e-9)
    while simulation.frames() < 20:
        some(simulation, 1)
    again = simulation.positions()
    frames = min(len(again), len(before))
    assert frames >= 20
    np.testing.assert_allclose(again[:frames], before[:frames], atol=1e-9)  # noise belongs to steps


def test_going_back_counts_from_the_end_as_well(potential):
    simulation = live(potential, seeds=[5])
    while simulation.frames() < 10:
        some(simulation, 1)
    frames, place = simulation.frames(), simulation.positions()[-3]
    simulation.go_back(-3)
    assert simulation.frames() == frames - 2
    np.testing.assert_array_equal(simulation.positions()[-1], place)
    with pytest.raises(IndexError, match=f"frame must be 0 to {frames - 3}, got -{frames + 1}"):
        simulation.go_back(-frames - 1)


@pytest.mark.parametrize("ensemble", ["nve", "npt"])
def test_distances_in_cells_go_to_nearest_images(ensemble):
    crystal = bulk("Ar", "fcc", a=5.35, cubic=True) * (4, 4, 4)
    simulation = LiveDynamics(ARGON, [crystal], ensemble=ensemble, control=Control(60.0, timestep_fs=4.0))
    some(simulation, 3)
    one, other = 0, int(np.argmax(crystal.get_distances(0, range(256))))
    assert crystal.get_distance(one, other) > 20
    found = simulation.measure((one, other))
    assert found[-1] == pytest.approx(simulation.atoms().get_distance(one, other, mic=True), abs=1e-4)
    assert len(found) == simulation.frames()
    assert found.max() < 12


def test_new_velocities_make_another_future(potential):
    simulation = live(potential, seeds=[5])
    some(simulation, 6)
    before, start = simulation.positions(), simulation.atoms(0, 5)
    kinetic, conserved = simulation.table().loc[5, ["kinetic_energy", "conserved_energy"]]
    simulation.go_back(5, seed=11)
    np.testing.assert_allclose(simulation.positions()[5], before[5], atol=1e-12)
    assert np.abs(simulation.velocities()[5] - start.get_velocities()).max() > 1e-3
    table = simulation.table()
    assert table["kinetic_energy"][5] != pytest.approx(kinetic, abs=1e-6)
    assert table["conserved_energy"][5] == pytest.approx(conserved, abs=1e-9), "what velocities bring counts as heat"
    some(simulation, 3)
    assert np.abs(simulation.positions()[6] - before[6]).max() > 1e-4


def test_only_so_much_of_the_past_is_kept(potential):
    frame = live(potential).frame().nbytes
    simulation = live(potential, copies=2, memory=2 * frame * 30)
    some(simulation, 40)
    frames = simulation.frames()
    assert frames <= 30
    assert simulation.table(1)["step"].iloc[0] > 0
    assert len(simulation.positions(1)) == frames
    simulation.go_back(0)
    assert simulation.frames() == 1


def test_knobs_and_biases_act_at_once_and_compile_nothing(potential):
    control = Control(temperature_K=50.0, friction_per_ps=50.0)
    simulation = live(potential, control=control)
    some(simulation, 3)
    programs = programs_of(compiled_loop.run_chunk)
    control.temperature_K = 600.0
    control.biases = [Pull((0, 2), 0.05), Restraint((0, 1, 2, 8), 60.0, 1.0)]
    chunks = some(simulation, 3)
    assert chunks[0][0].target_temperature[0] == 600.0
    assert chunks[-1][0].bias_energy[-1] != 0.0
    control.timestep_fs, control.biases = 0.25, []
    some(simulation, 3)
    simulation.go_back(4)
    some(simulation, 3)
    assert programs_of(compiled_loop.run_chunk) == programs


def test_who_blew_up_is_named_and_can_be_brought_back(potential):
    control = Control()
    simulation = live(potential, control=control)
    some(simulation, 3)
    frame = simulation.frames() - 1
    control.timestep_fs = 20.0
    with pytest.raises(SimulationError, match="blew up"):
        some(simulation, 500)
    assert list(simulation.failures) == [0]
    control.timestep_fs = 0.5
    simulation.go_back(frame)
    assert simulation.failures == {}
    assert len(some(simulation, 2)) == 2


def test_a_recording_is_a_run_that_can_go_on(potential, tmp_path):
    simulation = live(potential, seeds=[2])
    some(simulation, 2)
    (path,) = simulation.record(tmp_path / "live.h5", {"model": "ethanol"})
    start = simulation.replicas.step
    some(simulation, 4)
    assert simulation.recording
    simulation.go_back(1)
    assert not simulation.recording, "the file tells one story"
    with Trajectory(path) as trajectory:
        assert trajectory.meta["model"] == "ethanol"
        steps = trajectory.steps
        np.testing.assert_array_equal(steps, start + 4 * np.arange(1, len(steps) + 1))
        assert trajectory.restart_state()["step"] == steps[-1]
    with pytest.raises(FileExistsError):
        simulation.record(path)
    again, more = live(potential, seeds=[2]), tmp_path / "again.h5"
    again.record(more)
    some(again, 3)
    again.stop_recording()
    some(again, 3)
    last = again.replicas.step
    for _ in dynamics.run(potential, start_of(again), steps=last, interval=4, out=more, resume=True):
        pass
    with Trajectory(more) as trajectory:
        np.testing.assert_array_equal(trajectory.positions()[-1], again.positions()[-1])
    pair = live(potential, copies=2)
    assert [path.name for path in pair.record(tmp_path / "pair")] == ["replica_0000.h5", "replica_0001.h5"]
    pair.stop_recording()


def test_the_bond_that_strayed_is_known(potential):
    control = Control(10.0, biases=[Pull((0, 1), 20.0)])
    simulation = live(potential, control=control, limits=Limits(energy_jump=None, heat=None))
    with pytest.raises(SimulationError, match="C0-C1"):
        some(simulation, 500)
    assert simulation.weakest_bond() == (0, 1)


def test_the_past_can_be_read_while_it_grows(potential):
    simulation = live(potential)
    every = [simulation.positions()]
    stop, troubles = threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                assert len(simulation.table()) <= simulation.frames()
                simulation.atoms(frame=simulation.frames() // 2)
            except Exception as error:
                troubles.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for chunks in itertools.islice(simulation.run(0.001), 100):
        every.append(chunks[0].positions)
    stop.set()
    reader.join()
    assert troubles == []
    np.testing.assert_array_equal(simulation.positions(), np.concatenate(every))
    assert (np.diff(simulation.table()["step"]) == 4).all()
