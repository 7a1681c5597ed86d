"""A notebook that is opened again without a kernel, and its export, show pictures where molecules were."""

import nbconvert
import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import Watched

MOLECULE = """from so3lab.structures import read_structure
from so3lab_widgets import Viewer
viewer = Viewer(read_structure("ethanol"), height=250)
viewer"""
# A page shows the picture of a widget only when the widget is not there.
STILLS = """() => [...document.querySelectorAll('.so3-still')].map(still => ({
  wide: still.naturalWidth ?? 0, seen: still.getClientRects().length > 0}))"""


def test_a_picture_stays_where_the_kernel_has_gone(lab, browser, tmp_path):
    with lab.open(browser, new_notebook(cells=[new_code_cell(MOLECULE)]), "still") as notebook:
        notebook.run_all(seconds=120)
        notebook.wait_until(
            lambda: any(still["wide"] > 200 for still in notebook.page.evaluate(STILLS)), "a picture", 60
        )
        assert not any(still["seen"] for still in notebook.page.evaluate(STILLS))
        notebook.save()
        notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        notebook.page.reload()
        notebook.wait_until(
            lambda: any(still["seen"] and still["wide"] > 200 for still in notebook.page.evaluate(STILLS)),
            "the picture in place of the molecule",
            60,
        )
        notebook.picture("still_without_kernel")
    exported, _ = nbconvert.HTMLExporter().from_filename(str(lab.folder / "still.ipynb"))
    (tmp_path / "still.html").write_text(exported, encoding="utf-8")
    context = browser.new_context(offline=True)
    page = Watched(context.new_page())
    page.page.goto((tmp_path / "still.html").as_uri(), wait_until="domcontentloaded")
    page.wait_until(
        lambda: any(still["seen"] and still["wide"] > 200 for still in page.page.evaluate(STILLS)),
        "the picture in the export, without a network",
        60,
    )
    assert "object at 0x" not in page.page.inner_text("body")
    page.picture("still_exported")
    context.close()
