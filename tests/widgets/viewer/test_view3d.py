"""One line shows a molecule in the viewer, with values that have a name, a unit and a scale."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from running_panel import open_widgets
from so3lab_widgets import Viewer, show
from waiting import wait_for


def test_there_is_one_viewer_everywhere():
    viewer = show([molecule("H2O")] * 3, style="licorice", height=300)
    assert isinstance(viewer, Viewer)
    assert (viewer.frames, viewer.representation, viewer.height) == (3, "licorice", 300)
    assert viewer.as_nglview().max_frame == 2
    viewer.close()


def test_values_have_a_name_a_unit_and_a_scale():
    viewer = show(molecule("H2O"), values=[-0.4, 0.2, 0.2], name="partial charge", unit="e")
    wait_for(lambda: viewer.legend, "the legend")
    assert viewer.legend["label"] == "partial charge (e)"
    assert (viewer.legend["low"], viewer.legend["high"]) == pytest.approx((-0.4, 0.4))
    np.testing.assert_allclose(viewer.latest["values"], [-0.4, 0.2, 0.2])
    assert viewer.colour == "partial charge"
    viewer.close()


@pytest.mark.parametrize("each", [True, False])
def test_values_of_frames_are_those_of_the_frame_that_is_shown(each):
    values = np.arange(6.0).reshape(2, 3)
    viewer = show([molecule("H2O")] * 2, values=values if each else values[1])
    viewer.frame = 1
    wait_for(lambda: np.allclose(viewer.latest.get("values", 0), values[1]), "the second frame's")
    viewer.close()


@pytest.mark.parametrize(
    ("structure", "options", "error", "message"),
    [
        (42, {}, TypeError, "Atoms, a sequence of Atoms or a file, not int"),
        ([], {}, ValueError, "no frames"),
        (Atoms(), {"values": [1.0]}, ValueError, "no atoms"),
        (Atoms("H"), {"style": "cartoon"}, ValueError, "style must be one of"),
        (Atoms("H"), {"height": 3}, ValueError, "at least 50"),
        (Atoms("H"), {"values": [1.0, 2.0]}, ValueError, "values must be 1 finite numbers"),
        (Atoms("H"), {"values": [np.nan]}, ValueError, "one per atom, got"),
        ([Atoms("H")] * 2, {"values": [[1.0]] * 3}, ValueError, "or 2 rows of them"),
        (Atoms("H"), {"values": [1.0], "name": "element"}, ValueError, "name must say what the values are"),
        (Atoms("H"), {"colour": "red"}, TypeError, "unexpected keyword"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_leaves_nothing(structure, options, error, message):
    widgets = open_widgets()
    with pytest.raises(error, match=message):
        show(structure, **options)
    assert open_widgets() == widgets
