"""What a browser of ten thousand minima costs: from the cell to the map, and from a click to the molecule.

python -m tests.benchmarks.many_minima [--minima 10000] [--clicks 20] [--pictures FOLDER]

A database of ala2 with random torsions and energies is written, and the minima panel opens it in JupyterLab in a
headless browser that draws in software. Points of the map are clicked, and rows of the table; each time runs until the
molecule that is drawn is another one. Every click meets a minimum that was not looked at before.
"""

import argparse
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import sync_playwright

from so3lab.minima import DuplicateRule, MinimaDatabase, Minimum
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.structures import molecular_graph, read_structure
from so3lab.structures.bonds import keep_bonds
from tests.benchmarks.canvas import until_another_picture
from tests.browser.conftest import _FLAGS, chromium
from tests.browser.jupyter import Notebook, start_lab

SHOW = """import time
from so3lab.pretrained import lennard_jones
from so3lab.structures import read_structure
from so3lab_widgets import MinimaPanel
began = time.perf_counter()
panel = MinimaPanel(lennard_jones(), read_structure("ala2"), reduced=False, database="many.db")
took = time.perf_counter() - began
panel"""
# On a place of the page, or on a row of the table.
CLICK = until_another_picture(
    """([x, y, row]) => {
  if (row !== null) document.querySelector(`.so3-table-row[data-row='${row}'] span`).click();
  else {
    const at = {clientX: x, clientY: y, bubbles: true, view: window}, place = document.elementFromPoint(x, y);
    for (const kind of ['mousemove', 'mousedown', 'mouseup', 'click']) place.dispatchEvent(new MouseEvent(kind, at));
  }
}""",
    most_ms=20_000,
)
# Many points are drawn by the graphics card, on a canvas.
MAP = """() => {
  if (document.querySelector('.js-plotly-plot .scatterlayer .point')) return true;
  const canvas = document.querySelector('.js-plotly-plot .gl-canvas-context');
  if (!canvas?.width || !document.querySelector('.js-plotly-plot')._fullData?.length) return false;
  const copy = new OffscreenCanvas(canvas.width, canvas.height), pen = copy.getContext('2d');
  pen.drawImage(canvas, 0, 0);
  return pen.getImageData(0, 0, copy.width, copy.height).data.some(value => value > 0);
}"""
ROWS = "[...document.querySelectorAll('.so3-table-row:not(.so3-current)')].map(row => row.dataset.row)"
PLACES = """() => {
  const plot = document.querySelector('.js-plotly-plot'), {x, y} = plot.getBoundingClientRect();
  const {xaxis, yaxis} = plot._fullLayout;
  return {left: x + xaxis._offset, top: y + yaxis._offset, width: xaxis._length, height: yaxis._length,
    x: xaxis.range, y: yaxis.range};
}"""


def write_minima(path: Path, count: int) -> None:
    """A database of one search that found so many conformations, each with bonds of the first."""
    start, rng = read_structure("ala2"), np.random.default_rng(0)
    start.calc = None
    graph, torsions, kept = molecular_graph(start), rotatable_dihedrals(start), []
    while len(kept) < count:
        positions = start.positions
        for torsion in torsions:
            positions = turned(positions, graph, torsion, rng.uniform(-180.0, 180.0))
        if keep_bonds(graph.numbers, graph.bonds, positions[None])[0]:
            kept.append(positions)
    minima = []
    for number, positions in enumerate(kept):
        atoms = start.copy()
        atoms.positions = positions
        minima.append(Minimum(number, atoms, float(rng.gamma(4.0, 0.1)), "torsions", None, int(rng.geometric(0.3))))
    database = MinimaDatabase(path)
    database.begin("random", start, {"model": "none", "rule": asdict(DuplicateRule())})
    database.commit("random", minima, (), {})


def wait_for_map(notebook: Notebook) -> float:
    """Seconds until points of the map and a molecule are drawn."""
    began = time.monotonic()
    notebook.page.wait_for_function(MAP, timeout=60_000)
    notebook.molecules(1, selector=".so3-stage", seconds=60)
    return time.monotonic() - began


def clicks_on_the_map(notebook: Notebook, count: int) -> list[float]:
    """Milliseconds of each click on a point that is spread over the map."""
    page, found = notebook.page, []
    page.locator(".js-plotly-plot").first.scroll_into_view_if_needed()
    rows = np.random.default_rng(1).permutation(int(notebook.text_of("len(panel.minima)")))[:count].tolist()
    for row in rows:
        at = page.evaluate(PLACES)
        axes = f"[float(panel.table()[one.value][{row}]) for one in (panel.views.map.x, panel.views.map.y)]"
        value = notebook.text_of(axes)
        x, y = map(float, value.strip("[]").split(","))
        across, up = ((v - low) / (high - low) for v, (low, high) in ((x, at["x"]), (y, at["y"])))
        place = [at["left"] + across * at["width"], at["top"] + (1 - up) * at["height"]]
        found.append(page.evaluate(CLICK, [*place, None]))
        notebook.page.wait_for_timeout(300)
    return found


def clicks_on_the_table(notebook: Notebook, count: int) -> list[float]:
    """Milliseconds of each click on a row in sight."""
    page, found = notebook.page, []
    page.locator(".so3-table-body").scroll_into_view_if_needed()
    for _ in range(count):
        rows = page.evaluate(ROWS)
        found.append(page.evaluate(CLICK, [0, 0, rows[len(found) % min(8, len(rows))]]))
        page.wait_for_timeout(300)
    return found


def measure(notebook: Notebook, clicks: int) -> dict[str, float]:
    """Seconds and milliseconds by what they are."""
    began = time.monotonic()
    notebook.run_all(seconds=300)
    until_map = wait_for_map(notebook)
    found = {"panel made, s": float(notebook.text_of("took")), "cell to map and molecule, s": time.monotonic() - began}
    found |= {"of which after the cell had run, s": until_map}
    for name, times in (("map", clicks_on_the_map(notebook, clicks)), ("table", clicks_on_the_table(notebook, clicks))):
        found |= {
            f"click on the {name} to the molecule, median ms": float(np.median(times)),
            f"click on the {name}, 90 % below ms": float(np.quantile(times, 0.9)),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minima", type=int, default=10_000)
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--pictures", help="folder for a picture of the panel")
    options = parser.parse_args()
    if options.pictures:
        os.environ["SO3LAB_PICTURES"] = options.pictures
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play, start_lab(Path(name)) as lab:
        browser = play.chromium.launch(executable_path=chromium(), args=_FLAGS)
        write_minima(lab.folder / "many.db", options.minima)
        with lab.open(browser, new_notebook(cells=[new_code_cell(SHOW)]), "minima", width=1400) as notebook:
            found = measure(notebook, options.clicks)
            if options.pictures:
                notebook.picture("many-minima", ".jp-CodeCell >> nth=0")
            print(pd.Series({"minima": options.minima} | found).to_string(float_format="%.4g"))
            print("errors of the page:", notebook.errors or "none")


if __name__ == "__main__":
    main()
