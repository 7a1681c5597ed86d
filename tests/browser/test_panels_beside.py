"""Two panels in one notebook: neither ends the other, and a page that is loaded again shows what the kernel knows."""

import json
from pathlib import Path

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")

CELL = f"""import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1] / "support")!r})
import so3lab
from fake_simulation import FakeSimulation
first = so3lab.widgets.DynamicsPanel("ala2", "ala2", height=300, simulate=FakeSimulation, start=True)
first"""
OTHER = """other = so3lab.widgets.DynamicsPanel("ethanol", "ethanol", height=300, simulate=FakeSimulation, start=True)
other"""
AGAIN = "first"
# Of each trace of each figure what the page draws.
DRAWN = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.data.map(trace =>
  Object.fromEntries([['name', trace.name], ...['x', 'y', 'z'].filter(axis => trace[axis])
    .map(axis => [axis, Array.from(trace[axis])])])))"""
KNOWN = """import json, numpy as np
def plain(values):
    return [plain(v) if np.ndim(v) else None if v is None or v != v else float(v) for v in values]
print(json.dumps([[{"name": trace.name, **{key: plain(trace[key]) for key in ("x", "y", "z")
    if key in trace and trace[key] is not None}} for trace in figure.data]
    for panel in (first, other) for figure in (panel.plots.curves, panel.plots.maps)]))"""


@pytest.fixture(scope="module")
def opened(lab, browser):
    cells = [new_code_cell(code) for code in (CELL, OTHER, AGAIN)]
    with lab.open(browser, new_notebook(cells=cells), "beside") as notebook:
        notebook.run_all(seconds=240)
        for panel in ("first", "other"):
            notebook.wait_until(
                lambda panel=panel: notebook.ask(f"{panel}.live is not None and {panel}.live.frames() > 200"),
                "frames",
                120,
            )
        yield notebook
        assert notebook.failures() == []
        assert notebook.errors == []


def running(notebook, panel: str, frames: int = 200) -> None:
    """Wait for so many more frames."""
    before = notebook.ask(f"{panel}.live.frames()")
    notebook.wait_until(lambda: notebook.ask(f"{panel}.live.frames()") > before + frames, f"frames of {panel}", 60)


def test_two_panels_run_beside_each_other_until_the_cell_of_one_runs_again(opened):
    for panel in ("first", "other"):
        running(opened, panel)
    opened.picture("two-panels")
    opened.answer("before, frames = first, other.live.frames()")
    opened.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    opened.page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-cell'); }")
    opened.wait_until(lambda: opened.ask("before is not first and first.live is not None"), "another first panel", 120)
    assert opened.ask("before.job.ended and not other.job.ended")
    running(opened, "other")
    ended = opened.page.get_by_text("ended when its cell ran again")  # in the cell that had shown it, too
    ended.wait_for()
    assert opened.ask("before.ended") == ended.text_content()
    opened.picture("ended-panel", ".jp-CodeCell >> nth=2")
    running(opened, "first")


def test_a_page_that_is_loaded_again_while_panels_run_shows_what_the_kernel_knows(opened):
    opened.save()
    opened.page.reload()
    opened.wait_for_kernel()
    opened.wait_until(lambda: len(opened.page.evaluate(DRAWN)) == 4, "all figures", 90)
    for panel in ("first", "other"):
        running(opened, panel)
    opened.answer("first.pause(); other.pause()")

    def same() -> bool:
        known, drawn = (figures(found) for found in (json.loads(opened.answer(KNOWN)), opened.page.evaluate(DRAWN)))
        return known.keys() == drawn.keys() and all(
            known[name].shape == drawn[name].shape and np.allclose(known[name], drawn[name], rtol=1e-6, equal_nan=True)
            for name in known
        )

    opened.wait_until(same, "figures as the kernel knows them", 30)
    assert len(figures(json.loads(opened.answer(KNOWN)))) > 15
    opened.picture("panels-loaded-again")


def figures(found: list) -> dict[tuple, np.ndarray]:
    """Values by figure, trace and axis, without what is empty: to a page that is what is not there."""
    return {
        (number, trace["name"], axis): np.array(trace[axis], float)
        for number, traces in enumerate(found)
        for trace in traces
        for axis in ("x", "y", "z")
        if trace.get(axis)
    }
