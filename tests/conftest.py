"""What several test files share: where the shared reference numbers are, and small potentials."""

import os
import threading
from pathlib import Path

# One cache of compiled programs for all tests: JAX reads this at its first import, and workers, commands, notebook
# kernels and JupyterLab inherit it. Programs are filed by their content, so that those of an earlier run are good.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "programs")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")

import pytest
from ase.build import molecule

from so3lab.dynamics.control import Control
from so3lab.machine.compilation import avoid_known_faults
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential

pytest_plugins = ("compile_report",)
avoid_known_faults()  # as the commands do, and before JAX computes anything

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
SMALL = ModelSettings(
    num_features=16, num_layers=2, num_heads=2, degrees=(1, 2), cutoff=4.0, num_radial=8, energy_hidden=8,
    mean_neighbors=6.0, repulsion=True,
)  # fmt: skip


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference numbers that is not part of the product."""
    if not (SHARED / "reference").is_dir():
        pytest.skip("needs the shared reference numbers, which stand beside the repository in development only")
    return SHARED


@pytest.fixture(scope="session")
def potential64() -> Potential:
    """A small random potential in float64."""
    return Potential.initial(SMALL, seed=3, dtype="float64")


@pytest.fixture
def ethanol():
    """A slightly distorted ethanol molecule."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.fixture
def panel():
    """A dynamics panel of ethanol that leaves no thread behind."""
    from so3lab_widgets.panels.dynamics_panel import DynamicsPanel

    before = set(threading.enumerate())
    made = DynamicsPanel("ethanol", "ethanol", control=Control(temperature_K=300.0, friction_per_ps=20.0))
    yield made
    made.close()
    left = {thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("so3lab")}
    assert left == set()
