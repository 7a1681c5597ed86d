"""Which minima a command is about."""

import argparse

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab.app.minima_choice import gathered
from so3lab.minima import MinimaDatabase, Minimum

HAND = [[0, 0, 0], [1.4, 0, 0], [1.9, 0.9, 0], [-0.5, 0.3, 0.9]]


def test_what_is_not_said_of_a_rule_is_as_the_search_had_it(tmp_path):
    def hydrogen_peroxide(hand):
        atoms = Atoms("OOHH", np.array(HAND) * [1, 1, hand])
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=np.zeros((4, 3)))
        return atoms

    database = MinimaDatabase(tmp_path / "a.db")
    rule = {"max_energy_difference": 1e-3, "max_rmsd": 0.1, "mirror_images": "kept"}
    database.begin("a", hydrogen_peroxide(1), {"model": "m", "rule": rule})
    both = [Minimum(number, hydrogen_peroxide(hand), -1.0, "start", None) for number, hand in enumerate((1, -1))]
    database.commit("a", both, (), {})
    said = argparse.Namespace(file=database.where, max_difference_meV=None, max_rmsd=0.2, mirror_images=None)
    assert len(gathered(said)) == 2
    said.mirror_images = "merged"
    assert len(gathered(said)) == 1
