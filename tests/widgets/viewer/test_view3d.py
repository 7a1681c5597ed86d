"""The notebook view: accepts what people have, reads frames lazily, refuses what it cannot show."""

import nglview
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from so3lab_widgets.viewer import view3d


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
    view = view3d.show(molecule("CH3CH2OH"))
    assert isinstance(view, nglview.NGLWidget)
    assert len(view._ngl_component_ids) == 1


def test_only_frames_looked_at_are_read():
    frames = Lazy(100_000)
    view = view3d.show(frames)
    assert view.max_frame == 99_999
    assert set(frames.read) <= {0}
    view.frame = 4321
    assert frames.read[-1] == 4321


def test_a_drifting_molecule_stays_in_view():
    view = view3d.show(Lazy(50))
    view.frame = 49
    np.testing.assert_allclose(view._coordinates_dict[0].mean(axis=0), 0.0, atol=1e-6)


def test_lists_and_crystals_are_shown():
    assert view3d.show([molecule("H2O")] * 3).max_frame == 2
    crystal = bulk("Cu")
    before = crystal.positions.copy()
    assert len(view3d.show(crystal)._ngl_component_ids) == 1
    np.testing.assert_array_equal(crystal.positions, before)


@pytest.mark.parametrize(
    ("structure", "options", "error", "message"),
    [
        ("run.h5", {}, TypeError, "Atoms or a sequence of Atoms, not str"),
        (3, {}, TypeError, "not int"),
        ([1, 2], {}, TypeError, "must hold Atoms, not int"),
        ([], {}, ValueError, "no frames"),
        (Atoms(), {}, ValueError, "no atoms"),
        (Atoms("H"), {"style": "cartoon"}, ValueError, "style must be one of"),
        (Atoms("H"), {"height": 3}, ValueError, "at least 50"),
        (Atoms("H"), {"values": [1.0, 2.0]}, ValueError, "values must be 1 finite numbers"),
        (Atoms("H"), {"values": [np.nan]}, ValueError, "one per atom, got"),
        ([Atoms("H")], {"values": [1.0]}, ValueError, "show one of its frames"),
        (Atoms("H"), {"colour": "red"}, TypeError, "unexpected keyword"),
    ],
)
def test_what_cannot_be_shown_is_refused(structure, options, error, message):
    with pytest.raises(error, match=message):
        view3d.show(structure, **options)


def test_values_colour_the_atoms_between_orange_and_blue():
    view = view3d.show(molecule("H2O"), values=[-0.4, 0.2, 0.0])
    loaded, drawn = (
        next(sent for sent in view._ngl_msg_archive if sent["methodName"] == name)
        for name in ("loadFile", "addRepresentation")
    )
    rows = [row for row in loaded["args"][0]["data"].splitlines() if row.startswith("ATOM")]
    assert [float(row[60:66]) for row in rows] == [-90.0, 45.0, 0.0]
    assert drawn["kwargs"]["colorScheme"] == "bfactor"
    assert drawn["kwargs"]["colorDomain"] == [-90.0, 90.0]
    assert len(view3d.show(molecule("H2O"), values=np.zeros(3))._ngl_component_ids) == 1
