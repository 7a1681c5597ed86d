"""The doctor: wrong compilers, missing devices and broken notebook stacks are named with their cure."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from so3lab import doctor
from so3lab.doctor import checks, compiler

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))  # restored afterwards


def as_numpy_computes(probe, matrix, rows, device):
    return probe.expected(matrix.astype(np.float64), rows.astype(np.float64))


def with_a_wrong_tail(probe, matrix, rows, device):
    """What jaxlib 0.10.1 does: rows behind element 32,768 belong to other rows."""
    right = as_numpy_computes(probe, matrix, rows, device)
    return np.concatenate([right[:32_768], right[: max(0, len(right) - 32_768)]])


# --- the compiler ------------------------------------------------------------------------------

SELFTEST = """
import jax
from so3lab.machine.compilation import xla_has_started
from so3lab.doctor import compiler_selftest, require_sound_compiler
assert not xla_has_started()
require_sound_compiler()
assert xla_has_started()
print(compiler_selftest())
"""


@pytest.mark.process
def test_the_jax_that_is_installed_computes_right_numbers(tmp_path):
    """In a process of its own, as the commands do it: XLA reads its flags once."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    result = subprocess.run([sys.executable, "-c", SELFTEST], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert "ok=True" in result.stdout
    assert len(json.loads((tmp_path / "cache" / "compiler-selftest.json").read_text())) == 1


def test_a_wrong_tail_is_found_and_refused(monkeypatch):
    monkeypatch.setattr(compiler, "_compute", with_a_wrong_tail)
    finding = doctor.compiler_selftest()
    assert finding.ok is False
    assert "float32 on cpu, 1 of 32769 values differ from NumPy's, the first at 32768" in finding.message
    with pytest.raises(RuntimeError, match=r'Nothing was computed; .*pip install "jax>=0\.10\.1'):
        doctor.require_sound_compiler()
    monkeypatch.setattr(compiler, "_compute", as_numpy_computes)
    doctor.require_sound_compiler()  # a failure is not remembered


def test_one_wrong_or_missing_number_is_enough(monkeypatch):
    for wrong in (np.nan, 1e3):

        def compute(probe, matrix, rows, device, wrong=wrong):
            right = as_numpy_computes(probe, matrix, rows, device)
            if probe is compiler.PROBES[-1] and rows.dtype == np.float64:
                right[-1] = wrong
            return right

        monkeypatch.setattr(compiler, "_compute", compute)
        assert "frames of a loop, float64" in doctor.compiler_selftest().message


def test_a_passed_selftest_is_remembered_for_this_jax(monkeypatch, tmp_path):
    calls = []

    def compute(*arguments):
        calls.append(1)
        return as_numpy_computes(*arguments)

    monkeypatch.setattr(compiler, "_compute", compute)
    doctor.require_sound_compiler()
    first = len(calls)
    assert first > 0
    doctor.require_sound_compiler()
    assert len(calls) == first
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_something=1 --xla_cpu_experimental_ynn_fusion_type=")
    doctor.require_sound_compiler()  # other flags, another compiler
    assert len(calls) == 2 * first
    (tmp_path / "cache" / "compiler-selftest.json").write_text("{broken")
    doctor.require_sound_compiler()
    assert len(calls) == 3 * first


def test_known_faults_are_named(monkeypatch):
    assert checks.jax_release().ok is True
    monkeypatch.setattr(jax, "__version__", "0.10.2")
    finding = checks.jax_release()
    assert finding.ok is False
    assert "wrong numbers" in finding.message


def test_the_doctor_agrees_with_the_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"]
    assert doctor.SOUND_JAX in wanted
    assert f"nglview=={checks.NGLVIEW}" in wanted
    for name, least in checks.NOTEBOOK_PACKAGES.items():
        assert f"{name}>={least}" in wanted
    for fault in compiler.KNOWN_FAULTS:
        assert f"!={fault}" in doctor.SOUND_JAX


# --- devices -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cuda", "remedy"),
    [("12.4", "so3lab[cuda12]"), ("13.0", "so3lab[cuda13]"), ("11.8", "update"), ("", "nvidia-smi shows")],
)
def test_a_gpu_that_jax_does_not_see_is_reported(monkeypatch, cuda, remedy):
    monkeypatch.setattr(checks, "nvidia_cuda", lambda: cuda)
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(platform="cpu", id=0, device_kind="cpu")])
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    finding = checks.devices()
    assert finding.ok is False
    assert "an NVIDIA GPU is present but JAX does not see it" in finding.message
    assert remedy in finding.remedy
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert checks.devices().ok is None


def test_no_gpu_is_fine_and_a_seen_gpu_is_named(monkeypatch):
    monkeypatch.setattr(checks, "nvidia_cuda", lambda: None)
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(platform="cpu", id=0, device_kind="cpu")])
    assert checks.devices().ok is True
    monkeypatch.setattr(checks, "nvidia_cuda", lambda: "12.4")
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(platform="gpu", id=0, device_kind="A100")])
    assert checks.devices() == doctor.Finding("devices", True, "gpu:0 (A100)")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script as nvidia-smi")
def test_the_driver_says_which_cuda_it_knows(monkeypatch, tmp_path):
    script = tmp_path / "nvidia-smi"
    script.write_text('#!/bin/sh\necho "| NVIDIA-SMI 550.54  Driver Version: 550.54  CUDA Version: 12.4  |"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert checks.nvidia_cuda() == "12.4"


# --- notebooks and room ------------------------------------------------------------------------


def test_the_viewer_that_is_installed_can_draw():
    finding = checks.molecular_viewer()
    assert finding.ok is True, finding


@pytest.mark.parametrize(
    ("version", "extension", "message"),
    [
        ("4.0.1", "3.1.5", "nglview 4.0.1 is installed; 4.0 is known to draw"),
        ("4.0", None, "extension is missing"),
        ("4.0", "2.0", "asks for front-end 3.1.5, but JupyterLab's extension is 2.0"),
        (None, None, "not installed"),
    ],
)
def test_a_viewer_that_cannot_draw_is_reported(monkeypatch, version, extension, message):
    monkeypatch.setattr(checks, "_version", lambda package: version)
    monkeypatch.setattr(checks, "_nglview_frontend", lambda: "3.1.5")
    monkeypatch.setattr(checks, "_nglview_extension", lambda: extension)
    finding = checks.molecular_viewer()
    assert finding.ok is False
    assert message in finding.message
    assert "nglview==4.0" in finding.remedy


def test_old_and_missing_notebook_packages_are_reported(monkeypatch):
    assert checks.notebook_packages().ok is True
    versions = {"jupyterlab": "4.2.9", "ipywidgets": "8.1.10", "anywidget": None, "plotly": "6.1.0rc1"}
    monkeypatch.setattr(checks, "_version", versions.get)
    finding = checks.notebook_packages()
    assert finding.ok is False
    assert finding.remedy == 'pip install "jupyterlab>=4.3" "anywidget>=0.9.18"'


def test_the_allocator_setting_is_told(monkeypatch):
    if checks.platform.libc_ver()[0] != "glibc":
        pytest.skip("not glibc")
    monkeypatch.setenv("GLIBC_TUNABLES", "a=1:glibc.malloc.hugetlb=1")
    assert "is set" in checks.allocator().message
    monkeypatch.delenv("GLIBC_TUNABLES")
    assert "keep_memory()" in checks.allocator().message


def test_little_room_is_a_warning(monkeypatch):
    monkeypatch.setattr(checks.psutil, "virtual_memory", lambda: SimpleNamespace(available=5e8, total=8e9))
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e8))
    assert checks.memory() == doctor.Finding(
        "memory", None, "0.5 of 8.0 GB free", "close other programs, or use smaller batches"
    )
    assert checks.disk().ok is None
    assert "SO3LAB_CACHE" in checks.disk().remedy


def test_caches_are_measured(tmp_path):
    (tmp_path / "cache" / "data").mkdir(parents=True)
    (tmp_path / "cache" / "data" / "set.npz").write_bytes(bytes(3_000_000))
    assert f"{tmp_path / 'cache'} holds 3 MB" in checks.caches().message


def test_a_missing_compiler_is_told_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setenv("SO3LAB_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    finding = checks.loops_in_c()
    assert finding.ok is None
    assert "there is no C compiler" in finding.message
    assert "gcc" in finding.remedy


def test_every_check_answers_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(compiler, "_compute", as_numpy_computes)
    findings = doctor.check()
    assert len({finding.name for finding in findings}) == len(findings) == 11
    assert all(finding.message and "\n" not in finding.message for finding in findings)
    assert all(finding.remedy for finding in findings if finding.ok is False)
    assert capsys.readouterr() == ("", "")
