"""The README's pictures: each panel at work in a real JupyterLab, and a short animation of live dynamics.

    python -m tests.pictures [NAME ...] [--folder docs/pictures]

Chromium draws them without a screen; what is shown is computed while the script runs, some minutes for all.
"""

import argparse
import io
import tempfile
from pathlib import Path
from typing import NamedTuple

from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import _FLAGS, chromium
from tests.browser.jupyter import ROOT, Lab, Notebook, start_lab
from tests.browser.test_linked import use_theme

FOLDER = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 1400, 1000
NARROW = 880
"""Of a page of a thousand pixels, what its cells have."""
MOST_BYTES = 1_500_000
"""Of the animation."""
_SHOWN = ".jp-OutputArea-output:has(.jupyter-widgets)"
_LEFT = 120
"""Pixels that a page has left of its cells, and right of them."""
_FRAMES, _EVERY_MS, _ANIMATED_WIDTH = 48, 100, 760


class Picture(NamedTuple):
    """A panel and what is done before it is taken."""

    make: str
    """Code of the cell that shows it, under the name ``panel``."""
    do: str
    """Code that runs beside the page when it is there."""
    ready: str
    """An expression that is true when there is something to see."""
    height: int = HEIGHT
    """Pixels, from the top of the panel."""
    width: int = WIDTH
    """Of the page in pixels, besides what stands left of its cells."""
    theme: str = "Light"
    """Of JupyterLab: ``"Light"`` or ``"Dark"``."""


PICTURES = {
    "dynamics": Picture(
        'from so3lab_widgets import DynamicsPanel\npanel = DynamicsPanel("ala3", "ala3")',
        "panel.start()\npanel.viewers[0].picked = [4, 6, 8, 14]",
        "panel.live is not None and panel.live.time_ps > 3",
        940,
    ),
    "trajectory": Picture(
        "import so3lab\nfrom so3lab.structures import read_structure\nfrom so3lab_widgets import TrajectoryPanel\n"
        'for chunk in so3lab.dynamics.run(so3lab.load("ala3"), read_structure("ala3"), steps=6000, temperature_K=500,\n'
        '                                 out="run.h5"):\n    pass\n'
        'panel = TrajectoryPanel("run.h5", model="ala3")',
        "panel.add(4, 6, 8, 14)\npanel.viewer.frame = len(panel.trajectory) // 2",
        "panel.viewer.painted > 0",
    ),
    "minima": Picture(
        'from so3lab_widgets import MinimaPanel\npanel = MinimaPanel("ala2", "ala2")\npanel.form.minima.value = "12"\n'
        'panel.form.minutes.value = "1"',
        "panel.start()",
        "panel.run.job is not None and panel.run.job.ended and len(panel.minima) > 1 and panel.select([0, 1]) is None",
        1250,
    ),
    "attention": Picture(
        'from so3lab_widgets import AttentionPanel\npanel = AttentionPanel("ala3", "ala3")\npanel.look_at("matrix")',
        "panel.attention.threshold.value = 30",
        "panel.shown is not None",
    ),
    "training": Picture(
        'from so3lab_widgets import TrainPanel\npanel = TrainPanel("ethanol", preset="tiny", runs="runs")',
        'panel.wait()\npanel.part.value = "Train"\n'
        'for name, value in {"train": 200, "valid": 50, "length": 40, "unit": "epochs"}.items():\n'
        "    panel.form.fields[name].value = value\npanel.start()",
        "len(panel.curve()) > 20",
    ),
    "lab": Picture(
        'from so3lab_widgets import Lab\npanel = Lab("ethanol", "ethanol")',
        "panel.panel('dynamics').start()",
        "panel.panel('dynamics').live is not None and panel.panel('dynamics').live.time_ps > 1",
    ),
}
PICTURES |= {
    "dynamics-narrow": PICTURES["dynamics"]._replace(width=NARROW, height=1240),
    "attention-dark": PICTURES["attention"]._replace(theme="Dark"),
}
"""By the name of their files."""


def main() -> None:
    """Take those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help=", ".join([*PICTURES, "live"]))
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    wanted = options.names or [*PICTURES, "live"]
    if unknown := set(wanted) - {*PICTURES, "live"}:
        parser.error(f"there is no picture {unknown.pop()!r}")
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, start_lab(Path(place)) as lab, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=_FLAGS)
        for name in wanted:
            take = _take_animation if name == "live" else _take_picture
            target = options.folder / f"{name}.webp"
            take(lab, browser, PICTURES["dynamics" if name == "live" else name], target)
            print(f"{target}: {target.stat().st_size / 1000:.0f} kB")
        browser.close()


def _take_picture(lab: Lab, browser: Browser, picture: Picture, target: Path) -> None:
    with _opened(lab, browser, picture, target.stem) as notebook:
        notebook.run_code("if hasattr(panel, 'pause'): panel.pause()")
        notebook.page.wait_for_timeout(2_000)  # curves are drawn twice a second
        _grab(notebook, picture.height).save(target, quality=82, method=6)


def _take_animation(lab: Lab, browser: Browser, picture: Picture, target: Path) -> None:
    """The molecule and its curves, faster than they were seen: a frame is not taken as fast as it is shown."""
    with _opened(lab, browser, picture, target.stem) as notebook:
        frames = []
        for _ in range(_FRAMES):
            frame = _grab(notebook, 700)
            frames.append(frame.resize((_ANIMATED_WIDTH, frame.height * _ANIMATED_WIDTH // frame.width)))
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=_EVERY_MS, loop=0, quality=55, method=4)
    if target.stat().st_size > MOST_BYTES:
        raise RuntimeError(f"{target} has {target.stat().st_size:,} bytes, more than {MOST_BYTES:,}")


class _opened:
    """A notebook that shows a panel at work; errors of the page until it closes are printed."""

    def __init__(self, lab: Lab, browser: Browser, picture: Picture, name: str):
        cell = new_code_cell(f"{picture.make}\npanel")
        self._picture = picture
        self._opening = lab.open(browser, new_notebook(cells=[cell]), name, width=picture.width + _LEFT)

    def __enter__(self) -> Notebook:
        notebook = self._notebook = self._opening.__enter__()
        notebook.page.set_viewport_size({"width": self._picture.width + _LEFT, "height": 1700})
        use_theme(notebook, self._picture.theme)
        notebook.run_all(seconds=180)
        notebook.run_code(self._picture.do)
        ready = f"print(bool({self._picture.ready}))"
        notebook.wait_until(lambda: notebook.answer(ready).strip() == "True", self._picture.ready, 200)
        return notebook

    def __exit__(self, *error: object) -> None:
        found = self._notebook.failures() + self._notebook.errors
        self._notebook.run_code("panel.close()")
        self._opening.__exit__(*error)
        for line in found:
            print(f"the page says: {line}")


def _grab(notebook: Notebook, height: int) -> Image.Image:
    """The panel as it is drawn now, from its top."""
    drawn = Image.open(io.BytesIO(notebook.page.locator(_SHOWN).first.screenshot())).convert("RGB")
    return drawn.crop((0, 0, drawn.width, min(drawn.height, height)))


if __name__ == "__main__":
    main()
