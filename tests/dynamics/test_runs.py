"""Simulations conserve, thermostat, restart bit by bit, heal overflow and never compile again."""

import signal
import subprocess
import sys
from functools import partial

import ase
import jax.numpy as jnp
import numpy as np
import pytest
from argon import ARGON
from ase.build import bulk, molecule
from compiled_programs import programs_of

from so3lab import dynamics, observables
from so3lab.dynamics import Chunk, Control, Limits, SimulationError, compiled_loop
from so3lab.dynamics.restart import OLD_NAMES
from so3lab.engine.biases import Pull
from so3lab.engine.energy_model import EnergyModel
from so3lab.network.settings import preset
from so3lab.potential import Potential
from so3lab.structures.graph import displacements
from so3lab.trajectory import Trajectory, TrajectoryWriter

FREE = Limits(bond_stretch=None, energy_jump=None, heat=None)  # random weights know no bonds
run, Simulation = partial(dynamics.run, limits=FREE), partial(dynamics.Simulation, limits=FREE)


@pytest.fixture(scope="module")
def potential():
    return Potential.initial(preset("tiny", mean_neighbors=7.0), seed=2, dtype="float64")


def everything(chunks):
    chunks = list(chunks)
    columns = [chunk.columns() for chunk in chunks]
    return Chunk(**{name: np.concatenate([some[name] for some in columns]) for name in columns[0]})


def test_error_of_the_total_energy_is_of_second_order(potential, ethanol):
    """Velocity Verlet with exact forces: half the time step, a quarter of the error, and no drift beyond it."""
    errors = {}
    for timestep_fs in (0.2, 0.1):
        steps = int(400 / timestep_fs)
        whole = everything(
            run(potential, ethanol, steps=steps, ensemble="nve", temperature_K=300, timestep_fs=timestep_fs)
        )
        errors[timestep_fs] = np.std(whole.total_energy)
        assert abs(observables.energy_drift(whole.time_fs, whole.total_energy)) < 4 * errors[timestep_fs]
        assert errors[timestep_fs] < 0.01 * np.std(whole.kinetic_energy)
    assert errors[0.2] / errors[0.1] == pytest.approx(4, rel=0.2)


def test_argon_crystal_keeps_energy_and_momentum_in_its_cell():
    atoms = bulk("Ar", "fcc", a=5.26, cubic=True).repeat((2, 2, 2))
    whole = everything(run(ARGON, atoms, steps=2000, ensemble="nve", temperature_K=60, timestep_fs=2.0))
    assert np.ptp(whole.total_energy) < 2e-3 * np.ptp(whole.potential_energy)
    np.testing.assert_allclose(whole.velocities.sum(axis=1), 0, atol=1e-10)
    assert 15 < whole.temperature[-50:].mean() < 60


def test_energies_and_forces_are_those_of_the_calculator(potential, ethanol):
    whole = everything(run(potential, ethanol, steps=40, interval=20))
    for k in range(3):
        atoms = ethanol.copy()
        atoms.positions = whole.positions[k]
        result = potential(atoms)
        assert whole.potential_energy[k] == pytest.approx(result.energy, abs=1e-9)
        np.testing.assert_allclose(whole.forces[k], result.forces, atol=1e-9)


def test_langevin_reaches_the_temperature():
    atoms = bulk("Ar", "fcc", a=5.26, cubic=True).repeat((2, 2, 2))
    whole = everything(
        run(ARGON, atoms, steps=4000, temperature_K=50, timestep_fs=4.0, friction_per_ps=5.0, interval=10)
    )
    assert whole.temperature[100:].mean() == pytest.approx(50, rel=0.06)


def test_knobs_act_at_once_and_compile_nothing(potential, ethanol):
    control = Control(temperature_K=300, timestep_fs=0.5, friction_per_ps=50)
    moving = Simulation(potential, ethanol, control=control)
    moving.advance(1, 10)
    compiled = programs_of(compiled_loop.run_chunk)
    control.temperature_K, control.timestep_fs, control.friction_per_ps = 900, 0.25, 100
    chunks = [moving.advance(frames, interval) for frames, interval in ((3, 7), (40, 50), (64, 20))]
    assert programs_of(compiled_loop.run_chunk) == compiled
    assert chunks[-1].temperature.mean() > 500
    assert chunks[0].time_fs[0] == pytest.approx(10 * 0.5 + 7 * 0.25)


def test_length_of_chunks_changes_nothing(potential, ethanol):
    one = Simulation(potential, ethanol, seed=5)
    other = Simulation(potential, ethanol, seed=5)
    first = one.advance(12, 5)
    pieces = [other.advance(frames, 5) for frames in (1, 4, 7)]
    np.testing.assert_array_equal(first.positions, np.concatenate([piece.positions for piece in pieces]))


def test_overflow_is_healed_and_nothing_is_lost():
    """A cloud of atoms that falls together outgrows its pair lists; the result is that of a run with enough
    capacity."""
    random = np.random.default_rng(0)
    atoms = ase.Atoms("Ar30", positions=random.uniform(-16, 16, size=(30, 3)))
    atoms.positions += 0.0
    atoms.set_velocities(-0.02 * atoms.positions)
    tight, ample = Simulation(ARGON, atoms, ensemble="nve"), Simulation(ARGON, atoms, ensemble="nve")
    ample.lists.restore({"capacity": np.array([435, 435])})
    before = tight.lists.spec.capacity
    a, b = tight.advance(64, 20), ample.advance(64, 20)
    assert tight.lists.spec.capacity > before
    np.testing.assert_allclose(a.positions, b.positions, atol=1e-9)


def test_blow_up_stops_with_a_sentence_and_keeps_the_good_frames(tmp_path):
    atoms = ase.Atoms("Ar2", positions=[[0, 0, 0], [3.0, 0, 0]])
    atoms.set_velocities([[40.0, 0, 0], [-40.0, 0, 0]])

    def explosive(parameters, graph, strain=None):
        d = displacements(graph, strain)
        return jnp.sum(jnp.sqrt(jnp.sum(d * d) - 1.0))[None]  # not a number below 1 Å

    field = EnergyModel(explosive, (), 50.0, "float64")
    out = tmp_path / "run.h5"
    with pytest.raises(SimulationError, match=r"blew up.*step \d+.*Try a time step below 0.01 fs"):
        list(run(field, atoms, steps=5000, ensemble="nve", timestep_fs=0.01, interval=1, out=out))
    with Trajectory(out) as kept:
        assert len(kept) > 1
        assert np.isfinite(kept.positions()).all()


def test_resumed_run_is_the_uninterrupted_one(potential, ethanol, tmp_path):
    straight = everything(run(potential, ethanol, steps=600, interval=10, seed=3, out=tmp_path / "a.h5"))
    some = run(potential, ethanol, steps=600, interval=10, seed=3, out=tmp_path / "b.h5", seconds_per_chunk=0.02)
    for _ in range(4):
        next(some)
    some.close()
    list(run(potential, ethanol, steps=600, interval=10, seed=3, out=tmp_path / "b.h5", resume=True))
    with Trajectory(tmp_path / "a.h5") as a, Trajectory(tmp_path / "b.h5") as b:
        assert len(a) == len(b) == 61
        np.testing.assert_array_equal(a.positions(), b.positions())
        np.testing.assert_array_equal(a.velocities(), b.velocities())
        np.testing.assert_array_equal(a.times_fs, b.times_fs)
        np.testing.assert_allclose(a.positions()[-1], straight.positions[-1])


def test_only_the_same_model_precision_and_ensemble_go_on(potential, ethanol, tmp_path):
    out = tmp_path / "run.h5"
    list(run(potential, ethanol, steps=20, out=out))
    size = out.stat().st_size
    others = {
        "weights [0-9a-f]{16} instead of": {"potential": Potential.initial(potential.settings, 3, "float64")},
        "dtype float64 instead of float32": {"potential": potential.astype("float32")},
        "ensemble langevin instead of csvr": {"ensemble": "csvr"},
    }
    for sentence, other in others.items():
        with pytest.raises(ValueError, match=f"belongs to another run, with {sentence}"):
            list(run(other.pop("potential", potential), ethanol, steps=40, out=out, resume=True, **other))
    assert out.stat().st_size == size
    assert potential.astype("float32").checksum == Potential.initial(potential.settings, 2).checksum
    list(run(potential, ethanol, steps=40, out=out, resume=True))


def test_knobs_that_were_turned_stay_turned(potential, ethanol, tmp_path):
    def turned(steps: int, out: str, resume: bool = False):
        control, finals = Control(300.0, 0.5), (900.0, 0.25, [Pull((0, 2), 0.3)])
        for chunk in run(
            potential,
            ethanol,
            steps=steps,
            interval=10,
            control=control,
            out=tmp_path / out,
            resume=resume,
            seconds_per_chunk=1e-9,
        ):
            if not resume and chunk.step[-1] == 20:
                control.temperature_K, control.timestep_fs, control.biases = finals
        return control

    turned(100, "whole.h5")
    turned(50, "parts.h5")
    control = turned(100, "parts.h5", resume=True)
    assert (control.temperature_K, control.timestep_fs, control.biases) == (900.0, 0.25, (Pull((0, 2), 0.3),))
    with Trajectory(tmp_path / "whole.h5") as a, Trajectory(tmp_path / "parts.h5") as b:
        np.testing.assert_array_equal(a.positions(), b.positions())
    last = run(
        potential,
        ethanol,
        steps=110,
        interval=10,
        temperature_K=500.0,
        out=tmp_path / "parts.h5",
        resume=True,
    )
    assert next(last).target_temperature[-1] == 500.0  # what is asked for now counts


def test_frames_that_are_far_apart_cost_no_more_than_a_chunk(potential, ethanol, tmp_path):
    """The state is kept between frames, too: what is lost is a chunk, not the way to the next frame."""
    saved, save = [], TrajectoryWriter.save_state

    def noted(writer, state):
        saved.append(int(state["step"]))
        save(writer, state)

    options = {"interval": 250, "ensemble": "langevin", "seed": 4}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrajectoryWriter, "save_state", noted)
        some = run(potential, ethanol, steps=500, out=tmp_path / "parts.h5", seconds_per_chunk=1e-9, **options)
        next(some)
        assert len(next(some)) == 1
        some.close()
    assert saved[:4] == [0, 20, 40, 41]
    list(run(potential, ethanol, steps=500, out=tmp_path / "parts.h5", resume=True, **options))
    list(run(potential, ethanol, steps=500, out=tmp_path / "whole.h5", **options))
    with Trajectory(tmp_path / "whole.h5") as a, Trajectory(tmp_path / "parts.h5") as b:
        assert a.steps.tolist() == b.steps.tolist() == [0, 250, 500]
        np.testing.assert_array_equal(a.positions(), b.positions())


KILLED = """
import sys
from ase.build import molecule
from so3lab.dynamics import Limits, run
from so3lab.potential import Potential
from so3lab.network.settings import preset
potential = Potential.initial(preset("tiny", mean_neighbors=7.0), seed=2)
resume = sys.argv[2] == "resume"
ethanol, steps = molecule("CH3CH2OH"), int(sys.argv[3])
for chunk in run(
    potential, ethanol, steps=steps, interval=10, seed=1, out=sys.argv[1], resume=resume, seconds_per_chunk=0.05,
    limits=Limits(None, None, None),
):
    print(chunk.step[-1], flush=True)
"""


@pytest.mark.process
def test_killed_run_resumes_bit_by_bit(tmp_path):
    def command(file, mode, steps):
        return [sys.executable, "-c", KILLED, str(tmp_path / file), mode, str(steps)]

    process = subprocess.Popen(command("killed.h5", "new", 10**7), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) > 2000:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Trajectory(tmp_path / "killed.h5") as kept:
        steps = int(kept.steps[-1]) + 500
    subprocess.run(command("killed.h5", "resume", steps), check=True, capture_output=True)
    subprocess.run(command("straight.h5", "new", steps), check=True, capture_output=True)
    with Trajectory(tmp_path / "killed.h5") as a, Trajectory(tmp_path / "straight.h5") as b:
        np.testing.assert_array_equal(a.steps, b.steps)
        np.testing.assert_array_equal(a.positions(), b.positions())


def test_start_velocities_are_used_when_there_are_any(potential, ethanol):
    ethanol.set_velocities(np.full((9, 3), 0.01))
    frame = Simulation(potential, ethanol, ensemble="nve").frame()
    np.testing.assert_allclose(frame.velocities[0], 0.01)


def test_bad_arguments_are_refused(potential, ethanol, tmp_path):
    with pytest.raises(ValueError, match=r"ensemble must be one of .* got 'nvt'"):
        Simulation(potential, ethanol, ensemble="nvt")
    with pytest.raises(ValueError, match="timestep_fs must be a positive finite number, got 0"):
        Control(timestep_fs=0)
    with pytest.raises(AttributeError, match="Control has no knob 'pressure'"):
        Control().pressure = 1.0
    with pytest.raises(ValueError, match="steps and interval must be positive"):
        next(run(potential, ethanol, steps=0))
    with pytest.raises(ValueError, match="resume needs out"):
        next(run(potential, ethanol, steps=10, resume=True))
    with pytest.raises(ValueError, match=r"steps must be at least interval.*\(20\), got 10"):
        next(run(potential, ethanol, steps=10))
    with pytest.raises(ValueError, match="seeds must not be negative, got -3"):
        next(run(potential, ethanol, steps=20, seed=-3))
    (tmp_path / "there.h5").write_text("mine")
    with pytest.raises(FileExistsError):
        next(run(potential, ethanol, steps=20, out=tmp_path / "there.h5"))


def test_atoms_on_top_of_each_other_are_refused_at_the_start():
    field = ARGON._replace(dtype="float32")
    with pytest.raises(SimulationError, match="start structure is not a finite number"):
        Simulation(field, ase.Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 0]]))


def test_present_atoms_go_on_in_ase(potential, ethanol):
    simulation = Simulation(potential, ethanol)
    chunk = simulation.advance(2, 5)
    atoms = simulation.present_atoms()
    np.testing.assert_allclose(atoms.positions, chunk.positions[-1])
    np.testing.assert_allclose(atoms.get_velocities(), chunk.velocities[-1])
    assert molecule("CH3CH2OH").get_chemical_symbols() == atoms.get_chemical_symbols()


def test_restart_states_with_the_names_of_older_versions_are_read():
    atoms = bulk("Ar", "fcc", a=5.26, cubic=True).repeat((2, 2, 2))
    begun, other = (Simulation(ARGON, atoms, ensemble="nose-hoover", seed=seed) for seed in (1, 2))
    begun.advance(2, 10)
    old = {new: name for name, new in OLD_NAMES.items()}
    state = begun.replicas.restart_state()
    assert old.keys() <= state.keys()
    other.replicas.restore({old.get(name, name): values for name, values in state.items()})
    for name, values in other.replicas.restart_state().items():
        np.testing.assert_array_equal(values, state[name])
    np.testing.assert_array_equal(other.advance(2, 10).positions, begun.advance(2, 10).positions)


def test_files_call_a_wall_by_the_name_that_older_ones_have():
    control, again = Control(biases=[dynamics.SphericalWall(8.0, 2.0), Pull((0, 2), 0.3)]), Control()
    told = control.to_dict()
    assert [bias["kind"] for bias in told["biases"]] == ["Sphere", "Pull"]
    again.update_from_dict(told)
    assert again == control
