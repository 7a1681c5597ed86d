"""The map of a backbone counts what may be counted, and says of what it is."""

import itertools

import numpy as np
import pytest
from fake_simulation import FakeSimulation
from so3lab_widgets.panels.live_plots import LivePlots

from so3lab.dynamics import Control, Restraint
from so3lab.observables import backbone_torsions, dihedral_degrees, ramachandran
from so3lab.structures import read_structure


@pytest.fixture
def live():
    return FakeSimulation(None, [read_structure("ala3")], control=Control(300.0, timestep_fs=2.0))


@pytest.fixture
def plots(live):
    made = LivePlots(live.replicas.structures[0])
    yield made
    made.close()


def drawn(plots, live, chunks: int = 0) -> tuple[np.ndarray, str]:
    """Squares and words after more chunks."""
    list(itertools.islice(live.run(0.0), chunks))
    plots.forget()
    plots.update(live)
    grid = next(one.z for one in plots.maps.data if one.name == "backbone")
    words = next(one.text for one in plots.maps.layout.annotations if one.name == "counted")
    return np.array(grid, float), words


def expected(live, first: int, residue: int, temperature: float) -> np.ndarray:
    torsions = backbone_torsions(live.replicas.structures[0])[residue]
    positions = live.positions()[first:]
    phi, psi = dihedral_degrees(positions, torsions.phi), dihedral_degrees(positions, torsions.psi)
    table = ramachandran(phi, psi, temperature, bins=30)
    return table.pivot(index="psi_deg", columns="phi_deg", values="free_energy_kcal_mol").to_numpy()


def test_it_says_temperature_residue_and_time_and_counts_one_residue(plots, live):
    empty, words = drawn(plots, live, 10)
    assert not np.isfinite(empty).any()
    assert "settling" in words
    grid, words = drawn(plots, live, 300)
    first = int(np.searchsorted(live.table()["time_fs"], 1000.0))
    np.testing.assert_allclose(grid, expected(live, first, 0, 300.0), atol=1e-9)
    residues = plots.backbone.residues
    assert words.startswith(f"residue 1 of {residues} · 300 K · ")
    assert f"{live.time_ps - 1.0:.1f} ps" in words
    plots.backbone.residue = 1
    np.testing.assert_allclose(drawn(plots, live)[0], expected(live, first, 1, 300.0), atol=1e-9)
    plots.backbone.residue = None
    assert drawn(plots, live)[1].startswith("all residues")


def test_another_temperature_begins_anew_and_leaves_what_was_counted_out(plots, live):
    drawn(plots, live, 300)
    live.control.temperature_K = 600.0
    before = live.frames()
    assert "settling" in drawn(plots, live, 10)[1], "nothing of 300 K is turned into kilocalories at 600 K"
    grid, words = drawn(plots, live, 100)
    times = live.table()["time_fs"].to_numpy()
    first = int(np.searchsorted(times, times[before] + 1000.0))
    assert "600 K" in words
    np.testing.assert_allclose(grid, expected(live, first, 0, 600.0), atol=1e-9)


def test_while_a_bias_acts_there_are_grey_counts_and_no_free_energy(plots, live):
    drawn(plots, live, 100)
    plain = next(one.colorscale for one in plots.maps.data if one.name == "backbone")
    live.control.biases = [Restraint((0, 1), 1.2, 1.0)]
    before = live.frames()
    grid, words = drawn(plots, live, 200)
    assert "no free energy" in words
    trace = next(one for one in plots.maps.data if one.name == "backbone")
    assert trace.colorbar.title.text == "frames"
    assert trace.colorscale != plain
    assert 0 < np.nansum(grid) <= live.frames() - before


def test_constant_energy_has_the_temperature_that_there_is():
    live = FakeSimulation(None, [read_structure("ala2")], ensemble="nve", control=Control(500.0, timestep_fs=2.0))
    live.replicas.ensemble = "nve"
    plots = LivePlots(live.replicas.structures[0], thermostat=False)
    words = drawn(plots, live, 300)[1]
    settled = live.table()["temperature"][live.table()["time_fs"] >= 1000.0]
    assert f"{settled.mean():.0f} K on average" in words
    plots.close()


def test_it_counts_anew_when_told(plots, live):
    drawn(plots, live, 300)
    plots.backbone.from_step = live.replicas.step
    assert not np.isfinite(drawn(plots, live)[0]).any()
    grid, words = drawn(plots, live, 50)
    assert np.isfinite(grid).any()
    assert f"{0.001 * 16 * 99:.1f} ps" in words, "of a hundred frames, 16 fs apart"
