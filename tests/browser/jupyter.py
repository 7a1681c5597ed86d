"""A real JupyterLab in a headless browser: start it, run a notebook, look at what it shows."""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import nbformat
from playwright.sync_api import Browser, ConsoleMessage, Page
from playwright.sync_api import Error as PlaywrightError

ROOT = Path(__file__).resolve().parents[2]
NGLVIEW = ".jp-OutputArea-output .ui-resizable"
"""Elements that hold nglview's canvas."""
VIEWER = ".so3-viewer"
"""Elements that hold the canvas of our own."""
HARMLESS = (
    "favicon",
    "ResizeObserver loop",
    "the server responded with a status of 404",
)
"""Console errors of JupyterLab itself that say nothing about us."""

_IDLE = """() => {
  const panel = window.jupyterapp?.shell.currentWidget, kernel = panel?.sessionContext?.session?.kernel;
  const waiting = [...document.querySelectorAll('.jp-InputPrompt')].some(p => p.textContent.includes('*'));
  return kernel?.connectionStatus === 'connected' && kernel.status === 'idle' && !waiting;
}"""
# Idle is also what a kernel is before the first cell begins: cells that ran have numbers, up to one that failed.
_RAN = """() => {
  const cells = [...document.querySelectorAll('.jp-CodeCell')]
    .filter(cell => cell.querySelector('.cm-content')?.textContent.trim());
  const prompts = cells.map(cell => cell.querySelector('.jp-InputPrompt')?.textContent ?? '');
  const failed = (FAILED)().length > 0;
  return prompts.every(prompt => !prompt.includes('*') && (failed || /\\d/.test(prompt)));
}"""
# A page that has just been opened asks its kernel for widgets, and takes those that come into being meanwhile for two:
# what is drawn of one may then be the other's, of which nothing is heard any more. So cells wait for the answer.
_RESTORED = """async () => {
  const {rendermime} = window.jupyterapp.shell.currentWidget.content;
  const renderer = rendermime.createRenderer('application/vnd.jupyter.widget-view+json');
  const manager = await renderer._manager.promise;
  while (!manager.restoredStatus) await new Promise(resolve => setTimeout(resolve, 50));
  renderer.dispose();
}"""
_TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))"
# An error has the type of its own or that of stderr, by the version of JupyterLab.
_FAILED = """() => [...document.querySelectorAll('.jp-OutputArea-output')]
  .filter(output => output.dataset.mimeType === 'application/vnd.jupyter.error'
    || output.textContent.includes('Traceback (most recent call last)'))
  .map(output => output.textContent.slice(0, 300))"""
_RAN = _RAN.replace("FAILED", _FAILED)
# NGL keeps its drawing buffer and draws on a transparent background: painted pixels are those with alpha.
_CANVASES = """selector => [...document.querySelectorAll(selector + ' canvas')]
  .filter(canvas => canvas.width > 50 && canvas.height > 50)
  .map(canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height), pen = copy.getContext('2d');
    pen.drawImage(canvas, 0, 0);
    const pixels = pen.getImageData(0, 0, copy.width, copy.height).data;
    let painted = 0, sum = 0;
    for (let i = 0; i < pixels.length; i += 4) {
      if (pixels[i + 3] > 0) painted += 1;
      sum = (31 * sum + pixels[i] + 3 * pixels[i + 1] + 7 * pixels[i + 2] + 11 * pixels[i + 3]) % 1000000007;
    }
    return {width: canvas.width, height: canvas.height, painted, sum};
  })"""


@dataclass(frozen=True)
class Canvas:
    """What is on a canvas of the page."""

    width: int
    height: int
    painted: int
    """Pixels that are not transparent."""
    sum: int
    """A checksum: two pictures that differ have different ones."""


PATIENCE = 5.0
"""How many times as long as on a quiet machine things may take on a busy one."""


ANSWER_S = 120.0
"""Seconds within which a kernel on a quiet machine has answered whatever a test asks."""
_REQUEST = """async ([code, limit]) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({code, store_history: false});
  let text = '';
  future.onIOPub = ({content}) => {
    text += content.text ?? (content.ename ? `${content.ename}: ${content.evalue}` : '');
  };
  const late = new Promise(resolve => setTimeout(resolve, limit, null));
  return await Promise.race([future.done.then(() => text), late]);
}"""


@dataclass
class Watched:
    """A page whose errors are remembered."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(60_000 * PATIENCE)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error.stack or error}"))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(word in message.text for word in HARMLESS):
            self.errors.append(message.text)

    def canvases(self, selector: str = "body") -> list[Canvas]:
        """Every canvas of some size within the elements that match."""
        return [Canvas(**found) for found in self.page.evaluate(_CANVASES, selector)]

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait for something to become true, ``PATIENCE`` times as long as it may take on a quiet machine.

        Raises:
            AssertionError: If it does not in time; ``what`` says what was expected.
        """
        deadline = time.monotonic() + PATIENCE * seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {PATIENCE * seconds:g} s: {what}")
            self.page.wait_for_timeout(150)

    def rest(self) -> None:
        """Wait until what the page knows is painted."""
        self.page.evaluate(_TWO_FRAMES)

    def settled(self, look: Callable[[], Any], what: str, seconds: float = 30) -> Any:
        """What a look sees, once it has seen the same three times in a row.

        Raises:
            AssertionError: If it goes on changing; ``what`` says what was looked at.
        """
        seen: list[Any] = []

        def same() -> bool:
            self.rest()
            seen.append(look())
            return len(seen) > 2 and seen[-1] == seen[-2] == seen[-3]

        self.wait_until(same, f"{what} at rest", seconds)
        return seen[-1]

    def settled_picture(self, name: str, selector: str) -> Path:
        """The same of an element, once what is drawn on canvases and where things stand no longer change."""
        outline = """selector => { const {x, y, width, height} = document.querySelector(selector)
          .getBoundingClientRect(); return [x, y, width, height]; }"""
        first = selector.split(" >> ")[0]
        self.page.locator(selector).first.scroll_into_view_if_needed()
        self.settled(lambda: (self.canvases(first), self.page.evaluate(outline, first)), f"what {name} shows")
        return self.picture(name, selector)

    def picture(self, name: str, selector: str | None = None) -> Path:
        """Save a picture of the page or of one element, for people to look at."""
        folder = Path(os.environ.get("SO3LAB_PICTURES", ROOT / "out" / "pictures"))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        if selector is None:
            self.page.screenshot(path=path)
        else:
            self.page.locator(selector).first.scroll_into_view_if_needed()
            self.page.locator(selector).first.screenshot(path=path)
        return path


class Notebook(Watched):
    """A notebook opened in JupyterLab."""

    def rest(self) -> None:
        """Wait until the kernel has read what the page has sent, and what the page knows by then is painted."""
        super().rest()
        self.answer("pass")
        super().rest()

    def run_all(self, seconds: float) -> None:
        """Run every cell and wait until the kernel is idle."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        self.page.wait_for_function(_RAN, timeout=1000 * PATIENCE * seconds)
        self.page.wait_for_function(_IDLE, timeout=1000 * PATIENCE * seconds)

    def run_code(self, code: str) -> None:
        """Run code in the notebook's kernel without touching its cells."""
        self._request(code)

    def answer(self, code: str) -> str:
        """What code prints that runs in the notebook's kernel beside its cells, or its error."""
        return self._request(code)

    def ask(self, expression: str) -> Any:
        """What an expression gives in the kernel, of what JSON can say."""
        return json.loads(self.answer(f"import json; print(json.dumps({expression}))"))

    def text_of(self, expression: str) -> str:
        """How Python writes what an expression gives in the kernel."""
        return self.answer(f"print(repr({expression}))").rstrip("\n")

    def _request(self, code: str) -> str:
        """What code prints, or its error.

        Raises:
            AssertionError: If the kernel has not answered in time; a page that is loaded again may lose an answer.
        """
        text = self.page.evaluate(_REQUEST, [code, 1000 * PATIENCE * ANSWER_S])
        assert text is not None, f"the kernel has not answered within {PATIENCE * ANSWER_S:g} s: {code}"
        return text

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")

    def wait_for_kernel(self) -> None:
        """Wait until the page shows a notebook whose kernel is idle and has told of its widgets."""
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        self.page.wait_for_function(_IDLE)
        self.page.evaluate(_RESTORED)

    def failures(self) -> list[str]:
        """How the tracebacks shown in cells begin."""
        return self.page.evaluate(_FAILED)

    def molecules(self, views: int = 1, seconds: float = 20, selector: str = NGLVIEW) -> list[Canvas]:
        """Canvases of 3D views, after waiting until there are so many and each is painted.

        Args:
            views: How many there should be at least.
            seconds: How long to wait.
            selector: ``NGLVIEW`` or ``VIEWER``.

        Raises:
            AssertionError: If there are fewer, or one is still empty at the end.
        """

        painted: list[Canvas] = []

        def next_is_painted() -> bool:
            """Whether the next view, brought into sight, where alone ours paint, holds a molecule."""
            number = len(painted)
            if self.page.locator(selector).count() <= number:
                return False
            self.page.locator(selector).nth(number).scroll_into_view_if_needed()
            found = self.canvases(selector)
            if len(found) <= number or not found[number].painted > 0.002 * found[number].width * found[number].height:
                return False
            painted.append(found[number])
            return True

        while len(painted) < max(views, self.page.locator(selector).count()):
            self.wait_until(next_is_painted, "a molecule in every 3D view; one is empty or missing", seconds)
        return painted


@dataclass(frozen=True)
class Lab:
    """A running server of JupyterLab or Notebook 7."""

    address: str
    token: str
    folder: Path
    pages: str = "lab/tree"
    """Where below its address it has notebooks."""

    @contextlib.contextmanager
    def open(
        self, browser: Browser, notebook: nbformat.NotebookNode, name: str, width: int = 1400
    ) -> Iterator[Notebook]:
        """Write a notebook into the server's folder, open it, and wait for its kernel."""
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook.metadata.setdefault("kernelspec", spec)
        nbformat.write(notebook, self.folder / f"{name}.ipynb")
        page = browser.new_page(viewport={"width": width, "height": 1000})
        try:
            opened = Notebook(page)
            page.goto(f"{self.address}/{self.pages}/{name}.ipynb?token={self.token}&reset")
            opened.wait_for_kernel()
            yield opened
        finally:
            with contextlib.suppress(PlaywrightError):  # a page that has crashed has no kernel to end
                page.evaluate("async () => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
            page.close()


@contextlib.contextmanager
def start_lab(
    folder: Path, environment: dict[str, str] | None = None, program: Literal["jupyterlab", "notebook"] = "jupyterlab"
) -> Iterator[Lab]:
    """Run JupyterLab or Notebook 7 on a free port with settings of its own; nothing of the user's is touched."""
    name, pages = {"jupyterlab": ("LabApp", "lab/tree"), "notebook": ("JupyterNotebookApp", "notebooks")}[program]
    settings = folder / "settings"
    _write_settings(settings, "notification", {"fetchNews": "false", "checkForUpdates": False})
    work = folder / "work"
    work.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    command = [
        sys.executable, "-m", program, "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={work}", f"--{name}.expose_app_in_browser=True",
    ]  # fmt: skip
    variables = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        **(environment or {}),
    }
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=variables, stdout=output, stderr=output)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, log)
            yield Lab(f"http://127.0.0.1:{port}", token, work, pages)
        finally:
            server.terminate()
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()


def _write_settings(folder: Path, name: str, values: dict[str, Any]) -> None:
    path = folder / "@jupyterlab" / "apputils-extension" / f"{name}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def _wait_for(address: str, server: subprocess.Popen, log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.3)
    raise RuntimeError(f"JupyterLab did not answer within {seconds} s:\n{log.read_text()[-2000:]}")
