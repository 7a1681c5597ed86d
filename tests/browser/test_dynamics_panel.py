"""Live dynamics in a real JupyterLab: start, steer, rewind, pull, run the cell again, load the page again."""

from pathlib import Path

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import so3lab
from so3lab import dynamics
from so3lab.structures import read_structure
from so3lab.trajectory import Trajectory

pytest.importorskip("playwright")
from tests.browser.test_linked import use_theme

CELL = """import so3lab
panel = so3lab.widgets.DynamicsPanel("ethanol", "ethanol", height=360)
panel.control.friction_per_ps = 20.0
panel"""
VIEW = ".so3-viewer"


@pytest.fixture(scope="module")
def opened(lab, browser):
    """A notebook whose panel runs."""
    with lab.open(browser, new_notebook(cells=[new_code_cell(CELL)]), "dynamics") as notebook:
        notebook.run_all(seconds=120)
        notebook.page.locator("button:has-text('Start')").first.click()
        notebook.wait_until(lambda: painted(notebook) > 0, "a molecule", seconds=120)
        notebook.wait_until(
            lambda: notebook.ask("panel.live is not None and panel.live.frames() > 5"), "frames", seconds=120
        )
        yield notebook
        assert notebook.errors == []


def painted(notebook) -> int:
    return sum(view.painted > 2000 for view in notebook.canvases(VIEW))


def picture(notebook) -> int:
    return notebook.canvases(VIEW)[0].sum


def drag(notebook, label: str, share: float) -> None:
    """Move an ipywidgets slider to a share of its range, by a click on its track."""
    slider = notebook.page.locator(f".widget-slider:has(.widget-label:has-text('{label}')) .noUi-target").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    notebook.page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def test_the_molecule_moves_and_other_cells_are_answered(opened):
    first, frames = picture(opened), opened.ask("panel.live.frames()")
    opened.wait_until(lambda: picture(opened) != first, "another picture")
    opened.wait_until(lambda: opened.ask("panel.live.frames()") > frames + 50, "frames")
    assert opened.ask("1 + 1") == 2
    assert opened.ask("panel.viewers[0].painted") > 0
    opened.wait_until(lambda: opened.ask("len(panel.plots.curves.data[0].x)") > 5, "curves")
    opened.picture("dynamics-panel-light")


def test_the_temperature_slider_heats_and_compiles_nothing(opened):
    count = "so3lab.dynamics.compiled_loop.run_chunk._cache_size()"
    opened.run_code("import so3lab.dynamics.compiled_loop")
    programs = opened.ask(count)
    drag(opened, "Temperature", 0.4)  # of 1500 K
    opened.wait_until(lambda: abs(opened.ask("panel.control.temperature_K") - 600) < 15, "600 K in the control")
    frames = opened.ask("panel.live.frames()")
    opened.wait_until(lambda: opened.ask("panel.live.frames()") > frames + 600, "frames", seconds=90)
    mean = opened.ask("float(panel.live.table()['temperature'].iloc[-500:].mean())")
    assert 450 < mean < 750
    assert opened.ask(count) == programs


def test_pause_step_rewind_and_go_on(opened):
    opened.page.locator("button:has-text('Pause')").first.click()
    opened.wait_until(lambda: opened.ask("panel.job.state") == "paused", "the pause")
    frames = opened.ask("panel.live.frames()")
    opened.page.locator("button:has-text('Step')").first.click()
    opened.wait_until(lambda: opened.ask("panel.live.frames()") > frames, "one more chunk")
    shown = opened.settled(lambda: opened.ask("panel.run.shown_frame"), "the frame")
    assert shown is None  # the page does not answer with a place of its own
    before = picture(opened)
    drag(opened, "Past", 0.1)
    opened.wait_until(lambda: picture(opened) != before, "a picture of the past")
    shown = opened.ask("panel.run.shown_frame")
    assert 0 < shown < frames
    opened.page.locator("button:has-text('New velocities')").first.click()
    opened.wait_until(lambda: opened.ask("panel.job.state") == "running", "another future")
    opened.wait_until(lambda: shown + 20 < opened.ask("panel.live.frames()"), "its frames")


def test_two_picked_atoms_are_pulled_apart(opened):
    opened.run_code("panel.viewers[0].picked = [0, 2]; panel.steering.sliders['temperature_K'].value = 100")
    frames = opened.ask("panel.live.frames()")
    opened.wait_until(lambda: opened.ask("panel.live.frames()") > frames + 200, "frames at 100 K", seconds=60)
    distance = (
        "float(__import__('numpy').linalg.norm(panel.live.positions(0, slice(-200, None))[:, 0]"
        " - panel.live.positions(0, slice(-200, None))[:, 2], axis=1).mean())"
    )
    before = opened.ask(distance)
    opened.page.locator("button:has-text('Pull picked')").first.click()
    opened.wait_until(lambda: opened.ask("len(panel.control.biases)") == 1, "a pull")
    drag(opened, "force", 0.9)
    opened.wait_until(lambda: opened.ask(distance) > before + 0.03, "a longer distance", seconds=60)
    opened.wait_until(
        lambda: "C0 – O2" in opened.page.locator(".so3-picked").first.inner_text(), "the measured distance"
    )
    opened.picture("dynamics-panel-pulled")
    opened.page.locator("button:has-text('✕')").first.click()
    opened.wait_until(lambda: opened.ask("len(panel.control.biases)") == 0, "no pull")


def test_a_picked_dihedral_is_held_and_turned(opened):
    opened.run_code("panel.viewers[0].picked = [0, 1, 2, 8]")
    opened.page.locator("button:has-text('Restrain picked')").first.click()
    opened.wait_until(lambda: opened.ask("len(panel.control.biases)") == 1, "a spring")
    drag(opened, "spring", 0.9)
    before = opened.ask("panel.control.biases[0].centre")
    share = ((before + 40 + 180) % 360) / 360  # a spring from far off is an explosion
    drag(opened, "at (°)", min(0.95, max(0.05, share)))
    opened.wait_until(lambda: opened.ask("panel.control.biases[0].centre") != before, "another angle")
    values = "so3lab.observables.dihedral_degrees(panel.live.positions(0, slice(-100, None)), (0, 1, 2, 8))"
    centre = opened.ask("panel.control.biases[0].centre")

    def away() -> float:
        differences = np.array(opened.ask(f"{values}.tolist()")) - centre
        return abs(float(np.mean((differences + 180) % 360 - 180)))

    opened.wait_until(lambda: away() < 20, "an angle that obeys", seconds=60)
    assert "so3lab.dynamics.Restraint" in opened.page.locator(".so3-code code").first.inner_text()
    opened.page.locator("button:has-text('✕')").first.click()
    opened.wait_until(lambda: opened.ask("len(panel.control.biases)") == 0, "no spring")


def test_forces_are_drawn_by_a_click(opened):
    opened.page.locator(".so3-stage").first.hover()
    button = opened.page.get_by_role("button", name="draw forces as arrows").first
    button.click()
    opened.wait_until(lambda: opened.ask("'arrows' in panel.viewers[0].drawn"), "arrows")
    opened.wait_until(
        lambda: "an arrow of 1 Å" in opened.page.locator(".so3-scale").first.inner_text(), "what arrows mean"
    )
    opened.picture("dynamics-forces")
    button.click()
    opened.wait_until(lambda: not opened.ask("'arrows' in panel.viewers[0].drawn"), "no arrows")


def test_a_click_on_a_curve_shows_that_moment_and_a_line_stands_there(opened):
    curves = opened.page.locator(".js-plotly-plot .nsewdrag").first
    curves.scroll_into_view_if_needed()
    box = curves.bounding_box()
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    opened.page.mouse.move(x - 9, y)
    opened.page.mouse.move(x, y)
    line = opened.page.locator(".so3-cursor").first
    line.wait_for()  # beside the pointer, before anything is clicked

    def shown() -> bool:
        """Clicked again where the curves were drawn anew between pointing and clicking."""
        if opened.ask("panel.run.shown_frame is None"):
            opened.page.mouse.move(x - 9, y)
            opened.page.mouse.move(x, y)
            opened.rest()
            opened.page.mouse.click(x, y)
            opened.rest()
        return opened.ask("panel.run.shown_frame is not None")

    opened.wait_until(shown, "a moment of the past")
    assert opened.ask("panel.job.state") == "paused"
    frame, last = opened.ask("[panel.run.shown_frame, panel.live.frames() - 1]")
    assert 0 < frame < last
    opened.page.mouse.move(x, 5)
    times = "[panel.plots.curves.cursor, 0.001 * float(panel.live.table()['time_fs'].iloc[panel.run.shown_frame])]"
    opened.wait_until(lambda: len(set(opened.ask(times))) == 1, "the line where that moment is")
    opened.page.locator("button:has-text('Go on')").first.click()
    opened.wait_until(lambda: opened.ask("panel.job.state") == "running", "the run going on")
    opened.wait_until(lambda: not line.is_visible(), "no line at the present")


def test_sliders_have_names_and_true_values_for_screen_readers(opened):
    said = opened.page.locator(".widget-slider:visible [role=slider]").evaluate_all(
        "all => all.map(one => [one.getAttribute('aria-label'), one.getAttribute('aria-valuetext')])"
    )
    assert ["Friction (1/ps)", "20.0"] in said  # and not its logarithm, which is where the handle is
    assert all(name and value for name, value in said), said


def test_what_is_shown_is_saved_by_clicks(opened, tmp_path):
    field, menu = opened.page.get_by_label("as file", exact=True), opened.page.get_by_label("Save", exact=True)
    field.fill(str(tmp_path / "saved"))
    field.press("Tab")
    for what, ending in (
        ("Frames as extended XYZ", ".extxyz"), ("Table as CSV", ".csv"), ("Figure as web page", ".html"),
        ("Picture as PNG", ".png"), ("Structure as PDB", ".pdb"), ("Session as Python script", ".py"),
    ):  # fmt: skip
        menu.select_option(f"{what} ({ending})")
        opened.page.locator("button[title='write the file']").click()
        wrote = opened.page.locator("[role=status]", has_text=f"saved{ending}")
        wrote.filter(has_text="Wrote").wait_for()  # of all frames so far, while it runs
        assert (tmp_path / f"saved{ending}").stat().st_size > 200
    compile((tmp_path / "saved.py").read_text(), "saved.py", "exec")


def test_what_blows_up_is_said_in_its_view_and_there_is_a_way_out(opened):
    opened.run_code("panel.control.timestep_fs = 30.0")
    warning = opened.page.locator(".so3-notice", has_text="blew up").first
    warning.wait_for()
    opened.page.locator("[role=alert]", has_text="blew up").first.wait_for()
    opened.wait_until(lambda: opened.ask("len(panel.viewers[0].picked)") == 2, "the atoms of the bond")
    opened.picture("dynamics-blown-up")
    opened.run_code("panel.control.timestep_fs = 0.5")
    drag(opened, "Past", 0.02)  # before anything was pulled or heated
    opened.page.locator("button:has-text('Go on from here')").first.click()
    opened.wait_until(lambda: opened.ask("panel.job.state") == "running", "the run going on")
    opened.wait_until(lambda: not warning.is_visible(), "no warning")


# What is wider than the output, and what a keyboard cannot reach or has no name for a screen reader.
FITS = """() => {
  const output = document.querySelector('.jp-OutputArea-output'), right = output.getBoundingClientRect().right;
  return [...output.querySelectorAll('.jupyter-widgets, .so3-viewer, .js-plotly-plot')]
    .filter(one => one.getClientRects().length && one.getBoundingClientRect().right > right + 1)
    .map(one => one.className);
}"""
NAMELESS = """() => [...document.querySelectorAll('.jp-OutputArea-output :is(button, input, select, [role=slider])')]
  .filter(one => one.getClientRects().length && (one.tabIndex < 0
    || !(one.textContent.trim() || one.title || one.ariaLabel || one.labels?.length || one.getAttribute('aria-label')
      || (one.role !== 'slider' && one.closest('.widget-inline-hbox, .widget-hbox')
        ?.querySelector('.widget-label')?.textContent.trim()))))
  .map(one => one.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize(("width", "theme"), [(1000, "Light"), (1000, "Dark"), (1900, "Dark"), (1900, "Light")])
def test_it_fits_the_page_and_the_keyboard_reaches_everything(opened, width, theme):
    opened.page.set_viewport_size({"width": width, "height": 1500 if width > 1200 else 1900})
    use_theme(opened, theme)
    opened.run_code("panel.viewers[0].picked = [0, 1, 2, 8]; panel.viewers[0].colour = 'attention'")
    scale = opened.page.locator(".so3-scale").first
    opened.wait_until(lambda: scale.is_visible() and "attention" in scale.inner_text(), "colours by attention")
    opened.picture(f"dynamics-{theme.lower()}-{width}", ".jp-CodeCell >> nth=0")
    assert opened.page.evaluate(FITS) == []
    assert opened.page.evaluate(NAMELESS) == []
    opened.run_code("panel.viewers[0].colour = 'element'")
    use_theme(opened, "Light")
    opened.page.set_viewport_size({"width": 1400, "height": 1000})


def test_a_page_that_is_loaded_again_shows_the_running_molecule(opened):
    opened.save()
    opened.page.reload()
    opened.wait_for_kernel()
    opened.wait_until(lambda: painted(opened) > 0, "the molecule again", seconds=60)
    first = picture(opened)
    opened.wait_until(lambda: picture(opened) != first, "that it moves", seconds=60)
    assert opened.ask("panel.job.state") == "running"


def test_stop_and_run_the_cell_again_leave_no_thread_behind(opened):
    names = (
        "sorted(t.name.rstrip(' 0123456789') for t in __import__('threading').enumerate()"
        " if t.name.startswith('so3lab'))"
    )
    threads = f"[name for name in {names} if name != 'so3lab preview']"  # comes and goes
    for _ in range(2):
        opened.run_all(seconds=120)
        opened.page.locator("button:has-text('Start')").first.click()
        opened.wait_until(
            lambda: opened.ask("panel.live is not None and panel.live.frames() > 5"), "frames", seconds=120
        )
    opened.wait_until(
        lambda: opened.ask(threads) == ["so3lab dynamics", "so3lab live plots", "so3lab viewer"],
        "one of each",
    )
    opened.page.locator("button:has-text('Stop')").first.click()
    opened.wait_until(lambda: opened.ask(threads) == ["so3lab live plots", "so3lab viewer"], "the run has ended")
    assert opened.ask(names).count("so3lab preview") <= 1
    opened.run_code("panel.close()")
    opened.wait_until(lambda: opened.ask(names) == [], "no thread")


def test_a_closed_notebook_costs_nothing_that_was_recorded(lab, browser, tmp_path):
    file = tmp_path / "live.h5"
    with lab.open(browser, new_notebook(cells=[new_code_cell(CELL)]), "closed") as notebook:
        notebook.run_all(seconds=120)
        notebook.answer("panel.start()")
        notebook.wait_until(lambda: notebook.ask("panel.live is not None and panel.live.frames() > 5"), "frames", 120)
        notebook.answer(f"panel.record({str(file)!r}); first = panel.live.frames()")
        notebook.wait_until(lambda: notebook.ask("panel.live.frames() > first + 150"), "recorded frames", 60)
        process = notebook.ask("__import__('os').getpid()")
    notebook_is_gone = not Path(f"/proc/{process}").exists()
    with Trajectory(file) as trajectory:
        frames, last = len(trajectory), int(trajectory.steps[-1])
    assert frames > 100
    assert notebook_is_gone
    potential, start = so3lab.load("ethanol"), read_structure("ethanol")
    for _ in dynamics.run(potential, start, steps=last + 80, interval=8, out=file, resume=True):
        pass
    with Trajectory(file) as trajectory:
        assert int(trajectory.steps[-1]) == last + 80
        assert set(np.diff(trajectory.steps)) == {8}


BAD = """import numpy as np, so3lab
from ase.build import bulk
from ase.io import write
from safetensors.numpy import load_file, save_file
write("large.pdb", bulk("Ar", "fcc", a=5.3, cubic=True) * (30, 30, 28))
open("empty.xyz", "w").close()
so3lab.load("ethanol").save("nan.so3.safetensors")
from safetensors import safe_open
with safe_open("nan.so3.safetensors", "np") as file:
    about = file.metadata()
tensors = load_file("nan.so3.safetensors")
name = max(tensors, key=lambda name: tensors[name].size)
tensors[name] = tensors[name] * np.nan
save_file(tensors, "nan.so3.safetensors", about)
panel = so3lab.widgets.DynamicsPanel("ethanol", "ethanol", height=300)
panel"""


def test_what_is_wrong_is_said_in_a_sentence(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(BAD)]), "bad") as notebook:
        notebook.run_all(seconds=120)
        notebook.wait_until(lambda: notebook.ask("panel.job.state") == "paused", "preparations", 120)
        for model, structure, sentence in (
            ("ethanol", "smiles:C(C", "SMILES"),
            ("ethanol", "smiles:CCN", "N"),
            ("ethanol", "empty.xyz", "empty.xyz"),
            ("ethanol", "nowhere.xyz", "nowhere.xyz"),
            ("ethanol", "large.pdb", "20000"),
            ("nan.so3.safetensors", "ethanol", "finite"),
            ("nothing", "ethanol", "nothing"),
        ):
            for label, words in (("Model", model), ("Molecule", structure)):
                field = notebook.page.get_by_label(label, exact=True)
                field.fill(words)
                field.press("Tab")
            notebook.page.locator("button:has-text('Start')").first.click()
            alert = notebook.page.locator("[role=alert]", has_text=sentence)
            alert.wait_for()
            notebook.wait_until(lambda: notebook.ask("panel.job.state") == "failed", "the refusal")
        notebook.picture("dynamics-refused")
        for label in ("Model", "Molecule"):  # the way out
            notebook.page.get_by_label(label, exact=True).fill("ethanol")
            notebook.page.get_by_label(label, exact=True).press("Tab")
        notebook.page.locator("button:has-text('Start')").first.click()
        notebook.wait_until(lambda: notebook.ask("panel.live is not None and panel.live.frames() > 5"), "frames", 120)
        assert notebook.failures() == []
        assert notebook.errors == []


NPT = f"""import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1] / "support")!r})
import so3lab
from argon import ARGON
from ase.build import bulk
from so3lab.dynamics.control import Control
panel = so3lab.widgets.DynamicsPanel(
    ARGON, bulk("Ar", "fcc", a=5.35, cubic=True) * (4, 4, 4), ensemble="npt", height=400,
    control=Control(temperature_K=60.0, timestep_fs=4.0, barostat_fs=400.0),
)
panel"""


def test_a_kernel_started_again_runs_the_cell_again_and_pressure_shrinks_the_cell(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(NPT)]), "npt") as notebook:
        notebook.run_all(seconds=120)
        notebook.answer("panel.start()")
        notebook.wait_until(lambda: notebook.ask("panel.live is not None and panel.live.frames() > 5"), "frames", 120)
        first = notebook.ask("__import__('os').getpid()")
        notebook.page.evaluate(
            "async () => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        )
        notebook.wait_for_kernel()
        notebook.run_all(seconds=120)
        assert notebook.ask("__import__('os').getpid()") != first
        notebook.answer("panel.start()")
        notebook.wait_until(lambda: notebook.ask("panel.live is not None and panel.live.frames() > 20"), "frames", 120)
        notebook.wait_until(lambda: painted(notebook) > 0, "a molecule", 60)
        programs = "__import__('so3lab.dynamics.compiled_loop', fromlist=['_']).run_chunk._cache_size()"
        volume = "float(panel.live.frame().volume[-1])"
        before, compiled, seen = notebook.ask(volume), notebook.ask(programs), picture(notebook)
        drag(notebook, "Pressure", 0.2)
        notebook.wait_until(lambda: notebook.ask("panel.control.pressure_GPa") > 0.2, "a pressure")
        notebook.wait_until(lambda: notebook.ask(volume) < 0.97 * before, "a smaller cell", 60)
        assert notebook.ask(programs) == compiled
        assert picture(notebook) != seen
        notebook.picture("dynamics-npt")
        assert notebook.failures() == []
        assert notebook.errors == []
