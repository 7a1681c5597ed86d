"""Ways to say which atoms are meant come to the same indices, in the order in which they were given."""

import numpy as np
import pytest
from ase.build import molecule

from so3lab.trajectory.selection import chosen_atoms

NUMBERS = molecule("CH3CH2OH").numbers  # C C O and six hydrogens


@pytest.mark.parametrize(
    ("selection", "indices"),
    [
        (None, range(9)),
        ("heavy", [0, 1, 2]),
        ("0:3", [0, 1, 2]),
        (NUMBERS > 1, [0, 1, 2]),
        (slice(0, 3), [0, 1, 2]),
        ("8,0:2,5", [8, 0, 1, 5]),
        ("::4", [0, 4, 8]),
        ("-1", [8]),
        ([-1, 0], [8, 0]),
        (np.array([4, 2], np.uint8), [4, 2]),
    ],
)
def test_the_same_atoms_in_the_order_given(selection, indices):
    assert chosen_atoms(selection, NUMBERS).tolist() == list(indices)
