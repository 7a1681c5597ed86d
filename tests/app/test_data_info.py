"""``so3lab data info`` says what was understood of structures, data sets and trajectories."""

import json

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from so3lab.app import main
from so3lab.trajectory import TrajectoryWriter


@pytest.fixture
def info(capsys):
    """What the command prints of a source, as JSON."""

    def run(source) -> dict:
        capsys.readouterr()
        assert main(["data", "info", str(source), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_a_structure_has_a_record(info, tmp_path, capsys):
    atoms = molecule("CH3CH2OH")
    atoms.info["total_charge"] = 0
    write(tmp_path / "ethanol.xyz", atoms)
    found = info(tmp_path / "ethanol.xyz")
    assert (found["kind"], found["format"], found["formula"]) == ("structure", "extended XYZ", "C2H6O")
    assert (found["total_charge"], found["total_charge_from"], found["cell"]) == (0, "total_charge", None)
    assert main(["data", "info", str(tmp_path / "ethanol.xyz")]) == 0
    said = capsys.readouterr().out
    assert "total charge +0 e (total_charge)" in said
    assert "0 unpaired electrons (nothing says so)" in said


def test_a_smiles_is_a_structure_and_a_name_a_data_set(info):
    assert info("smiles:CC(=O)[O-]")["total_charge"] == -1
    assert info("ethanol")["kind"] == "data set"


@pytest.mark.parametrize("ending", ["extxyz", "traj"])
def test_energies_without_forces_are_a_structure_that_nobody_can_train_on(info, tmp_path, ending):
    water = molecule("H2O")
    water.calc = SinglePointCalculator(water, energy=-14.0)
    write(tmp_path / f"water.{ending}", water)
    found = info(tmp_path / f"water.{ending}")
    assert (found["kind"], found["formula"]) == ("structure", "H2O")
    assert "energies and no forces" in found["notes"][-1]


def test_one_frame_of_a_file_is_a_structure(info, tmp_path):
    write(tmp_path / "two.xyz", [molecule("H2O"), molecule("NH3")])
    found = info(f"{tmp_path / 'two.xyz'}:0")
    assert (found["kind"], found["formula"]) == ("structure", "H2O")
    assert found["notes"] == ["number 0 of 2 frames, counted from 0"]


def test_a_data_set_tells_its_charges_and_cells(info, tmp_path):
    frames = []
    for charge in (-1, -1, 0):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.02, seed=len(frames))
        atoms.info["charge"] = charge
        atoms.calc = SinglePointCalculator(atoms, energy=-4210.0 + 0.1 * len(frames), forces=np.full((9, 3), 0.1))
        frames.append(atoms)
    write(tmp_path / "set.extxyz", frames)
    found = info(tmp_path / "set.extxyz")
    assert found["kind"] == "data set"
    assert found["total_charges"] == {"-1.0": 2, "0.0": 1}
    assert found["periodic_frames"] == 0
    assert found["meta"]["total_charges_from"] == "charge"


def test_a_trajectory_tells_its_run_and_its_last_frame(info, tmp_path):
    atoms = molecule("CH3CH2OH")
    path = tmp_path / "run.h5"
    with TrajectoryWriter(
        path, atoms, observables=(), state_template={"step": np.int64(0)}, meta={"model": "ethanol", "charge": -1.0}
    ) as writer:
        writer.append(
            {
                "positions": atoms.positions[None],
                "velocities": np.full((1, 9, 3), 0.01),
                "forces": np.zeros((1, 9, 3)),
                "step": np.array([7]),
                "time_fs": np.array([3.5]),
            }
        )
    found = info(path)
    assert (found["kind"], found["frames"], found["time_ps"]) == ("trajectory", 1, 0.0035)
    assert found["run"] == {"model": "ethanol"}
    last = found["last_frame"]
    assert (last["formula"], last["total_charge"]) == ("C2H6O", -1)
    assert last["velocities_temperature_K"] > 0


def test_what_cannot_be_read_is_refused_with_line_and_token(tmp_path, capsys):
    (tmp_path / "broken.xyz").write_text("1\n\nC 0 0 zero\n")
    assert main(["data", "info", str(tmp_path / "broken.xyz")]) == 1
    assert "broken.xyz, line 3: a coordinate must be a finite number" in capsys.readouterr().err
