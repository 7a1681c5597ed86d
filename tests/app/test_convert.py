"""``so3lab convert`` writes a model file from foreign checkpoints, or says in a sentence why not."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
from small_checkpoint import HYPERPARAMETERS, nested, port_attributes, random_parameters
from torch_files import torch_file, torch_parameters

from so3lab.app import main
from so3lab.potential import Potential
from so3lab.potential.model_file import flat_parameters
from so3lab.pretrained import names
from so3lab.pretrained.mlff import settings_from_mlff


@pytest.fixture(scope="module")
def network():
    """Settings and mlff's parameters of a small network."""
    settings = settings_from_mlff(HYPERPARAMETERS)
    return settings, random_parameters(settings, seed=1)


@pytest.fixture
def checkpoint(network, tmp_path, monkeypatch):
    """A checkpoint folder of mlff; commands run beside it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "params.pkl").write_bytes(pickle.dumps(nested(network[1])))
    (folder / "hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS))
    monkeypatch.chdir(tmp_path)
    return folder


def check(network, path) -> Potential:
    """The file holds the network's numbers."""
    potential = Potential.load(path)
    settings, parameters = network
    assert potential.settings == settings
    expected = names.from_mlff(settings, parameters)
    for name, value in flat_parameters(potential.parameters).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    return potential


def test_a_folder_a_file_and_a_model_of_the_port_give_the_same_file(network, checkpoint, capsys):
    assert main(["convert", "mine"]) == 0
    potential = check(network, "mine.so3.safetensors")
    assert potential.metadata["source"] == "mine, converted from mlff v1.0"
    assert set(potential.metadata["checksums"]) == {"params.pkl", "hyperparameters.json"}
    capsys.readouterr()
    assert main(["convert", str(checkpoint / "params.pkl"), "--out", "file.so3.safetensors", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == "file.so3.safetensors"
    assert result["settings"]["num_features"] == 8
    check(network, "file.so3.safetensors")
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()
    (checkpoint / "any.model").write_bytes(torch_file(port_attributes(), torch_parameters(*network)))
    assert main(["convert", "mine", "--out", "port.so3.safetensors"]) == 0
    check(network, "port.so3.safetensors")


def test_training_steps_that_mlff_saved_are_read_newest_first(network, checkpoint):
    import orbax.checkpoint as ocp

    (checkpoint / "params.pkl").unlink()
    for step, factor in ((5, 0.0), (20, 1.0)):
        tree = nested({name: factor * array for name, array in network[1].items()})
        with ocp.PyTreeCheckpointer() as checkpointer:
            checkpointer.save(checkpoint / "checkpoints" / f"ckpt_{step}" / "params", tree)
    assert main(["convert", "mine"]) == 0
    check(network, "mine.so3.safetensors")


def test_a_model_of_the_port_that_was_cut_is_said_to_be(network, checkpoint, capsys):
    path = checkpoint.parent / "cut.model"
    path.write_bytes(torch_file(port_attributes(), torch_parameters(*network))[:-40])
    assert main(["convert", str(path)]) == 1
    assert "damaged or truncated" in capsys.readouterr().err


def test_nothing_is_written_over(checkpoint, capsys):
    (checkpoint.parent / "mine.so3.safetensors").write_text("precious")
    assert main(["convert", "mine"]) == 1
    assert "exists; choose another --out" in capsys.readouterr().err
    assert (checkpoint.parent / "mine.so3.safetensors").read_text() == "precious"


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: (f / "params.pkl").write_bytes(pickle.dumps(Evil(f / "mark"))), "system"),
        (
            lambda f: (f / "params.pkl").write_bytes((f / "params.pkl").read_bytes()[:500]),
            "truncated",
        ),
        (lambda f: (f / "params.pkl").unlink(), "neither params.pkl nor training steps"),
        (lambda f: (f / "hyperparameters.json").unlink(), "no hyperparameters.json"),
        (lambda f: (f / "hyperparameters.json").write_text("{"), "not valid JSON"),
        (lambda f: (f / "hyperparameters.json").write_text("{}"), "no section 'model'"),
        (shutil.rmtree, "there is no file or folder"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(checkpoint, capsys, spoil, sentence):
    spoil(checkpoint)
    assert main(["convert", "mine"]) == 1
    assert sentence in capsys.readouterr().err
    assert not list(checkpoint.parent.rglob("*.safetensors"))
    assert not (checkpoint / "mark").exists()


def test_the_unit_of_energies_is_only_asked_where_files_do_not_say_it(checkpoint, capsys):
    assert main(["convert", "mine", "--energy-unit", "kcal/mol"]) == 1
    assert "energy_unit must be left out" in capsys.readouterr().err


def test_the_name_of_the_file_is_checked(checkpoint, capsys):
    assert main(["convert", "mine", "--out", "x.npz"]) == 1
    assert "--out must end in .so3.safetensors" in capsys.readouterr().err
