"""Where no widget can be shown, a sentence stands in its place, and never a Python object's address or its fields."""

import pytest
from ase.build import molecule
from so3lab_widgets import LinkedTable, PropertyMap, Viewer

MADE = {
    "Viewer": lambda: Viewer(molecule("H2O")),
    "LinkedTable": LinkedTable,
    "PropertyMap": lambda: PropertyMap("frame"),
}


@pytest.mark.parametrize("name", MADE)
def test_text_in_place_of_a_widget_is_a_sentence(name):
    widget = MADE[name]()
    found = widget._repr_mimebundle_()
    data = found[0] if isinstance(found, tuple) else found
    assert data["text/plain"] == f"{name}: it lives while its kernel runs; run this cell to see it."
    widget.close()
