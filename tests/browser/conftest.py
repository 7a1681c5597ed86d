"""Fixtures of the browser tests. Without a browser they skip; where CI is set, its absence is a failure."""

import os
import shutil

import pytest

_FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--enable-unsafe-swiftshader",
]
"""As a browser does on a machine without a graphics card: WebGL in software, the page put together without it.

Told to use software GL for the page, too, Chromium spends four times as long on every frame.
"""


def _missing(reason: str) -> None:
    """Skip, or fail where a browser was promised."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"CI needs browser tests, but {reason}")
    pytest.skip(reason)


def chromium() -> str | None:
    """Where the browser is."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("SO3LAB_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, headless."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed: pip install 'so3lab[test]'")
    path = chromium()
    if path is None:
        _missing("there is no Chromium: apt install chromium, or set SO3LAB_CHROMIUM to its path")
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=path, args=_FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """One JupyterLab for all tests."""
    from tests.browser.jupyter import start_lab

    with start_lab(tmp_path_factory.mktemp("lab"), {}) as running:
        yield running
