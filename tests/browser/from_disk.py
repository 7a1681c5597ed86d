"""Pages that so3lab writes, opened as people get them: a file, in a browser that is cut off from the network."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.browser.jupyter import Watched


@contextlib.contextmanager
def opened_from_disk(browser: Browser, path: Path, width: int, **options: Any) -> Iterator[Watched]:
    """The page, its molecules and figures drawn; it must neither ask for the network nor report an error.

    Args:
        browser: That opens it.
        path: The file.
        width: Of the window, in pixels.
        options: Of a new context of Playwright's.
    """
    context = browser.new_context(viewport={"width": width, "height": 1000}, **options)
    context.set_offline(True)
    watched = Watched(context.new_page())
    watched.page.on("requestfailed", lambda request: watched.errors.append(f"asked for {request.url}"))
    watched.page.goto(path.as_uri())
    watched.page.evaluate("Promise.all(players.map(player => player.ready))")
    watched.page.wait_for_selector(".js-plotly-plot .main-svg")
    # One sample per pixel: the same frame gives the same pixels at once, also when drawn in software.
    watched.page.evaluate("players.forEach(player => player.stage.setParameters({sampleLevel: -1}))")
    yield watched
    context.close()
    assert watched.errors == []
