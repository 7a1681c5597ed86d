"""There is one table of styles, and whatever draws molecules has its numbers from there."""

import json
import re
from typing import get_args

import pytest
from ase.build import molecule
from so3lab_widgets.report import Movie, Section, build_report
from so3lab_widgets.viewer.looks import STAGE, STYLES, Style
from so3lab_widgets.viewer.page import page_module
from so3lab_widgets.viewer.plain_nglview import in_nglview
from so3lab_widgets.viewer.traits import ViewerTraits


def tables_in(script: str) -> tuple[dict, dict]:
    """Styles and stage as a page reads them."""
    found = [json.loads(re.search(rf"^const {name} = (.*);$", script, re.MULTILINE)[1]) for name in ("STYLES", "STAGE")]
    return found[0], found[1]


def test_pages_with_and_without_a_kernel_read_the_same_table(tmp_path):
    water = build_report([Section("Water", items=[Movie([molecule("H2O")])])], tmp_path / "report.html").read_text()
    right = {name: look._asdict() for name, look in STYLES.items()}
    assert tables_in(page_module()) == tables_in(water) == (right, STAGE)


def test_every_style_can_be_chosen_everywhere():
    assert get_args(Style) == tuple(STYLES) == tuple(ViewerTraits.representation.values)


@pytest.mark.parametrize("style", STYLES)
def test_nglview_is_told_the_numbers_of_the_table(style):
    sent = in_nglview(molecule("H2O"), style=style)._ngl_msg_archive
    drawn = next(message for message in sent if message["methodName"] == "addRepresentation")
    assert drawn["args"] == [style]
    assert STYLES[style].parameters.items() <= drawn["kwargs"].items()
