"""``so3lab md``: every argument does in the trajectory what it says, and nonsense is refused with a sentence."""

import functools
import json

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

import so3lab
from so3lab import dynamics, units
from so3lab.app import main
from so3lab.cluster import RunSpec, simulate
from so3lab.engine.biases import Restraint
from so3lab.pretrained import DownloadError
from so3lab.trajectory import Trajectory


@pytest.fixture(scope="module", autouse=True)
def model():
    """The name of a model that is loaded once, so that its programs are compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(so3lab, "load", functools.cache(so3lab.load))
        yield "ethanol"


@pytest.fixture
def simulated(model, capsys, tmp_path):
    """A function that simulates and returns the JSON and the table of the trajectory."""

    def run(*words, structure="ethanol", steps=100, out="run.h5", status=0):
        command = ["md", model, structure, "--out", tmp_path / out, "--steps", steps, *words, "--json"]
        assert main([*map(str, command)]) == status
        output = capsys.readouterr()
        return json.loads(output.out) if output.out else " ".join(output.err.split())

    return run


@pytest.fixture
def box(tmp_path):
    """A cell that is mostly empty."""
    atoms = molecule("CH3CH2OH")
    atoms.set_cell([12.0, 12.0, 12.0])
    atoms.pbc = True
    atoms.center()
    write(tmp_path / "box.extxyz", atoms)
    return tmp_path / "box.extxyz"


def table_of(path):
    with Trajectory(path) as trajectory:
        return trajectory.table()


# --- forces and atoms -------------------------------------------------------------------------


def test_ramp_held_atoms_and_biases_are_in_the_trajectory(simulated, tmp_path):
    words = ["--anneal", "0:100,0.02:500,0.05:50", "--hold", "0,8", "--interval", 5, "--pull", "1,5=0.2"]
    words += ["--restrain", "0,1=1.6:20", "--restrain", "0,1,2=100:3", "--restrain", "2,1,0,3=-170:0.5"]
    words += ["--pull", "2=0,0,0.1", "--sphere", "1.5:0.4"]
    simulated(*words)
    with Trajectory(tmp_path / "run.h5") as trajectory:
        table, positions = trajectory.table(), trajectory.positions().astype(float)
        masses, frames, meta = trajectory.masses, list(trajectory), trajectory.meta
    corners = np.interp(table["step"], [0, 40, 100], [100.0, 500.0, 50.0])
    np.testing.assert_allclose(table["target_temperature"], corners)
    assert np.abs(positions[:, [0, 8]] - positions[0, [0, 8]]).max() == 0
    assert np.abs(positions[-1, 1] - positions[0, 1]).max() > 1e-3
    assert meta["held_atoms"] == [0, 8]
    expected = []
    for atoms, x in zip(frames, positions, strict=True):
        out = x - masses @ x / masses.sum()
        off = np.radians((atoms.get_dihedral(2, 1, 0, 3) + 170.0 + 180.0) % 360.0 - 180.0)
        energy = 0.5 * 20 * (atoms.get_distance(0, 1) - 1.6) ** 2 + 0.5 * 0.5 * off**2
        energy += 0.5 * 3 * np.radians(atoms.get_angle(0, 1, 2) - 100.0) ** 2
        energy -= 0.2 * atoms.get_distance(1, 5) + 0.1 * out[2, 2]
        expected.append(energy + 0.5 * 0.4 * (np.maximum(np.linalg.norm(out, axis=1) - 1.5, 0.0) ** 2).sum())
    np.testing.assert_allclose(table["bias_energy"], expected, rtol=1e-4, atol=1e-4)


def test_heavy_atoms_are_held_and_the_rest_moves(simulated, tmp_path):
    simulated("--hold", "heavy", steps=40)
    with Trajectory(tmp_path / "run.h5") as trajectory:
        moved = np.abs(trajectory.positions()[-1] - trajectory.positions()[0]).max(axis=1)
        np.testing.assert_array_equal(moved > 0, trajectory.atomic_numbers == 1)


# --- thermostats and barostats ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ensemble", "knob", "weak", "strong"),
    [
        ("langevin", "--friction-per-ps", 0, 20),
        ("nose-hoover", "--thermostat-fs", 1e6, 10),
        ("csvr", "--thermostat-fs", 1e9, 10),
    ],
)
def test_thermostats_give_heat_as_told(ensemble, knob, weak, strong, simulated, tmp_path):
    heat = []
    for strength in (weak, strong):
        out = f"{strength}.h5"
        result = simulated("--ensemble", ensemble, knob, strength, out=out)
        assert np.isfinite(result["conserved_energy_drift_eV_per_ps"])
        table = table_of(tmp_path / out)
        total = table["potential_energy"] + table["kinetic_energy"]
        heat.append(np.ptp(total - table["conserved_energy"]))
    assert heat[0] < 1e-3 < 0.03 < heat[1]


def test_pressure_time_and_compressibility_of_the_barostat(simulated, box, tmp_path):
    def growth(out, *words):
        """Relative change of the volume."""
        simulated("--ensemble", "npt", *words, structure=box, out=out)
        volume = table_of(tmp_path / out)["volume"].to_numpy()
        return volume[-1] / volume[0] - 1.0

    press = ("--pressure-GPa", 3, "--barostat-fs", 200)
    assert growth("press.h5", *press) < -0.05
    assert growth("stretch.h5", "--pressure-GPa", -1, "--barostat-fs", 200) > 0.02
    assert abs(growth("slow.h5", "--pressure-GPa", 3, "--barostat-fs", 1e5)) < 0.01
    assert abs(growth("stiff.h5", *press, "--compressibility-per-GPa", 1e-4)) < 0.01


def test_flexible_cell_tells_pressure_and_density(simulated, box, tmp_path):
    words = ["--ensemble", "npt-flexible", "--thermostat-fs", 50, "--barostat-fs", 200, "--pressure-GPa", 1]
    result = simulated(*words, structure=box)
    with Trajectory(tmp_path / "run.h5") as trajectory:
        cells, table, mass = trajectory.cells(), trajectory.table(), trajectory.masses.sum()
    assert np.ptp(np.linalg.norm(cells[-1], axis=1)) > 1e-3
    assert result["mean_pressure_GPa"] == pytest.approx(table["pressure"].mean() / units.GPa)
    # 1 amu/Å³ is 1.6605 g/cm³
    assert result["mean_density_g_cm3"] == pytest.approx((1.66054 * mass / table["volume"]).mean(), rel=1e-4)
    assert {"frames", "steps", "mean_temperature_K", "conserved_energy_drift_eV_per_ps"} <= set(result)


# --- limits ----------------------------------------------------------------------------------


def test_limits_end_a_run_and_can_be_switched_off(simulated, tmp_path):
    hot = molecule("CH3CH2OH")
    hot.set_velocities(np.random.default_rng(0).normal(0, 0.4, (9, 3)))
    write(tmp_path / "hot.extxyz", hot)
    run = functools.partial(simulated, "--temperature-K", 10, structure=tmp_path / "hot.extxyz", steps=20)
    off = ["--limit-bond-stretch", "none", "--limit-energy-jump", "none"]
    assert "kinetic energy rose above 0.001 times" in run(*off, "--limit-heat", 0.001, out="a.h5", status=1)
    wide = ["--limit-energy-jump", "none", "--limit-heat", "none"]
    sentence = run(*wide, "--limit-bond-stretch", 0.001, out="b.h5", status=1)
    assert "changed by more than 0.001 Å" in sentence
    assert "run without that limit (--limit-bond-stretch none)" in sentence
    sentence = run(*off[:2], *wide[2:], "--limit-energy-jump", 1e-6, out="c.h5", status=1)
    assert "energy changed by more than 1e-06 eV per atom" in sentence
    assert run("--no-limits", out="d.h5")["steps"] == 20


# --- replicas in one batch --------------------------------------------------------------------


def test_replica_exchange_goes_on_exactly(simulated, tmp_path):
    words = ["--replicas", 3, "--temperatures-K", 250, 360, "--exchange-every", 20, "--interval", 10]
    simulated(*words, steps=100, out="a")
    again = simulated(*words, "--resume", steps=200, out="a")
    straight = simulated(*words, steps=200, out="b")
    assert again["replicas"] == straight["replicas"]
    assert again["exchange"] == straight["exchange"]
    assert [row["temperature_K"] for row in again["replicas"]] == pytest.approx([250, 300, 360])
    assert [row["result"] for row in again["replicas"]] == ["complete"] * 3
    assert sum(row["attempts"] for row in again["exchange"]) == 10
    accepted = sum(row["accepted"] for row in again["exchange"])
    changes = 0
    for number in range(3):
        name = f"replica_{number:04d}.h5"
        with Trajectory(tmp_path / "a" / name) as a, Trajectory(tmp_path / "b" / name) as b:
            np.testing.assert_array_equal(a.positions(), b.positions())
            changes += np.count_nonzero(np.diff(a.table()["target_temperature"]))
            assert a.meta["seed"] == number
    # each exchange changes two targets; one at the very last step shows in no frame
    assert 0 < changes <= 2 * accepted <= changes + 2
    assert "replicas 3 instead of 2" in simulated("--replicas", 2, "--resume", out="a", status=1)
    words[words.index(20)] = 40
    assert "exchange_every 20 instead of 40" in simulated(*words, "--resume", out="a", status=1)
    apart = simulated(
        "--replicas", 3, "--temperatures-K", 250, 360, "--interval", 10, "--cluster", "local:1", "--resume",
        steps=300, out="a", status=1,
    )  # fmt: skip
    assert "replicas 3 instead of 1" in apart["replicas"][0]["result"]
    (tmp_path / "b" / "replica_0000.h5").unlink()
    words[words.index(40)] = 20
    assert "holds the state of all replicas" in simulated(*words, "--resume", out="b", status=1)


def test_a_replica_that_blows_up_is_in_the_table(simulated, tmp_path):
    words = ["--temperatures-K", 100, 1e6, "--interval", 10, "--seed", 4]
    result = simulated(*words, out="a", status=1)
    cold, hot = result["replicas"]
    assert (cold["result"], cold["seed"], cold["steps"]) == ("complete", 4, 100)
    assert "the simulation blew up" in hot["result"]
    assert hot["steps"] < 100
    again = simulated(*words, "--resume", steps=150, out="a", status=1)
    assert [row["result"] for row in again["replicas"]] == ["complete", hot["result"]]
    assert again["replicas"][0]["steps"] == 150
    (tmp_path / "a" / "replica_0001.h5").unlink()
    assert "replica_0001.h5 is missing" in simulated(*words, "--resume", steps=200, out="a", status=1)


def test_all_replicas_may_blow_up(simulated):
    result = simulated("--replicas", 2, "--temperature-K", 1e6, "--interval", 10, out="a", status=1)
    assert all("blew" in row["result"] or "blown up" in row["result"] for row in result["replicas"])


@pytest.mark.parametrize("words", [[], ["--replicas", "2"]])
def test_interrupted_runs_say_how_to_go_on(words, model, monkeypatch, capsys, tmp_path):
    def interrupted(*args, **settings):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(dynamics, "run", interrupted)
    monkeypatch.setattr(dynamics, "run_replicas", interrupted)
    command = ["md", str(model), "ethanol", "--out", str(tmp_path / "out"), "--steps", "10", *words]
    assert main(command) == 130
    assert "the same command with --resume goes on" in " ".join(capsys.readouterr().err.split())


# --- going on ---------------------------------------------------------------------------------


def test_only_the_same_run_goes_on(simulated):
    words = ["--hold", "0", "--restrain", "1,2=1.5:2", "--anneal", "0:100,1:300"]
    simulated(*words, steps=20)
    assert simulated(*words, "--resume", steps=40)["frames"] == 3
    other = [*words[:2], "--restrain", "1,2=1.6:2", *words[4:]]
    assert "belongs to another run, with biases" in simulated(*other, "--resume", steps=60, status=1)
    assert "held_atoms [0] instead of []" in simulated(*words[2:], "--resume", steps=60, status=1)
    assert "ramp" in simulated(*words[:4], "--resume", steps=60, status=1)
    assert "ensemble 'langevin' instead of 'csvr'" in simulated(
        *words, "--ensemble", "csvr", "--resume", steps=60, status=1
    )


def test_a_run_on_a_cluster_has_all_knobs(model, tmp_path):
    more = {"ramp": [(0, 100.0), (40, 300.0)], "biases": (Restraint((0, 1), 1.6, 20.0),)}
    run = RunSpec(model, "ethanol", tmp_path / "run.h5", 40, control=more)
    assert simulate(run).failure is None
    table = table_of(run.path)
    np.testing.assert_allclose(table["target_temperature"], [100.0, 200.0, 300.0])
    assert (table["bias_energy"] > 0).all()
    other = RunSpec(model, "ethanol", run.path, 80, control={"ramp": more["ramp"]})
    assert "belongs to another run, with biases" in simulate(other).failure
    with pytest.raises(ValueError, match="barostat_fs must be a positive finite number"):
        RunSpec(model, "ethanol", run.path, 80, control={"barostat_fs": -1})


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--anneal 300", "--anneal must be times in ps and temperatures in K"),
        ("--anneal 0:300,1:-5", "got '1:-5' in '0:300,1:-5'"),
        ("--anneal 5:300,1:100", "--anneal must have rising times"),
        ("--anneal 0:300 --temperature-K 300", "so --temperature-K must be left out"),
        ("--anneal 0:300 --temperatures-K 300 400", "so --temperatures-K must be left out"),
        ("--anneal 0:300 --ensemble nve", "--anneal needs a thermostat"),
        ("--hold 0,99", "--hold: atoms must be indices from 0 to 8, got 99; for example"),
        ("--hold all", "--hold: atoms must be heavy, or indices and ranges"),
        ("--hold 0:9", "hold every atom: nothing can move"),
        ("--restrain 0,1=1.5", "--restrain must be ATOMS=CENTRE:STRENGTH"),
        ("--restrain 0,1,2,3,4=1:1", "--restrain must name 2, 3 or 4 different atoms"),
        ("--restrain 0,0=1:1", "different atoms before =, such as 0,1, got '0,0=1:1'"),
        ("--restrain 0,9=1:1", "--restrain: atoms must be numbers from 0 to 8, got '0,9=1:1'"),
        ("--restrain 0,1=-1:1", "a distance in Å cannot be -1"),
        ("--restrain 0,1,2=200:1", "an angle in degrees cannot be 200"),
        ("--restrain 0,1=1:0", "--restrain needs a positive strength"),
        ("--pull 0,1", "--pull must be ATOM,ATOM=FORCE"),
        ("--pull 0,1=0,0,1", "--pull needs one number for two atoms"),
        ("--pull 0,1,2=1", "--pull must name 1 or 2 different atoms"),
        ("--sphere -3", "--sphere must be a positive radius in Å"),
        ("--sphere 3:2:1", "got '3:2:1'"),
        ("--limit-heat hot", "--limit-heat must be a positive number, or none"),
        ("--limit-heat 3 --no-limits", "so --limit-heat must be left out"),
        ("--pressure-GPa 1", "--pressure-GPa belongs to --ensemble npt or npt-flexible, got --ensemble langevin"),
        ("--ensemble nve --friction-per-ps 1", "--friction-per-ps belongs to --ensemble langevin"),
        ("--thermostat-fs 9", "--thermostat-fs belongs to --ensemble nose-hoover, csvr, npt or npt-flexible"),
        ("--ensemble csvr --thermostat-fs 0", "thermostat_fs must be a positive"),
        ("--ensemble npt", "constant pressure needs a cell"),
        ("--timestep-fs 0", "timestep_fs must be"),
        ("--seed -3", "seed must not be negative, got -3"),
        ("--interval 50", "steps must be at least interval, the steps between frames (50), got 40"),
        ("--replicas 3 --temperatures-K 500 300", "the lowest and the highest of a ladder, both positive, got 500 300"),
        ("--replicas 4 --temperatures-K 300 400 500", "one temperature for each of the 4 replicas, got 3"),
        ("--temperatures-K 300 400 --temperature-K 300", "cannot be given both"),
        ("--exchange-every 20", "--exchange-every needs two or more different temperatures"),
        ("--exchange-every 30 --temperatures-K 300 400", "a multiple of --interval (20), got 30"),
        ("--exchange-every 20 --temperatures-K 300 400 --ensemble nve", "--exchange-every needs --ensemble langevin"),
        ("--exchange-every 20 --temperatures-K 300 400 --cluster local", "leave out --cluster"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(words, sentence, capsys, tmp_path):
    command = ["md", "ethanol", "ethanol", "--out", str(tmp_path / "out"), "--steps", "40"]
    assert main([*command, *words.split()]) == 1
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_an_ion_whose_file_has_no_charge_gets_it_on_the_command_line(capsys, tmp_path):
    try:
        so3lab.load("so3lr")
    except DownloadError as error:
        pytest.skip(f"SO3LR's published weights cannot be had here: {error}")
    file, out = tmp_path / "oh.xyz", tmp_path / "oh.h5"
    file.write_text("2\n\nO 0 0 0\nH 0 0 0.97\n")
    words = ["md", "so3lr", str(file), "--out", str(out), "--steps", "20"]
    assert main(words) == 1
    assert "give the total charge with --charge" in " ".join(capsys.readouterr().err.split())
    assert main([*words, "--charge", "-1"]) == 0
    with Trajectory(out) as trajectory:
        assert trajectory.meta["charge"] == -1.0
    assert main([*words[:-1], "40", "--resume"]) == 1
    assert "charge -1.0 instead of 0.0" in " ".join(capsys.readouterr().err.split())
    assert main([*words[:-1], "40", "--resume", "--charge", "-1"]) == 0
