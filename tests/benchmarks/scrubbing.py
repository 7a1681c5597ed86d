"""What scrubbing through a long trajectory costs: from the slider to the picture, and in the kernel's memory.

python -m tests.benchmarks.scrubbing [--frames 100000] [--moves 40] [--pictures FOLDER]

A file of 42 atoms is written, and a panel shows it in JupyterLab in a headless browser that draws in software. The
slider jumps to random frames; each time runs until the pixels of the molecule have changed. Then the slider is dragged
over the whole run, and four atoms are picked, which measures a dihedral in every frame. A viewer without a panel does
the same: what it needs is the floor that browser, kernel and software drawing set on this machine.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import sync_playwright

from so3lab.structures import read_structure
from so3lab.trajectory import TrajectoryWriter
from tests.benchmarks.canvas import until_another_picture
from tests.browser.conftest import _FLAGS
from tests.browser.jupyter import Notebook, start_lab

BLOCK = 2000
SHOW = """import os, time, psutil
import so3lab_widgets.panels.trajectory_panel
def memory():
    return psutil.Process().memory_info().rss / 2**20
before, began = memory(), time.perf_counter()
panel = so3lab_widgets.panels.trajectory_panel.TrajectoryPanel("long.h5")
took = time.perf_counter() - began
panel"""
ALONE = """from so3lab.trajectory import Trajectory
from so3lab_widgets import Viewer
viewer = Viewer(Trajectory("long.h5"), height=420)
viewer"""
JUMP = until_another_picture(
    """frame => {
  const slider = document.querySelector('.so3-player input[type=range]');
  slider.value = frame;
  slider.dispatchEvent(new Event('input'));
}""",
    most_ms=5_000,
)
DRAG = """async ([last, seconds]) => {
  const slider = document.querySelector('.so3-player input[type=range]'), began = performance.now();
  for (let share = 0; share < 1;) {
    share = Math.min(1, (performance.now() - began) / 1000 / seconds);
    slider.value = Math.round(share * last);
    slider.dispatchEvent(new Event('input'));
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}"""


def write_long_file(path: Path, frames: int) -> None:
    """Random displacements, so that no two frames look alike."""
    atoms, rng = read_structure("ala3"), np.random.default_rng(0)
    with TrajectoryWriter(path, atoms, state_template={}, meta={}) as writer:
        for start in range(0, frames, BLOCK):
            index = np.arange(start, min(start + BLOCK, frames))
            shape = (len(index), len(atoms), 3)
            noise = rng.normal(size=len(index))
            writer.append(
                {
                    "step": 20 * index,
                    "time_fs": 10.0 * index,
                    "positions": atoms.positions + rng.normal(0, 0.1, shape),
                    "velocities": np.zeros(shape),
                    "forces": np.zeros(shape),
                    "temperature": 300 + 15 * noise,
                    "kinetic_energy": 1.6 + 0.1 * noise,
                    "potential_energy": -26000 - 0.1 * noise,
                }
            )


def scrub(notebook: Notebook, viewer: str, frames: int, moves: int) -> dict[str, float]:
    """Jump to random frames, then drag over all of them."""
    times = []
    for frame in np.random.default_rng(1).integers(0, frames, moves + 5):
        times.append(notebook.page.evaluate(JUMP, int(frame)))
        notebook.page.wait_for_timeout(300)
    jumps = np.array(times[5:])  # the first ones warm up
    painted = int(notebook.text_of(f"{viewer}.painted"))
    notebook.page.evaluate(DRAG, [frames - 1, 5])
    notebook.page.wait_for_timeout(1500)
    assert notebook.text_of(f"{viewer}.frame") == str(frames - 1)
    return {
        "slider to picture, median ms": float(np.median(jumps)),
        "slider to picture, 90 % below ms": float(np.quantile(jumps, 0.9)),
        "frames painted in a drag of 5 s": int(notebook.text_of(f"{viewer}.painted")) - painted,
    }


def measure(notebook: Notebook, frames: int, moves: int) -> dict[str, float]:
    """Milliseconds and MiB by what they are."""
    scrubbing = scrub(notebook, "panel.viewer", frames, moves)
    scrubbed = float(notebook.text_of("memory() - before"))
    notebook.run_code("began = time.perf_counter(); panel.viewer.picked = [0, 5, 7, 9]")
    notebook.wait_until(lambda: "°" in notebook.text_of("panel._readout.value"), "a dihedral", seconds=120)
    return {
        "panel made, s": float(notebook.text_of("took")),
        **scrubbing,
        "dihedral of every frame, at most s": float(notebook.text_of("time.perf_counter() - began")),
        "memory of the panel after scrubbing, MiB": scrubbed,
        "memory of the panel after the dihedral, MiB": float(notebook.text_of("memory() - before")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--pictures", help="folder for a picture of the panel")
    options = parser.parse_args()
    if options.pictures:
        os.environ["SO3LAB_PICTURES"] = options.pictures
    chromium = os.environ.get("SO3LAB_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play, start_lab(Path(name)) as lab:
        browser = play.chromium.launch(executable_path=chromium, args=_FLAGS)
        write_long_file(lab.folder / "long.h5", options.frames)
        with lab.open(browser, new_notebook(cells=[new_code_cell(SHOW)]), "scrubbing", width=1400) as notebook:
            notebook.run_all(seconds=300)
            notebook.page.wait_for_selector(".js-plotly-plot .draglayer .nsewdrag", timeout=120_000)
            notebook.page.wait_for_timeout(3000)
            found = measure(notebook, options.frames, options.moves)
            if options.pictures:
                notebook.picture("scrubbing")
        with lab.open(browser, new_notebook(cells=[new_code_cell(ALONE)]), "alone", width=1400) as notebook:
            notebook.run_all(seconds=300)
            notebook.page.wait_for_selector(".so3-player input[type=range]", timeout=120_000)
            notebook.page.wait_for_timeout(3000)
            alone = scrub(notebook, "viewer", options.frames, options.moves)
        size = (lab.folder / "long.h5").stat().st_size / 2**20
        floor = {f"viewer alone: {name}": value for name, value in alone.items()}
        print(pd.Series({"frames": options.frames, "file, MiB": size} | found | floor).to_string(float_format="%.4g"))


if __name__ == "__main__":
    main()
