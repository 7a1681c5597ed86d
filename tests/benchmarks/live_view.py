"""What watching costs: frames per second in a browser, and molecular dynamics with and without somebody looking.

    python -m tests.benchmarks.live_view [--seconds 40] [--minutes 10]

Ac-Ala3-NHMe (42 atoms) in the dynamics panel of a real JupyterLab, drawn in software by headless Chromium on the same
cores: a floor of what a person sees. The first frame comes cold (nothing compiled yet), warm (programs on disk), both
with a click as soon as the cell has run, and prepared (the click comes when the panel says that it is ready). Then:
frames painted and steps made per second, watched and alone in turns; how long a cell with ``1+1`` waits meanwhile; from
a click on the temperature slider to the first chunk that obeys; memory of kernel and page over ``--minutes`` of
watching; frames of 378 atoms, pushed as fast as the page takes them and in live dynamics.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
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
NINE = """import numpy as np, threading, time
from so3lab.structures import read_structure
from so3lab_widgets import DynamicsPanel, Viewer
one, many = read_structure("ala3"), read_structure("ala3")
for k in range(1, 9):
    one.positions += (0, 0, 4.5) if k % 3 else (0, 7, -9)
    many += one
"""
LARGE = (
    NINE
    + """grid = many.positions
large = Viewer(many)
def push():
    rng, end = np.random.default_rng(0), time.monotonic() + {seconds}
    while time.monotonic() < end:
        large.push(grid + 0.05 * rng.normal(size=grid.shape))
        time.sleep(0.005)
large"""
)
LARGE_PANEL = (
    NINE
    + """panel = DynamicsPanel("ala3", many)
panel"""
)


def first_frame(notebook: Notebook) -> float:
    """Seconds from the click on Start to a molecule on the page."""
    started = time.monotonic()
    notebook.page.locator("button:has-text('Start')").first.click()
    notebook.wait_until(
        lambda: (
            any(view.painted > 2000 for view in notebook.canvases(".so3-viewer"))
            and notebook.ask("panel.live is not None and panel.live.frames() > 1")
        ),
        "a molecule that moves",
        120,
    )
    return time.monotonic() - started


def watched(notebook: Notebook, seconds: float) -> dict[str, float]:
    """Frames painted and steps made per second, and how long other cells wait."""
    state = "[panel.viewers[0].painted, panel.live.replicas.step, __import__('psutil').Process().memory_info().rss]"
    before, started, waits = notebook.ask(state), time.monotonic(), []
    while time.monotonic() - started < seconds:
        notebook.page.wait_for_timeout(min(1000, 500 * seconds))
        asked = time.monotonic()
        assert notebook.ask("1 + 1") == 2
        waits.append(time.monotonic() - asked)
    after, took = notebook.ask(state), time.monotonic() - started
    return {
        "frames_per_second": (after[0] - before[0]) / took,
        "steps_per_second": (after[1] - before[1]) / took,
        "one_plus_one_s": float(np.median(waits)),
        "one_plus_one_longest_s": max(waits),
        "memory_MB": after[2] / 1e6,
    }


NOTE_CHANGES = """import threading, time
obeyed = []  # when the target temperature of the newest chunk became another one
def note(seconds):
    before, end = None, time.monotonic() + seconds
    while time.monotonic() < end:
        now = float(panel.live.frame().target_temperature[-1])
        if now != before:
            obeyed.append(time.time())
        before = now
        time.sleep(0.002)
threading.Thread(target=note, args=({seconds},)).start()"""


def slider_to_effect(notebook: Notebook) -> tuple[float, float]:
    """Median and largest of seconds from a click on the temperature slider to a chunk that obeys."""
    slider = notebook.page.locator(".widget-slider:has(.widget-label:has-text('Temperature')) .noUi-target").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    notebook.answer(NOTE_CHANGES.format(seconds=25))
    notebook.page.wait_for_timeout(500)
    clicks = []
    for share in SHARES:
        clicks.append(time.time())
        notebook.page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        notebook.page.wait_for_timeout(2000)
    changes = np.array(notebook.ask("obeyed"))
    waits = [float(np.min(changes[changes > click] - click)) for click in clicks if (changes > click).any()]
    assert len(waits) == len(clicks), "a click without effect"
    return float(np.median(waits)), max(waits)


ROUNDS = 8
SHARES = (0.4, 0.1, 0.35, 0.15, 0.4, 0.1, 0.35, 0.2)
"""Of the slider's range, one after the other; a click on the handle itself would move nothing."""
HEAP = "performance.memory.usedJSHeapSize / 1e6"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="of each measurement")
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
                        notebook.wait_until(lambda: notebook.ask("panel.job.state") == "paused", "readiness", 60)
                    print(f"{kind}: first live frame {first_frame(notebook):.1f} s after the click", flush=True)
                    if kind != "prepared":
                        continue
                    notebook.page.wait_for_timeout(5000)
                    rows = []
                    for _ in range(ROUNDS):  # in short turns, for the machine is noisy
                        rows.append(watched(notebook, options.seconds / ROUNDS))
                        notebook.answer("panel.pause()")
                        notebook.page.wait_for_timeout(500)
                        alone = notebook.answer(ALONE.format(seconds=options.seconds / ROUNDS))
                        rows[-1]["lost"] = 1 - rows[-1]["steps_per_second"] / float(alone)
                        notebook.answer("panel.start()")
                        notebook.page.wait_for_timeout(1500)
                    table = pd.DataFrame(rows)
                    print(f"watched and alone in {ROUNDS} turns: median, lower and upper quartile")
                    print(table.quantile([0.5, 0.25, 0.75]).round(3).T.to_string(header=False), flush=True)
                    median, longest = slider_to_effect(notebook)
                    print(f"slider to effect: median {median:.3f} s, longest {longest:.3f} s", flush=True)
                    for minute in range(round(options.minutes)):
                        row = watched(notebook, 60.0) | {"page_MB": notebook.page.evaluate(HEAP)}
                        print(
                            minute + 1,
                            "min",
                            {name: round(value, 3) for name, value in row.items()},
                            flush=True,
                        )
            cells = [new_code_cell(LARGE.format(seconds=options.seconds))]
            with lab.open(browser, new_notebook(cells=cells), "large") as notebook:
                notebook.run_all(seconds=120)
                notebook.page.wait_for_timeout(3000)
                notebook.answer("threading.Thread(target=push).start()")
                notebook.page.wait_for_timeout(int(1000 * options.seconds))
                print(
                    "378 atoms:",
                    notebook.ask("large.painted") / options.seconds,
                    "frames per second",
                    flush=True,
                )
            with lab.open(browser, new_notebook(cells=[new_code_cell(LARGE_PANEL)]), "large-panel") as notebook:
                notebook.run_all(seconds=120)
                first_frame(notebook)
                notebook.page.wait_for_timeout(5000)
                row = watched(notebook, options.seconds)
                print(
                    "378 atoms in live dynamics:",
                    {name: round(value, 3) for name, value in row.items()},
                    flush=True,
                )
        browser.close()


if __name__ == "__main__":
    main()
