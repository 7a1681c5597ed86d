"""``so3lab minima list --training`` says of each minimum how far the training frames are."""

import json

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab import datasets
from so3lab.app import main
from so3lab.minima import MinimaDatabase, Minimum
from so3lab.minima.torsions import turned
from so3lab.structures import from_smiles, molecular_graph

SETTINGS = {"model": "m", "rule": {"max_energy_difference": 1e-3, "max_rmsd": 0.1, "mirror_images": "merged"}}


@pytest.fixture
def database(tmp_path):
    """Two conformations of alanine dipeptide: one of the training set, and one with an amide bond turned half way."""
    data = datasets.load("ala2", check=False)
    known = from_smiles("CC(=O)N[C@@H](C)C(=O)NC", seed=1)
    known.positions = data.positions[7]
    strange = known.copy()
    strange.positions = turned(known.positions, molecular_graph(known), (0, 1, 3, 4), 90.0)
    found = MinimaDatabase(tmp_path / "a.db")
    found.begin("search-a", known, SETTINGS)
    minima = []
    for number, atoms in enumerate((known, strange)):
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0 + number, forces=np.zeros((22, 3)))
        minima.append(Minimum(number, atoms, -1.0 + number, "start", None))
    found.commit("search-a", minima, (), {})
    return found.where


def test_distances_to_the_training_set_are_columns(database, capsys):
    assert main(["minima", "list", database, "--training", "ala2", "--json"]) == 0
    known, strange = json.loads(capsys.readouterr().out)["minima"]
    assert known["from_training_deg"] == pytest.approx(0.0, abs=1e-3)
    assert known["beyond_training"] is False
    assert strange["beyond_training"] is True
    assert strange["novelty"] > 1.0
    assert main(["minima", "list", database, "--training", "ala2"]) == 0
    assert "1 of 2 are beyond the training data, 3296 frames" in capsys.readouterr().out


def test_a_set_of_another_compound_is_refused(database, capsys):
    assert main(["minima", "list", database, "--training", "ethanol"]) == 1
    assert "C6H12N2O2" in capsys.readouterr().err
