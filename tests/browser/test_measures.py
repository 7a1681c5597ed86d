"""What is drawn between picked atoms: lines, and the arc of an angle or a dihedral, in the scene and as pixels."""

import json

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import Notebook

CHAIN = """import numpy as np
from ase import Atoms
from so3lab_widgets import Viewer
def chain(degrees):
    turn = np.radians(degrees)
    return Atoms("CNOS", [[0, 3, -2], [0, 0, -2], [0, 0, 2], [3 * np.sin(turn), 3 * np.cos(turn), 2]])
viewer = Viewer(chain(120.0), height=420)
viewer"""
LINE_COLOUR = (230, 159, 0)
RADIUS = 0.9
# Ends of the cylinders that NGL holds for what is measured; each has as many equal corners as its drawing needs.
CYLINDERS = """() => {
  const drawn = document.querySelector('.so3-stage').scene.buffers.measure;
  if (!drawn) return [];
  const {position1, position2} = drawn.buffer.geometry.attributes, corners = position1.count / drawn.count;
  const at = (attribute, k) => Array.from(attribute.array.slice(3 * corners * k, 3 * corners * k + 3));
  return Array.from({length: drawn.count}, (_, k) => [at(position1, k), at(position2, k)]);
}"""
# How many of the pixels about a point in space have the colour of lines, and how many there are.
PIXELS = """([point, reach]) => {
  const {scene} = document.querySelector('.so3-stage'), canvas = document.querySelector('.so3-stage canvas');
  const place = scene.stage.viewerControls.getPositionOnCanvas(new scene.NGL.Vector3(...point));
  const scale = canvas.width / canvas.clientWidth, copy = new OffscreenCanvas(canvas.width, canvas.height);
  const pen = copy.getContext('2d');
  pen.drawImage(canvas, 0, 0);
  const side = 2 * reach + 1;
  const x = Math.round(scale * place.x) - reach, y = Math.round(canvas.height - scale * place.y) - reach;
  const pixels = pen.getImageData(x, y, side, side).data;
  let orange = 0;
  for (let i = 0; i < pixels.length; i += 4)
    if (pixels[i + 3] > 100 && pixels[i] > 1.2 * pixels[i + 1] && pixels[i + 1] > 2 * pixels[i + 2]) orange += 1;
  return orange;
}"""


@pytest.fixture(scope="module")
def notebook(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(CHAIN)]), "measures") as opened:
        opened.run_all(seconds=120)
        opened.wait_until(lambda: [view for view in opened.canvases(".so3-stage") if view.painted > 2000], "atoms")
        yield opened
        assert opened.failures() == []
        assert opened.errors == []


def cylinders(notebook: Notebook, count: int) -> np.ndarray:
    notebook.wait_until(lambda: len(notebook.page.evaluate(CYLINDERS)) == count, f"{count} cylinders")
    found = notebook.settled(lambda: notebook.page.evaluate(CYLINDERS), "cylinders")
    return np.array(found).reshape(-1, 2, 3)


def positions(notebook: Notebook) -> np.ndarray:
    """As they are drawn."""
    return np.array(json.loads(notebook.answer("import json; print(json.dumps(viewer.atoms.positions.tolist()))")))


def around(notebook: Notebook, point: np.ndarray, reach: int = 3) -> int:
    """Pixels near a point in space that have the colour of lines."""
    return notebook.page.evaluate(PIXELS, [list(map(float, point)), reach])


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("degrees", [120.0, -60.0, 25.0, 172.0])
def test_four_picked_atoms_get_the_arc_of_their_dihedral(notebook, degrees):
    notebook.run_code(f"viewer.picked = []; viewer.show(chain({degrees})); viewer.picked = [0, 1, 2, 3]")
    words = notebook.page.locator(".so3-picked").first
    notebook.wait_until(lambda: f": {-degrees:.1f}°" in words.inner_text(), "the dihedral in words")
    drawn = cylinders(notebook, 3 + 23)
    at = positions(notebook)
    np.testing.assert_allclose(drawn[:3], np.stack([at[:3], at[1:]], axis=1), atol=1e-4)
    arc = np.concatenate([drawn[3:, 0], drawn[-1:, 1]])
    np.testing.assert_allclose(drawn[3:-1, 1], drawn[4:, 0], atol=1e-5)  # one line without gaps
    middle, axis = (at[1] + at[2]) / 2, unit(at[2] - at[1])
    spokes = arc - middle
    np.testing.assert_allclose(np.linalg.norm(spokes, axis=1), RADIUS, atol=1e-4)
    np.testing.assert_allclose(spokes @ axis, 0.0, atol=1e-4)
    across = [unit(arm - arm @ axis * axis) for arm in (at[0] - at[1], at[3] - at[2])]
    np.testing.assert_allclose(unit(spokes[0]), across[0], atol=1e-4)
    np.testing.assert_allclose(unit(spokes[-1]), across[1], atol=1e-4)
    turns = np.degrees(np.arccos(np.clip(np.sum(spokes[1:] * spokes[:-1], axis=1) / RADIUS**2, -1, 1)))
    assert turns.sum() == pytest.approx(abs(degrees), abs=1.0), "it turns the short way"
    points = arc[[6, 12, 18]]
    seen = [around(notebook, point) for point in points]
    notebook.picture(f"dihedral-{degrees:.0f}", ".so3-stage")
    assert sorted(seen)[1] >= 4, "the arc is on the page, but where an atom stands before it"
    notebook.run_code("viewer.picked = []")
    cylinders(notebook, 0)
    notebook.wait_until(lambda: max(around(notebook, point) for point in points) <= 1, "no arc without picks")


def test_three_picked_atoms_get_the_arc_of_their_angle(notebook):
    notebook.run_code("viewer.show(chain(120.0)); viewer.picked = [0, 1, 2]")
    drawn, at = cylinders(notebook, 2 + 23), positions(notebook)
    arc = np.concatenate([drawn[2:, 0], drawn[-1:, 1]])
    np.testing.assert_allclose(unit(arc[0] - at[1]), unit(at[0] - at[1]), atol=1e-4)
    np.testing.assert_allclose(unit(arc[-1] - at[1]), unit(at[2] - at[1]), atol=1e-4)
    notebook.run_code("viewer.picked = []")
    cylinders(notebook, 0)


def test_the_arc_follows_atoms_that_move(notebook):
    notebook.run_code("viewer.show_live(chain(120.0)); viewer.picked = [0, 1, 2, 3]")
    first = cylinders(notebook, 3 + 23)
    notebook.run_code("viewer.push(chain(60.0).positions)")
    notebook.wait_until(lambda: np.abs(np.array(notebook.page.evaluate(CYLINDERS)) - first).max() > 0.3, "another arc")
    arc, at = cylinders(notebook, 3 + 23)[3:, 0], positions(notebook)
    middle = (at[1] + at[2]) / 2
    cosine = unit(arc[0] - middle) @ unit(arc[-1] - middle)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(60 * 22 / 23, abs=1.0)
