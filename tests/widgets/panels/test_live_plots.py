"""Live curves show what is remembered: few points of a long past, gaps where angles jump, nothing that is not there."""

import itertools

import numpy as np
import pytest
from ase.build import molecule
from fake_simulation import DRIFT, FakeSimulation
from plot_page import from_page
from so3lab_widgets.panels.live_plots import LivePlots

from so3lab.structures import read_structure


@pytest.fixture
def live():
    made = FakeSimulation(None, [molecule("CH3CH2OH")])
    for _ in itertools.islice(made.run(0.0), 400):
        pass
    return made


@pytest.fixture
def plots(live):
    made = LivePlots(live.replicas.structures[0])
    yield made
    made.close()


def trace(plots: LivePlots, name: str):
    return next(one for one in (*plots.curves.data, *plots.maps.data) if one.name == name)


def test_curves_are_true_points_of_the_past_and_few_of_them(live, plots):
    plots.update(live)
    table = live.table()
    drawn = trace(plots, "temperature")
    assert 100 < len(drawn.x) <= 250 < len(table)
    known = dict(
        zip((0.001 * table["time_fs"]).astype(np.float32), table["temperature"].astype(np.float32), strict=True)
    )
    assert all(known[np.float32(x)] == np.float32(y) for x, y in zip(drawn.x, drawn.y, strict=True))
    assert trace(plots, "potential").y[0] == 0.0, "energies count from the first one"
    assert len(trace(plots, "spectrum").x) > 10


def test_what_is_picked_is_drawn_with_its_name_until_it_is_picked_no_more(live, plots):
    plots.update(live, picked=(0, 1))
    drawn = trace(plots, "picked")
    assert plots.curves.layout.yaxis4.title.text == "distance C0–C1<br>(Å)"
    assert drawn.y[0] == pytest.approx(live.measure((0, 1), frames=slice(0, 1))[0], abs=1e-6)
    plots.update(live)
    assert len(drawn.y) == 0


def test_the_row_of_what_is_picked_is_there_while_something_is(live, plots):
    def heights() -> list[float]:
        axes = [plots.curves.layout[f"yaxis{row}"].domain for row in ("", 2, 3, 4)]
        return [high - low for low, high in axes]

    hint = next(one for one in plots.curves.layout.annotations if "pick 2 to 4 atoms" in one.text)
    plots.update(live, picked=(0, 1, 2))
    assert np.ptp(heights()) < 1e-9
    assert not hint.visible
    plots.update(live)
    assert heights()[3] < 0.1 * heights()[0]
    assert hint.visible
    assert not plots.curves.layout.yaxis4.visible


def test_a_line_follows_the_pointer_and_a_click_tells_the_moment(live):
    moments = []
    plots = LivePlots(live.replicas.structures[0], on_time=moments.append)
    plots.update(live)
    plots.stand_at(0.25)
    assert plots.curves.cursor_follows
    from_page(plots.curves, "hover", 0, [0.1])
    assert plots.curves.cursor == 0.25, "where it stands once the pointer is gone"
    from_page(plots.curves, "click", 1, [0.2])
    assert moments == [0.2]
    plots.stand_at(None)
    assert plots.curves.cursor is None
    plots.close()


def test_what_is_out_of_sight_is_drawn_seldom_and_anew_when_it_is_wanted(live, plots):
    plots.curves.in_sight = plots.maps.in_sight = False
    plots.update(live)
    before = [trace(plots, name).x[-1] for name in ("temperature", "potential")]
    list(itertools.islice(live.run(0.0), 50))
    plots.update(live)
    assert [trace(plots, name).x[-1] for name in ("temperature", "potential")] == before
    plots.forget()
    plots.update(live)
    assert trace(plots, "temperature").x[-1] > before[0]
    plots.curves.in_sight = True
    newest = trace(plots, "temperature").x[-1]
    list(itertools.islice(live.run(0.0), 50))
    plots.update(live)
    assert trace(plots, "temperature").x[-1] > newest


def test_a_dihedral_at_the_end_of_the_circle_is_cut_where_it_jumps(live, plots):
    planar = (0, 1, 2, 3)  # H-O-C-C of this molecule is at 180 degrees
    values = live.measure(planar)
    assert np.abs(np.diff(values)).max() > 180.0
    plots.update(live, picked=planar)
    drawn = np.asarray(trace(plots, "picked").y, float)
    assert np.isnan(drawn).any()
    steps = np.abs(np.diff(drawn))
    assert np.nanmax(steps) < 180.0


@pytest.mark.parametrize("thermostat", [True, False])
def test_there_is_a_curve_of_the_thermostat_where_there_is_one(live, thermostat):
    plots = LivePlots(live.replicas.structures[0], thermostat=thermostat)
    plots.update(live)
    assert ("thermostat" in {one.name for one in plots.curves.data}) == thermostat
    plots.close()


def test_a_peptide_has_a_map_of_its_backbone_and_others_have_none(plots):
    peptide = LivePlots(read_structure("ala2"))
    assert "backbone" in {one.name for one in peptide.maps.data}
    assert "backbone" not in {one.name for one in plots.maps.data}
    peptide.close()


def test_the_conserved_energy_has_a_row_of_its_own_per_atom_with_its_slope(live, plots):
    plots.update(live)
    drawn, table = trace(plots, "conserved"), live.table()
    of_last = 1000.0 * DRIFT * table["time_fs"].iloc[-1] / 9
    assert drawn.y[-1] == pytest.approx(of_last, rel=0.02), "meV for each of nine atoms"
    assert drawn.yaxis not in {trace(plots, name).yaxis for name in ("total", "potential", "temperature", "picked")}
    words = next(one.text for one in plots.curves.layout.annotations if one.name == "drift")
    assert f"slope {1e6 * DRIFT / 9:.2g} meV/atom/ps" in words


def test_the_total_energy_holds_that_of_biases(live, plots, monkeypatch):
    whole = live.table()
    biased = whole.assign(bias_energy=np.linspace(0.0, 1.0, len(whole)))
    monkeypatch.setattr(live, "table", lambda number=0: biased)
    plots.update(live)
    sum_of_all = biased["potential_energy"] + biased["kinetic_energy"] + biased["bias_energy"]
    shown = biased["potential_energy"].iloc[0] + trace(plots, "total").y[-1]
    assert shown == pytest.approx(sum_of_all.iloc[-1], abs=0.02)
