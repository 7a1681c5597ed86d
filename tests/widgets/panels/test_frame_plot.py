"""The plot over time, without a browser: what is drawn, and which frame a place on the axis means."""

import numpy as np
import pytest
from plot_page import from_page
from so3lab_widgets.panels.frame_plot import FramePlot, Series

FRAMES = 20_000


@pytest.fixture
def told():
    return []


@pytest.fixture
def plot(told):
    made = FramePlot(
        0.01 * np.arange(FRAMES),
        lambda frame, how: told.append((how, frame)),
        lambda first, stop: told.append(("drag", first, stop)),
    )
    noise = np.random.default_rng(0).normal(size=FRAMES)
    made.draw(
        {
            "temperature": Series("temperature", 300 + noise),
            "energy": Series("total_energy", -26000 + 1e-3 * noise),
            "torsion": Series("dihedral C1–C2–C3–C4_deg", 180 * np.sin(noise), circular=True),
        }
    )
    yield made
    made.close()


def test_every_series_has_a_row_with_its_unit(plot):
    axes = [plot.figure.layout[name] for name in ("yaxis", "yaxis2", "yaxis3")]
    assert [axis.title.text for axis in axes] == [
        "temperature<br>(K)",
        "Δ total energy<br>(eV)",
        "dihedral (°)<br>C1–C2–C3–C4",
    ]
    assert axes[0].domain[0] > axes[1].domain[1] > axes[1].domain[0] > axes[2].domain[1]
    assert [trace.mode for trace in plot.figure.data] == ["lines", "lines", "markers"]


def test_large_energies_keep_their_digits(plot):
    drawn = plot.figure.data[1].y
    assert drawn.dtype == np.float32
    assert 0 < np.abs(drawn).max() < 0.01
    text = plot.series["energy"].text(0)
    assert text.startswith("total energy −2")
    assert text.endswith(" eV")
    shown = float(text.split()[2].replace("−", "-").replace(",", ""))
    assert shown == pytest.approx(plot.series["energy"].values[0], abs=1e-5, rel=0)


@pytest.mark.parametrize(("time", "frame"), [(0.0, 0), (1.004, 100), (1.006, 101), (-5.0, 0), (1e6, FRAMES - 1)])
@pytest.mark.parametrize("how", ["hover", "click"])
def test_pointing_tells_the_nearest_frame(plot, told, how, time, frame):
    from_page(plot.figure, how, 1, [time])
    assert told == [(how, frame)]


def test_dragging_tells_the_frames_once(plot, told):
    from_page(plot.figure, "selected", 0, [], {"xrange": [2.005, 0.995], "yrange": [0, 1]})
    assert told == [("drag", 100, 201)]


def test_a_drag_between_two_frames_chooses_nothing(plot, told):
    from_page(plot.figure, "selected", 0, [], {"xrange": [0.991, 0.999], "yrange": [0, 1]})
    assert told == []


def test_the_line_stands_at_the_frame_and_the_band_over_the_choice(plot):
    plot.show_frame(150)
    plot.choose(100, 200)
    (band,) = plot.figure.layout.shapes
    assert plot.figure.cursor == pytest.approx(1.5)
    assert plot.picture().layout.shapes[-1].x0 == pytest.approx(1.5)
    assert (band.x0, band.x1, band.visible) == (pytest.approx(1.0), pytest.approx(1.99), True)
    plot.choose(5, 5)
    assert not plot.figure.layout.shapes[0].visible


def test_zooming_draws_every_frame_in_sight(plot):
    assert len(plot.figure.data[0].x) < 3000
    plot.zoom(1000, 1100)
    assert 100 <= len(plot.figure.data[0].x) <= 102
    assert np.allclose(plot.figure.data[0].y, plot.series["temperature"].values[999:1101])
    plot.zoom_out()
    assert plot.figure.data[0].x[-1] == pytest.approx(0.01 * (FRAMES - 1))


def test_what_the_reader_zooms_is_kept_when_a_series_comes(plot):
    plot.zoom(1000, 1100)
    plot.draw({"temperature": plot.series["temperature"]})
    assert len(plot.figure.data) == 1
    assert 100 <= len(plot.figure.data[0].x) <= 102


def test_frames_without_increasing_times_are_counted(told):
    plot = FramePlot(np.zeros(5), lambda frame, how: told.append(frame), print)
    plot.draw({"temperature": Series("temperature", np.arange(5.0))})
    assert plot.figure.layout.xaxis.title.text == "frame"
    from_page(plot.figure, "click", 0, [3.0])
    assert told == [3]


def test_a_single_frame_can_be_drawn(told):
    plot = FramePlot(np.array([0.0]), lambda frame, how: told.append(frame), print)
    plot.draw({"temperature": Series("temperature", np.array([np.nan]))})
    from_page(plot.figure, "click", 0, [0.0])
    assert told == [0]
