"""The text that a page draws first: where its atoms stand, and which are joined."""

from io import StringIO

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read
from so3lab_widgets.viewer.frame_source import Frames, pdb_text

from so3lab import datasets


def drawn(atoms: Atoms) -> np.ndarray:
    return read(StringIO(pdb_text(atoms)), format="proteindatabank").positions


def test_a_page_looks_at_where_frames_will_stand():
    crystal, free = bulk("Ar", "fcc", a=5.3, cubic=True) * 4, molecule("CH3CH2OH")
    free.positions += 20.0
    far = bulk("Ar", "fcc", a=5.3, cubic=True)
    far.positions += 5000.0
    for atoms in (crystal, free):
        np.testing.assert_allclose(drawn(atoms), Frames(atoms).positions(0), atol=1e-3)
    assert np.abs(drawn(far)).max() < 10.0, "PDB's columns are narrow"


def test_atoms_that_are_bonded_are_joined_once():
    lines = [line for line in pdb_text(molecule("CH4")).splitlines() if line.startswith("CONECT")]
    assert lines == [f"CONECT    1    {number}" for number in range(2, 6)]


def test_frames_of_a_data_set_are_drawn_with_their_forces():
    data = datasets.load("ethanol").select([3, 5])
    frames = Frames(data)
    np.testing.assert_allclose(frames.positions(1), data[1].positions - data[1].positions.mean(axis=0))
    np.testing.assert_allclose(frames.forces(1), data[1].get_forces())
    assert frames.cell(0) is None
