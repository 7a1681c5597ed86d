"""How soon frames are seen in JupyterLab: in our trajectory panel, and in chemiscope, from the same file.

python -m tests.benchmarks.side_by_side FOLDER [--frames 1000] [--times 3] [--pictures FOLDER]

FOLDER is a virtual environment with chemiscope and jupyterlab. Bundled frames of ethanol with their energies are
written to one file; notebooks that open it run in turns, in one headless browser that draws in software. Seconds go
from the start of a kernel that has computed nothing to a molecule on the page, imports and reading included.
"""

import argparse
import io
import json
import os
import tempfile
import time
from pathlib import Path

import ase.io
import pandas as pd
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from so3lab import datasets, frames
from tests.browser.conftest import _FLAGS, chromium
from tests.browser.jupyter import Lab, start_lab

FILE = "ethanol.extxyz"
CELLS = {
    "so3lab": f"from so3lab_widgets import TrajectoryPanel\nTrajectoryPanel({FILE!r})",
    "chemiscope": f"""import ase.io, chemiscope
frames = ase.io.read({FILE!r}, ":")
numbers = {{"frame": [*range(len(frames))], "energy": [one.get_potential_energy() for one in frames]}}
chemiscope.show(frames, properties=numbers)""",
}
_COLOURS = 60
"""A canvas with a molecule has at least so many; an empty one has a few."""


def kernels(environment: Path, folder: Path) -> dict[str, str]:
    """Variables by which JupyterLab finds the kernel and the extension of another environment."""
    place = folder / "kernels" / "chemiscope"
    place.mkdir(parents=True)
    command = [str(environment / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (place / "kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "chemiscope", "language": "python", "env": {"PYTHONPATH": ""}})
    )
    return {"JUPYTER_PATH": os.pathsep.join([str(folder), str(environment / "share" / "jupyter")])}


def first_picture(lab: Lab, browser: Browser, name: str, turn: int, pictures: str | None) -> float:
    """Seconds from running the cell to a molecule on the page."""
    notebook = new_notebook(cells=[new_code_cell(CELLS[name])])
    kernel = "python3" if name == "so3lab" else name
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
    with lab.open(browser, notebook, f"{name}-{turn}") as opened:

        def drawn() -> bool:
            canvases = opened.page.locator(".jp-OutputArea-output canvas:visible")
            for number in range(canvases.count()):
                image = Image.open(io.BytesIO(canvases.nth(number).screenshot())).convert("RGB")
                if len(image.getcolors(1 << 24) or ()) > _COLOURS:
                    return True
            return False

        began = time.monotonic()
        opened.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        opened.wait_until(drawn, f"a molecule of {name}", seconds=60)
        took = time.monotonic() - began
        if pictures and not turn:
            opened.rest()
            opened.page.screenshot(path=Path(pictures) / f"{name}.png")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", type=Path)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--pictures", help="folder for a picture of each")
    options = parser.parse_args()
    opened = frames.open_frames(datasets.load("ethanol"))
    images = [opened[number] for number in range(min(options.frames, len(opened)))]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder = Path(name)
        variables = kernels(options.environment.resolve(), folder / "jupyter")
        browser = play.chromium.launch(executable_path=chromium(), args=_FLAGS)
        with start_lab(folder, variables) as lab:
            ase.io.write(lab.folder / FILE, images)
            rows = [
                {one: first_picture(lab, browser, one, turn, options.pictures) for one in CELLS}
                for turn in range(options.times)
            ]
        browser.close()
    table = pd.DataFrame(rows)
    table["chemiscope / so3lab"] = table["chemiscope"] / table["so3lab"]
    print(f"{len(images)} frames of {len(images[0])} atoms: seconds from the cell to the first picture, turn by turn")
    print(table.to_string(float_format="%.2f"))


if __name__ == "__main__":
    main()
