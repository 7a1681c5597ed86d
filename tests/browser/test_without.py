"""Browsers that lack something: a sentence stands in place of what cannot be drawn, and the rest of a panel works."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.conftest import chromium

SHOW = """from ase.build import molecule
from so3lab_widgets import DynamicsPanel, show
show(molecule("CH3CH2OH"))"""
FIGURE = """from so3lab_widgets.plots.linked_figure import LinkedFigure
LinkedFigure([{"x": [0, 1], "y": [1, 2]}])"""
PANEL = "panel = DynamicsPanel('ethanol', 'ethanol')\npanel"
CURVES = ".js-plotly-plot .main-svg .scatterlayer .js-line"


def cells(*codes: str):
    return new_notebook(cells=[new_code_cell(code) for code in codes])


@pytest.fixture(scope="module")
def without_3d(browser):
    """A browser without WebGL, as where a machine has no graphics and drawing in software is not allowed."""
    running = browser.browser_type.launch(
        executable_path=chromium(), args=["--no-sandbox", "--no-first-run", "--disable-3d-apis"]
    )
    yield running
    running.close()


class OldBrowser:
    """The same browser, whose pages cannot unpack what kernels send."""

    def __init__(self, browser):
        self._browser = browser

    def new_page(self, **options):
        page = self._browser.new_page(**options)
        page.add_init_script("delete window.DecompressionStream")
        return page


def test_without_webgl_a_sentence_stands_in_place_of_molecules_and_dynamics_run(lab, without_3d):
    with lab.open(without_3d, cells(SHOW, PANEL), "without_3d") as notebook:
        notebook.run_all(seconds=120)
        said = notebook.page.locator(".so3-missing")
        notebook.wait_until(lambda: said.count() == 2, "a sentence in each view")
        for number in range(2):
            assert said.nth(number).inner_text().startswith("This browser draws nothing in 3D")
            assert "another browser" in said.nth(number).inner_text()
        notebook.page.locator("button:has-text('Start')").first.click()
        notebook.wait_until(
            lambda: notebook.ask("panel.live is not None and panel.live.frames() > 20"), "frames", seconds=120
        )
        notebook.page.locator(CURVES).first.wait_for(state="attached")
        notebook.picture("without-webgl", ".jp-CodeCell >> nth=1")
        assert notebook.ask("panel.message.sentence") == ""
        assert notebook.failures() == []
        assert notebook.errors == []


def test_where_a_library_does_not_load_a_sentence_says_so(lab, browser):
    with lab.open(OldBrowser(browser), cells(SHOW, FIGURE), "without_library") as notebook:
        notebook.run_all(seconds=120)
        notebook.page.get_by_text("The molecule could not be drawn (").wait_for()
        notebook.page.get_by_text("This figure could not be drawn (").wait_for()
        for words in notebook.page.get_by_text("could not be drawn (").all_inner_texts():
            assert "DecompressionStream" in words
            assert "un " in words  # what helps
        assert notebook.errors == []
