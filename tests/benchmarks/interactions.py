"""How soon a map of a hundred thousand points obeys a hand: milliseconds from the event to what is drawn then.

python -m tests.benchmarks.interactions [--points 100000] [--times 15]

A property map stands in JupyterLab in a headless browser that draws in software. Another colour and another axis are
chosen from menus, until the figure is drawn anew; the pointer moves over a curve, until the line there has moved, while
Python hears of it. Clicks on points are measured by ``many_minima``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import sync_playwright

from tests.browser.conftest import _FLAGS, chromium
from tests.browser.jupyter import Notebook, start_lab

MAKE = """import ipywidgets, numpy as np, pandas as pd, plotly.graph_objects as go
from so3lab_widgets.plots.downsampling import thinned
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.plots.property_map import PropertyMap
rng, points = np.random.default_rng(0), {points}
phi, psi = rng.uniform(-180, 180, (2, points))
energy = 20 * (2 - np.cos(np.radians(phi)) - np.cos(np.radians(psi)))
table = pd.DataFrame(dict(energy_meV=energy, phi_deg=phi, psi_deg=psi, visits=rng.integers(1, 9, points)))
made = PropertyMap("frame", on_point=lambda row, how: None, prefer=(["phi_deg"], ["psi_deg"], ["energy_meV"]))
made.show(table)
walk = np.cumsum(rng.normal(size=points))
few = thinned(walk, 0, points)
curve = LinkedFigure([go.Scatter(x=few, y=walk[few])], dict(height=260, hovermode="x"))
curve.data[0].on_hover(lambda trace, found, state: found.xs)
curve.cursor_follows = True
ipywidgets.VBox([made, curve])"""
# Moves the pointer to a place of the curve, and waits for the line above the drawing to move.
POINT = """async ([across, up]) => {
  const plot = document.querySelectorAll('.js-plotly-plot')[1], {x, y, width, height} =
    plot.querySelector('.draglayer .nsewdrag').getBoundingClientRect();
  const at = {clientX: x + across * width, clientY: y + up * height, bubbles: true, view: window};
  const look = () => [...plot.querySelectorAll('.so3-cursor')].map(one => one.style.cssText).join();
  const place = document.elementFromPoint(at.clientX, at.clientY), before = look(), began = performance.now();
  place.dispatchEvent(new MouseEvent('mousemove', at));
  while (look() === before && performance.now() - began < 5000) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""
# Chooses from a menu, and waits for the drawing after that.
CHOOSE = """async ([menu, number]) => {
  const plot = document.querySelector('.js-plotly-plot');
  const field = document.querySelectorAll('.widget-dropdown select')[menu];
  const began = performance.now(), drawn = new Promise(done => plot.once('plotly_afterplot', done));
  field.selectedIndex = number;
  field.dispatchEvent(new Event('change', {bubbles: true}));
  await Promise.race([drawn, new Promise(resolve => setTimeout(resolve, 5000))]);
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


def cursors(notebook: Notebook, times: int) -> list[float]:
    """From a pointer over the curve to the line there."""
    places = np.random.default_rng(1).uniform(0.1, 0.9, times)
    return [notebook.page.evaluate(POINT, [float(x), 0.5]) for x in places]


def choices(notebook: Notebook, menu: int, times: int) -> list[float]:
    """From another entry of a menu to the drawing after it; 0 and 1 are axes, 2 is the colour."""
    return [notebook.page.evaluate(CHOOSE, [menu, number % 3 + (menu == 2)]) for number in range(times)]


def measure(notebook: Notebook, times: int) -> pd.DataFrame:
    """A row for each kind of interaction."""
    found = {
        "pointer to cursor": cursors(notebook, times), "another colour": choices(notebook, 2, times),
        "another axis": choices(notebook, 0, times),
    }  # fmt: skip
    rows = {name: {"median ms": np.median(ms), "90 % below ms": np.quantile(ms, 0.9)} for name, ms in found.items()}
    return pd.DataFrame(rows).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=15)
    options = parser.parse_args()
    cells = [new_code_cell(MAKE.format(points=options.points))]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play, start_lab(Path(name)) as lab:
        browser = play.chromium.launch(executable_path=chromium(), args=_FLAGS)
        with lab.open(browser, new_notebook(cells=cells), "interactions", width=1400) as notebook:
            notebook.page.set_viewport_size({"width": 1400, "height": 1600})
            notebook.run_all(seconds=120)
            notebook.page.wait_for_function("document.querySelectorAll('.js-plotly-plot .nsewdrag').length > 1")
            notebook.rest()
            print(measure(notebook, options.times).to_string(float_format="%.1f"))
            print("errors of the page:", notebook.errors or "none")


if __name__ == "__main__":
    main()
