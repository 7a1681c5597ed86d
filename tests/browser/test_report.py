"""The report, opened from disk in a browser that is cut off from the network."""

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule
from so3lab_widgets import figures
from so3lab_widgets.report import Movie, Section, build_report

pytest.importorskip("playwright")
from tests.browser.from_disk import opened_from_disk
from tests.browser.jupyter import Canvas

FRAMES = 60


@pytest.fixture(scope="module")
def report_path(tmp_path_factory):
    ethanol, phase = molecule("CH3CH2OH"), np.arange(27).reshape(9, 3)
    movie = []
    for number in range(FRAMES):
        atoms = ethanol.copy()
        atoms.positions += 0.15 * np.sin(0.2 * number + phase)
        movie.append(atoms)
    time_fs = 10.0 * np.arange(FRAMES)
    temperature = 300 + 40 * np.sin(time_fs / 60)
    table = pd.DataFrame({"time_fs": time_fs, "temperature": temperature, "total_energy": -10 + temperature / 1e4})
    series = figures.time_series(table, "temperature", "total_energy", levels={"temperature": 300.0})
    sections = [Section("Dynamics", "Ethanol.", [Movie(movie, time_fs / 1000, "60 frames"), series])]
    path = tmp_path_factory.mktemp("report") / "report.html"
    return build_report(sections, path, title="Ethanol", subtitle="A test", numbers={"force": "0.2 kcal/mol/Å"})


@pytest.fixture(scope="module")
def report(browser, report_path):
    with opened_from_disk(browser, report_path, 1300) as page:
        yield page


def stage(report) -> Canvas:
    return report.canvases(".stage")[0]


def shown_frame(report) -> int:
    return report.page.evaluate("players[0].frame")


def drag_to(report, frame: int) -> None:
    report.page.locator(".controls input").evaluate(
        "(slider, frame) => { slider.value = frame; slider.dispatchEvent(new Event('input')); }", frame
    )


@pytest.mark.parametrize(("width", "scheme"), [(1000, "dark"), (1900, "light")])
def test_molecule_and_figures_are_drawn_at_every_width(browser, report_path, width, scheme):
    with opened_from_disk(browser, report_path, width, color_scheme=scheme) as report:
        report.wait_until(lambda: stage(report).painted > 2000, "a painted molecule")
        assert report.page.locator(".js-plotly-plot .scatterlayer .trace").count() == 2
        report.picture(f"report-{scheme}-{width}")
        sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert report.page.evaluate(sideways) == 0


def test_the_slider_moves_the_molecule(report):
    drag_to(report, 0)
    report.wait_until(lambda: stage(report).painted > 2000, "a painted molecule")
    first = report.settled(lambda: stage(report), "the molecule")
    drag_to(report, 20)
    report.wait_until(lambda: stage(report).sum != first.sum, "another picture for another frame")
    assert report.page.inner_text(".controls output") == "0.200 ps, frame 20"
    drag_to(report, 0)
    report.wait_until(lambda: stage(report).sum == first.sum, "the same picture for the same frame")


def test_play_moves_on_and_pause_stops(report):
    drag_to(report, 0)
    button = report.page.locator(".play")
    button.click()
    report.wait_until(lambda: shown_frame(report) > 0, "another frame while playing")
    button.click()
    stopped = shown_frame(report)
    assert report.settled(lambda: shown_frame(report), "the frame") == stopped
    assert button.inner_text() == "Play"


def test_a_click_in_a_curve_shows_its_frame(report):
    drag_to(report, 50)
    report.settled(lambda: stage(report), "the molecule")
    box = report.page.locator(".js-plotly-plot .draglayer .nsewdrag").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2

    def clicked() -> bool:
        report.page.mouse.move(x - 3, y)
        report.page.mouse.move(x, y)
        report.rest()
        report.page.mouse.click(x, y)
        report.rest()
        return 10 <= shown_frame(report) <= 20

    report.wait_until(clicked, "the frame at a quarter of the run")
    assert report.page.evaluate("document.querySelector('.js-plotly-plot').layout.shapes.length") == 2


def test_every_representation_is_drawn(report):
    previous = stage(report)
    for style in ("spacefill", "licorice", "ball+stick"):
        report.page.select_option(".style", style)
        report.wait_until(lambda before=previous: stage(report).sum != before.sum, f"{style} drawn")
        previous = stage(report)
        assert previous.painted > 1000
