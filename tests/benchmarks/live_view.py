"""What watching costs: frames per second in a browser, and molecular dynamics with and without somebody looking.

    python -m tests.benchmarks.live_view [--seconds 20] [--minutes 0]

Ac-Ala3-NHMe (42 atoms) in the dynamics panel of a real JupyterLab, drawn in software by headless Chromium on the same
cores: a floor of what a person sees. The first frame comes cold (nothing compiled yet), warm (programs on disk), both
with a click as soon as the cell has run, and prepared (the click comes when the panel says that it is ready).
``--minutes`` goes on watching, to see whether memory grows.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import sync_playwright

from tests.browser.conftest import _FLAGS, chromium
from tests.browser.jupyter import Notebook, start_lab

PANEL = """from so3lab_widgets import DynamicsPanel
panel = DynamicsPanel("ala3", "ala3")
panel"""
ALONE = """import threading, time, psutil
panel.live.replicas.control.temperature_K = 300
def alone(seconds):
    live, start = panel.live, panel.live.replicas.step
    chunks, end = live.run(), time.monotonic() + seconds
    while time.monotonic() < end:
        next(chunks)
    print((live.replicas.step - start) / seconds)
alone({seconds})"""
LARGE = """import numpy as np, threading, time
from so3lab.structures import read_structure
from so3lab_widgets import Viewer
one, many = read_structure("ala3"), read_structure("ala3")
for k in range(1, 9):
    one.positions += (0, 0, 4.5) if k % 3 else (0, 7, -9)
    many += one
grid = many.positions
large = Viewer(many)
def push():
    rng, end = np.random.default_rng(0), time.monotonic() + {seconds}
    while time.monotonic() < end:
        large.push(grid + 0.05 * rng.normal(size=grid.shape))
        time.sleep(0.005)
large"""


def ask(notebook: Notebook, expression: str):
    return json.loads(notebook.answer(f"import json; print(json.dumps({expression}))"))


def first_frame(notebook: Notebook) -> float:
    """Seconds from the click on Start to a molecule on the page."""
    started = time.monotonic()
    notebook.page.locator("button:has-text('Start')").first.click()
    notebook.wait_until(
        lambda: any(view.painted > 2000 for view in notebook.canvases(".so3-viewer"))
        and ask(notebook, "panel.live is not None and panel.live.frames() > 1"),
        "a molecule that moves", 120,
    )  # fmt: skip
    return time.monotonic() - started


def watched(notebook: Notebook, seconds: float) -> dict[str, float]:
    """Frames painted and steps made per second, and how long other cells wait."""
    state = "[panel.viewers[0].painted, panel.live.replicas.step, __import__('psutil').Process().memory_info().rss]"
    before, started, waits = ask(notebook, state), time.monotonic(), []
    while time.monotonic() - started < seconds:
        notebook.page.wait_for_timeout(1000)
        asked = time.monotonic()
        assert ask(notebook, "1 + 1") == 2
        waits.append(time.monotonic() - asked)
    after, took = ask(notebook, state), time.monotonic() - started
    return {
        "frames_per_second": (after[0] - before[0]) / took, "steps_per_second": (after[1] - before[1]) / took,
        "one_plus_one_s": sorted(waits)[len(waits) // 2], "memory_MB": after[2] / 1e6,
    }  # fmt: skip


def slider_to_effect(notebook: Notebook) -> float:
    """Median of seconds from a change of the temperature slider to a chunk that obeys."""
    code = """import time
def obeyed(value):
    panel.steering.sliders['temperature_K'].value = value
    start = time.monotonic()
    while panel.live.table()['target_temperature'].iloc[-1] != value:
        time.sleep(0.002)
    return time.monotonic() - start
"""
    notebook.answer(code)
    return ask(notebook, "sorted(obeyed(v) for v in (310, 320, 330, 340, 350))[2]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--minutes", type=float, default=0.0, help="of watching for growth of memory")
    options = parser.parse_args()
    cache = tempfile.mkdtemp()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=_FLAGS)
        environment = {"SO3LAB_CACHE": cache, "TF_CPP_MIN_LOG_LEVEL": "3"}
        with start_lab(Path(tempfile.mkdtemp()), environment) as lab:
            for kind in ("cold", "warm", "prepared"):
                with lab.open(browser, new_notebook(cells=[new_code_cell(PANEL)]), kind) as notebook:
                    notebook.run_all(seconds=120)
                    if kind == "prepared":
                        notebook.wait_until(
                            lambda: ask(notebook, "panel.job.state") == "paused", "readiness", 60
                        )
                    print(
                        f"{kind}: first live frame {first_frame(notebook):.1f} s after the click", flush=True
                    )
                    if kind != "prepared":
                        continue
                    notebook.page.wait_for_timeout(5000)
                    rows = []
                    for _ in range(2):  # in turns, for the machine is noisy
                        rows.append(watched(notebook, options.seconds))
                        print({name: round(value, 3) for name, value in rows[-1].items()}, flush=True)
                        notebook.answer("panel.pause()")
                        notebook.page.wait_for_timeout(1000)
                        rows[-1]["alone"] = float(notebook.answer(ALONE.format(seconds=options.seconds)))
                        notebook.answer("panel.start()")
                    lost = [1 - row["steps_per_second"] / row["alone"] for row in rows]
                    print("share of speed lost to watching:", [round(x, 3) for x in lost])
                    print(f"slider to effect: {slider_to_effect(notebook):.3f} s")
                    for minute in range(round(options.minutes)):
                        print(minute + 1, "min", watched(notebook, 60.0), flush=True)
            cells = [new_code_cell(LARGE.format(seconds=options.seconds))]
            with lab.open(browser, new_notebook(cells=cells), "large") as notebook:
                notebook.run_all(seconds=120)
                notebook.page.wait_for_timeout(3000)
                notebook.answer("threading.Thread(target=push).start()")
                notebook.page.wait_for_timeout(int(1000 * options.seconds))
                print("378 atoms:", ask(notebook, "large.painted") / options.seconds, "frames per second")
        browser.close()


if __name__ == "__main__":
    main()
