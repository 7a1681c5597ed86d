"""The minima browser in a real JupyterLab: a search brings minima, a click shows one, heat moves populations."""

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import Notebook
from tests.browser.test_linked import use_theme

SUPPORT = Path(__file__).resolve().parents[1] / "support"
MAKE = f"""import functools, sys
sys.path.insert(0, {str(SUPPORT)!r})
from mmff import relax_by_mmff
from so3lab.minima import Search
from so3lab.pretrained import lennard_jones
from so3lab.structures import from_smiles
from so3lab_widgets import MinimaPanel
from straight_path import straight_path
smiles = "CC(=O)N[C@@H](C)C(=O)NC"
search = functools.partial(Search, relax=relax_by_mmff(smiles), round_size=8)
given = {{"reduced": False, "database": "ala2.db", "search": search, "connect": straight_path}}
panel = MinimaPanel(lennard_jones(), from_smiles(smiles), **given)
panel.form.proposals["torsions"].value = True
panel"""
PLOT = ".js-plotly-plot .draglayer .nsewdrag"
ROW = ".so3-table-row"
START, OPEN = (f"button.jupyter-button:has-text('{word}')" for word in ("Start", "Open"))


@pytest.fixture(scope="module")
def notebook(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(MAKE)]), "minima", width=1400) as opened:
        opened.run_all(seconds=180)
        opened.page.locator(START).wait_for()
        yield opened
        assert opened.failures() == []
        assert opened.errors == []
        opened.run_code("panel.close()")


def drawn_points(notebook: Notebook) -> int:
    return notebook.page.locator(".js-plotly-plot").first.locator(".scatterlayer .point").count()


def test_minima_arrive_while_the_search_runs(notebook):
    notebook.page.locator(START).click()
    notebook.wait_until(lambda: drawn_points(notebook) >= 2, "two minima on the map", seconds=120)
    notebook.wait_until(lambda: notebook.text_of("panel.run.job.ended") == "True", "the end of the search", seconds=120)
    found = int(notebook.text_of("len(panel.minima)"))
    notebook.wait_until(lambda: drawn_points(notebook) == found, "all of them on the map")
    notebook.wait_until(lambda: f"{found} shown" in notebook.page.inner_text(".so3-table-foot"), "all in the table")
    notebook.molecules(1, selector=".so3-stage", seconds=60)
    assert found >= 4


def test_a_click_on_the_map_shows_that_structure(notebook):
    other = notebook.text_of("int(panel.table().above_lowest_kcal_mol.idxmax())")
    before = notebook.canvases(".so3-stage")[0].sum
    place = notebook.page.locator(PLOT).first
    place.scroll_into_view_if_needed()
    box, values = (
        place.bounding_box(),
        f"panel.table().loc[{other}, [panel.views.map.x.value, panel.views.map.y.value]]",
    )
    phi, psi = (float(notebook.text_of(f"float({values}.iloc[{number}])")) for number in (0, 1))
    x, y = box["x"] + (phi + 185) / 370 * box["width"], box["y"] + (185 - psi) / 370 * box["height"]

    def clicked() -> bool:
        notebook.page.mouse.move(x - 40, y)
        notebook.page.mouse.move(x, y)
        notebook.settled(lambda: notebook.page.locator(".hoverlayer .hovertext").count(), "what is pointed at")
        notebook.page.mouse.click(x, y)
        notebook.rest()
        return notebook.text_of("panel.current") == other

    notebook.wait_until(clicked, "the minimum that was clicked")
    notebook.wait_until(lambda: notebook.canvases(".so3-stage")[0].sum != before, "another picture of the molecule")
    notebook.wait_until(lambda: f"minimum {other} " in notebook.page.inner_text(".so3-caption"), "its caption")
    same = f"abs(panel.viewer.latest['positions'] - panel.views.positions({other})).max() < 1e-3"
    notebook.wait_until(lambda: notebook.text_of(f"bool({same})") == "True", "its positions")
    assert notebook.page.locator(".so3-mark-current").count() == 2, "on the map and on the ladder"
    assert notebook.page.locator(f"{ROW}.so3-current").get_attribute("data-row") == other


def test_heat_moves_the_populations(notebook):
    lowest = "panel.table().population_percent.max()"
    cold = float(notebook.text_of(f"float({lowest})"))
    slider = notebook.page.locator(".widget-slider .noUi-handle").first
    slider.focus()
    slider.press("End")
    notebook.wait_until(lambda: float(notebook.text_of(f"float({lowest})")) < cold - 5, "less of the lowest")
    notebook.wait_until(lambda: "1500" in notebook.page.inner_text(".so3-code code"), "its line of Python")
    notebook.run_code("panel.temperature.value = 298")


def test_words_below_a_column_leave_some_and_two_are_compared(notebook):
    page = notebook.page
    page.get_by_label("filter above lowest (kcal/mol)").fill("< 1.5")
    few = notebook.text_of("int((panel.table().above_lowest_kcal_mol < 1.5).sum())")
    notebook.wait_until(lambda: f"{few} of" in page.inner_text(".so3-table-foot"), "the low ones")
    for number in (0, 1):
        page.locator(f"{ROW} input").nth(number).click()
    page.get_by_text("are two: ").wait_for()
    page.get_by_label("filter above lowest (kcal/mol)").fill("")


DRAWN = "() => [...document.querySelector('.so3-stage').scene.latest.positions]"


def test_a_path_between_two_moves_the_molecule(notebook):
    page, captions = notebook.page, ".so3-caption"
    for row in (0, 1):
        page.locator(f"{ROW} input").nth(row).set_checked(True)
    page.get_by_text("are two: ").wait_for()  # what is above the button is there
    page.locator("button.jupyter-button:has-text('Path and barrier')").click()
    notebook.wait_until(lambda: "image 2 of the path" in page.inner_text(captions), "the highest image")
    notebook.settled_picture("minima-path", ".jp-CodeCell >> nth=0")
    page.locator(".widget-play button").first.click()
    seen: dict[str, tuple[int, list[float]]] = {}

    def three_moments() -> bool:
        seen[page.inner_text(captions)] = (notebook.canvases(".so3-stage")[0].sum, page.evaluate(DRAWN))
        return len(seen) > 2

    notebook.wait_until(three_moments, "three images of the path one after the other")
    page.locator(".widget-play button").first.click()
    pictures, positions = zip(*seen.values(), strict=True)
    assert len(set(pictures)) > 1, "the picture of the molecule changes"
    assert max(abs(one - other) for one, other in zip(positions[0], positions[2], strict=True)) > 0.1
    same = (
        "abs(panel.viewer.latest['positions'] - panel.views._superposed(panel.paths.band.images[place])).max() < 1e-3"
    )
    at_rest = notebook.settled(lambda: page.inner_text(captions), "the caption")
    notebook.run_code("place = panel.paths.place.value")
    assert f"image {notebook.text_of('place')} of the path" in at_rest
    notebook.wait_until(lambda: notebook.text_of(f"bool({same})") == "True", "the image that is named")


@pytest.mark.parametrize(("width", "theme"), [(1900, "Light"), (1400, "Dark"), (1000, "Light")])
def test_it_fits_the_page(notebook, width, theme):
    notebook.page.set_viewport_size({"width": width, "height": 1600})
    use_theme(notebook, theme)
    notebook.settled_picture(f"minima-{theme.lower()}-{width}", ".jp-CodeCell >> nth=0")
    sideways = "(output => output.scrollWidth - output.clientWidth)(document.querySelector('.jp-OutputArea-output'))"
    assert notebook.page.evaluate(sideways) <= 1
    use_theme(notebook, "Light")


def test_a_figure_that_was_drawn_for_a_wider_page_takes_the_width_of_its_own(notebook):
    page = notebook.page
    widths = """() => [...document.querySelectorAll('.js-plotly-plot')].filter(el => el.getClientRects().length)
      .map(el => [el._fullLayout.width, el.clientWidth])"""
    page.evaluate("() => document.querySelectorAll('.js-plotly-plot').forEach(el => { el.layout.width = 3000; })")
    for name in ("Progress", "Energy ladder"):
        page.get_by_role("button", name=name).click()
        notebook.wait_until(
            lambda: all(abs(drawn - there) <= 1 for drawn, there in page.evaluate(widths)), "the width of the page"
        )


def test_what_was_found_opens_again_and_a_wrong_name_is_said(notebook):
    page = notebook.page
    field = page.get_by_placeholder("memory, or minima.db")
    field.fill("nowhere.db")
    field.press("Tab")
    page.locator(OPEN).click()
    page.locator("[role=alert]", has_text="there is no database nowhere.db").wait_for()
    found = notebook.text_of("len(panel.minima)")
    field.fill("ala2.db")
    field.press("Tab")
    page.locator(OPEN).click()
    notebook.wait_until(lambda: "panel.load('ala2.db')" in page.inner_text(".so3-code code"), "the line that opens it")
    assert notebook.text_of("len(panel.minima)") == found
