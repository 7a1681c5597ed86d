"""The viewer in a real JupyterLab: picking by clicks, playing, looks, colours, forces, the cell, the camera, saving."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

pytest.importorskip("playwright")
from tests.browser.jupyter import NGLVIEW, Notebook
from tests.browser.test_linked import use_theme

STAGE = ".so3-stage"

SQUARE = """import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from so3lab_widgets import Viewer
corners = 4.0 * np.array([[-1, 1, 0], [1, 1, 0], [1, -1, 0.8], [-1, -1, 0]])
rng, frames = np.random.default_rng(0), []
for step in range(60):
    atoms = Atoms("CNOS", corners + 0.01 * step * np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]))
    atoms.calc = SinglePointCalculator(atoms, forces=3.0 * rng.normal(size=(4, 3)))
    frames.append(atoms)
viewer = Viewer(frames, representation="spacefill", height=420, follow="off")
viewer"""
# The middle of what is painted in each quarter of the canvas, as a share of its width and height: where an atom is.
QUARTERS = """() => {
  const canvas = document.querySelector('.so3-stage canvas'), {width, height} = canvas;
  const copy = new OffscreenCanvas(width, height), pen = copy.getContext('2d');
  pen.drawImage(canvas, 0, 0);
  const pixels = pen.getImageData(0, 0, width, height).data, sums = [0, 1, 2, 3].map(() => [0, 0, 0]);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (pixels[4 * (y * width + x) + 3] > 200) {
        const sum = sums[(y < height / 2 ? 0 : 2) + (x < width / 2 ? 0 : 1)];
        sum[0] += x; sum[1] += y; sum[2] += 1;
      }
  return sums.map(([x, y, count]) => [x / count / width, y / count / height]);
}"""


@pytest.fixture(scope="module")
def notebook(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(SQUARE)]), "viewer") as opened:
        opened.run_all(seconds=120)
        opened.wait_until(lambda: painted(opened) > 2000, "a molecule", 60)
        yield opened
        assert opened.failures() == []
        assert opened.errors == []


def painted(notebook: Notebook) -> int:
    found = notebook.canvases(STAGE)
    return found[0].painted if found else 0


def picture(notebook: Notebook) -> int:
    return notebook.canvases(STAGE)[0].sum


def pixels(notebook: Notebook) -> np.ndarray:
    """What a person sees of the view."""
    notebook.page.mouse.move(2, 2)
    shown = Image.open(BytesIO(notebook.page.locator(STAGE).first.screenshot())).convert("RGB")
    return np.asarray(shown, int)


def becomes(notebook: Notebook, expression: str, value: str) -> None:
    notebook.wait_until(lambda: notebook.text_of(expression) == value, f"{expression} is {value}")


def click_atoms(notebook: Notebook, *quarters: int) -> None:
    places, box = (
        notebook.page.evaluate(QUARTERS),
        notebook.page.locator(f"{STAGE} canvas").first.bounding_box(),
    )
    for quarter in quarters:
        x, y = places[quarter]
        notebook.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        notebook.settled(lambda: notebook.text_of("viewer.picked"), "picked atoms")


def test_clicks_pick_one_to_four_atoms_and_say_what_lies_between_them(notebook):
    words = notebook.page.locator(".so3-picked").first
    upper_left, upper_right, lower_left, lower_right = 0, 1, 2, 3
    for quarter, picked, shown in (
        (upper_right, "[0]", "C0: at "),
        (upper_left, "[0, 1]", "C0 – N1: 8.000 Å"),
        (lower_left, "[0, 1, 2]", "C0 – N1 – O2: 90.0°"),
        (lower_right, "[0, 1, 2, 3]", "C0 – N1 – O2 – S3: "),
    ):
        click_atoms(notebook, quarter)
        becomes(notebook, "viewer.picked", picked)
        notebook.wait_until(lambda shown=shown: shown in words.inner_text(), shown)
    right = "float(viewer.atoms.get_dihedral(0, 1, 2, 3)) % 360"
    said = float(words.inner_text().split(": ")[1].rstrip("°")) % 360
    assert abs(said - float(notebook.text_of(right))) < 0.2
    notebook.picture("viewer-picked", STAGE)
    click_atoms(notebook, upper_left)  # a second click takes an atom away
    becomes(notebook, "viewer.picked", "[0, 2, 3]")
    box = notebook.page.locator(f"{STAGE} canvas").first.bounding_box()
    notebook.page.mouse.click(box["x"] + 8, box["y"] + box["height"] / 2)  # one beside all atoms changes nothing
    assert notebook.settled(lambda: notebook.text_of("viewer.picked"), "picked atoms") == "[0, 2, 3]"
    notebook.page.locator(STAGE).first.press("Escape")
    becomes(notebook, "viewer.picked", "[]")


def test_an_atom_under_the_pointer_or_the_keys_says_what_it_is(notebook):
    page, stage = notebook.page, notebook.page.locator(STAGE).first
    notebook.run_code("viewer.colour = 'force'")
    notebook.wait_until(lambda: "force (eV/Å)" in page.locator(".so3-scale").first.inner_text(), "a legend")
    words = page.locator(".so3-hover").first
    (x, y), box = page.evaluate(QUARTERS)[0], page.locator(f"{STAGE} canvas").first.bounding_box()

    def pointed() -> bool:
        page.mouse.move(box["x"] + x * box["width"] - 2, box["y"] + y * box["height"])
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        return words.is_visible() and words.inner_text().startswith("N1 · force ")

    notebook.wait_until(pointed, "element, number and value")
    assert words.inner_text().endswith("eV/Å")
    page.mouse.move(2, 2)
    stage.focus()
    for key, begins in (("n", "C0"), ("n", "N1"), ("p", "C0"), ("p", "S3")):
        stage.press(key)
        notebook.wait_until(lambda begins=begins: words.inner_text().startswith(begins), f"{begins} by keys")
    stage.press("Enter")
    becomes(notebook, "viewer.picked", "[3]")
    stage.press("Escape")
    becomes(notebook, "viewer.picked", "[]")
    notebook.wait_until(lambda: not words.is_visible(), "no atom any more")
    notebook.run_code("viewer.colour = 'element'")


def test_the_player_plays_at_its_speed_and_smooths(notebook):
    page = notebook.page
    page.get_by_label("frames per second").fill("40")
    page.get_by_label("frames per second").press("Tab")
    becomes(notebook, "viewer.fps", "40.0")
    page.get_by_title("start again at the end").click()
    becomes(notebook, "viewer.loop", "False")
    before = picture(notebook)
    page.get_by_title("play or pause").click()
    becomes(notebook, "(viewer.playing, viewer.frame)", "(False, 59)")
    notebook.wait_until(lambda: picture(notebook) != before, "another picture")
    page.get_by_label("smoothing").fill("5")
    page.get_by_label("smoothing").press("Tab")
    becomes(notebook, "viewer.smoothing", "5")
    notebook.run_code("viewer.smoothing = 0; viewer.frame = 0")


def test_looks_and_colours_change_the_picture(notebook):
    page, seen = notebook.page, {picture(notebook)}
    page.locator(STAGE).first.hover()
    for looks in ("licorice", "line", "ball+stick", "spacefill"):
        page.get_by_label("representation").select_option(looks)
        becomes(notebook, "viewer.representation", repr(looks))
    page.get_by_label("colour by").select_option("force")
    notebook.wait_until(lambda: picture(notebook) not in seen, "other colours")
    scale = page.locator(".so3-scale").first
    notebook.wait_until(lambda: "force (eV/Å)" in scale.inner_text(), "a legend with its unit")
    seen.add(picture(notebook))
    few = painted(notebook)
    page.get_by_role("button", name="draw forces as arrows").click()
    notebook.wait_until(lambda: painted(notebook) > few + 200, "arrows")
    notebook.wait_until(lambda: "an arrow of 1 Å is 2 eV/Å" in scale.inner_text(), "what arrows mean")
    page.get_by_role("button", name="label the atoms").click()
    becomes(notebook, "viewer.labels", "True")
    notebook.settled(lambda: picture(notebook), "labels")
    notebook.picture("viewer-forces", STAGE)
    page.get_by_role("button", name="draw forces as arrows").click()
    page.get_by_role("button", name="label the atoms").click()
    page.get_by_label("colour by").select_option("element")


def test_links_are_drawn_between_atoms(notebook):
    few = painted(notebook)
    notebook.run_code("viewer.link([[0, 1], [1, 2], [2, 3]], [0.2, 0.6, 1.0])")
    notebook.wait_until(lambda: painted(notebook) > few + 500, "links")
    notebook.picture("viewer-links", STAGE)
    notebook.run_code("viewer.link(np.empty((0, 2)), [])")
    notebook.wait_until(lambda: painted(notebook) < few + 200, "no links")


def save(notebook: Notebook, what: str) -> bytes:
    notebook.page.locator(STAGE).first.hover()
    with notebook.page.expect_download() as waiting:
        notebook.page.locator("select[title^=save]").select_option(what)
        if what.startswith("movie"):
            notebook.page.get_by_label("width of the movie in pixels").fill("300")
            notebook.page.get_by_label("frames of the movie").fill("55")
            notebook.page.get_by_role("button", name="draw these frames one after the other").click()
    return Path(waiting.value.path()).read_bytes()


def test_what_is_shown_can_be_saved(notebook):
    shown = Image.open(BytesIO(save(notebook, "picture (png)")))
    assert shown.size[1] >= 400
    assert (np.asarray(shown)[..., 3] > 0).mean() > 0.01
    notebook.run_code("viewer.frame = 20")
    becomes(notebook, "viewer.frame", "20")
    notebook.settled(lambda: picture(notebook), "the frame")
    text = save(notebook, "structure (xyz)").decode()
    lines = [line.split() for line in text.splitlines()[2:]]
    assert [line[0] for line in lines] == ["C", "N", "O", "S"]
    positions = np.array([line[1:4] for line in lines], float)
    centred = "(lambda x: (x - x.mean(axis=0)).tolist())(frames[20].positions)"
    expected = np.array(json.loads(notebook.text_of(centred)))
    np.testing.assert_allclose(positions, expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_movies_are_made_of_what_the_page_draws(notebook, kind):
    movie = save(notebook, f"movie ({kind}) …")
    if kind == "gif":
        with Image.open(BytesIO(movie)) as opened:
            assert opened.n_frames > 50
            assert opened.width == 300
            first = np.asarray(opened.convert("RGB"), int)
            opened.seek(opened.n_frames - 1)
            last = np.asarray(opened.convert("RGB"), int)
    else:
        import av

        with av.open(BytesIO(movie)) as opened:
            seen = [frame.to_ndarray(format="rgb24").astype(int) for frame in opened.decode(video=0)]
        assert len(seen) == 55
        first, last = seen[0], seen[-1]
    assert (np.abs(first - last).max(axis=-1) > 60).mean() > 0.002, "the molecule has moved"
    becomes(notebook, "viewer.notice", "''")


def test_what_is_shown_can_be_recorded(notebook):
    button = notebook.page.locator(".so3-tools button", has_text="Record")
    notebook.page.locator(STAGE).first.hover()
    button.click()
    notebook.run_code("viewer.playing = True")
    seen: set[int] = set()
    notebook.wait_until(lambda: seen.add(picture(notebook)) or len(seen) > 5, "frames that play")
    notebook.run_code("viewer.playing = False")
    with notebook.page.expect_download() as waiting:
        button.click()
    assert Path(waiting.value.path()).stat().st_size > 2000
    assert waiting.value.suggested_filename.split(".")[-1] in ("mp4", "webm")


def test_a_cell_is_drawn_and_the_camera_stays_where_somebody_has_turned_it(notebook):
    notebook.run_code(
        "crystal = bulk('Ar', 'fcc', a=5.3, cubic=True) * 2; free = crystal.copy(); free.pbc = False; viewer.show(free)"
    )
    becomes(notebook, "len(viewer.atoms)", "32")
    few = notebook.settled(lambda: painted(notebook), "atoms")
    notebook.run_code("viewer.show(crystal)")
    notebook.wait_until(lambda: painted(notebook) != few, "the edges of the cell")
    notebook.picture("viewer-cell", STAGE)
    box = notebook.page.locator(f"{STAGE} canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = notebook.text_of("viewer.camera")
    notebook.page.mouse.move(x, y)
    notebook.page.mouse.down()
    notebook.page.mouse.move(x + 80, y + 50, steps=5)
    notebook.page.mouse.up()
    notebook.wait_until(lambda: notebook.text_of("viewer.camera") != before, "another camera")
    camera = notebook.settled(lambda: notebook.text_of("viewer.camera"), "the camera")
    turned = pixels(notebook)
    notebook.run_code("viewer.show(crystal)")
    notebook.settled(lambda: picture(notebook), "the crystal")
    assert notebook.text_of("viewer.camera") == camera
    differs = np.abs(pixels(notebook) - turned).max(axis=-1) > 60
    assert differs.mean() < 0.005


@pytest.mark.parametrize(("theme", "bright"), [("Dark", False), ("Light", True)])
def test_the_view_has_the_colour_of_the_page(notebook, theme, bright):
    use_theme(notebook, theme)
    stage = notebook.page.locator(STAGE).first

    def corner() -> float:
        shown = np.asarray(Image.open(BytesIO(stage.screenshot())).convert("L"), int)
        return shown[-30:-10, -60:-10].mean()

    notebook.wait_until(lambda: corner() > 230 if bright else corner() < 40, "no box of another colour")
    use_theme(notebook, "Light")


def test_an_nglview_of_the_same_is_drawn(lab, browser):
    cells = [new_code_cell(f"{SQUARE.rpartition('viewer')[0]}\nviewer.as_nglview()")]
    with lab.open(browser, new_notebook(cells=cells), "plain") as opened:
        opened.run_all(seconds=120)
        assert len(opened.molecules(1, seconds=60)) == 1
        opened.picture("viewer-as-nglview", NGLVIEW)
        assert opened.failures() == []
