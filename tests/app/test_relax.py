"""``so3lab relax`` relaxes all frames of files, names and SMILES, writes them in order, and refuses with a sentence."""

import json

import numpy as np
import pytest
from ase.io import read, write
from rdkit import Chem
from rdkit.Chem import AllChem

from so3lab.app import main
from so3lab.structures import read_structure


@pytest.fixture
def frames(tmp_path):
    """A file of three distorted ethanols."""
    structures = []
    for seed in range(3):
        atoms = read_structure("ethanol")
        atoms.rattle(0.04, seed=seed)
        structures.append(atoms)
    write(tmp_path / "hot.extxyz", structures)
    return tmp_path / "hot.extxyz"


def refused(capsys, *arguments) -> str:
    assert main(["relax", *map(str, arguments)]) == 1
    return " ".join(capsys.readouterr().err.split())


def test_all_frames_are_relaxed_and_written_in_order(frames, tmp_path, capsys):
    out = tmp_path / "relaxed.extxyz"
    hold = ("--keep", "0,1=1.55", "--hold", "5")
    assert main(["relax", "ethanol", str(frames), "ethanol", "--out", str(out), "--json", *hold]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["number"] for one in told["structures"]] == [0, 1, 2, 3]
    assert told["converged"] == 4
    assert {one["why"] for one in told["structures"]} == {"converged"}
    relaxed = read(out, ":")
    starts = read(frames, ":")
    for number, atoms in enumerate(relaxed):
        assert atoms.get_potential_energy() == pytest.approx(told["structures"][number]["energy_eV"], abs=1e-5)
        assert atoms.info["relaxation"] == "converged"
        assert atoms.get_distance(0, 1) == pytest.approx(1.55, abs=1e-5)
    np.testing.assert_allclose(relaxed[1].positions[5], starts[1].positions[5], atol=1e-6)


def test_all_molecules_of_an_sdf_and_all_models_of_a_pdb_are_relaxed(tmp_path, capsys):
    ethanol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    conformers = list(AllChem.EmbedMultipleConfs(ethanol, 3, randomSeed=1))
    with Chem.SDWriter(str(tmp_path / "conformers.sdf")) as file:
        for number in conformers:
            file.write(ethanol, confId=number)
    write(tmp_path / "models.pdb", [read_structure("ethanol")] * 2)
    assert main(["relax", "ethanol", *(str(tmp_path / n) for n in ("conformers.sdf", "models.pdb")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["converged"] == 5


def test_what_did_not_converge_is_named_and_fails(frames, capsys):
    assert main(["relax", "ethanol", str(frames), "--max-steps", "2"]) == 1
    assert "out of steps after 2" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("relaxed.blah", "in which ASE writes 3 structures"),
        ("relaxed.mol2", "ends in .extxyz"),
        ("relaxed", "ends in .extxyz"),
        ("relaxed.mol", "in which ASE writes 3 structures"),  # holds one
        ("nowhere/relaxed.xyz", "make it with: mkdir -p"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_computed(
    frames, tmp_path, capsys, monkeypatch, name, said
):
    monkeypatch.setattr("so3lab.load", lambda *_: pytest.fail("a model was loaded"))
    assert said in refused(capsys, "ethanol", frames, "--out", tmp_path / name)
    assert list(tmp_path.iterdir()) == [frames]


def test_wrong_arguments_are_refused_with_a_sentence(frames, tmp_path, capsys):
    assert "exists; add --overwrite" in refused(capsys, "ethanol", frames, "--out", frames)
    assert "--keep must name two, three or four atoms" in refused(capsys, "ethanol", frames, "--keep", "0,x")
    assert "add --cell, or leave out" in refused(capsys, "ethanol", frames, "--pressure-GPa", "1")
    assert "hot.extxyz:0: --cell needs a structure" in refused(capsys, "ethanol", frames, "--cell")
    assert "without --keep" in refused(capsys, "ethanol", frames, "--cell", "--keep", "0,1")
    for name, value, said in (
        ("--fmax", "-1", "positive, got -1"),
        ("--gain-meV", "nan", "positive, got nan"),
        ("--max-steps", "0", "at least 1, got 0"),
        ("--batch", "-2", "at least 1, got -2"),
    ):
        assert f"{name} must be {said}" in refused(capsys, "ethanol", frames, name, value)
    assert "hot.extxyz:0: --keep must name atoms below 9" in refused(capsys, "ethanol", frames, "--keep", "0,1,77")
    assert "ala2: atoms hold N" in refused(capsys, "ethanol", frames, "ala2")
    assert "structure must be a file" in refused(capsys, "ethanol", tmp_path / "nothing.xyz")
    (tmp_path / "broken.xyz").write_text("5\n\nC 0 0 0\n")
    assert "is the file complete?" in refused(capsys, "ethanol", tmp_path / "broken.xyz")
