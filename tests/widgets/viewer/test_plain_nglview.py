"""The notebook view: accepts what people have, reads frames lazily, refuses what it cannot show."""

import nglview
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from so3lab_widgets.viewer.plain_nglview import in_nglview


class Lazy:
    """A trajectory that remembers which frames were read."""

    def __init__(self, count: int):
        self.count, self.read = count, []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Atoms:
        self.read.append(index)
        atoms = molecule("H2O")
        atoms.positions += 3.0 + index
        return atoms


def test_a_structure_becomes_one_plain_nglview_component():
    view = in_nglview(molecule("CH3CH2OH"))
    assert isinstance(view, nglview.NGLWidget)
    assert len(view._ngl_component_ids) == 1


def test_only_frames_looked_at_are_read():
    frames = Lazy(100_000)
    view = in_nglview(frames)
    assert view.max_frame == 99_999
    assert set(frames.read) <= {0}
    view.frame = 4321
    assert frames.read[-1] == 4321


def test_a_drifting_molecule_stays_in_view():
    view = in_nglview(Lazy(50))
    view.frame = 49
    np.testing.assert_allclose(view._coordinates_dict[0].mean(axis=0), 0.0, atol=1e-6)


def test_lists_and_crystals_are_shown():
    assert in_nglview([molecule("H2O")] * 3).max_frame == 2
    crystal = bulk("Cu")
    before = crystal.positions.copy()
    assert len(in_nglview(crystal)._ngl_component_ids) == 1
    np.testing.assert_array_equal(crystal.positions, before)


@pytest.mark.parametrize(
    ("structure", "error", "message"),
    [
        ("run.h5", TypeError, "Atoms or a sequence of Atoms, not str"),
        (3, TypeError, "not int"),
        ([1, 2], TypeError, "must hold Atoms, not int"),
        ([], ValueError, "no frames"),
        (Atoms(), ValueError, "no atoms"),
    ],
)
def test_what_cannot_be_shown_is_refused(structure, error, message):
    with pytest.raises(error, match=message):
        in_nglview(structure)
