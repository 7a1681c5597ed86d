"""The lab in a real JupyterLab: running frames go to attention and to the relaxer, a minimum goes to dynamics."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.test_linked import use_theme

MAKE = """from so3lab_widgets import Lab
lab = Lab("ethanol", "ethanol")
lab"""
STAGE = ".so3-stage"


@pytest.fixture(scope="module")
def notebook(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(MAKE)]), "lab", width=1400) as opened:
        opened.run_all(seconds=180)
        opened.page.locator(f"{STAGE}:visible").first.wait_for()
        yield opened
        assert opened.failures() == []
        assert opened.errors == []
        opened.run_code("lab.close()")


def door(notebook, words: str) -> None:
    notebook.page.locator(f"button.jupyter-button:has-text('{words}'):visible").first.click()


def test_a_running_frame_goes_to_attention_and_to_the_relaxer(notebook):
    door(notebook, "Start")
    running = "lab.panel('dynamics').live is not None and lab.panel('dynamics').live.frames() > 20"
    notebook.wait_until(lambda: notebook.text_of(running) == "True", "frames", seconds=120)
    door(notebook, "Attention")
    notebook.wait_until(lambda: notebook.text_of("lab.panel('attention').shown is not None") == "True", "links", 120)
    notebook.wait_until(lambda: notebook.page.locator(f"{STAGE}:visible").count() == 1, "the molecule of its tab")
    notebook.picture("lab-attention", ".jp-CodeCell >> nth=0")
    notebook.run_code("lab.turn_to('dynamics')")
    door(notebook, "Relax and keep")
    notebook.wait_until(lambda: notebook.text_of("len(lab.panel('minima').minima)") == "1", "a minimum", seconds=120)
    for theme in ("Dark", "Light"):
        use_theme(notebook, theme)
        notebook.settled_picture(f"lab-minima-{theme.lower()}", ".jp-CodeCell >> nth=0")


def test_a_minimum_goes_to_dynamics(notebook):
    notebook.run_code("lab.turn_to('minima')")
    notebook.page.locator("button.jupyter-button[title^='run dynamics from']").click()
    notebook.wait_until(lambda: notebook.text_of("lab.shown") == "'dynamics'", "the tab of dynamics")
    same = "abs(lab.shared.structure.positions - lab.panel('minima').minima[0].atoms.positions).max() < 1e-6"
    assert notebook.text_of(f"bool({same})") == "True"
    assert notebook.page.locator("code:visible", has_text="lab.send('dynamics')").count() == 1


def test_a_saved_notebook_keeps_a_picture_of_the_lab(notebook):
    wide = "() => [...document.querySelectorAll('img.so3-still')].some(still => still.naturalWidth > 200)"
    notebook.wait_until(lambda: notebook.page.evaluate(wide), "a picture beside the lab", 60)
