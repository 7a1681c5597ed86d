"""Pages that are not JupyterLab in a browser with everything: a sentence for what is missing, and all else works."""

import contextlib
import socket
import subprocess
import sys
import urllib.request
from importlib.util import find_spec

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.conftest import chromium
from tests.browser.jupyter import VIEWER, Watched, start_lab

SHOW = """from ase.build import molecule
from so3lab_widgets import DynamicsPanel, show
show(molecule("CH3CH2OH"))"""
FIGURE = """from so3lab_widgets.plots.linked_figure import LinkedFigure
LinkedFigure([{"x": [0, 1], "y": [1, 2]}])"""
PANEL = "panel = DynamicsPanel('ethanol', 'ethanol')\npanel"
CURVES = ".js-plotly-plot .main-svg .scatterlayer .js-line"
IN_MARIMO = """import marimo

app = marimo.App()


@app.cell
def _():
    from ase.build import molecule
    from so3lab_widgets import DynamicsPanel, Viewer
    frames = [molecule("CH3CH2OH") for _ in range(20)]
    for number, atoms in enumerate(frames):
        atoms.positions[8] += (0, 0, 0.05 * number)
    return DynamicsPanel, Viewer, frames


@app.cell
def _(Viewer, frames):
    viewer = Viewer(frames, follow="off")
    viewer
    return


@app.cell
def _(DynamicsPanel):
    DynamicsPanel("ethanol", "ethanol")
    return
"""


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
    """The same browser, whose pages can neither unpack what kernels send nor read nglview's extension."""

    def __init__(self, browser):
        self._browser = browser

    def new_page(self, **options):
        page = self._browser.new_page(**options)
        page.add_init_script("delete window.DecompressionStream")
        page.route("**/nglview-js-widgets/**", lambda route: route.abort())
        return page


def starts_pauses_and_obeys_a_slider(notebook) -> None:
    """Click through dynamics as they are in every notebook."""
    page = notebook.page
    page.locator("button:has-text('Start')").first.click()
    notebook.wait_until(
        lambda: notebook.ask("panel.live is not None and panel.live.frames() > 20"), "frames", seconds=120
    )
    page.locator(CURVES).first.wait_for(state="attached")
    slider = page.locator(".widget-slider:has(.widget-label:has-text('Temperature')) .noUi-target").first
    box = slider.bounding_box()
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2)  # of 1500 K
    notebook.wait_until(lambda: abs(notebook.ask("panel.control.temperature_K") - 600) < 20, "600 K")
    page.locator("button:has-text('Pause')").first.click()
    notebook.wait_until(lambda: notebook.ask("panel.job.state") == "paused", "the pause")
    assert notebook.ask("panel.message.sentence") == ""
    assert notebook.failures() == []


def test_without_webgl_a_sentence_stands_in_place_of_molecules_and_dynamics_run(lab, without_3d):
    with lab.open(without_3d, cells(SHOW, PANEL), "without_3d") as notebook:
        notebook.run_all(seconds=120)
        said = notebook.page.locator(".so3-missing")
        notebook.wait_until(lambda: said.count() == 2, "a sentence in each view")
        for words in said.all_inner_texts():
            assert words.startswith("This browser draws nothing in 3D")
            assert "another browser" in words
        starts_pauses_and_obeys_a_slider(notebook)
        notebook.picture("without-webgl", ".jp-CodeCell >> nth=1")
        assert notebook.errors == []


def test_where_a_library_does_not_load_a_sentence_says_so(lab, browser):
    with lab.open(OldBrowser(browser), cells(SHOW, FIGURE), "without_library") as notebook:
        notebook.run_all(seconds=120)
        notebook.page.get_by_text("The molecule could not be drawn (").wait_for()
        notebook.page.get_by_text("This figure could not be drawn (").wait_for()
        for words in notebook.page.get_by_text("could not be drawn (").all_inner_texts():
            assert "DecompressionStream" in words
            assert "again" in words  # what helps
        assert not [error for error in notebook.errors if "so3" in error]  # JupyterLab has errors of its own here


@pytest.mark.skipif(find_spec("notebook") is None, reason="Notebook 7 is not installed: pip install notebook")
def test_panels_live_in_notebook_7(browser, tmp_path):
    with (
        start_lab(tmp_path, program="notebook") as server,
        server.open(browser, cells(SHOW, PANEL), "in_notebook_7") as notebook,
    ):
        notebook.run_all(seconds=120)
        notebook.molecules(2, selector=VIEWER)
        starts_pauses_and_obeys_a_slider(notebook)
        assert notebook.ask("panel.viewers[0].painted") > 0
        notebook.picture("notebook-7", ".jp-CodeCell >> nth=1")
        assert [error for error in notebook.errors if "notebook_core" not in error] == []  # its own settings


@pytest.fixture
def in_marimo(browser, tmp_path):
    """A page of marimo."""
    file = tmp_path / "in_marimo.py"
    file.write_text(IN_MARIMO)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "marimo", "run", str(file), "--headless", "--no-token", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            watched = Watched(browser.new_page(viewport={"width": 1000, "height": 900}))
            watched.wait_until(lambda: server.poll() is not None or answers(port), "a server")
            watched.page.goto(f"http://127.0.0.1:{port}/")
            yield watched
            watched.page.close()
        finally:
            server.terminate()
            server.wait(30)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2):
        return True
    return False


@pytest.mark.skipif(find_spec("marimo") is None, reason="marimo is not installed: pip install marimo")
def test_molecules_move_in_marimo_and_panels_say_where_they_can_be_seen(in_marimo):
    page = in_marimo.page
    stage, place = page.locator(".so3-stage"), page.locator(".so3-where").first
    stage.locator("canvas").wait_for()

    def seen() -> bytes:
        return stage.locator("canvas").screenshot()

    first = in_marimo.settled(seen, "the molecule")
    stage.press("PageDown")
    in_marimo.wait_until(lambda: place.inner_text() == "10 / 19", "another frame")
    in_marimo.wait_until(lambda: seen() != first, "which is drawn")
    page.get_by_text("DynamicsPanel has sliders, menus or buttons of Jupyter").wait_for()
    in_marimo.picture("marimo")
    assert in_marimo.errors == []
