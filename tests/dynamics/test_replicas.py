"""Many structures at once move as each would alone, blow up alone, exchange temperatures, and restart exactly."""

import ase
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule
from compiled_programs import programs_of
from lennard_jones import truncated_lennard_jones
from scipy import integrate
from springs import SPRINGS

from so3lab import dynamics, units
from so3lab.dynamics import (
    Control,
    Limits,
    Replicas,
    Simulation,
    SimulationError,
    compiled_loop,
    replica_exchange,
    run_replicas,
)
from so3lab.engine.energy_model import EnergyModel
from so3lab.functions.safe import safe_norm
from so3lab.network.settings import preset
from so3lab.potential import Potential
from so3lab.structures.graph import displacements, sum_pairs_per_structure
from so3lab.trajectory import Trajectory, TrajectoryWriter

FREE = Limits(None, None, None)


@pytest.fixture(scope="module")
def potential():
    return Potential.initial(preset("tiny", mean_neighbors=7.0), seed=2, dtype="float64")


def agree(chunks, expected, atol: float) -> None:
    """Everything in the frames of some structures."""
    for chunk, other in zip(chunks, expected, strict=True):
        for name, values in chunk.columns().items():
            np.testing.assert_allclose(values, other.columns()[name], atol=atol, err_msg=name)


@pytest.mark.parametrize("ensemble", ["nve", "langevin", "nose-hoover", "csvr", "langevin with a network"])
def test_different_molecules_in_one_batch_move_as_each_alone(potential, ensemble):
    """Same forces, same random numbers: to rounding, which grows with time; and whatever the others do."""
    ensemble, _, network = ensemble.partition(" ")
    field = potential if network else SPRINGS
    structures = [molecule(name) for name in ("CH3CH2OH", "H2O", "C6H6")]

    def moved(temperatures_K, seeds):
        control = Control(temperatures_K)
        return Replicas(field, structures, ensemble=ensemble, control=control, seeds=seeds, limits=FREE).advance(4, 5)

    first, second = moved((100.0, 200.0, 300.0), [5, 6, 7]), moved((150.0, 200.0, 300.0), [8, 6, 7])
    agree(first[1:], second[1:], 1e-8)
    assert np.abs(first[0].positions - second[0].positions).max() > 1e-3
    alone = Simulation(field, structures[0], ensemble=ensemble, control=Control(100.0), seed=5, limits=FREE)
    agree(first[:1], [alone.advance(4, 5)], 1e-8)


@pytest.mark.parametrize("ensemble", ["csvr", "npt"])
def test_cells_of_different_sizes_in_one_batch_move_as_each_alone(ensemble):
    field, _, sigma = truncated_lennard_jones("float64")
    cells = ((1.6, 2), (1.7, (2, 2, 3)))
    structures = [ase.build.bulk("Ar", "fcc", a=a * sigma, cubic=True).repeat(n) for a, n in cells]

    def moved(structures, seeds):
        control = Control(80.0, timestep_fs=10.0, pressure_GPa=0.1)
        return Replicas(field, structures, ensemble=ensemble, control=control, seeds=seeds, limits=FREE).advance(4, 10)

    together = moved(structures, [0, 1])
    agree(together[1:], moved(structures[1:], [1]), 1e-6)
    agree(together[:1], moved(structures, [0, 5])[:1], 1e-6)


def cliff(parameters, graph, strain=None):
    """A soft spring that breaks with a vertical wall: the energy is no number beyond 3 Å."""
    d = safe_norm(displacements(graph, strain))
    pairs = jnp.where(graph.pair_mask, 0.5 * (d - 2.0) ** 2 - 0.05 * jnp.sqrt(3.0 - d), 0.0)
    return sum_pairs_per_structure(pairs, graph)


def test_one_that_blows_up_leaves_the_others_alone(tmp_path):
    pair = ase.Atoms("Ar2", positions=[[0, 0, 0], [2.0, 0, 0]])
    hot = pair.copy()
    hot.set_velocities([[0, 0, 0], [0.3, 0, 0]])
    pair.set_velocities([[0, 0, 0], [0.001, 0, 0]])
    field = EnergyModel(cliff, (), 10.0, "float64")
    control, lost = Control(timestep_fs=1.0), []
    replicas = Replicas(field, [pair, hot, pair], ensemble="nve", control=control, limits=FREE)
    chunks = replicas.advance(64, 5)
    assert [len(chunk) for chunk in chunks][::2] == [64, 64]
    assert 0 < len(chunks[1]) < 64
    assert replicas.alive.tolist() == [True, False, True]
    assert replicas.failure(0) is None
    assert "energy or velocities are not finite numbers at step" in replicas.failure(1)
    np.testing.assert_allclose(chunks[0].positions, chunks[2].positions, atol=1e-12)
    assert [len(chunk) for chunk in replicas.advance(3, 5)] == [3, 0, 3]
    for some in run_replicas(
        field,
        [pair, hot, pair],
        steps=400,
        ensemble="nve",
        interval=5,
        control=control,
        limits=FREE,
        out=tmp_path,
    ):
        lost.append(len(some[1]))
    assert 0 in lost
    lengths = [len(Trajectory(tmp_path / f"replica_{number:04d}.h5")) for number in range(3)]
    assert lengths[0] == lengths[2] == 81
    assert lengths[1] == sum(lost) < 81
    with pytest.raises(SimulationError, match="every structure has blown up"):
        list(run_replicas(field, [hot, hot], steps=400, ensemble="nve", control=control, limits=FREE))


def test_a_bond_that_breaks_is_named_with_its_step(ethanol):
    control = Control(10.0, biases=[dynamics.Pull((0, 1), 20.0)])
    moving = Simulation(SPRINGS, ethanol, control=control, limits=Limits(energy_jump=None, heat=None))
    words = r"the bond .*0.* changed by more than 1.0 Å at step \d+\. Try .*limits=Limits\(bond_stretch=None\)"
    with pytest.raises(SimulationError, match=words) as found:
        moving.advance(64, 10)
    assert len(found.value.chunk) < 64


def test_limits_name_what_went_wrong(ethanol):
    hot = ethanol.copy()
    hot.set_velocities(np.random.default_rng(0).normal(scale=3.0, size=(9, 3)))
    with pytest.raises(
        SimulationError,
        match=r"the kinetic energy rose above 10.0 times that of the thermostat at step 1; just before, the largest "
        r"force was \S+ eV/Å on [CHO]\d, and [CHO]\d moved fastest, at \S+ Å/fs\. Try a time step below",
    ):
        Simulation(SPRINGS, hot, ensemble="nve", limits=Limits(None, None)).advance(10, 1)
    with pytest.raises(
        SimulationError,
        match=r"the energy changed by more than 0.001 eV per atom in one step at step 1; just before",
    ):
        Simulation(SPRINGS, ethanol, ensemble="nve", limits=Limits(None, 0.001, None)).advance(10, 1)
    with pytest.raises(ValueError, match="heat must be a positive number, or None"):
        Limits(heat=-1.0)


def test_temperature_follows_a_ramp(ethanol):
    control = Control(100.0, friction_per_ps=100, ramp=[(0, 100.0), (2000, 600.0), (4000, 50.0)])
    replicas = Replicas(SPRINGS, [ethanol] * 20, control=control, limits=FREE)
    chunks = [replicas.advance(50, 40) for _ in range(2)]
    heat = np.concatenate([np.mean([c.temperature for c in some], axis=0) for some in chunks])
    target = np.concatenate([some[0].target_temperature for some in chunks])
    assert target[49] == pytest.approx(600.0)
    assert target[-1] == pytest.approx(50.0)
    assert np.abs(heat[5:] - target[5:]).mean() < 25
    one = Replicas(SPRINGS, [ethanol] * 20, control=control, limits=FREE)
    pieces = [one.advance(count, 40) for count in (13, 37)]
    np.testing.assert_array_equal(pieces[1][0].positions[-1], chunks[0][0].positions[-1])
    with pytest.raises(ValueError, match="ramp must be pairs of rising steps"):
        Control(ramp=[(10, 300.0), (0, 200.0)])


def two_wells(parameters, graph, strain=None):
    """A pair of atoms with a deep well at 1.5 Å and a wide one at 3 Å behind a barrier of 0.35 eV."""
    d = safe_norm(displacements(graph, strain))
    x = (d - 2.25) / 0.75
    return sum_pairs_per_structure(jnp.where(graph.pair_mask, 0.35 * (x * x - 1) ** 2 + 0.03 * x, 0.0), graph)


@pytest.mark.study
def test_replica_exchange_finds_the_populations_that_plain_dynamics_miss():
    pair = ase.Atoms("C2", positions=[[0, 0, 0], [1.5, 0, 0]])
    field = EnergyModel(two_wells, (), 20.0, "float64")
    ladder = replica_exchange.temperature_ladder(300.0, 3000.0, 6)
    structures, seen, plain = [pair] * 24, [], []
    # Four ladders of their own: neighbours exchange within each.
    counts = [replica_exchange.ReplicaExchange(ladder, seed=number) for number in range(4)]
    for count in counts:
        chunks = run_replicas(
            field, structures[:6], steps=60_000, temperatures_K=ladder, timestep_fs=2.0, friction_per_ps=5,
            exchange_every=100, interval=50, limits=FREE, exchange=count, seeds=range(6),
        )  # fmt: skip
        for some in chunks:
            for chunk in some:
                cold = np.isclose(chunk.target_temperature, 300.0)
                distance = np.linalg.norm(chunk.positions[:, 1] - chunk.positions[:, 0], axis=1)
                seen.append(distance[cold & (chunk.step > 5000)])
    beta = 1.0 / (units.kB * 300.0)
    energy = lambda d: 0.35 * (((d - 2.25) / 0.75) ** 2 - 1) ** 2 + 0.03 * (d - 2.25) / 0.75  # noqa: E731
    weight = lambda d: d * d * np.exp(-beta * energy(d))  # noqa: E731
    near = integrate.quad(weight, 0, 2.25)[0] / integrate.quad(weight, 0, 6)[0]
    seen = np.concatenate(seen)
    assert np.mean(seen < 2.25) == pytest.approx(near, abs=0.12)
    for some in run_replicas(
        field,
        structures[:6],
        steps=20_000,
        temperatures_K=300.0,
        timestep_fs=2.0,
        friction_per_ps=5,
        interval=50,
        limits=FREE,
    ):
        plain += [np.linalg.norm(c.positions[:, 1] - c.positions[:, 0], axis=1) for c in some]
    assert np.mean(np.concatenate(plain) < 2.25) > 0.95 > near + 0.2  # it never leaves the well where it began
    report = counts[0].report()
    assert (report["attempts"] > 200).all()
    assert report["acceptance"].between(0.3, 0.95).all()


def test_exchange_keeps_the_kinetic_temperature_of_the_rungs(ethanol):
    exchange = replica_exchange.ReplicaExchange([300.0, 600.0])
    replicas = Replicas(SPRINGS, [ethanol] * 2, control=Control((300.0, 600.0)), limits=FREE)
    replicas.advance(10, 20)
    before = [float(t.temperature[0]) for t in replicas.frames()]
    conserved = [float(t.conserved_energy[0]) for t in replicas.frames()]
    exchange.rung_of = exchange.rung_of[::-1].copy()
    replicas.exchange_temperatures(exchange.temperatures_K)
    after = [chunk.temperature[0] for chunk in replicas.frames()]
    np.testing.assert_allclose(after, [before[0] * 2, before[1] / 2])
    np.testing.assert_allclose([t.conserved_energy[0] for t in replicas.frames()], conserved, atol=1e-9)
    with pytest.raises(ValueError, match="must be above 0 K, got 0"):
        replica_exchange.ReplicaExchange([0.0, 300.0])
    assert replicas.control.temperature_K == (600.0, 300.0)


def test_stopped_between_two_files_a_batch_goes_on_exactly(potential, tmp_path, monkeypatch):
    """A kill after some files have their frames and before the first one has its state."""
    structures = [molecule("H2O"), molecule("CH3OH")]
    options = {
        "steps": 200,
        "interval": 10,
        "temperatures_K": (300.0, 400.0),
        "exchange_every": 20,
        "limits": FREE,
        "seconds_per_chunk": 0.02,
    }
    structures = [molecule("H2O"), molecule("H2O")]
    list(run_replicas(potential, structures, out=tmp_path / "straight", **options))
    some = run_replicas(potential, structures, out=tmp_path / "stopped", **options)
    for _ in range(4):
        next(some)
    save = TrajectoryWriter.save_state

    def killed(self, state):
        if "frames_written" in state:
            raise KeyboardInterrupt
        save(self, state)

    monkeypatch.setattr(TrajectoryWriter, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        next(some)
    monkeypatch.undo()
    list(run_replicas(potential, structures, out=tmp_path / "stopped", resume=True, **options))
    for number in range(2):
        name = f"replica_{number:04d}.h5"
        with Trajectory(tmp_path / "straight" / name) as a, Trajectory(tmp_path / "stopped" / name) as b:
            np.testing.assert_array_equal(a.steps, b.steps)
            np.testing.assert_array_equal(a.positions(), b.positions())
            np.testing.assert_array_equal(a.table()["target_temperature"], b.table()["target_temperature"])


def test_constant_pressure_goes_on_exactly_and_keeps_its_cells(tmp_path):
    field, _, sigma = truncated_lennard_jones("float64")
    atoms = ase.build.bulk("Ar", "fcc", a=1.55 * sigma, cubic=True).repeat(3)  # which expands, and needs no more room
    options = {"steps": 400, "ensemble": "npt-flexible", "interval": 20, "limits": FREE}
    control = {"temperature_K": 60.0, "timestep_fs": 10.0, "barostat_fs": 300.0}
    list(dynamics.run(field, atoms, out=tmp_path / "a.h5", control=Control(**control), **options))
    first = dynamics.run(
        field, atoms, out=tmp_path / "b.h5", control=Control(**control), seconds_per_chunk=0.01, **options
    )
    for _ in range(3):
        next(first)
    first.close()
    list(dynamics.run(field, atoms, out=tmp_path / "b.h5", control=Control(**control), resume=True, **options))
    with Trajectory(tmp_path / "a.h5") as a, Trajectory(tmp_path / "b.h5") as b:
        np.testing.assert_array_equal(a.positions(), b.positions())
        np.testing.assert_array_equal(a[-1].cell.array, b[-1].cell.array)
        assert a[-1].cell.volume == pytest.approx(a.table()["volume"].iloc[-1])
        assert abs(a[-1].cell.volume / atoms.cell.volume - 1) > 0.02


def test_bad_batches_are_refused_with_a_sentence(potential, ethanol, tmp_path):
    with pytest.raises(ValueError, match="structures must hold at least one structure"):
        Replicas(potential, [])
    with pytest.raises(ValueError, match="seeds must be 2, one for each structure; got 1"):
        Replicas(potential, [ethanol] * 2, seeds=[1])
    with pytest.raises(ValueError, match="temperature_K must be one number or 2"):
        Replicas(potential, [ethanol] * 2, control=Control((1.0, 2.0, 3.0)))
    with pytest.raises(ValueError, match="all molecules or all cells"):
        Replicas(truncated_lennard_jones("float64")[0], [ethanol, ase.build.bulk("Ar", cubic=True)])
    with pytest.raises(ValueError, match="exchange_every must be a multiple of interval"):
        next(run_replicas(potential, [ethanol] * 2, steps=10, exchange_every=7, interval=5))
    with pytest.raises(ValueError, match="one of langevin, nose-hoover, csvr for replica exchange, got 'nve'"):
        next(run_replicas(potential, [ethanol] * 2, steps=10, ensemble="nve", exchange_every=5, interval=5))
    with pytest.raises(ValueError, match="two or more different temperatures_K"):
        next(run_replicas(potential, [ethanol] * 2, steps=10, exchange_every=5, interval=5))
    with pytest.raises(ValueError, match="constant pressure needs a cell that is periodic in all directions"):
        Simulation(potential, ethanol, ensemble="npt")
    with pytest.raises(ValueError, match="a ladder needs two rungs or more"):
        replica_exchange.temperature_ladder(300, 200, 3)


@pytest.mark.study
def test_knobs_of_constant_pressure_compile_nothing():
    field, _, sigma = truncated_lennard_jones("float64")
    atoms = ase.build.bulk("Ar", "fcc", a=1.6 * sigma, cubic=True).repeat(3)
    control = Control(50.0, timestep_fs=5.0, compressibility_per_GPa=1.0, barostat_fs=200)
    moving = Simulation(field, atoms, ensemble="npt", control=control)
    moving.advance(64, 10)
    compiled = programs_of(compiled_loop.run_chunk)
    loose = moving.advance(64, 10).volume[32:].mean()
    control.pressure_GPa, control.thermostat_fs = 0.5, 50.0
    moving.advance(64, 10)
    assert moving.advance(64, 10).volume[32:].mean() < 0.97 * loose
    assert programs_of(compiled_loop.run_chunk) <= compiled + 1  # a denser list may need more room once


def test_the_start_and_all_chunks_share_one_program():
    """Compilation is most of what a person waits for."""
    before = programs_of(compiled_loop.run_chunk)
    network = Potential.initial(preset("tiny", mean_neighbors=7.0), seed=2)
    replicas = Replicas(network, [molecule("CH3CH2OH")] * 3, limits=FREE)
    for frames, interval in ((1, 1), (4, 2), (2, 10)):
        replicas.advance(frames, interval)
    assert programs_of(compiled_loop.run_chunk) == before + 1
