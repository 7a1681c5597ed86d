"""The command line: every command works on its own, writes JSON, survives a kill and refuses with a sentence."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.io import read, write

import so3lab
from so3lab.app import main
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential
from so3lab.potential.model_file import flat_parameters
from so3lab.training import read_curve
from so3lab.trajectory import Trajectory


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A file of labelled frames."""
    path = tmp_path_factory.mktemp("data") / "frames.extxyz"
    structures = []
    for seed in range(80):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
        structures.append(atoms)
    write(path, structures)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file."""
    shifts = {1: 0.0, 6: 0.0, 8: 0.0}
    settings = ModelSettings(
        num_features=16, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=4.0, num_radial=8, energy_hidden=16,
        mean_neighbors=8.0,
    )  # fmt: skip
    potential = Potential.initial(settings, seed=1, energy_shifts=shifts)
    return potential.save(tmp_path_factory.mktemp("model") / "tiny.so3.safetensors")


@pytest.fixture
def structure(tmp_path):
    path = tmp_path / "ethanol.xyz"
    write(path, molecule("CH3CH2OH"))
    return path


def run(capsys, *arguments) -> dict:
    """A command that must succeed, with its JSON."""
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments) -> str:
    """The sentence of a command that must fail."""
    assert main([*map(str, arguments)]) == 1
    return " ".join(capsys.readouterr().err.split())


def train_arguments(frames, out, *more, train=12):
    sizes = ("--train", train, "--valid", 4, "--test", 4, "--batch-size", 4)
    return ("train", frames, "--out", out, "--preset", "tiny", *sizes, *more)


def test_training_goes_on_from_a_model_gently(capsys, frames, model, tmp_path):
    out = tmp_path / "tuned.so3.safetensors"
    arguments = train_arguments(frames, out, "--start-from", model, "--trainable", "readout")
    sentence = refused(capsys, *arguments, "--epochs", 2)
    assert "--preset cannot be chosen with --start-from" in sentence
    plain = [one for one in arguments if one not in ("--preset", "tiny")]
    assert "--cutoff cannot be chosen with --start-from" in refused(capsys, *plain, "--cutoff", 4)
    run(capsys, *plain, "--epochs", 2)
    before, after = Potential.load(model), Potential.load(out)
    assert after.settings == before.settings
    assert after.metadata["training"]["learning_rate"] == 1e-3
    one, other = (flat_parameters(potential.parameters) for potential in (before, after))
    changed = {name.split(".")[0] for name in one if not np.array_equal(one[name], other[name])}
    assert changed == {"energy"}


def test_train_evaluate_and_simulate(capsys, frames, structure, tmp_path):
    out = tmp_path / "m.so3.safetensors"
    result = run(capsys, *train_arguments(frames, out, "--epochs", 3))
    assert result["epochs"] == 3
    assert result["test"][2]["mae_kcal_mol"] > 0
    assert so3lab.load(out).metadata["split"]["seed"] == 0
    kept = tmp_path / "m.so3.safetensors.training"
    assert list(read_curve(kept)["epoch"]) == [1, 2, 3]
    assert so3lab.load(kept / "model.so3.safetensors").metadata["test"] == so3lab.load(out).metadata["test"]
    sentence = refused(capsys, "train", "--out", out, "--resume", "--epochs", 4)
    assert "--epochs is in the plan of" in sentence
    assert "made from another epochs" in refused(capsys, *train_arguments(frames, out, "--epochs", 4, "--resume"))
    assert main(["train", "--out", str(out), "--resume"]) == 0
    assert "had already finished" in capsys.readouterr().err
    found = run(capsys, "evaluate", out, frames, "--out", tmp_path / "tables")
    assert {row["element"] for row in found["elements"]} == {"C", "H", "O"}
    assert (tmp_path / "tables" / "evaluation_structures.csv").exists()
    done = run(capsys, "md", out, structure, "--steps", 200, "--out", tmp_path / "r.h5", "--no-limits")
    assert done["frames"] == 11
    assert done["first_frame_s"] > 0


@pytest.mark.process
def test_training_killed_and_resumed_gives_the_same_weights(frames, tmp_path, quick_children):
    def command(out, *more):
        words = train_arguments(frames, tmp_path / out, "--epochs", 30, *more, train=60)
        return [sys.executable, "-m", "so3lab", *map(str, words)]

    often = {**os.environ, "SO3LAB_CHECKPOINT_SECONDS": "0"}
    first = subprocess.Popen(command("a.so3.safetensors"), stderr=subprocess.DEVNULL, env=often)
    folder = tmp_path / "a.so3.safetensors.training" / "checkpoints"
    deadline = time.monotonic() + 300
    while not any(part.name.isdigit() and int(part.name) > 5 for part in folder.glob("*")):
        assert first.poll() is None, "training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (tmp_path / "a.so3.safetensors").exists()
    subprocess.run(command("a.so3.safetensors", "--resume"), check=True, capture_output=True)
    subprocess.run(command("b.so3.safetensors"), check=True, capture_output=True)
    a, b = (flat_parameters(so3lab.load(tmp_path / f"{name}.so3.safetensors").parameters) for name in "ab")
    for name in a:
        np.testing.assert_array_equal(np.asarray(a[name]), np.asarray(b[name]), err_msg=name)


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_training_saves_the_best_model(number, frames, tmp_path, interruptible, quick_children):
    out = tmp_path / "m.so3.safetensors"
    words = [sys.executable, "-m", "so3lab", *map(str, train_arguments(frames, out, "--minutes", 10, train=60))]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "epoch" in line:
            break
    process.send_signal(number)
    rest = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert "--resume goes on" in " ".join(rest.split())
    assert so3lab.load(out).metadata["epochs_run"] >= 1


def test_simulation_resumes_exactly(capsys, model, structure, tmp_path):
    def arguments(out, steps, *more):
        return (
            "md",
            model,
            structure,
            "--steps",
            steps,
            "--out",
            tmp_path / out,
            "--no-limits",
            "--seed",
            3,
            "--interval",
            10,
            *more,
        )

    run(capsys, *arguments("a.h5", 200))
    run(capsys, *arguments("a.h5", 400, "--resume"))
    run(capsys, *arguments("b.h5", 400))
    with Trajectory(tmp_path / "a.h5") as a, Trajectory(tmp_path / "b.h5") as b:
        np.testing.assert_array_equal(a.positions(), b.positions())


def test_a_molecule_typed_as_smiles_moves_and_export_keeps_velocities(capsys, model, tmp_path):
    run(
        capsys,
        "md",
        model,
        "smiles:CCO",
        "--steps",
        100,
        "--out",
        tmp_path / "r.h5",
        "--ensemble",
        "nve",
        "--no-limits",
    )
    result = run(capsys, "export", tmp_path / "r.h5", tmp_path / "r.extxyz", "--frames", "::2")
    frames = read(tmp_path / "r.extxyz", ":")
    assert result["frames"] == len(frames) == 3
    assert frames[0].get_chemical_formula() == "C2H6O"
    assert np.abs(frames[1].get_velocities()).max() > 0


def test_data_commands(capsys, frames):
    listed = run(capsys, "data", "list")["sets"]
    assert {"ethanol", "ala2", "ala3", "rmd17-aspirin"} <= {row["name"] for row in listed}
    info = run(capsys, "data", "info", frames)
    assert info["frames"] == 80


def test_doctor_prints_one_line_each(capsys):
    main(["doctor"])
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) >= 6
    assert any("compiler" in line.lower() for line in lines)
    assert all(line.startswith(("ok", "note", "FAIL")) for line in lines)


def test_lab_copies_notebooks_and_never_overwrites(capsys, tmp_path):
    folder = tmp_path / "mine"
    assert main(["lab", str(folder), "--no-open"]) == 0
    first = sorted(folder.glob("*.ipynb"))
    assert first
    first[0].write_text("changed")
    assert main(["lab", str(folder), "--no-open"]) == 0
    assert first[0].read_text() == "changed"
    assert "kept your" in capsys.readouterr().err


def test_lab_passes_on_what_jupyterlab_knows(tmp_path, monkeypatch, capsys):
    called = []
    monkeypatch.setattr(os, "execv", lambda _, words: called.append(words[1:]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    main(["lab", "--port", "9999", "--no-browser"])
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    main(["lab", "mine", "--ServerApp.token="])
    assert called == [
        ["-m", "jupyterlab", "so3lab-notebooks", "--port", "9999", "--no-browser"],
        ["-m", "jupyterlab", "mine", "--ServerApp.token=", "--allow-root"],
    ]
    assert "you are root" in capsys.readouterr().err


def test_bad_input_gets_a_sentence(capsys, frames, model, structure, tmp_path):
    taken = tmp_path / "taken.so3.safetensors"
    taken.write_text("")
    assert "add --resume" in refused(capsys, *train_arguments(frames, taken, "--epochs", 1))
    out = tmp_path / "n.so3.safetensors"
    assert "must end in .so3.safetensors" in refused(capsys, "train", frames, "--out", tmp_path / "n.pkl")
    assert "give --out FILE" in refused(capsys, "train", frames)
    assert "DATA must be given" in refused(capsys, "train", "--out", out)
    assert "no frame that validates or tests" in refused(
        capsys, *train_arguments(frames, out, "--epochs", 1, "--also", frames)
    )
    old = tmp_path / "old"
    (old / "120").mkdir(parents=True)  # of checkpoints, before runs had plans
    words = ["train", frames, "--run", old, "--resume", "--epochs", 1, "--preset", "tiny", "--train", 12, "--valid", 4]
    assert "checkpoints of an older so3lab" in refused(capsys, *words)
    assert "but" in refused(capsys, *train_arguments(frames, out, "--epochs", 1, "--seed", 0)[:6], "--train", 500)
    assert "no bundled model of that name" in refused(capsys, "evaluate", "nothing", frames)
    assert "bundled structure" in refused(capsys, "md", model, "nowhere.xyz", "--steps", 20, "--out", tmp_path / "x.h5")
    water = tmp_path / "silane.xyz"
    write(water, molecule("SiH4"))
    assert "trained on H, C, O only" in refused(capsys, "md", model, water, "--steps", 20, "--out", tmp_path / "x.h5")
    empty = tmp_path / "empty.xyz"
    empty.write_text("")
    assert "empty.xyz holds no atoms" in refused(capsys, "md", model, empty, "--steps", 20, "--out", tmp_path / "x.h5")
    (tmp_path / "there.h5").write_text("")
    assert "there.h5" in refused(capsys, "md", model, structure, "--steps", 20, "--out", tmp_path / "there.h5")
    assert "timestep_fs must be" in refused(
        capsys, "md", model, structure, "--steps", 1, "--timestep-fs", -1, "--out", tmp_path / "x.h5"
    )


def test_help_of_every_command(capsys):
    commands = "demo train evaluate md bench-md stability export data doctor lab"
    for command in commands.split():
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert "usage" in capsys.readouterr().out


@pytest.mark.process
def test_import_is_light():
    """``import so3lab`` opens no device and loads none of the heavy packages."""
    code = "import so3lab, sys; print([m for m in ('jax', 'flax', 'ase', 'pandas', 'plotly') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
