"""The page of a landscape, opened from disk without a network: a click anywhere shows the state that is meant."""

import numpy as np
import pytest
from so3lab_widgets import write_landscape_page

from so3lab.landscape import Landscape, TransitionState, Vibrations
from so3lab.minima import Minimum
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.structures import from_smiles, molecular_graph

pytest.importorskip("playwright")
from tests.browser.from_disk import opened_from_disk

ANGLES = [(180, 180), (180, 65), (65, 65), (65, -95)]
_PLACE = """([title, key]) => {
  const plot = [...document.querySelectorAll('.js-plotly-plot')].find(one => one.layout.title.text === title);
  plot.scrollIntoView({block: 'center'});
  const {left, top} = plot.getBoundingClientRect(), {xaxis, yaxis} = plot._fullLayout;
  for (const trace of plot._fullData.filter(one => one.mode !== 'lines')) {
    const index = (trace.customdata ?? []).findIndex(row => String(row[0]) === key);
    if (index >= 0)
      return [left + xaxis._offset + xaxis.d2p(trace.x[index]), top + yaxis._offset + yaxis.d2p(trace.y[index])];
  }
}"""
_RINGED = """[...document.querySelectorAll('.js-plotly-plot')].flatMap(plot => {
  const ring = plot.data.find(trace => trace.name === 'shown');
  return ring?.x.length ? [plot.layout.title.text] : [];
})"""


def pentane() -> Landscape:
    """Four minima, of which saddles join three."""
    start = from_smiles("CCCCC", seed=1)
    graph, torsions = molecular_graph(start), rotatable_dihedrals(start)

    def at(angles):
        atoms = start.copy()
        for torsion, angle in zip(torsions, angles, strict=True):
            atoms.positions = turned(atoms.positions, graph, torsion, angle - atoms.get_dihedral(*torsion))
        return atoms

    minima = [Minimum(n, at(both), -10.0 + 0.04 * n, "start", None, 20 - n) for n, both in enumerate(ANGLES)]
    modes = Vibrations(np.linspace(-200.0, 3000.0, 45), 1, np.array([10.0, 60.0, 65.0]))
    mode = np.full((17, 3), 0.1)
    ways = [((180, 120), -9.8, (0, 1)), ((120, 65), -9.7, (1, 2))]
    saddles = [
        TransitionState(n, at(angles), energy, ends, modes, mode, -0.3) for n, (angles, energy, ends) in enumerate(ways)
    ]
    return Landscape(minima, saddles, [None] * 4)


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    path = write_landscape_page(pentane(), tmp_path_factory.mktemp("page") / "pentane.html")
    with opened_from_disk(browser, path, 1400) as watched:
        yield watched


def told(page) -> str:
    return page.page.inner_text("aside output")


def click(page, title: str, key: str) -> None:
    """A mouse goes where a figure draws a state, and clicks."""
    x, y = page.page.evaluate(_PLACE, [title, key])
    page.page.mouse.move(x - 30, y - 20)
    page.page.mouse.move(x, y, steps=4)
    page.wait_until(lambda: page.page.locator(".hoverlayer .hovertext").count() == 1, f"words about {key}")
    page.page.mouse.click(x, y)


@pytest.mark.parametrize(
    ("figure", "key", "words"),
    [
        ("Which minima belong together", "2", "minimum 2 "),
        ("Which minima belong together", "saddle 1", "between 1 and 2"),
        ("Minima by energy", "1", "minimum 1 "),
        ("Principal components", "saddle 0", "between 0 and 1"),
        ("Principal components", "3", "minimum 3 "),
    ],
)
def test_a_click_shows_a_state_and_rings_it_wherever_it_is_drawn(page, figure, key, words):
    stage = page.settled(lambda: page.canvases("aside .stage")[0], "the molecule")
    click(page, figure, key)
    page.wait_until(lambda: words in told(page), f"{words} in words")
    page.wait_until(lambda: page.canvases("aside .stage")[0] != stage, "another structure")
    rings = page.page.evaluate(_RINGED)
    assert figure in rings
    assert ("Minima by energy" in rings) == (not key.startswith("saddle"))


def test_a_row_shows_its_state(page):
    page.page.locator("tbody tr", has_text="saddle 1").click()
    assert "between 1 and 2" in told(page)
    page.page.locator("tbody tr").first.press("Enter")
    assert told(page).startswith("minimum 0 ")
    assert page.page.locator("tr.shown").count() == 1
