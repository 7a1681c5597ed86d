"""How compiled programs are kept on disk, so that only the first start of a model has to wait."""

import hashlib
import platform
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from so3lab import resources

_WORTH_KEEPING_SECONDS = 0.1


def enable_compilation_cache() -> Path | None:
    """Switch on JAX's persistent compilation cache for this process.

    A folder that the user chose (``JAX_COMPILATION_CACHE_DIR``) stays. Each kind of processor gets a
    folder of its own: homes are shared between machines, compiled programs must not be.

    Returns:
        The folder, or ``None`` if it cannot be written: then programs are compiled at each start.
    """
    if chosen := jax.config.read("jax_compilation_cache_dir"):
        return Path(chosen)
    folder = compiled_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING_SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    compilation_cache.reset_cache()  # JAX decides at its first compilation, which may have been before
    return folder


def compiled_folder() -> Path:
    """Where :func:`enable_compilation_cache` keeps the programs of this processor."""
    return resources.cache_folder() / "compiled" / processor()


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
