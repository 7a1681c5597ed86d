"""A model file is plain safetensors, keeps every number, and is refused when it is none."""

import numpy as np
import pytest

import so3lab
from so3lab.potential.model_file import CITATION, flat_parameters


def test_file_keeps_numbers_settings_and_provenance(potential64, ethanol, tmp_path):
    from dataclasses import replace

    made = replace(potential64, energy_shifts={1: -1.5, 6: 2.5, 8: 0.25}, metadata={"dataset": "mine"})
    path = made.save(tmp_path / "m.so3.safetensors")
    read = so3lab.load(path, dtype="float64")
    np.testing.assert_allclose(read(ethanol).forces, made(ethanol).forces, rtol=1e-14)
    assert read.settings == made.settings
    assert read.energy_shifts == made.energy_shifts
    assert read.metadata == made.metadata
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_plain_safetensors_with_json(potential64, tmp_path):
    import json

    import safetensors

    path = potential64.save(tmp_path / "m.so3.safetensors")
    with safetensors.safe_open(path, framework="np") as file:
        about = json.loads(file.metadata()["so3lab"])
        assert set(file.keys()) == set(flat_parameters(potential64.parameters))
    assert about["citation"] == CITATION
    assert about["units"]["energy"] == "eV"


def test_damaged_and_foreign_files_are_refused(potential64, tmp_path):
    import safetensors.numpy

    path = potential64.save(tmp_path / "m.so3.safetensors")
    (tmp_path / "cut.so3.safetensors").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        so3lab.load(tmp_path / "cut.so3.safetensors")
    safetensors.numpy.save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not a so3lab model"):
        so3lab.load(tmp_path / "other.safetensors")
    with pytest.raises(FileNotFoundError, match=r"no model file 'nothing'.*bundled are"):
        so3lab.load("nothing")
