"""Notebooks in a real JupyterLab: every cell runs, and the 3D views show molecules."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from notebook_sizes import quick_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import NGLVIEW, VIEWER


@pytest.mark.parametrize(("name", "views"), [("01_train_and_run", 2), ("02_pretrained_so3lr", 3)])
def test_notebook_shows_its_molecules(lab, browser, name, views):
    notebook = quick_notebook(name)
    with lab.open(browser, notebook, name) as opened:
        opened.run_all(seconds=900)
        assert opened.failures() == []
        assert len(opened.molecules(views, seconds=120, selector=VIEWER)) == views
        assert opened.page.locator(".so3-player >> visible=true").count() >= 1, "a player in sight"
        opened.page.wait_for_selector(".js-plotly-plot .main-svg")
        for number in range(views):
            opened.picture(f"notebook-{name[:2]}-view-{number}", f".jp-CodeCell:has({VIEWER}) >> nth={number}")
        assert opened.errors == []


@pytest.mark.parametrize("name", ["04_watch_and_steer_md"])
def test_the_notebook_of_live_panels_shows_both(lab, browser, name):
    notebook = quick_notebook(name)
    with lab.open(browser, notebook, name) as opened:
        opened.run_all(seconds=300)
        assert opened.failures() == []
        opened.wait_until(
            lambda: sum(view.painted > 1000 for view in opened.canvases(".so3-viewer")) == 2,
            "two molecules",
            60,
        )
        opened.page.wait_for_selector(".js-plotly-plot .main-svg")
        for number in (1, 7):
            opened.picture(f"notebook-04-cell-{number:02d}", f".jp-CodeCell >> nth={number}")
        assert opened.errors == []


def test_a_cell_that_fails_is_noticed(lab, browser):
    notebook = new_notebook(cells=[new_code_cell("1 / 0"), new_code_cell("2 + 2")])
    with lab.open(browser, notebook, "fails") as opened:
        opened.run_all(seconds=120)
        (failure,) = opened.failures()
        assert "ZeroDivisionError" in failure


def test_an_empty_view_is_noticed(lab, browser):
    notebook = new_notebook(cells=[new_code_cell("import nglview\nnglview.NGLWidget()")])
    with lab.open(browser, notebook, "empty") as opened:
        opened.run_all(seconds=120)
        opened.wait_until(lambda: len(opened.canvases(NGLVIEW)) == 1, "a canvas", seconds=60)
        with pytest.raises(AssertionError, match="is empty or missing"):
            opened.molecules(seconds=1)


def test_frames_of_a_trajectory_move_the_molecule(lab, browser):
    code = """from ase.build import molecule
from so3lab_widgets import show
frames = [molecule("CH3CH2OH") for _ in range(3)]
frames[2].rattle(0.3, seed=1)
view = show(frames, values=[0.2] * 8 + [-0.4], name="charge", unit="e")
view"""
    with lab.open(browser, new_notebook(cells=[new_code_cell(code)]), "trajectory") as opened:
        opened.run_all(seconds=120)
        (before,) = opened.molecules(seconds=60, selector=VIEWER)
        opened.page.locator(".so3-player").wait_for()
        opened.wait_until(lambda: "charge (e)" in opened.page.locator(".so3-scale").inner_text(), "what colours mean")
        opened.run_code("view.frame = 2")
        opened.wait_until(lambda: opened.molecules(selector=VIEWER)[0].sum != before.sum, "another picture", seconds=30)
        opened.picture("show-values", ".jp-CodeCell >> nth=0")
        assert opened.errors == []


def test_a_live_figure_shows_its_newest_row(lab, browser):
    code = """from so3lab_widgets import LiveFigure, figures
import time
with LiveFigure(lambda table: figures.time_series(table, "temperature"), every_seconds=0) as live:
    for step in range(4):
        live.add({"time_fs": 100.0 * step, "temperature": 300.0 + step})
        time.sleep(1)"""
    with lab.open(browser, new_notebook(cells=[new_code_cell(code)]), "live") as opened:
        opened.run_all(seconds=120)
        drawn = "document.querySelector('.js-plotly-plot')?.calcdata?.[0].length"
        opened.wait_until(lambda: opened.page.evaluate(drawn) == 4, "a curve through all four rows")
        assert opened.page.locator(".js-plotly-plot").count() == 1
        assert opened.errors == []
