"""Live dynamics in a real JupyterLab: start, steer, rewind, pull, run the cell again, load the page again."""

import json
from pathlib import Path

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import so3lab
from so3lab import dynamics
from so3lab.structures import read_structure
from so3lab.trajectory import Trajectory

pytest.importorskip("playwright")

pytestmark = pytest.mark.browser
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
            lambda: ask(notebook, "panel.live is not None and panel.live.frames() > 5"), "frames", seconds=120
        )
        yield notebook
        assert notebook.errors == []


def painted(notebook) -> int:
    return sum(view.painted > 2000 for view in notebook.canvases(VIEW))


def picture(notebook) -> int:
    return notebook.canvases(VIEW)[0].sum


def ask(notebook, expression: str):
    """Value of an expression in the kernel, beside whatever runs there."""
    return json.loads(notebook.answer(f"import json; print(json.dumps({expression}))"))


def drag(notebook, label: str, share: float) -> None:
    """Move an ipywidgets slider to a share of its range, by a click on its track."""
    slider = notebook.page.locator(
        f".widget-slider:has(.widget-label:has-text('{label}')) .noUi-target"
    ).first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    notebook.page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def test_the_molecule_moves_and_other_cells_are_answered(opened):
    first, frames = picture(opened), ask(opened, "panel.live.frames()")
    opened.wait_until(lambda: picture(opened) != first, "another picture")
    opened.wait_until(lambda: ask(opened, "panel.live.frames()") > frames + 50, "frames")
    assert ask(opened, "1 + 1") == 2
    assert ask(opened, "panel.viewers[0].painted") > 0
    opened.wait_until(lambda: ask(opened, "len(panel.plots.curves.data[0].x)") > 5, "curves")
    opened.picture("dynamics-panel-light")


def test_the_temperature_slider_heats_and_compiles_nothing(opened):
    count = "so3lab.stepping.run_chunk._cache_size()"
    opened.run_code("import so3lab.stepping")
    programs = ask(opened, count)
    drag(opened, "Temperature", 0.4)  # of 1500 K
    opened.wait_until(
        lambda: abs(ask(opened, "panel.control.temperature_K") - 600) < 15, "600 K in the control"
    )
    frames = ask(opened, "panel.live.frames()")
    opened.wait_until(lambda: ask(opened, "panel.live.frames()") > frames + 600, "frames", seconds=90)
    mean = ask(opened, "float(panel.live.table()['temperature'].iloc[-500:].mean())")
    assert 450 < mean < 750
    assert ask(opened, count) == programs


def test_pause_step_rewind_and_go_on(opened):
    opened.page.locator("button:has-text('Pause')").first.click()
    opened.wait_until(lambda: ask(opened, "panel.job.state") == "paused", "the pause")
    frames = ask(opened, "panel.live.frames()")
    opened.page.locator("button:has-text('Step')").first.click()
    opened.wait_until(lambda: ask(opened, "panel.live.frames()") > frames, "one more chunk")
    opened.page.wait_for_timeout(1000)
    assert ask(opened, "panel._shown_frame") is None  # the page does not answer with a place of its own
    before = picture(opened)
    drag(opened, "Past", 0.1)
    opened.wait_until(lambda: picture(opened) != before, "a picture of the past")
    shown = ask(opened, "panel._shown_frame")
    assert 0 < shown < frames
    opened.page.locator("button:has-text('New velocities')").first.click()
    opened.wait_until(lambda: ask(opened, "panel.job.state") == "running", "another future")
    opened.wait_until(lambda: shown + 20 < ask(opened, "panel.live.frames()"), "its frames")


def test_two_picked_atoms_are_pulled_apart(opened):
    opened.run_code("panel.viewers[0].picked = [0, 2]; panel.steering.sliders['temperature_K'].value = 100")
    opened.page.wait_for_timeout(2000)
    distance = (
        "float(__import__('numpy').linalg.norm(panel.live.positions(0, slice(-200, None))[:, 0]"
        " - panel.live.positions(0, slice(-200, None))[:, 2], axis=1).mean())"
    )
    before = ask(opened, distance)
    opened.page.locator("button:has-text('Pull picked')").first.click()
    opened.wait_until(lambda: ask(opened, "len(panel.control.biases)") == 1, "a pull")
    drag(opened, "force", 0.9)
    opened.wait_until(lambda: ask(opened, distance) > before + 0.03, "a longer distance", seconds=60)
    opened.wait_until(
        lambda: "C0 – O2" in opened.page.locator(".so3-picked").first.inner_text(), "the measured distance"
    )
    opened.picture("dynamics-panel-pulled")
    opened.page.locator("button:has-text('✕')").first.click()
    opened.wait_until(lambda: ask(opened, "len(panel.control.biases)") == 0, "no pull")


def test_a_page_that_is_loaded_again_shows_the_running_molecule(opened):
    opened.save()
    opened.page.reload()
    opened.wait_for_kernel()
    opened.wait_until(lambda: painted(opened) > 0, "the molecule again", seconds=60)
    first = picture(opened)
    opened.wait_until(lambda: picture(opened) != first, "that it moves", seconds=60)
    assert ask(opened, "panel.job.state") == "running"


def test_stop_and_run_the_cell_again_leave_no_thread_behind(opened):
    names = "sorted(t.name for t in __import__('threading').enumerate() if t.name.startswith('so3lab'))"
    threads = f"[name for name in {names} if name != 'so3lab still']"  # comes and goes
    for _ in range(2):
        opened.run_all(seconds=120)
        opened.page.locator("button:has-text('Start')").first.click()
        opened.wait_until(
            lambda: ask(opened, "panel.live is not None and panel.live.frames() > 5"), "frames", seconds=120
        )
    opened.wait_until(
        lambda: ask(opened, threads) == ["so3lab dynamics", "so3lab live plots", "so3lab viewer"],
        "one of each",
    )
    opened.page.locator("button:has-text('Stop')").first.click()
    opened.wait_until(
        lambda: ask(opened, threads) == ["so3lab live plots", "so3lab viewer"], "the run has ended"
    )
    assert ask(opened, names).count("so3lab still") <= 1
    opened.run_code("panel.close()")
    opened.wait_until(lambda: ask(opened, names) == [], "no thread")


def test_a_closed_notebook_costs_nothing_that_was_recorded(lab, browser, tmp_path):
    file = tmp_path / "live.h5"
    with lab.open(browser, new_notebook(cells=[new_code_cell(CELL)]), "closed") as notebook:
        notebook.run_all(seconds=120)
        notebook.answer("panel.start()")
        notebook.wait_until(
            lambda: ask(notebook, "panel.live is not None and panel.live.frames() > 5"), "frames", 120
        )
        notebook.answer(f"panel.record({str(file)!r}); first = panel.live.frames()")
        notebook.wait_until(lambda: ask(notebook, "panel.live.frames() > first + 150"), "recorded frames", 60)
        process = ask(notebook, "__import__('os').getpid()")
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
