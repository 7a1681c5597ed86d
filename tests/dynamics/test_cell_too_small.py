"""A cell in which atoms would meet their own images is refused, and one that gets so small ends the run."""

import ase
import numpy as np
import pytest
from argon import ARGON, LJ_CUTOFF
from ase.build import bulk
from ase.cell import Cell

from so3lab.dynamics import Control, Limits, Simulation, SimulationError, run, run_replicas
from so3lab.dynamics.limits import cell_widths
from so3lab.trajectory import Trajectory

SQUEEZED = {"timestep_fs": 2.0, "pressure_GPa": 50.0, "barostat_fs": 100.0, "compressibility_per_GPa": 0.02}


@pytest.fixture
def crystal() -> ase.Atoms:
    """A cube of 9.6 Å, where the cutoff is 9 Å."""
    return bulk("Ar", "fcc", a=4.8, cubic=True).repeat(2)


def test_widths_of_a_slanted_cell_are_those_between_its_faces():
    cell = Cell.fromcellpar([8.0, 9.0, 12.0, 70.0, 80.0, 100.0])
    expected = cell.volume / np.array([np.prod(cell.lengths()) / cell.lengths()[k] for k in range(3)])
    expected /= np.sin(np.radians(cell.angles()))
    np.testing.assert_allclose(cell_widths(np.array([cell[:]])), [expected])


def test_a_cell_too_small_is_refused_at_the_start(crystal, tmp_path):
    small = bulk("Ar", "fcc", a=5.26, cubic=True)
    sentence = r"must measure at least 9 Å across.*first vector it measures 5.26 Å.*repeat\(\(2, 2, 2\)\)"
    with pytest.raises(ValueError, match=sentence):
        list(run(ARGON, small, steps=10, interval=1, out=tmp_path / "run.h5"))
    assert not (tmp_path / "run.h5").exists()
    with pytest.raises(ValueError, match="the cell of structure 1 must"):
        list(run_replicas(ARGON, [crystal, small], steps=10, interval=1))
    slab = bulk("Ar", "fcc", a=5.26, cubic=True).repeat((2, 2, 1))
    slab.pbc = (True, True, False)
    for atoms, limits in ((small.repeat(2), None), (slab, None), (small, Limits(cell_width=None))):
        assert Simulation(ARGON, atoms, limits=limits).advance(1, 2).step.tolist() == [2]


@pytest.mark.parametrize("ensemble", ["npt", "npt-flexible"])
def test_a_cell_that_gets_too_small_under_pressure_ends_the_run_and_keeps_the_frames(ensemble, crystal, tmp_path):
    out, control = tmp_path / "run.h5", Control(60.0, **SQUEEZED)
    limits = Limits(energy_jump=None, heat=None)
    sentence = (
        r"cannot go on: the cell became narrower than 1.0 times the cutoff of the force field at step \d+.*"
        r"measured 9\.\d+ Å along its \w+ vector.*larger cell.*lower pressure_GPa"
    )
    with pytest.raises(SimulationError, match=sentence) as failure:
        list(run(ARGON, crystal, steps=5000, ensemble=ensemble, control=control, interval=2, out=out, limits=limits))
    with Trajectory(out) as kept:
        step = int(str(failure.value).partition("at step ")[2].partition(",")[0])
        assert 4 < step < 5000
        assert kept.steps[-1] == (step - 1) // 2 * 2  # the last frame before it
        narrowest = [cell_widths(np.array([kept[k].cell[:]])).min() for k in (0, -1)]
        assert LJ_CUTOFF <= narrowest[1] < LJ_CUTOFF + 0.2 < narrowest[0]


def test_a_replica_whose_cell_gets_too_small_stays_behind(crystal):
    larger = crystal.repeat((2, 1, 1))
    larger.set_cell(1.5 * larger.cell, scale_atoms=True)  # a gas, which that pressure cannot make so small in that time
    crystal.set_cell(0.95 * crystal.cell, scale_atoms=True)
    control = Control(60.0, **SQUEEZED)
    chunks = run_replicas(
        ARGON,
        [crystal, larger],
        steps=60,
        ensemble="npt",
        control=control,
        interval=2,
        limits=Limits(energy_jump=None, heat=None),
    )
    steps: list[list[int]] = [[], []]
    for of_all in chunks:
        for kept, chunk in zip(steps, of_all, strict=True):
            kept += chunk.step.tolist()
    assert 0 < steps[0][-1] < steps[1][-1] == 60
