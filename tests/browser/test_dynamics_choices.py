"""What is chosen in the live panel by clicks: a user's own file, and ensembles with the sliders that belong to them."""

from io import StringIO

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from nbformat.v4 import new_code_cell, new_notebook

import so3lab
from so3lab.dynamics import ENSEMBLES
from so3lab.pretrained import DownloadError

pytest.importorskip("playwright")
from tests.browser.test_dynamics_panel import NPT, VIEW, drag, painted, picture

START, STOP = "button:has-text('Start')", "button:has-text('Stop')"
PROGRAMS = "__import__('so3lab.dynamics.compiled_loop', fromlist=['_']).run_chunk._cache_size()"
BATH = ["Temperature (K)", "Time step (fs)", "Thermostat (fs)"]
SLIDERS = {
    "nve": ["Starts at (K)", "Time step (fs)"],
    "nose-hoover": BATH,
    "csvr": BATH,
    "langevin": ["Temperature (K)", "Time step (fs)", "Friction (1/ps)"],
    "npt-flexible": [*BATH, "Pressure (GPa)", "Barostat (fs)"],
}
KNOBS = {name for names in SLIDERS.values() for name in names}


def sliders(notebook) -> list[str]:
    """Names of the knobs that a person sees."""
    labels = notebook.page.locator(".widget-slider .widget-label:visible").all_inner_texts()
    return [label for label in labels if label in KNOBS]


def start(notebook) -> None:
    """Press Start and wait for frames of what the form says, which is something new."""
    button = notebook.page.locator(START).first
    notebook.wait_until(button.is_enabled, "a button that starts", seconds=120)
    notebook.run_code("before = panel.live")
    button.click()
    running = "panel.live not in (None, before) and panel.job.state == 'running' and panel.live.frames() > 10"
    notebook.wait_until(lambda: notebook.ask(f"panel.job.ended or {running}"), "frames", seconds=300)
    assert notebook.ask("panel.job.error") is None


def moves(notebook) -> None:
    """The picture changes and the job runs."""
    before = picture(notebook)
    notebook.wait_until(lambda: painted(notebook) > 0 and picture(notebook) != before, "another picture")
    assert notebook.ask("panel.job.state") == "running"


def fill(notebook, label: str, words: str) -> None:
    field = notebook.page.get_by_label(label, exact=True)
    field.fill(words)
    field.press("Tab")


def test_a_file_of_the_users_own_moves(lab, browser):
    cell = 'import so3lab\npanel = so3lab.widgets.DynamicsPanel("ethanol", "ethanol", height=320)\npanel'
    with lab.open(browser, new_notebook(cells=[new_code_cell(cell)]), "own-file") as notebook:
        notebook.run_all(seconds=180)
        mine, text = molecule("CH3CH2OH"), StringIO()
        mine.rotate(37, "x")
        mine.positions += 2.5
        ase.io.write(text, mine, format="xyz")
        notebook.page.evaluate(  # as a file does that is dropped into the file browser
            "async content => window.jupyterapp.serviceManager.contents.save('mine.xyz', "
            "{type: 'file', format: 'text', content})",
            text.getvalue(),
        )
        fill(notebook, "Molecule", "mine.xyz")
        start(notebook)
        moves(notebook)
        first = np.array(notebook.ask("panel.live.replicas.structures[0].positions.tolist()"))
        np.testing.assert_allclose(first, mine.positions, atol=1e-4)
        notebook.page.locator(STOP).first.click()
        path = lab.folder / "elsewhere" / "turned.xyz"
        path.parent.mkdir()
        mine.rotate(50, "y")
        ase.io.write(path, mine)
        fill(notebook, "Molecule", str(path))
        start(notebook)
        moves(notebook)
        first = np.array(notebook.ask("panel.live.replicas.structures[0].positions.tolist()"))
        np.testing.assert_allclose(first, mine.positions, atol=1e-4)
        assert notebook.failures() == []
        assert notebook.errors == []


def test_ensembles_bring_their_sliders_which_act_and_compile_nothing(lab, browser):
    with lab.open(browser, new_notebook(cells=[new_code_cell(NPT)]), "ensembles") as notebook:
        notebook.run_all(seconds=180)
        for ensemble in ("nve", "nose-hoover", "npt-flexible"):
            choose(notebook, ensemble)
            start(notebook)
            moves(notebook)
            notebook.wait_until(
                lambda ensemble=ensemble: sliders(notebook) == SLIDERS[ensemble], f"sliders of {ensemble}"
            )
            programs = notebook.ask(PROGRAMS)
            turn_knobs(notebook, ensemble)
            assert notebook.ask(PROGRAMS) == programs
            notebook.picture(f"ensemble-{ensemble}", ".jp-CodeCell >> nth=0")
            notebook.page.locator(STOP).first.click()
            notebook.wait_until(lambda: notebook.ask("panel.job.ended"), "the end")
        assert notebook.failures() == []
        assert notebook.errors == []


def choose(notebook, ensemble: str) -> None:
    """Choose it in the form, by the words that stand there."""
    facts = ENSEMBLES[ensemble]
    words = facts.usual + " (cells)" * facts.constant_pressure
    notebook.page.get_by_label("Ensemble", exact=True).select_option(words)


def turn_knobs(notebook, ensemble: str) -> None:
    """Move sliders by clicks while it runs, and see what comes of it in the newest frames."""
    last = "panel.live.table().iloc[-2:]"
    notebook.wait_until(lambda: notebook.ask("len(panel.live.table())") > 2, "frames")
    drag(notebook, "Time step", 0.3)  # of 3 or 4 fs
    notebook.wait_until(lambda: 0.8 < notebook.ask("panel.control.timestep_fs") < 1.5, "a time step")
    per_step = f"float({last}['time_fs'].diff().iloc[-1] / {last}['step'].diff().iloc[-1])"
    notebook.wait_until(
        lambda: abs(notebook.ask(per_step) - notebook.ask("panel.control.timestep_fs")) < 1e-3,
        "frames at that time step",
    )
    if ensemble == "nve":
        return
    drag(notebook, "Thermostat", 0.1)
    notebook.wait_until(lambda: 15 < notebook.ask("panel.control.thermostat_fs") < 25, "a fast thermostat")
    drag(notebook, "Temperature", 0.1)
    notebook.wait_until(lambda: 120 < notebook.ask("panel.control.temperature_K") < 180, "150 K")
    notebook.wait_until(lambda: notebook.ask(f"float({last}['target_temperature'].iloc[-1])") > 120, "frames at 150 K")
    mean = "float(panel.live.table()['temperature'].iloc[-100:].mean())"
    notebook.wait_until(lambda: 110 < notebook.ask(mean) < 190, "hot atoms", seconds=90)
    if ensemble == "npt-flexible":
        volume = "float(panel.live.frame().volume[-1])"
        before = notebook.ask(volume)
        drag(notebook, "Barostat", 0.1)
        notebook.wait_until(lambda: 150 < notebook.ask("panel.control.barostat_fs") < 300, "a fast barostat")
        drag(notebook, "Pressure", 0.3)  # at which argon keeps five sixths of its volume
        notebook.wait_until(lambda: 1.0 < notebook.ask("panel.control.pressure_GPa") < 1.3, "1.15 GPa")
        notebook.wait_until(lambda: notebook.ask(volume) < 0.97 * before, "a smaller cell", seconds=90)


WATER = """import numpy as np, so3lab
from ase import Atoms
from ase.build import molecule
turns, box = np.random.default_rng(0), Atoms(cell=[9.31] * 3, pbc=True)
for place in np.ndindex(3, 3, 3):
    water = molecule("H2O")
    water.euler_rotate(*turns.uniform(0, 360, 3))
    water.positions += 9.31 / 3 * (np.array(place) + 0.5)
    box += water
panel = so3lab.widgets.DynamicsPanel("so3lr", box, height=360)
panel"""


def test_water_in_a_box_under_so3lr_obeys_a_barostat_that_is_chosen_by_a_click(lab, browser):
    try:
        so3lab.load("so3lr")
    except DownloadError as error:
        pytest.skip(f"SO3LR's published weights cannot be had here: {error}")
    with lab.open(browser, new_notebook(cells=[new_code_cell(WATER)]), "water") as notebook:
        notebook.run_all(seconds=180)
        choose(notebook, "npt")
        start(notebook)
        moves(notebook)
        notebook.wait_until(lambda: sliders(notebook) == SLIDERS["npt-flexible"], "sliders of npt")
        notebook.wait_until(lambda: notebook.ask("panel.live.time_ps") > 0.15, "no grid of molecules any more", 120)
        programs, volume = notebook.ask(PROGRAMS), "float(panel.live.frame().volume[-1])"
        drag(notebook, "Barostat", 0.1)
        drag(notebook, "Pressure", 0.3)
        notebook.wait_until(lambda: 1.0 < notebook.ask("panel.control.pressure_GPa") < 1.3, "1.15 GPa")
        before = notebook.ask(volume)
        notebook.wait_until(lambda: notebook.ask(volume) < 0.98 * before, "a smaller cell", seconds=120)
        assert notebook.ask(PROGRAMS) == programs
        assert len(notebook.canvases(VIEW)) == 1
        notebook.page.locator("button:has-text('Pause')").first.click()  # for the picture: a busy page moves on
        notebook.wait_until(lambda: notebook.ask("panel.job.state") == "paused", "the pause")
        notebook.picture("water-npt", ".jp-CodeCell >> nth=0")
        assert notebook.failures() == []
        assert notebook.errors == []
