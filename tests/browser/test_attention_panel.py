"""Attention in a real JupyterLab: links with a threshold that can be clicked, overlays, and the panel around them."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import Notebook
from tests.browser.test_linked import use_theme

LINKS = """import numpy as np
from ase.build import molecule
from so3lab_widgets import Viewer
ethanol, other = molecule("CH3CH2OH"), molecule("CH3CH2OH")
other.set_dihedral(0, 1, 2, 3, 100, mask=[0, 0, 0, 1, 0, 0, 0, 0, 0])
viewer = Viewer(ethanol, height=360)
viewer.link([[0, 2], [3, 6], [1, 3]], [1.0, -0.6, 0.1], "attention, layer 1, head 2", "attention weight α, no unit")
viewer"""
STAGE = ".so3-stage"
SHOWN = "() => document.querySelector('.so3-stage').scene.shownLinks.length"
MIDDLE = """number => {
  const {scene} = document.querySelector('.so3-stage'), [one, other] = scene.linkEnds(number);
  const place = new scene.NGL.Vector3(...one.map((x, k) => 0.35 * x + 0.65 * other[k]));
  const at = scene.stage.viewerControls.getPositionOnCanvas(place);
  const box = document.querySelector('.so3-stage canvas').getBoundingClientRect();
  return [box.left + at.x, box.top + box.height - at.y];
}"""


def shown_links(notebook: Notebook) -> int:
    return notebook.page.evaluate(SHOWN)


@pytest.fixture(scope="module")
def links(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(LINKS)]), "links") as notebook:
        notebook.run_all(seconds=180)
        notebook.molecules(1, selector=STAGE)
        notebook.wait_until(lambda: shown_links(notebook) == 3, "three links")
        yield notebook
        assert notebook.failures() == []
        assert notebook.errors == []


def test_links_vanish_below_the_threshold_and_stay_after_loading_again(links):
    def pixels() -> int:
        return links.canvases(STAGE)[0].painted

    links.settled_picture("links-signed", STAGE)
    legend = links.page.locator(".so3-scale").first
    assert "attention, layer 1, head 2" in legend.inner_text()
    assert "no unit" in legend.inner_text()
    many = pixels()
    links.run_code("viewer.link_threshold = 0.5")
    links.wait_until(lambda: shown_links(links) == 2 and pixels() < many, "the weakest link gone")
    assert "from 0.5" in legend.inner_text()
    links.run_code("viewer.link_threshold = 0.9")
    links.wait_until(lambda: shown_links(links) == 1, "the negative link gone")
    links.run_code("viewer.link_threshold = 0.0; viewer.links_of_picked = True; viewer.picked = [6]")
    links.wait_until(lambda: shown_links(links) == 1, "links of the picked atom")
    links.run_code("viewer.links_of_picked = False; viewer.picked = []")
    links.save()
    links.page.reload()
    links.wait_for_kernel()
    links.wait_until(
        lambda: (
            links.page.locator(STAGE).count() == 1 and links.molecules(1, selector=STAGE) and shown_links(links) == 3
        ),
        "the links again",
        60,
    )


def test_a_click_on_a_link_picks_its_atoms(links):
    x, y = links.page.evaluate(MIDDLE, 0)
    links.page.mouse.click(x, y)
    links.wait_until(lambda: links.ask("viewer.picked") == [0, 2], "the pair of the link")
    links.run_code("viewer.picked = []")


def test_overlays_are_drawn_in_their_colours(links):
    links.run_code("distances = viewer.overlay([other], ['turned'])")
    links.wait_until(lambda: "turned" in links.page.locator(".so3-scale").first.inner_text(), "its name")
    count = "() => document.querySelector('.so3-stage').scene.stage.compList.length"
    links.wait_until(lambda: links.page.evaluate(count) >= 3, "another molecule")
    links.settled_picture("links-overlay", STAGE)
    use_theme(links, "Dark")
    links.settled_picture("links-overlay-dark", STAGE)
    use_theme(links, "Light")
    assert links.ask("0 < float(distances[0]) < 1.5")
    links.run_code("viewer.overlay([])")
    links.wait_until(lambda: links.page.evaluate(count) == 2, "it alone")


PANEL = """import so3lab
panel = so3lab.widgets.AttentionPanel("ethanol", "ethanol", height=330)
panel"""
PLOT = ".js-plotly-plot"
SHAPES = "() => (document.querySelector('.js-plotly-plot')?.layout?.shapes ?? []).map(one => one.y0 + 0.5)"
ATOM = """number => {
  const {scene} = document.querySelector('.so3-stage');
  const at = scene.stage.viewerControls.getPositionOnCanvas(new scene.NGL.Vector3(...scene.atom(number)));
  const box = document.querySelector('.so3-stage canvas').getBoundingClientRect();
  return [box.left + at.x, box.top + box.height - at.y];
}"""


@pytest.fixture(scope="module")
def panel(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(PANEL)]), "attention") as notebook:
        notebook.run_all(seconds=180)
        notebook.molecules(1, selector=STAGE)
        notebook.wait_until(lambda: shown_links(notebook) > 10, "links", 90)
        notebook.page.wait_for_selector(f"{PLOT} .main-svg")
        yield notebook
        assert notebook.failures() == []
        assert notebook.errors == []


def test_thumbnails_are_drawn_and_a_click_opens_one(panel):
    panel.settled_picture("attention-overview", ".jp-CodeCell")
    thumbnail = panel.page.locator(f"{PLOT} .draglayer .nsewdrag").nth(1)
    thumbnail.scroll_into_view_if_needed()

    def opened() -> bool:
        if thumbnail.count():
            thumbnail.click(position={"x": 20, "y": 20})
        panel.rest()
        return panel.ask("panel.views.value") == "matrix"

    panel.wait_until(opened, "the matrix of a head")
    channel = panel.ask("list(panel.attention.channel)")
    assert channel == [1, "features", 2]
    legend = panel.page.locator(".so3-scale").first
    panel.wait_until(lambda: "layer 1, head 2" in legend.inner_text(), "a legend that says which")


def test_the_threshold_slider_makes_links_vanish(panel):
    before = shown_links(panel)
    handle = panel.page.get_by_role("slider").first
    handle.scroll_into_view_if_needed()
    handle.focus()
    panel.page.keyboard.press("End")
    panel.wait_until(lambda: shown_links(panel) in (1, 2), "the strongest link alone, or it and its mirror image")
    assert panel.ask("panel.viewer.link_threshold") == 1.0
    panel.page.keyboard.press("Home")
    panel.wait_until(lambda: shown_links(panel) == before, "all links")


def test_a_picked_atom_has_its_row_and_both_themes_are_legible(panel):
    panel.page.locator(STAGE).first.scroll_into_view_if_needed()
    x, y = panel.page.evaluate(ATOM, 2)
    panel.page.mouse.click(x, y)
    panel.wait_until(lambda: panel.ask("panel.viewer.picked") == [2], "the oxygen")
    panel.wait_until(lambda: panel.page.evaluate(SHAPES) == [2], "its row")
    panel.picture("attention-light", ".jp-CodeCell")
    use_theme(panel, "Dark")
    panel.settled_picture("attention-dark", ".jp-CodeCell")
    use_theme(panel, "Light")


def test_what_follows_is_computed_and_drawn_beside_attention(panel):
    panel.page.get_by_role("button", name="cause", exact=True).click()
    panel.page.get_by_role("button", name="Move picked atoms").click()
    panel.wait_until(lambda: panel.ask("len(panel.cause.table)") == 8, "responses to the oxygen", 120)
    panel.wait_until(lambda: panel.page.get_by_text("rank correlation").count() > 0, "what that says")
    panel.settled_picture("attention-cause", ".jp-CodeCell")
    assert panel.ask("panel.message.sentence") == ""


LESS = """
from so3lab.attention import attention_matrix, look_inside
_atoms = panel.viewer.atoms
_theirs, _own = [attention_matrix(look_inside(so3lab.load(name), _atoms), panel.shown.channel)
                 for name in ("ala2", "ethanol")]
_difference = _theirs - _own
"""


def test_another_model_is_compared_with_and_the_difference_is_exported(panel):
    panel.page.get_by_role("button", name="overview", exact=True).click()
    panel.page.get_by_label("Compare with").select_option("another model")
    field = panel.page.locator("input[placeholder='name or file']").nth(1)
    field.fill("ala2")
    field.press("Enter")
    said = panel.page.get_by_text("Shown: ala2 − ethanol, blue where the first attends more, orange where less")
    said.wait_for()
    panel.settled_picture("attention-compared", ".jp-CodeCell")
    panel.answer(LESS)
    assert panel.ask("float(abs(panel.shown.matrix - _difference).max()) < 1e-6 < float(abs(_difference).max())")
    panel.page.get_by_role("button", name="matrix", exact=True).click()
    title = panel.page.locator(f"{PLOT} .g-gtitle")
    panel.wait_until(lambda: "ala2 − ethanol" in (title.text_content() or ""), "a figure that says what is less what")
    panel.page.locator("button[title='write the file']").click()
    panel.page.get_by_text("attention.csv").first.wait_for()
    total = "float(__import__('pandas').read_csv('attention.csv')['difference'].abs().max())"
    panel.wait_until(lambda: panel.ask(total) > 0, "differences in the file")
    panel.page.get_by_label("Compare with").select_option("nothing")
    panel.wait_until(lambda: said.count() == 0, "no word of a comparison")


def test_the_legend_of_a_narrow_view_leaves_the_molecule_free_and_says_more_on_a_click(panel):
    high = """() => { const [legend, stage] = ['.so3-scale', '.so3-stage'].map(one => document.querySelector(one));
      return legend.offsetHeight / stage.offsetHeight; }"""
    panel.run_code("panel.viewer.colour = 'attention'")
    legend, stage = panel.page.locator(".so3-scale").first, panel.page.locator(STAGE).first
    panel.wait_until(lambda: "attention (no unit)" in legend.inner_text(), "the meaning of colours")
    assert stage.evaluate("stage => stage.offsetWidth") < 600
    assert panel.page.evaluate(high) < 0.2
    more = panel.page.locator(".so3-more")
    for words in (True, False):
        more.click()
        panel.wait_until(lambda words=words: ("how much others listen" in legend.inner_text()) == words, "definitions")
    panel.settled_picture("attention-narrow", STAGE)
    panel.run_code("panel.viewer.colour = 'element'")


def test_the_strongest_pairs_fit_the_page_of_a_telephone(panel):
    """Of a page of 414 pixels a cell has 376."""
    panel.wait_until(lambda: panel.page.locator(".so3-table-row .so3-number").count() > 8, "pairs")
    panel.page.evaluate("() => { document.querySelector('.so3-table').style.width = '376px'; }")
    panel.rest()
    reach = "one => [one.scrollWidth, one.clientWidth]"
    body = panel.page.locator(".so3-table-body").first.evaluate(reach)
    assert body[0] == body[1] < 376
    cells = panel.page.locator(".so3-table-row span").evaluate_all(f"all => all.map({reach})")
    assert [cell for cell in cells if cell[0] > cell[1]] == []
    panel.picture("attention-pairs-narrow", ".so3-table")
    panel.page.evaluate("() => { document.querySelector('.so3-table').style.width = ''; }")
