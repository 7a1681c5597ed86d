"""What several test files share: where the shared reference numbers are, and small potentials."""

from pathlib import Path

import compiled_programs  # noqa: F401 - before JAX, which reads where its programs are kept at its import
import pytest
from ase.build import molecule

from so3lab.machine.compilation import avoid_known_faults
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential

pytest_plugins = ("compiled_programs", "compile_report")
avoid_known_faults()  # as the commands do, and before JAX computes anything

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
LONG = (
    "tests/browser", "tests/dynamics/test_ensembles.py", "tests/landscape/test_exploring.py",
    "tests/pretrained/test_so3lr.py", "tests/pretrained/test_bundled_models.py", "tests/test_notebooks.py",
    "tests/test_benchmarks.py", "tests/dynamics/test_jax_md.py", "tests/cluster/test_cluster.py",
    "tests/engine/test_hessians.py", "tests/minima/test_truth.py", "tests/minima/test_gfn2.py",
    "tests/app/test_app.py", "tests/training/test_devices.py",
)  # fmt: skip
"""What takes a worker more than a minute, the longest first; ``--costs`` tells how long."""
SMALL = ModelSettings(
    num_features=16, num_layers=2, num_heads=2, degrees=(1, 2), cutoff=4.0, num_radial=8, energy_hidden=8,
    mean_neighbors=6.0, repulsion=True,
)  # fmt: skip


def pytest_itemcollected(item):
    """Whatever lies in the browser's folder needs one."""
    if "browser" in item.path.relative_to(ROOT).parts:
        item.add_marker(pytest.mark.browser)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Workers take a file as a whole, so that its fixtures and programs are made once; the browser's files together.
    What takes long begins first, so that no worker is idle for long at the end."""
    from xdist.scheduler import LoadScopeScheduling

    assert all((ROOT / path).exists() for path in LONG), "LONG names a file of tests that is no more"

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "tests/browser" if path.startswith("tests/browser/") else path

        def _assign_work_unit(self, node) -> None:
            longest = min(self.workqueue, key=lambda scope: LONG.index(scope) if scope in LONG else len(LONG))
            self.workqueue.move_to_end(longest, last=False)
            super()._assign_work_unit(node)

    return ByFile(config, log)


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
