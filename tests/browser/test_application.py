"""``so3lab app`` in a browser: the lab without code, a kernel for each page, and what is clicked there."""

import re
import subprocess
import sys
import urllib.error
import urllib.request
import zlib

import psutil
import pytest

pytest.importorskip("playwright")
pytest.importorskip("voila")
from tests.browser.jupyter import Watched

STAGE = ".so3-stage:visible"
WORDS = ["ethanol", "--structure", "ethanol"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A process that serves the lab of ethanol, and its address."""
    folder = tmp_path_factory.mktemp("app")
    command = [sys.executable, "-m", "so3lab", "app", str(folder), "--no-browser", "--model", *WORDS]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            told = server.stdout.readline()
            assert "http" in told, (folder / "log").read_text()
            yield server, re.search(r"http\S+", told).group(0)
        finally:
            server.terminate()
            assert server.wait(60) == 0


@pytest.fixture(scope="module")
def pages(served, browser):
    """Two people who look at it, each with a browser of their own."""
    opened = []
    for _ in range(2):
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        opened.append(Watched(page))
        page.goto(served[1])
    for one in opened:
        one.page.locator(STAGE).first.wait_for()
        one.wait_until(lambda one=one: any(it.painted > 1000 for it in one.canvases(".so3-stage")), "a molecule", 60)
    yield opened
    assert [one.errors for one in opened] == [[], []]
    for one in opened:
        one.page.context.close()


def painted(watched: Watched) -> int:
    """A checksum of the molecule in sight; 0 while there is none."""
    stage = watched.page.locator(STAGE)
    return zlib.crc32(stage.first.locator("canvas").screenshot()) if stage.count() else 0


def press(watched: Watched, words: str) -> None:
    watched.page.locator(f"button.jupyter-button:has-text('{words}'):visible").first.click()


def reads(watched: Watched, words: str, seconds: float = 60) -> None:
    """Wait until words stand on the page."""
    watched.wait_until(lambda: watched.page.get_by_text(words).locator("visible=true").count() > 0, words, seconds)


def moves(watched: Watched) -> None:
    """Wait until the molecule has been drawn in two other places."""
    for _ in range(2):
        before = painted(watched)
        watched.wait_until(lambda before=before: painted(watched) not in (0, before), "another frame", 120)


def kernels(server: subprocess.Popen) -> int:
    alive = [one for one in psutil.Process(server.pid).children() if one.status() != psutil.STATUS_ZOMBIE]
    return sum("ipykernel_launcher" in one.cmdline() for one in alive)


def test_the_address_needs_its_token_and_gives_no_files(served, pages):
    address, _, token = served[1].partition("?token=")
    with urllib.request.urlopen(address) as answer:
        assert "login" in answer.url
    for path in ("api/contents", "voila/files/so3lab.ipynb", "files/etc/hostname"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}{path}?token={token}")
        assert refused.value.code in (403, 404), path


def test_no_code_is_to_be_seen_and_each_page_has_its_kernel(served, pages):
    assert kernels(served[0]) == 2
    for one in pages:
        assert one.page.title().startswith("so3lab")
        assert one.page.locator(".jp-InputArea:visible").count() == 0
        assert one.page.locator(".so3-code").count() > 0
        assert one.page.locator(".so3-code:visible").count() == 0, "lines of Python"


def test_a_run_of_one_page_is_not_that_of_the_other(pages):
    mine, other = pages
    press(mine, "Start")
    moves(mine)
    reads(other, "frame 0 of 0, 0.000 ps")
    assert other.page.get_by_role("button", name="Start").first.is_enabled()


def test_a_running_frame_goes_to_attention_and_to_the_relaxer(pages):
    mine = pages[0]
    press(mine, "Attention")
    reads(mine, "C2H6O of Dynamics is in Attention now.")
    mine.wait_until(lambda: mine.page.locator(".so3-table-row:visible").count() > 5, "pairs", 120)
    mine.wait_until(lambda: painted(mine) > 0, "the molecule with links")
    mine.picture("application-attention")
    mine.page.get_by_role("tab", name="Dynamics").click()
    press(mine, "Relax and keep")
    reads(mine, "It relaxed to minimum 0", 120)
    mine.picture("application-minima")


def test_dynamics_begins_with_a_minimum(pages):
    mine = pages[0]
    press(mine, "Dynamics")
    reads(mine, "C2H6O of Minima is in Dynamics now; stop the run that is there, and Start begins with it.")
    press(mine, "Stop")
    mine.wait_until(lambda: mine.page.locator("button:has-text('Start'):visible").first.is_enabled(), "the end of it")
    press(mine, "Start")
    moves(mine)


def test_a_file_that_is_not_there_is_said_in_place(pages):
    other = pages[1]
    other.page.get_by_role("tab", name="Trajectory").click()
    other.page.get_by_placeholder("run.h5").fill("nowhere.h5")
    press(other, "Open")
    other.page.locator("[role=alert]:visible", has_text="nowhere.h5").wait_for()


def test_a_page_that_closes_takes_its_kernel_along(served, pages):
    pages[1].page.close(run_before_unload=True)
    pages[0].wait_until(lambda: kernels(served[0]) == 1, "one kernel less", 60)
