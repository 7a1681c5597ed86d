"""The C compiler of this machine, and where what was compiled for its processor is kept. Knows nothing of JAX.

A command can start it before it imports JAX, which takes as long as compiling does.
"""

import contextlib
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from importlib import metadata
from pathlib import Path

from so3lab.machine import paths

SOURCE = Path(__file__).resolve().parents[1] / "engine" / "kernels" / "source"
OFF = "SO3LAB_NO_KERNELS"
"""Environment variable that, when set, leaves everything to XLA."""
_FLAGS = ("-O3", "-std=c11", "-ffp-contract=fast", "-fPIC", "-shared", "-fvisibility=hidden", "-w")
_TOO_LONG_S = 120.0
_one_at_a_time = threading.Lock()


class Unavailable(RuntimeError):
    """The loops in C cannot be had; the message says why and what would help."""


def compiler() -> str | None:
    """The C compiler: ``$CC``, or the first of cc, gcc and clang that is there."""
    chosen = os.environ.get("CC")
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def variant(dtype: str, heads: int, degrees: int) -> str:
    """What the library for this precision and these numbers of heads and degrees is called."""
    return f"{ {'float32': 'f32', 'float64': 'f64'}[dtype] }_{heads}_{degrees}"


def library_for(dtype: str, heads: int, degrees: int) -> Path:
    """The shared library for this processor, compiled unless an earlier process has left it.

    Raises:
        Unavailable: If there is no compiler, or it fails.
    """
    sources = sorted(SOURCE.glob("*.[ch]"))
    told = [metadata.version("jaxlib"), *_FLAGS, *(path.read_text(encoding="utf-8") for path in sources)]
    name = hashlib.blake2b("\n".join(told).encode(), digest_size=8).hexdigest()
    path = compiled_folder() / "kernels" / f"{name}-{variant(dtype, heads, degrees)}.so"
    with _one_at_a_time:
        if not path.is_file():
            _compile(path, dtype, heads, degrees)
    return path


def compile_ahead() -> None:
    """Start making the usual library in the background; :func:`library_for` then waits for it."""

    def quietly() -> None:
        with contextlib.suppress(Unavailable):  # said when the library is wanted
            library_for("float32", 4, 4)

    if not os.environ.get(OFF):
        threading.Thread(target=quietly, name="so3lab-compile-ahead", daemon=True).start()


def _compile(path: Path, dtype: str, heads: int, degrees: int) -> None:
    program = compiler()
    if program is None:
        raise Unavailable("there is no C compiler; install gcc or clang, or set CC to one")
    jaxlib = importlib.util.find_spec("jaxlib")
    assert jaxlib is not None
    assert jaxlib.origin is not None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / "library.so"
            native = () if sys.platform == "darwin" else ("-march=native",)
            defined = {"VARIANT": variant(dtype, heads, degrees), "HEADS": heads, "DEGREES": degrees}
            command = [program, *_FLAGS, *native, f"-I{Path(jaxlib.origin).with_name('include')}"]
            command += [f"-D{name}={value}" for name, value in defined.items()]
            command += ["-DDOUBLE"] if dtype == "float64" else []
            command += [str(SOURCE / "library.c"), "-o", str(made), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TOO_LONG_S, check=False)
            if done.returncode != 0:
                said = [line for line in done.stderr.splitlines() if "error" in line] or ["it does not say why"]
                raise Unavailable(f"{program} failed: {said[0]}")
            made.replace(path)  # another process may have made the same: either will do
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{program} could not compile into {path.parent}: {error}") from None


def compiled_folder() -> Path:
    """Where programs compiled for this processor are kept."""
    return paths.cache_folder() / "compiled" / processor()


def processor() -> str:
    """A short name for this processor and what it can do; equal names run the same programs."""
    known = [platform.system(), platform.machine(), platform.processor()]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    described = ("vendor_id", "model name", "cpu family", "model", "flags", "Features", "CPU part")
    known += sorted({line for line in lines if line.split("\t")[0].split(":")[0].strip() in described})
    return hashlib.blake2b("\n".join(known).encode(), digest_size=6).hexdigest()
