"""Every ensemble in the panel: which sliders it has, and that each of them acts without any compilation."""

import itertools

import numpy as np
import pytest
from argon import ARGON
from ase.build import bulk
from so3lab_widgets.panels.dynamics_panel import DynamicsPanel
from waiting import wait_for

from so3lab.dynamics import compiled_loop
from so3lab.dynamics.control import Control

pytestmark = pytest.mark.study

SLIDERS = {
    "langevin": {"temperature_K": 150.0, "timestep_fs": 1.5, "friction_per_ps": 100.0},
    "nve": {"timestep_fs": 1.5},
    "nose-hoover": {"temperature_K": 150.0, "timestep_fs": 1.5, "thermostat_fs": 20.0},
    "csvr": {"temperature_K": 150.0, "timestep_fs": 1.5, "thermostat_fs": 20.0},
    "npt": {
        "temperature_K": 150.0, "timestep_fs": 1.5, "thermostat_fs": 20.0, "pressure_GPa": 0.5, "barostat_fs": 200.0,
    },
    "npt-flexible": {
        "temperature_K": 150.0, "timestep_fs": 1.5, "thermostat_fs": 20.0, "pressure_GPa": 0.5, "barostat_fs": 200.0,
    },
}  # fmt: skip
"""What each slider is moved to, by ensemble; there are no others."""
FRAMES = 60


def paused(panel: DynamicsPanel) -> None:
    wait_for(lambda: panel.job.state == "paused" or panel.job.ended, "the pause", 240)
    assert not panel.job.ended, panel.job.error


def from_the_start(panel: DynamicsPanel) -> tuple[np.ndarray, float, np.ndarray]:
    """Positions, time and cell some frames after the start, with knobs as they stand."""
    panel.live.go_back(0)
    for chunks in panel.live.run(0.005):
        panel.views.push(panel.live, chunks)
        if panel.live.frames() > FRAMES:
            break
    last = panel.live.frame(0, FRAMES)
    cell = np.zeros((3, 3)) if last.cell is None else last.cell[-1]
    return panel.live.positions()[FRAMES], float(last.time_fs[-1]), cell


@pytest.mark.parametrize("ensemble", SLIDERS)
def test_every_slider_of_an_ensemble_acts_and_compiles_nothing(ensemble):
    control = Control(60.0, timestep_fs=3.0, friction_per_ps=5.0, thermostat_fs=500.0, barostat_fs=1000.0)
    crystal = bulk("Ar", "fcc", a=5.35, cubic=True) * 2
    panel = DynamicsPanel(ARGON, crystal, ensemble=ensemble, control=control, seed=2)
    try:
        paused(panel)
        assert set(panel.steering.sliders) == set(SLIDERS[ensemble])
        drawn = {trace.name for trace in panel.plots.curves.data}
        assert ("thermostat" in drawn) == (ensemble != "nve"), "no thermostat, no curve of its temperature"
        shown = [child.description for child in panel.steering.children if hasattr(child, "readout")]
        first = ["Starts at (K)"] if ensemble == "nve" else []
        assert shown == first + [slider.description for slider in panel.steering.sliders.values()]
        plain = from_the_start(panel)
        programs = compiled_loop.run_chunk._cache_size()
        np.testing.assert_allclose(from_the_start(panel)[0], plain[0], atol=1e-9)
        for name, value in SLIDERS[ensemble].items():
            slider, before = panel.steering.sliders[name], getattr(control, name)
            slider.value = value
            assert getattr(control, name) == pytest.approx(value)
            assert panel.code_line.code == f"panel.control.{name} = {value:g}"
            moved = from_the_start(panel)
            assert np.abs(moved[0] - plain[0]).max() > 1e-6, f"{name} changes where the atoms go"
            if name == "timestep_fs":
                assert moved[1] == pytest.approx(plain[1] * value / before)
            if name == "pressure_GPa":
                assert np.linalg.det(moved[2]) < np.linalg.det(plain[2])
            slider.value = before
            assert getattr(control, name) == pytest.approx(before)
        np.testing.assert_allclose(from_the_start(panel)[0], plain[0], atol=1e-9)
        assert compiled_loop.run_chunk._cache_size() == programs
    finally:
        panel.close()


def test_another_ensemble_that_is_chosen_brings_its_own_sliders():
    crystal = bulk("Ar", "fcc", a=5.35, cubic=True) * 2
    panel = DynamicsPanel(ARGON, crystal, control=Control(60.0))
    try:
        paused(panel)
        for ensemble in ("nve", "npt"):
            panel.form.ensemble.value = ensemble
            panel.start()
            panel.pause()
            paused(panel)
            assert set(panel.steering.sliders) == set(SLIDERS[ensemble])
            assert panel.live.replicas.ensemble == ensemble
            chunks = list(itertools.islice(panel.live.run(0.005), 2))
            assert np.isfinite(chunks[-1][0].total_energy).all()
            panel.stop()
    finally:
        panel.close()
