"""Every check of ``so3lab doctor``, one function each, in the order in which they are told."""

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import jax
import psutil

from so3lab.doctor.compiler import KNOWN_FAULTS, SOUND_JAX, compiler_selftest
from so3lab.doctor.finding import Finding
from so3lab.machine import paths
from so3lab.machine.c_compiler import OFF, Unavailable, compiled_folder, compiler, library_for
from so3lab.machine.compilation import avoid_known_faults

NGLVIEW = "4.0"
NOTEBOOK_PACKAGES = {"jupyterlab": "4.3", "ipywidgets": "8.1.5", "anywidget": "0.9.18", "plotly": "6.1"}
_ENOUGH_MEMORY_GB, _ENOUGH_DISK_GB = 2.0, 2.0


def check() -> list[Finding]:
    """Look at everything that so3lab needs; takes a few seconds and prints nothing."""
    avoid_known_faults()
    return [
        python(),
        jax_release(),
        devices(),
        compiler_selftest(),
        molecular_viewer(),
        notebook_packages(),
        loops_in_c(),
        allocator(),
        memory(),
        disk(),
        caches(),
    ]


def python() -> Finding:
    """Whether this Python is one that so3lab is tested with."""
    version = platform.python_version()
    fine = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("python", fine, f"Python {version}", "" if fine else "use Python 3.11, 3.12 or 3.13")


def loops_in_c() -> Finding:
    """Whether dynamics on this CPU run in C, which is two to three times as fast as without."""
    if os.environ.get(OFF):
        return Finding("C", None, f"{OFF} is set: dynamics on CPU are left to XLA", f"unset {OFF}")
    if jax.default_backend() != "cpu":
        return Finding("C", True, "not needed on a GPU")
    try:
        library_for("float32", 4, 4)
    except Unavailable as reason:
        message = f"dynamics on CPU run two to three times as slow as they could: {reason}"
        return Finding("C", None, message, "install gcc or clang (Debian: apt install gcc)")
    return Finding("C", True, f"pairs and atoms are computed by a library that {compiler()} made")


def jax_release() -> Finding:
    """Whether jax and jaxlib belong together and are not known to be faulty."""
    here, library = jax.__version__, metadata.version("jaxlib")
    remedy = f'pip install "{SOUND_JAX}"'
    if fault := KNOWN_FAULTS.get(here) or KNOWN_FAULTS.get(library):
        return Finding("jax", False, f"jax {here} with jaxlib {library} must not be used: {fault}", remedy)
    if here != library:
        message = f"jax {here} and jaxlib {library} are different releases"
        return Finding("jax", None, message, remedy)
    return Finding("jax", True, f"jax {here}, jaxlib {library}")


def devices() -> Finding:
    """What JAX computes on, and whether it misses a GPU that is there."""
    cuda = nvidia_cuda()
    try:
        found = jax.devices()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        return Finding("devices", False, f"JAX finds no device: {reason}", _gpu_remedy(cuda))
    names = ", ".join(f"{device.platform}:{device.id} ({device.device_kind})" for device in found)
    if cuda is not None and all(device.platform == "cpu" for device in found):
        if os.environ.get("JAX_PLATFORMS") == "cpu":
            return Finding("devices", None, f"{names}; JAX_PLATFORMS=cpu hides an NVIDIA GPU", "unset JAX_PLATFORMS")
        message = f"an NVIDIA GPU is present but JAX does not see it; it computes on {names}"
        return Finding("devices", False, message, _gpu_remedy(cuda))
    return Finding("devices", True, names)


def nvidia_cuda() -> str | None:
    """CUDA version of the NVIDIA driver (``"12.4"``), ``""`` if it does not say, ``None`` without a GPU."""
    if program := shutil.which("nvidia-smi"):
        try:
            text = subprocess.run([program], capture_output=True, text=True, timeout=20, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            text = ""
        if found := re.search(r"CUDA Version:\s*([\d.]+)", text):
            return found[1]
    return "" if Path("/proc/driver/nvidia/version").exists() else None


def _gpu_remedy(cuda: str | None) -> str:
    if cuda is None:
        return f'pip install "{SOUND_JAX}"'
    if not cuda:
        return 'pip install "so3lab[cuda12]", or "so3lab[cuda13]" if nvidia-smi shows CUDA 13'
    major = int(cuda.split(".")[0])
    if major < 12:
        return f"the driver knows CUDA {cuda} only: update it to one for CUDA 12 or 13"
    extra = "cuda13" if major >= 13 else "cuda12"
    return f'the driver knows CUDA {cuda}: pip install "so3lab[{extra}]"'


def molecular_viewer() -> Finding:
    """Whether nglview's Python side and its JupyterLab extension fit together.

    4.0.1 asks the browser for front-end 4.0 but ships 3.1.5, and draws nothing.
    """
    remedy = f"pip install --force-reinstall nglview=={NGLVIEW}"
    found = _version("nglview")
    if found is None:
        return Finding("viewer", False, "nglview is not installed", remedy)
    if found != NGLVIEW:
        return Finding("viewer", False, f"nglview {found} is installed; {NGLVIEW} is known to draw", remedy)
    asked, present = _nglview_frontend(), _nglview_extension()
    if present is None:
        return Finding("viewer", False, f"nglview {found} is there, its JupyterLab extension is missing", remedy)
    if asked != present:
        message = f"nglview {found} asks for front-end {asked}, but JupyterLab's extension is {present}"
        return Finding("viewer", False, message, remedy)
    return Finding("viewer", True, f"nglview {found} with its JupyterLab extension {present}")


def _nglview_frontend() -> str | None:
    """The front-end version that nglview asks for, read without importing it."""
    spec = importlib.util.find_spec("nglview")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / "_frontend.py"
    found = re.search(r"__frontend_version__\s*=\s*['\"]([^'\"]+)", file.read_text(encoding="utf-8"))
    return found[1] if found else None


def _nglview_extension() -> str | None:
    """Version of the extension that JupyterLab would load."""
    try:
        from jupyter_core.paths import jupyter_path

        folders = jupyter_path("labextensions")
    except ImportError:
        folders = [str(Path(sys.prefix) / "share" / "jupyter" / "labextensions")]
    for folder in folders:
        file = Path(folder) / "nglview-js-widgets" / "package.json"
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8")).get("version")
    return None


def notebook_packages() -> Finding:
    """Whether the packages that draw notebooks are there and new enough."""
    found = {name: _version(name) for name in NOTEBOOK_PACKAGES}
    lacking = [
        f"{name}>={least}"
        for name, least in NOTEBOOK_PACKAGES.items()
        if (version := found[name]) is None or _numbers(version) < _numbers(least)
    ]
    message = ", ".join(f"{name} {version or 'missing'}" for name, version in found.items())
    remedy = "pip install " + " ".join(f'"{wanted}"' for wanted in lacking) if lacking else ""
    return Finding("notebooks", not lacking, message, remedy)


def allocator() -> Finding:
    """Whether the C library keeps freed memory in large pages (up to twice the speed on CPU)."""
    if platform.libc_ver()[0] != "glibc":
        return Finding("allocator", True, "not glibc: nothing to set")
    if "glibc.malloc.hugetlb=1" in os.environ.get("GLIBC_TUNABLES", ""):
        return Finding("allocator", True, "GLIBC_TUNABLES=glibc.malloc.hugetlb=1 is set: freed memory is kept")
    message = (
        "so3lab's commands, and so3lab_widgets in a notebook, tell malloc to keep freed memory; in your own scripts "
        "call so3lab.machine.memory.keep_memory() or set GLIBC_TUNABLES=glibc.malloc.hugetlb=1"
    )
    return Finding("allocator", True, message)


def memory() -> Finding:
    """Free memory."""
    available, total = (getattr(psutil.virtual_memory(), name) / 1e9 for name in ("available", "total"))
    fine = True if available >= _ENOUGH_MEMORY_GB else None
    remedy = "" if fine else "close other programs, or use smaller batches"
    return Finding("memory", fine, f"{available:.1f} of {total:.1f} GB free", remedy)


def disk() -> Finding:
    """Free disk where so3lab keeps downloads, and here."""
    rooms = {}
    for name, folder in (("cache", paths.cache_folder()), ("current folder", Path.cwd())):
        while not folder.exists():
            folder = folder.parent
        rooms[name] = shutil.disk_usage(folder).free / 1e9
    fine = True if min(rooms.values()) >= _ENOUGH_DISK_GB else None
    message = ", ".join(f"{room:.1f} GB free in the {name}" for name, room in rooms.items())
    return Finding("disk", fine, message, "" if fine else "make room, or set SO3LAB_CACHE to another disk")


def caches() -> Finding:
    """Where downloads and compiled programs are kept, and how large they are."""
    folder = paths.cache_folder()
    compiled = getattr(jax.config, "jax_compilation_cache_dir", None) or str(compiled_folder())
    everything, programs = _megabytes(folder), _megabytes(Path(compiled))
    message = f"{folder} holds {everything:.0f} MB; compiled programs in {compiled}, {programs:.0f} MB"
    return Finding("caches", True, message)


def _megabytes(folder: Path) -> float:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total / 1e6


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
