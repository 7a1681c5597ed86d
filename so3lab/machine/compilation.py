"""How JAX compiles for us: without a fusion that is wrong, once, since programs are kept on disk, and not too many."""

import os
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from so3lab.machine.c_compiler import compiled_folder

_WORTH_KEEPING_SECONDS = 0.1
# Single products may go to YNNPACK: they are right and fast; products fused with sums may not.
_SOUND_YNN_FUSION = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
_WRONG_YNN_FUSION = ((0, 9, 1), (0, 11))
_COMPILED = "/jax/core/compile/backend_compile_duration"  # JAX's event
_MAPS, _MOST_MAPS = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
_SHARE_OF_MAPS = 0.6


def avoid_known_faults() -> None:
    """Switch off the fusion that makes jaxlib 0.9.1 to 0.10.2 compute wrong numbers on CPU.

    Those releases hand a matrix product followed by a sum to YNNPACK as one kernel, and for some
    shapes it returns wrong values behind element 32,768 (in 0.10.2 also behind 16,384 in float64;
    https://github.com/jax-ml/jax/issues/39103). Other releases are left alone. XLA reads the flag
    once, so call this before JAX computes anything. Later it does nothing: a flag that is set but
    not in force would file wrong programs under the right key in JAX's compilation cache.
    """
    if xla_has_started():
        return
    version = tuple(int(number) for number in re.findall(r"\d+", metadata.version("jaxlib"))[:3])
    flags = os.environ.get("XLA_FLAGS", "")
    first, end = _WRONG_YNN_FUSION
    if first <= version < end and "xla_cpu_experimental_ynn_fusion_type" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_SOUND_YNN_FUSION}".strip()


def on_device(arrays: Any, dtype: str | type | None = None) -> Any:
    """Copies of NumPy arrays, alone or in a tree, as JAX's; unlike ``jnp.asarray`` this compiles nothing.

    Args:
        arrays: Arrays and numbers, alone or in a tree; a list is a tree.
        dtype: What to convert all of them to; default: left as they are, in the precision that JAX is set to.
    """
    return jax.device_put(jax.tree.map(lambda x: np.array(x, dtype), arrays))


def xla_has_started() -> bool:
    """Whether JAX has computed here, so that XLA's flags have been read."""
    try:
        from jax._src.xla_bridge import backends_are_initialized
    except ImportError:  # not public: better to try than to fail
        return False
    return backends_are_initialized()


class _Programs:
    """Whether this process holds so many compiled programs that they must be forgotten."""

    watched = False
    too_many = False


def limit_programs() -> None:
    """Forget compiled programs when a process holds nearly as many as Linux allows it.

    XLA's programs for CPU take three memory maps for every kernel, some 600 for an energy with its forces, and
    JAX keeps them all. Linux gives a process 65,530 and then ends it with a segmentation fault, after about a
    hundred programs: as many as there are shapes of structures in a long session. Call this where programs are
    about to be used; the count is taken after each compilation only.
    """
    if not _Programs.watched:
        _Programs.watched = True
        jax.monitoring.register_event_duration_secs_listener(_count_maps)
    if _Programs.too_many:
        _Programs.too_many = False
        jax.clear_caches()


def _count_maps(event: str, duration_secs: float, **kwargs: str | int) -> None:
    """Look at the number of memory maps after a compilation; other systems than Linux do not limit them."""
    if event == _COMPILED and _MAPS.exists():
        with _MAPS.open("rb") as maps:
            _Programs.too_many = sum(1 for _ in maps) > _SHARE_OF_MAPS * int(_MOST_MAPS.read_text())


def enable_compilation_cache() -> Path | None:
    """Switch on JAX's persistent compilation cache for this process.

    A folder that the user chose (``JAX_COMPILATION_CACHE_DIR``) stays. Each kind of processor gets a
    folder of its own: homes are shared between machines, compiled programs must not be.

    Returns:
        The folder, or ``None`` if it cannot be written: then programs are compiled at each start.
    """
    if chosen := getattr(jax.config, "jax_compilation_cache_dir", None):
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
