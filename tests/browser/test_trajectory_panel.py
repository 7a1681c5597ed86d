"""The trajectory panel in a real JupyterLab: scrub, point, pick, drag over the curves, save; and how it looks."""

import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
from tests.browser.jupyter import Notebook
from tests.browser.test_linked import use_theme

FRAMES = 5000

WRITE = f"""import numpy as np
from ase import units
from so3lab.structures import read_structure
from so3lab.trajectory import TrajectoryWriter
atoms, rng, count = read_structure("ala3"), np.random.default_rng(0), {FRAMES}
phases = rng.uniform(0, 6.28, (len(atoms), 3))
waves = 0.07 * np.sin(np.arange(count)[:, None, None] / 40 + phases)
noise = rng.normal(0, 15, count)
with TrajectoryWriter("run.h5", atoms, state_template={{}}, meta={{}}) as writer:
    writer.append(dict(
        step=10 * np.arange(count), time_fs=5.0 * np.arange(count), positions=atoms.positions + waves,
        velocities=0 * waves, forces=0 * waves, temperature=300 + noise,
        kinetic_energy=1.6 + noise / 200, potential_energy=-26000 - noise / 200 + 1e-3 * rng.normal(size=count),
    ))"""
SHOW = """from so3lab_widgets.panels.trajectory_panel import TrajectoryPanel
panel = TrajectoryPanel("run.h5")
panel"""
STAGE = ".so3-stage"
PLOT = ".js-plotly-plot .draglayer .nsewdrag"
LINE = """(() => {
  const at = document.querySelector('.so3-cursor').getBoundingClientRect(), axis = document.querySelector(".nsewdrag")
    .getBoundingClientRect();
  return (at.left + at.width / 2 - axis.left) / axis.width;
})()"""

# How much wider the place of the curves is than the curves.
SPARE = """(() => {
  const plot = document.querySelector('.js-plotly-plot');
  return plot.getBoundingClientRect().width - plot.querySelector('.main-svg').getBoundingClientRect().width;
})()"""


@pytest.fixture(scope="module")
def notebook(lab, browser):
    made = new_notebook(cells=[new_code_cell(WRITE), new_code_cell(SHOW)])
    with lab.open(browser, made, "panel", width=1900) as opened:
        opened.run_all(seconds=240)
        opened.page.wait_for_selector(PLOT)
        opened.wait_until(lambda: painted(opened) > 1000, "a painted molecule", seconds=60)
        yield opened
        assert opened.failures() == []
        assert opened.errors == []
        opened.run_code("panel.close()")


def line_at(notebook: Notebook, frame: int) -> bool:
    """Whether the line in the plot stands at a frame, to two pixels."""
    return abs(notebook.page.evaluate(LINE) - frame / (FRAMES - 1)) < 0.005


def painted(notebook: Notebook) -> int:
    found = notebook.canvases(STAGE)
    return found[0].painted if found else 0


def picture_sum(notebook: Notebook) -> int:
    return notebook.canvases(STAGE)[0].sum


def plot_box(notebook: Notebook) -> dict[str, float]:
    place = notebook.page.locator(PLOT).first
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    return box


def at_share(notebook: Notebook, share: float) -> tuple[float, float]:
    """A place in the uppermost curve, by its share of the time axis."""
    box = plot_box(notebook)
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


@pytest.mark.parametrize(("width", "theme"), [(1900, "Light"), (1900, "Dark"), (1000, "Light"), (1000, "Dark")])
def test_it_fits_the_page(notebook, width, theme):
    notebook.page.set_viewport_size({"width": width, "height": 1150 if width > 1200 else 1650})
    use_theme(notebook, theme)
    notebook.run_code("panel.viewer.frame = 1200; panel.choose(2000, 3000)")
    notebook.settled(lambda: (picture_sum(notebook), notebook.page.evaluate(SPARE)), "the panel")
    cell = ".jp-CodeCell >> nth=1"
    notebook.picture(f"trajectory-{theme.lower()}-{width}", cell)
    sideways = "(output => output.scrollWidth - output.clientWidth)(document.querySelector('.jp-OutputArea-output'))"
    assert notebook.page.evaluate(sideways) <= 1
    notebook.run_code("panel.viewer.picked = [1, 4, 6]")  # another row, which makes the figure higher
    notebook.wait_until(lambda: "angle" in notebook.text_of("list(panel.plot.series)[-1]"), "an angle")
    for other in (1400, width):
        notebook.page.set_viewport_size({"width": other, "height": 1650})
        notebook.wait_until(lambda: abs(notebook.page.evaluate(SPARE)) < 2, "curves as wide as their place")
    notebook.run_code("panel.viewer.picked = []")
    use_theme(notebook, "Light")


def test_scrubbing_moves_the_molecule_and_the_line(notebook):
    notebook.page.set_viewport_size({"width": 1400, "height": 1150})
    notebook.run_code("panel.viewer.frame = 10")
    notebook.wait_until(lambda: line_at(notebook, 10), "the line at frame 10")
    before = notebook.settled(lambda: picture_sum(notebook), "the molecule")
    slider = notebook.page.locator(".so3-player input[type=range]")
    slider.evaluate(
        "s => { s.value = 4000; s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change')); }"
    )
    notebook.wait_until(lambda: picture_sum(notebook) != before, "another picture of the molecule")
    notebook.wait_until(lambda: line_at(notebook, 4000), "the line at frame 4000")
    assert notebook.text_of("panel.viewer.frame") == "4000"


def test_pointing_at_a_curve_moves_the_frame(notebook):
    before = picture_sum(notebook)
    x, y = at_share(notebook, 0.25)

    def moved() -> bool:
        notebook.page.mouse.move(x - 20, y)
        notebook.page.mouse.move(x, y)
        notebook.rest()
        return abs(int(notebook.text_of("panel.viewer.frame")) - FRAMES / 4) < 40

    notebook.wait_until(moved, "a frame at a quarter of the run")
    notebook.wait_until(lambda: picture_sum(notebook) != before, "another picture")
    notebook.picture("trajectory-hover")


def test_a_click_says_its_line_of_python(notebook):
    x, y = at_share(notebook, 0.5)

    def said() -> bool:
        notebook.page.mouse.move(x, y)
        notebook.rest()
        notebook.page.mouse.click(x, y)
        notebook.rest()
        return "atoms = so3lab.trajectory.Trajectory('run.h5')[2" in notebook.page.inner_text(".so3-code code")

    notebook.wait_until(said, "the line that gives this frame")
    notebook.run_code("import so3lab; exec(panel.code_line.code); assert len(atoms) == 42")


def test_picked_atoms_add_a_series(notebook):
    curves = notebook.page.locator(".js-plotly-plot .scatterlayer .trace")
    count = curves.count()
    notebook.run_code("panel.viewer.picked = [0, 5]")
    notebook.wait_until(lambda: curves.count() == count + 1, "a curve of the distance")
    notebook.run_code("panel.viewer.picked = [0, 5, 7, 9]")
    notebook.wait_until(lambda: "dihedral" in notebook.text_of("list(panel.plot.series)[-1]"), "a dihedral instead")
    notebook.wait_until(lambda: curves.count() == count + 1, "as many curves as before")
    notebook.run_code("import so3lab.observables")
    right = """np.allclose(panel.table().iloc[:, -1].to_numpy(), so3lab.observables.dihedral_degrees(
        so3lab.trajectory.Trajectory("run.h5").positions(), (0, 5, 7, 9))[panel.choice.chosen])"""
    assert notebook.text_of(right) == "True"
    notebook.picture("trajectory-picked")


def test_the_molecule_obeys_the_keyboard(notebook):
    notebook.page.mouse.move(5, 5)  # a pointer that rests on a curve would choose its frame
    notebook.run_code("panel.viewer.picked = [0, 5]; panel.viewer.frame = 100")
    stage = notebook.page.locator(STAGE).first
    stage.focus()

    def at(frame: int) -> bool:
        return notebook.text_of("panel.viewer.frame") == str(frame)

    for key, frame in (("ArrowRight", 101), ("PageDown", 111), ("ArrowLeft", 110), ("PageUp", 100)):
        stage.press(key)
        notebook.wait_until(lambda frame=frame: at(frame), f"frame {frame} after {key}")
    stage.press("Escape")
    notebook.wait_until(lambda: notebook.text_of("panel.viewer.picked") == "[]", "nothing picked")
    stage.press("Space")
    notebook.wait_until(lambda: int(notebook.text_of("panel.viewer.frame")) > 105, "frames that play")
    stage.press("Space")
    notebook.wait_until(lambda: notebook.text_of("panel.viewer.playing") == "False", "a pause")


def test_dragging_over_a_curve_chooses_frames(notebook):
    left, y = at_share(notebook, 0.4)
    right, _ = at_share(notebook, 0.6)
    notebook.page.mouse.move(left, y)
    notebook.wait_until(lambda: 1900 < int(notebook.text_of("panel.viewer.frame")) < 2100, "the frame pointed at")
    notebook.page.mouse.down()
    for step in range(1, 11):
        notebook.page.mouse.move(left + step * (right - left) / 10, y)
        notebook.rest()  # as hands do: Plotly looks at what is chosen ten times a second
    outline = "document.querySelector('.select-outline')?.getAttribute('d')"
    notebook.settled(lambda: notebook.page.evaluate(outline), "the frame around what is chosen")
    notebook.page.mouse.up()
    notebook.wait_until(
        lambda: notebook.text_of("1900 < panel.choice.chosen.start < 2100") == "True", "the first frame"
    )
    assert notebook.text_of("2900 < panel.choice.chosen.stop < 3100") == "True"
    notebook.settled(lambda: picture_sum(notebook), "the molecule")
    notebook.picture("trajectory-brushed")
    save(notebook, "Figure as web page (.html)")
    notebook.page.locator("[role=status]", has_text="Wrote frames.html").wait_for()


def save(notebook, what):
    """Choose an entry of the menu, and write it."""
    notebook.page.get_by_label("Save", exact=True).select_option(what)
    notebook.page.locator("button[title='write the file']").click()


def test_zooming_in_shows_every_frame(notebook):
    notebook.run_code("panel.choose(100, 140)")
    notebook.page.get_by_role("button", name="Zoom to these").click()
    drawn = "document.querySelector('.js-plotly-plot').data[0].x.length"
    notebook.wait_until(lambda: 40 <= notebook.page.evaluate(drawn) <= 42, "the points of forty frames")
    notebook.page.get_by_role("button", name="Whole run").click()
    notebook.wait_until(lambda: notebook.page.evaluate(drawn) > 1000, "the whole run")


def test_chosen_frames_are_saved_once(notebook):
    notebook.run_code("panel.choose(100, 140, 10)")
    save(notebook, "Frames as extended XYZ (.extxyz)")
    said = notebook.page.locator("[role=status]", has_text="Wrote 4 frames to frames.extxyz.")
    said.wait_for()
    assert notebook.text_of("len(__import__('ase.io').io.read('frames.extxyz', ':'))") == "4"
    with notebook.page.expect_download() as download:
        notebook.page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "frames.extxyz"
    shell = "window.jupyterapp.shell"
    mine = notebook.page.evaluate(f"{shell}.currentWidget.id")
    notebook.page.get_by_role("link", name="Open").click()
    notebook.page.wait_for_function(f"{shell}.currentWidget?.context?.path === 'frames.extxyz'")
    notebook.page.evaluate(f"id => {{ {shell}.currentWidget.close(); {shell}.activateById(id); }}", mine)
    notebook.page.wait_for_function(f"id => {shell}.currentWidget?.id === id", arg=mine)
    save(notebook, "Frames as extended XYZ (.extxyz)")
    notebook.page.locator("[role=alert]", has_text="frames.extxyz exists").wait_for()


def test_wrong_files_are_said_in_a_sentence(notebook):
    notebook.run_code("open('empty.h5', 'w').close()")
    field = notebook.page.locator("input[placeholder='run.h5']")
    for name in ("nowhere.h5", "empty.h5"):
        field.fill(name)
        field.press("Tab")
        notebook.page.get_by_role("button", name="Open", exact=True).click()
        notebook.page.locator("[role=alert]", has_text=name).wait_for()
    notebook.picture("trajectory-wrong-file")
    assert notebook.text_of("len(panel.trajectory)") == str(FRAMES)


def test_a_map_of_frames_unfolds_and_is_clicked_and_brushed(notebook):
    page = notebook.page
    page.set_viewport_size({"width": 1400, "height": 1650})
    page.locator(".widget-toggle-button", has_text="Map").click()
    figures = page.locator(".js-plotly-plot")
    notebook.wait_until(lambda: figures.count() == 2, "a map below the curves")
    notebook.run_code("panel.map.map.x.value, panel.map.map.y.value = 'temperature', 'kinetic_energy'")
    plot = figures.nth(1).locator(".draglayer .nsewdrag").first
    plot.scroll_into_view_if_needed()
    notebook.settled(lambda: plot.bounding_box(), "the map")
    notebook.run_code("panel.viewer.frame = 4321")
    ring = page.locator(".so3-mark-current")
    notebook.wait_until(lambda: ring.count() == 1, "a ring around the frame")
    at = notebook.settled(lambda: ring.bounding_box(), "the ring")
    notebook.run_code("panel.viewer.frame = 0")
    notebook.settled(lambda: ring.bounding_box(), "the ring")
    page.mouse.move(at["x"] + at["width"] / 2 - 3, at["y"] + at["height"] / 2)
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    notebook.rest()
    page.mouse.click(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    notebook.wait_until(lambda: notebook.text_of("panel.viewer.frame") != "0", "the frame of a point")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.98 * box["height"], steps=6)
    page.mouse.up()
    notebook.wait_until(lambda: notebook.text_of("panel.choice.only is not None") == "True", "brushed frames")
    notebook.picture("trajectory-map", ".jp-CodeCell >> nth=1")
    page.locator(".widget-toggle-button", has_text="Map").click()
