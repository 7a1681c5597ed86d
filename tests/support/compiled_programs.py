"""How tests compile: into one cache on disk, and, where tests are many and programs run briefly, without optimisation.

Most of the time of a test that computes is XLA compiling. Without its optimisations it compiles five times as fast, to
programs that are slower and say the same. Whatever is marked (``study``, ``process``, ``notebook``, ``browser``) runs
the programs that people run, unless it asks for ``quick_children``; ``--real-programs`` does so for any selection.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

QUICK = (
    "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
)
_CHOSEN = "SO3LAB_TESTS_XLA_FLAGS"

# JAX reads this at its first import, and workers, commands, notebook kernels and JupyterLab inherit it. Programs are
# filed by their content and by XLA's flags, so that those of an earlier run are good.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[2] / ".pytest_cache" / "programs"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")


def programs_of(function: Callable) -> int:
    """How many programs of a function under ``jax.jit`` this process holds; JAX tells it in private alone."""
    return function._cache_size()  # type: ignore[attr-defined]


def pytest_addoption(parser):
    parser.addoption("--real-programs", action="store_true", help="compile as people do, with all optimisations")


def pytest_configure(config):
    """Before anything is computed: XLA reads its flags once."""
    if "not study" in (config.option.markexpr or "") and not config.getoption("--real-programs"):
        os.environ["XLA_FLAGS"] = _with_quick(os.environ.get("XLA_FLAGS", ""))


@pytest.fixture
def quick_children(request, monkeypatch):
    """Programs that a test starts compile without optimisation, where it compares them with each other alone."""
    import jax

    jax.devices()  # this process reads its own flags before
    if not request.config.getoption("--real-programs"):
        monkeypatch.setenv("XLA_FLAGS", _with_quick(os.environ.get("XLA_FLAGS", "")))


def _with_quick(flags: str) -> str:
    """XLA's flags, and those that leave optimisation out, where XLA knows them: it ends a process whose flags it does
    not know, and flags come and go."""
    if _CHOSEN not in os.environ:  # workers inherit the choice
        environment = {**os.environ, "XLA_FLAGS": QUICK, "JAX_PLATFORMS": "cpu"}
        tried = subprocess.run(
            [sys.executable, "-c", "import jax; jax.devices()"], env=environment, capture_output=True, check=False
        )
        os.environ[_CHOSEN] = QUICK if tried.returncode == 0 else ""
    chosen = os.environ[_CHOSEN]
    return flags if chosen in flags else f"{flags} {chosen}".strip()
