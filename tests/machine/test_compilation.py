"""How JAX compiles for us: kept on disk, not too much of it, and without a fusion that is wrong."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest
from compiled_programs import programs_of

from so3lab.engine.energy_model import precision
from so3lab.machine import c_compiler, compilation
from so3lab.potential.potential import predict_graph


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))  # restored afterwards


@pytest.mark.parametrize(
    ("version", "guarded"),
    [
        ("0.9.0", False),
        ("0.9.2", True),
        ("0.10.1", True),
        ("0.10.2", True),
        ("0.11.2", False),
        ("1.0", False),
    ],
)
def test_the_wrong_fusion_is_switched_off_where_it_is_wrong(monkeypatch, version, guarded):
    jax.devices()  # XLA reads its flags here, and would end a process at one that it does not know
    monkeypatch.setattr(compilation.metadata, "version", lambda package: version)
    monkeypatch.setenv("XLA_FLAGS", "--mine=1")
    compilation.avoid_known_faults()
    assert os.environ["XLA_FLAGS"] == "--mine=1"  # too late in this process
    monkeypatch.setattr(compilation, "xla_has_started", lambda: False)
    compilation.avoid_known_faults()
    compilation.avoid_known_faults()
    flags = os.environ["XLA_FLAGS"]
    assert flags.startswith("--mine=1")
    assert flags.count("ynn_fusion_type") == int(guarded)


@pytest.fixture
def jax_cache_settings():
    names = (
        "jax_enable_compilation_cache",
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", True)
    compilation.compilation_cache.reset_cache()  # JAX remembers whether the cache is used
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation.compilation_cache.reset_cache()


@pytest.mark.usefixtures("jax_cache_settings")
def test_compiled_programs_are_kept_on_disk(tmp_path, monkeypatch):
    jax.jit(lambda x: x + 1)(1.0)  # JAX has compiled before
    folder = compilation.enable_compilation_cache()
    assert folder == tmp_path / "cache" / "compiled" / c_compiler.processor()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.jit(lambda x: np.pi * x**3 + 0.123)(2.0)
    assert any(file.name.startswith("jit_") for file in folder.iterdir())
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path / "other"))
    assert compilation.enable_compilation_cache() == folder  # a folder once chosen stays


@pytest.mark.usefixtures("jax_cache_settings")
def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path / "file"))
    assert compilation.enable_compilation_cache() is None
    assert jax.config.jax_compilation_cache_dir is None


def test_programs_are_forgotten_before_linux_ends_the_process(monkeypatch, potential64, ethanol):
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux limits the memory maps of a process")
    before = potential64(ethanol)
    held = len(maps.read_text().splitlines())
    assert programs_of(predict_graph) > 0
    monkeypatch.setattr(compilation, "_SHARE_OF_MAPS", 0.0)
    jax.jit(lambda x: x + 2)(1.0)  # a compilation counts
    monkeypatch.undo()
    assert programs_of(predict_graph) > 0  # not while others may be at work
    with precision("float64"):
        assert programs_of(predict_graph) == 0
        assert len(maps.read_text().splitlines()) < held - 100
    np.testing.assert_array_equal(potential64(ethanol).forces, before.forces)
