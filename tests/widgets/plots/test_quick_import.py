"""Panels begin without a grammar that no figure needs, and whoever needs it finds it afterwards."""

import subprocess
import sys

import pytest

pytest.importorskip("rfc3987_syntax", reason="nothing is left out where it is not installed")
ALONE = """import sys
from so3lab_widgets.plots.linked_figure import LinkedFigure
assert "nbformat" in sys.modules, "which figures outside of panels are shown by"
assert "rfc3987_syntax" not in sys.modules
import rfc3987_syntax
assert rfc3987_syntax.is_valid_syntax("iri", "http://example.org")"""


@pytest.mark.process
def test_figures_bring_no_grammar_of_addresses_along():
    subprocess.run([sys.executable, "-c", ALONE], check=True, timeout=300)
