"""Benchmarks still run, on little, so that nobody finds them broken when a number is wanted."""

import shutil
import sys

import numpy as np
import pytest
from emt_frames import labelled

from tests.benchmarks import (
    electrostatics,
    engine,
    gpu,
    learning,
    minima,
    paths,
    relaxation,
    replicas,
    trajectory_writing,
)

pytestmark = pytest.mark.process


def test_the_cost_of_writing_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(trajectory_writing, "STEPS_PER_ROUND", 20)
    monkeypatch.setattr(trajectory_writing.recording, "TrajectoryWriter", trajectory_writing.TrajectoryWriter)
    writers = trajectory_writing.compare_writers(66, 1, tmp_path)
    assert (writers["frames/s"] > 0).all()
    assert (writers["bytes/frame"] > 42 * 9 * 4).all()  # positions, velocities and forces of 42 atoms
    beside = trajectory_writing.cost_beside_simulation(2, tmp_path)
    assert np.isfinite(beside.to_numpy(float)).all()
    assert 0 < beside["time in the writer %"].item() < 100


def test_replicas_are_compared_with_a_single_run(monkeypatch):
    monkeypatch.setattr(replicas, "SECONDS", 0.01)
    table = replicas.measure("ethanol", [1, 3], 1)
    assert table["ratio"].iloc[0] == 1
    assert (table["ms/step"] > 0).all()
    rates = table["atom-steps/s"] / table["atom-steps/s"].iloc[0]
    np.testing.assert_allclose(rates, table["ratio"])


def test_relaxations_are_compared_with_ase(monkeypatch):
    monkeypatch.setattr(relaxation, "MOLECULES", {"ethanol": ("ethanol", "CCO")})
    monkeypatch.setattr(relaxation, "STEPS_BEFORE", 20)
    monkeypatch.setattr(relaxation, "STEPS_BETWEEN", 20)
    table = relaxation.measure("ethanol", "500K", 2, ["so3lab", "bfgs"])
    assert (table["unconverged"] == 0).all()
    assert table["mean"][0] < table["mean"][1]
    assert table["overhead"].between(0, 1).all()


def test_searches_are_compared_with_hopping_and_with_the_recipe():
    found = {row["method"]: row for row in minima.measure("ethanol", list(minima.METHODS), 0.05, 0)}
    assert 1 <= found["so3lab"]["minima"] <= 2  # trans and gauche, mirror images merged
    assert found["recipe"]["minima"] <= 2
    assert found["hopping"]["minima"] <= 2
    assert all(row["evaluations"] > 0 for name, row in found.items() if name != "so3lab")
    assert (minima.database_times(50)["seconds"] > 0).all()


def test_paths_are_compared_with_ase(monkeypatch):
    monkeypatch.setattr(paths, "MOLECULE", "ethanol")
    monkeypatch.setattr(paths, "PROPOSALS", 33)
    table = paths.measure(1, 5, 0.1, 100)
    assert table[["converged", "ASE converged"]].all(axis=None)  # from trans to gauche
    assert table["barrier eV"].item() == pytest.approx(table["ASE barrier eV"].item(), abs=5e-3)
    told = paths.summary(table)
    assert told["converged"].tolist() == [1, 1]
    assert (told["CPU s"] > 0).all()


def test_electrostatics_are_drawn_for_a_molecule_and_a_cell(monkeypatch):
    monkeypatch.setattr(electrostatics, "CUTOFFS", (6, 12))
    monkeypatch.setattr(electrostatics, "water_box", lambda _: engine.water_box(8))
    drawing = electrostatics.figure(electrostatics.errors())
    molecule, cell = ([len(line.get_xdata()) for line in panel.lines] for panel in drawing.axes)
    assert molecule == [2, 0]  # compat, and wolf without an error to draw
    assert cell == [2, 2]


def test_what_a_gpu_would_do_is_counted_and_what_is_missing_is_said(monkeypatch, capsys, tmp_path):
    small = gpu.replace(gpu.SO3LR_SIZE, num_features=16, num_layers=1, energy_hidden=16)
    monkeypatch.setattr(gpu, "force_field", lambda: (gpu.Potential.initial(small), "random weights"))
    monkeypatch.setattr(gpu, "SINGLE", ("ethanol",))
    monkeypatch.setattr(gpu, "COPIES", (1, 2))
    monkeypatch.setattr(gpu, "SECONDS", 0.01)
    monkeypatch.setattr(gpu, "prepare_process", lambda: None)
    monkeypatch.setenv(gpu.OFF, "")
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path / "counted.csv")])
    gpu.main()
    counted = gpu.pd.read_csv(tmp_path / "counted.csv")
    alone, together = counted["GFLOP"]
    assert together == pytest.approx(2 * alone, rel=0.1)
    assert (counted[list(gpu.COUNTED)] > 0).all(axis=None)
    missing = capsys.readouterr().out.splitlines()[-1]
    assert missing.startswith("missing, because there is no GPU: MD step ethanol, training step ethanol, batch 10")

    row = gpu.md_step(gpu.force_field()[0], "ethanol", 2, gpu.Roofline())
    assert row["atoms"] == 18
    assert row["atom-steps/s"] == pytest.approx(1e3 * row["atoms"] / row["ms"])
    assert row["of roofline"] > 0  # beyond 1 where arrays stay in caches, which are faster than a large copy


TRAINER = """
import json, pathlib, sys
import ase.io, numpy as np
folder = pathlib.Path(sys.argv[1])
frames = ase.io.read(folder / "test.xyz", index=":")
assert len(ase.io.read(folder / "train.xyz", index=":")) == 12
np.savez(folder / "test.npz", energies=[one.info["REF_energy"] + 7.0 for one in frames],
         forces=[one.arrays["REF_forces"] for one in frames])
print(json.dumps({"minutes": float(sys.argv[2]), "processor_s": 1.0, "steps": 3}))
"""


def test_learning_is_measured_on_frames_that_others_get_too(monkeypatch, tmp_path):
    data = labelled(24)
    frames = learning.Frames(
        data.select(slice(0, 12)), data.select(slice(12, 16)), {"test": data.select(slice(16, 24))}
    )
    (tmp_path / "knows.py").write_text(TRAINER)
    monkeypatch.setattr(learning, "TRAINERS", tmp_path)
    monkeypatch.setattr(learning, "load", lambda name: frames)
    monkeypatch.setattr(learning, "prepare_process", lambda: None)
    program = ["learning", "--preset", "tiny", "--minutes", "0.01", "--trainer", f"knows={sys.executable}"]
    monkeypatch.setattr(sys, "argv", [*program, "--out", str(tmp_path / "table.csv")])
    learning.main()
    table = learning.pd.read_csv(tmp_path / "table.csv").set_index("trainer")
    assert table.loc["knows", "force_mae_kcal_mol_A"] < 1e-4
    assert table.loc["knows", "energy_mae_kcal_mol"] < 1e-3
    assert table.loc["so3lab", "force_mae_kcal_mol_A"] > 0.1
    assert table.loc["so3lab", "minutes"] >= 0.01
    with pytest.raises(learning.argparse.ArgumentTypeError, match="one of knows"):
        learning._trainer("mace")


WORKER = """
import sys
from protocol import Engine, serve

print("not an answer")

def fails(*_):
    raise MemoryError("no room")

{body}

serve(lambda structures: {engine}, "nothing")
"""
WORKERS = {
    "sound": ("", "Engine(lambda: sum(range(10**5)), lambda count: sum(range(count * 10**5)))"),
    "still": ("", "Engine(lambda: 1, why_no_steps='stands still')"),
    "short": ("", "Engine(fails)"),
    "dead": ("sys.exit()", "None"),
    "slow": ("import time", "Engine(lambda: time.sleep(60))"),
}


def test_what_a_competitor_cannot_do_is_an_empty_cell_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "WORKERS", tmp_path)
    monkeypatch.setattr(engine, "SECONDS", 0.02)
    shutil.copy(engine.__file__.replace("engine.py", "workers/protocol.py"), tmp_path)
    for name, (body, made) in WORKERS.items():
        (tmp_path / f"{name}_worker.py").write_text(WORKER.format(body=body, engine=made))
    patience = {"slow": 3.0}
    workers = [engine.Worker(name, sys.executable, patience.get(name, 300.0), 12.0) for name in WORKERS]
    rows = {row["engine"]: row for row in engine.compare("ethanol*2", workers, 2, tmp_path)}
    for worker in workers:
        worker.close()
    assert {row["atoms"] for row in rows.values()} == {18}
    sound = rows["sound"]
    assert sound["ratio"] == sound["MD ratio"] == 1
    assert sound["note"] == ""
    assert sound["MD µs/atom"] == pytest.approx(1e3 * sound["MD ms/step"] / 18)
    assert rows["still"]["energy+forces ms"] > 0
    empty = {name: row["note"] for name, row in rows.items() if np.isnan(row["MD ms/step"])}
    assert empty == {
        "still": "stands still",
        "short": "MemoryError: no room",
        "dead": "its process ended; its messages are above",
        "slow": "no answer within 3 s",
    }
    with pytest.raises(ValueError, match=r"must be one of .*'sound', 'still'.*, got 'other'"):
        engine.Worker("other", sys.executable, 1.0, 1.0)
