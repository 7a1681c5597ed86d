"""The map of a table and the table itself, in a real JupyterLab: points and rows are those of the kernel."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import Notebook
from tests.browser.test_linked import use_theme

POINTS = 100_000
MAKE = f"""import numpy as np, pandas as pd, ipywidgets as ipw, traitlets
from so3lab_widgets.plots.property_map import PropertyMap
from so3lab_widgets.tables.linked_table import LinkedTable
rng = np.random.default_rng(0)
def table(rows):
    phi, psi = rng.uniform(-180, 180, (2, rows))
    energy = 20 * (2 - np.cos(np.radians(phi)) - np.cos(np.radians(psi)))
    return pd.DataFrame(dict(energy_meV=energy, phi_deg=phi, psi_deg=psi, visits=rng.integers(1, 9, rows),
                             origin=rng.choice(["torsions", "hopping", "embeddings"], rows)))
seen, chosen = [], []
made = PropertyMap("frame", on_point=lambda row, how: seen.append((row, how)), on_choice=chosen.append,
                   prefer=(["phi_deg"], ["psi_deg"], ["energy_meV"]))
made.show(table({POINTS}))
rows = LinkedTable("minimum")
rows.show(table(10_000))
half = dict(flex="1 1 50%", min_width="0")
both = ipw.HBox([ipw.VBox([one], layout=ipw.Layout(**half)) for one in (made, rows)])
both"""
PLOT = ".js-plotly-plot .draglayer .nsewdrag"
ROW = ".so3-table-row"


@pytest.fixture(scope="module")
def notebook(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(MAKE)]), "map") as opened:
        opened.run_all(seconds=180)
        opened.page.wait_for_selector(PLOT)
        opened.page.wait_for_selector(ROW)
        yield opened
        assert opened.failures() == []
        assert opened.errors == []


def at(notebook: Notebook, phi: float, psi: float) -> tuple[float, float]:
    """Where a point of the map is on the page; its axes go from -185 to 185."""
    box = notebook.page.locator(PLOT).first.bounding_box()
    assert box is not None
    return box["x"] + (phi + 185) / 370 * box["width"], box["y"] + (185 - psi) / 370 * box["height"]


def test_a_click_among_many_points_gives_the_row_under_it(notebook):
    x, y = at(notebook, 60, -60)

    def clicked() -> bool:
        notebook.page.mouse.move(x - 2, y)
        notebook.page.mouse.move(x, y)
        notebook.rest()
        notebook.page.mouse.click(x, y)
        notebook.rest()
        return "click" in notebook.text_of("seen")

    notebook.wait_until(clicked, "a click in Python")
    near = "(made.table.loc[seen[-1][0], ['phi_deg', 'psi_deg']] - [60, -60]).abs().max() < 8"
    assert notebook.text_of(f"bool({near})") == "True"


def test_a_ring_marks_the_row_and_follows_the_axes(notebook):
    notebook.run_code("made.mark(5, [6, 7])")
    notebook.wait_until(lambda: notebook.page.locator(".so3-mark").count() == 3, "three rings")
    where = notebook.page.locator(".so3-mark-current").bounding_box()
    phi, psi = (float(notebook.text_of(f"float(made.table.{name}_deg[5])")) for name in ("phi", "psi"))
    x, y = at(notebook, phi, psi)
    assert abs(where["x"] + where["width"] / 2 - x) < 2
    assert abs(where["y"] + where["height"] / 2 - y) < 2


def test_dragging_chooses_the_points_that_are_not_drawn_as_well(notebook):
    (left, top), (right, bottom) = at(notebook, -120, 90), at(notebook, 0, -30)
    notebook.page.mouse.move(left, top)
    notebook.page.mouse.down()
    for step in range(1, 9):
        notebook.page.mouse.move(left + step * (right - left) / 8, top + step * (bottom - top) / 8)
        notebook.rest()
    outline = "document.querySelector('.select-outline')?.getAttribute('d')"
    notebook.settled(lambda: notebook.page.evaluate(outline), "the frame around what is chosen")
    notebook.page.mouse.up()
    notebook.wait_until(lambda: notebook.text_of("len(chosen)") == "1", "a choice")
    share = float(notebook.text_of("len(chosen[0]) / len(made.table)"))
    assert abs(share - (120 / 360) ** 2) < 0.01
    notebook.picture("map-brushed", ".jp-CodeCell >> nth=0")


def test_rows_are_clicked_sorted_and_filtered_on_the_page(notebook):
    page = notebook.page
    page.locator(ROW).nth(3).click()
    notebook.wait_until(lambda: notebook.text_of("rows.current") == "3", "the fourth row")
    page.locator(".so3-table-body").press("ArrowDown")
    notebook.wait_until(lambda: notebook.text_of("rows.current") == "4", "the next row")
    page.get_by_role("button", name="energy (meV)").click()
    lowest = notebook.text_of("int(rows.table.energy_meV.argmin())")
    notebook.wait_until(lambda: page.locator(ROW).first.get_attribute("data-row") == lowest, "the lowest first")
    page.get_by_label("filter visits").fill("> 7")
    expected = notebook.text_of("int((rows.table.visits > 7).sum())")
    notebook.wait_until(lambda: f"{expected} of 10000" in page.inner_text(".so3-table-foot"), "fewer rows")
    page.locator(f"{ROW} input").nth(1).click()
    notebook.wait_until(lambda: notebook.text_of("len(rows.selected)") == "1", "a selected row")
    notebook.run_code("rows.current = int(rows.rows[-1])")
    notebook.wait_until(lambda: page.locator(".so3-current").count() == 1, "the last row in sight")
    for theme in ("Dark", "Light"):
        use_theme(notebook, theme)
        notebook.picture(f"map-and-table-{theme.lower()}", ".jp-CodeCell >> nth=0")


def test_the_still_picture_of_a_map_shows_its_points(notebook):
    notebook.run_code(
        "pictures = []; made.figure.take_picture().add_done_callback(lambda f: pictures.append(f.result()))"
    )
    notebook.wait_until(lambda: notebook.text_of("len(pictures)") == "1", "a picture")
    inked = """(lambda pixels: float((pixels[..., 3] > 0).mean()))(
        np.asarray(__import__('PIL.Image').Image.open(__import__('io').BytesIO(pictures[0])).convert('RGBA')))"""
    assert float(notebook.text_of(inked)) > 0.3, "the points fill the map"
