"""Whether this process has the loops in C: compiled once per processor and release of jaxlib, kept in the cache.

The source is a few hundred lines of C11 with vector extensions (GCC 9 or Clang 12 and later), made for XLA's foreign
function interface, whose header comes with jaxlib. Without a compiler, or on another device, energies are computed by
XLA alone: the same numbers, slower.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from so3lab.compilation import compiled_folder
from so3lab.settings import ModelSettings

SOURCE = Path(__file__).with_name("source")
OFF = "SO3LAB_NO_KERNELS"
"""Environment variable that, when set, leaves everything to XLA."""
_FUNCTIONS = tuple(
    name + back
    for name in ("geometry", "project", "attend", "first", "update", "far")
    for back in ("", "_back")
)
_FLAGS = ("-O3", "-std=c11", "-ffp-contract=fast", "-fPIC", "-shared", "-fvisibility=hidden", "-w")
_TOO_LONG_S = 120.0


class Unavailable(RuntimeError):
    """The loops in C cannot be had; the message says why and what would help."""


def supports(settings: ModelSettings) -> bool:
    """Whether the loops in C are made for networks with these settings."""
    heads, degrees = settings.num_heads, len(settings.degrees)
    return (
        settings.num_features % 16 == 0
        and heads in (1, 2, 4, 8)
        and degrees in (1, 2, 4)
        and settings.qk_activation == "identity"
    )


def ready(dtype: str) -> bool:
    """Whether attention in this precision can run in C: on CPU, with the library at hand or compiled now."""
    if os.environ.get(OFF) or jax.default_backend() != "cpu":
        return False
    try:
        register(dtype)
    except Unavailable:
        return False
    return True


@functools.lru_cache
def register(dtype: str) -> Path:
    """Make the functions of one precision known to XLA; where they come from.

    Raises:
        Unavailable: If there is no compiler, or it fails.
    """
    path = _compiled(dtype)
    library, suffix = ctypes.CDLL(str(path)), _suffix(dtype)
    for name in _FUNCTIONS:
        symbol = f"so3lab_{name}_{suffix}"
        jax.ffi.register_ffi_target(symbol, jax.ffi.pycapsule(getattr(library, symbol)), platform="cpu")
    return path


def _suffix(dtype: str) -> str:
    return {"float32": "f32", "float64": "f64"}[dtype]


def shape_like(array: jax.Array, *sizes: int) -> jax.ShapeDtypeStruct:
    """The shape of a result in an array's precision."""
    return jax.ShapeDtypeStruct(sizes, array.dtype)


def lanes(dtype: str) -> int:
    """Numbers in a vector of the source."""
    return {"float32": 16, "float64": 8}[dtype]


def roomy(rows: jax.Array) -> jax.Array:
    """The same array with rows that fill whole vectors."""
    return jnp.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, -rows.shape[-1] % lanes(rows.dtype.name))])


def sizes_of(heads: int, degrees: tuple[int, ...]) -> np.ndarray:
    """Heads of the features, then the number of orders of each degree, as the source wants them."""
    return np.array([heads, *(2 * degree + 1 for degree in degrees)], np.int32)


def call(name: str, results: tuple[jax.ShapeDtypeStruct, ...], *arguments) -> Sequence[jax.Array]:
    """Results of a function of the library, in the precision of the first of them; for compiled code."""
    symbol = f"so3lab_{name}_{_suffix(results[0].dtype.name)}"
    return jax.ffi.ffi_call(symbol, results)(*arguments)


def compiler() -> str | None:
    """The C compiler: ``$CC``, or the first of cc, gcc and clang that is there."""
    chosen = os.environ.get("CC")
    return (
        shutil.which(chosen)
        if chosen
        else next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    )


def _compiled(dtype: str) -> Path:
    """The shared library for this processor, compiled unless an earlier process has left it."""
    sources = sorted(SOURCE.glob("*.[ch]"))
    told = [metadata.version("jaxlib"), *_FLAGS, *(path.read_text(encoding="utf-8") for path in sources)]
    name = hashlib.blake2b("\n".join(told).encode(), digest_size=8).hexdigest()
    path = compiled_folder() / "kernels" / f"{name}-{_suffix(dtype)}.so"
    if not path.is_file():
        _compile(path, dtype)
    return path


def _compile(path: Path, dtype: str) -> None:
    program = compiler()
    if program is None:
        raise Unavailable("there is no C compiler; install gcc or clang, or set CC to one")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / "library.so"
            native = () if sys.platform == "darwin" else ("-march=native",)
            command = [
                program,
                *_FLAGS,
                *native,
                f"-DSO3LAB_{_suffix(dtype).upper()}",
                f"-I{jax.ffi.include_dir()}",
            ]
            command += [str(SOURCE / "library.c"), "-o", str(made), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TOO_LONG_S, check=False)
            if done.returncode != 0:
                raise Unavailable(f"{program} failed: {done.stderr.strip().splitlines()[:1]}")
            made.replace(path)  # another process may have made the same: either will do
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{program} could not compile into {path.parent}: {error}") from None
