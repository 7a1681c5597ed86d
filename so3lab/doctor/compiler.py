"""Does this JAX compute right numbers: some releases silently do not, so we ask before we compute.

jaxlib 0.9.1 to 0.10.2 return wrong values in the tail of a jitted, vmapped matrix-vector product followed
by a reduction on CPU (https://github.com/jax-ml/jax/issues/39103; measured here: 0.10.1 and 0.9.2 in
float32, 0.10.2 in both precisions, 0.9.0 and 0.11.0 to 0.12.0 in neither). ``avoid_known_faults`` switches
the guilty fusion off before XLA starts. Some successors have faults of their own (:data:`KNOWN_FAULTS`).
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from so3lab.doctor.finding import Finding
from so3lab.machine import paths
from so3lab.machine.c_compiler import processor
from so3lab.machine.compilation import avoid_known_faults
from so3lab.machine.files import atomic_write

SOUND_JAX = "jax>=0.10.1,!=0.10.2,!=0.11.0,!=0.11.1"
"""The releases that so3lab accepts, as in its dependencies."""

KNOWN_FAULTS = {
    "0.10.2": "it computes wrong numbers on CPU (jax issue 39103)",
    "0.11.0": "it crashes or hangs in some reductions on CPU (jax issue 39257)",
    "0.11.1": "loops that collect frames take quadratic time on CPU, and it is wrong on some GPUs (40633)",
}

# Around the block sizes at which the known faults begin, and well beyond them.
SIZES = (16_385, 32_769, 40_000, 100_000)
_TOLERANCE = {"float32": 1e-4, "float64": 1e-11}


class Probe(NamedTuple):
    """A function to compile, and the same in NumPy; both map a (3, 3) matrix and (n, 3) rows."""

    name: str
    compute: Callable
    expected: Callable
    sizes: tuple[int, ...]


def _squared_lengths(matrix, rows):
    return jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2))(rows)


def _sums(matrix, rows):
    return jax.vmap(lambda row: jnp.sum(matrix @ row))(rows)


def _neighbour_forces(matrix, rows):
    """Gradient through a gather and a segment sum, as in every force field."""
    centres = jnp.arange(len(rows)) // 3

    def energy(rows):
        differences = rows[jnp.roll(jnp.arange(len(rows)), 1)] - rows
        return jnp.sum(jax.ops.segment_sum((differences @ matrix.T) ** 2, centres, len(rows)))

    return jax.grad(energy)(rows)


def _expected_neighbour_forces(matrix, rows):
    differences = np.roll(rows, 1, axis=0) - rows
    by_difference = 2 * differences @ matrix.T @ matrix
    return np.roll(by_difference, -1, axis=0) - by_difference


def _collected_steps(matrix, rows):
    """A scan that collects frames, as in every simulation."""
    start = jnp.zeros(3, rows.dtype)
    return jax.lax.scan(lambda state, row: (0.5 * state + row,) * 2, start, rows[:257])[1] @ matrix


def _expected_collected_steps(matrix, rows):
    state, frames = np.zeros(3), []
    for row in rows[:257]:
        state = 0.5 * state + row
        frames.append(state)
    return np.array(frames) @ matrix


PROBES = (
    Probe(
        "matrix-vector products, squared and summed",
        _squared_lengths,
        lambda matrix, rows: ((rows @ matrix.T) ** 2).sum(1),
        SIZES,
    ),
    Probe("matrix-vector products, summed", _sums, lambda matrix, rows: (rows @ matrix.T).sum(1), (40_000,)),
    Probe("forces on neighbours", _neighbour_forces, _expected_neighbour_forces, (16_385,)),
    Probe("frames of a loop", _collected_steps, _expected_collected_steps, (300,)),
)


def compiler_selftest() -> Finding:
    """Compare compiled functions with NumPy in both precisions; takes a few seconds.

    Tests JAX as it runs in this process, on its default device, and on the CPU if that is another
    one. (``require_sound_compiler`` and ``check`` first switch off what is known to be wrong, which
    has an effect until JAX computes something.)
    """
    versions = f"jax {jax.__version__}, jaxlib {metadata.version('jaxlib')}"
    for device in {device.platform: device for device in (jax.devices()[0], jax.devices("cpu")[0])}.values():
        for dtype in ("float32", "float64"):
            for probe in PROBES:
                for size in probe.sizes:
                    if fault := _fault(probe, size, dtype, device):
                        return Finding(
                            "compiler",
                            False,
                            f"{versions} computes wrong numbers: {fault}",
                            _remedy(),
                        )
    return Finding("compiler", True, f"{versions} computes what NumPy computes, in both precisions")


def require_sound_compiler() -> None:
    """Refuse to go on with a JAX that computes wrong numbers.

    A passed test is remembered in so3lab's cache folder for this JAX, processor and devices, so
    that later starts cost nothing.

    Raises:
        RuntimeError: If :func:`compiler_selftest` fails; says which JAX to install.
    """
    avoid_known_faults()
    memory = paths.cache_folder() / "compiler-selftest.json"
    key = _environment()
    if key in _remembered(memory):
        return
    finding = compiler_selftest()
    if not finding.ok:
        raise RuntimeError(f"{finding.message}. Nothing was computed; {finding.remedy}")
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
        memory.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(memory) as file:
            file.write_text(json.dumps([*_remembered(memory), key][-20:], indent=1), encoding="utf-8")


def _remedy() -> str:
    """Another JAX, or an earlier word to this one."""
    reinstall = f'install another JAX: pip install "{SOUND_JAX}"'
    if metadata.version("jaxlib") in KNOWN_FAULTS or "ynn_fusion_type" in os.environ.get("XLA_FLAGS", ""):
        return reinstall
    return (
        "restart Python and call so3lab.doctor.require_sound_compiler() before JAX computes anything: it "
        f"switches the wrong optimisation off; if that does not help, {reinstall}"
    )


def _fault(probe: Probe, size: int, dtype: str, device: Any) -> str | None:
    """A sentence about what is wrong, if anything is."""
    generator = np.random.default_rng(size)
    matrix = generator.normal(size=(3, 3)).astype(dtype)
    rows = generator.normal(size=(size, 3)).astype(dtype)
    computed = _compute(probe, matrix, rows, device)
    expected = probe.expected(matrix.astype(np.float64), rows.astype(np.float64))
    errors = np.abs(computed - expected) / np.abs(expected).max()
    wrong = np.flatnonzero(~(errors < _TOLERANCE[dtype]).reshape(len(expected), -1).all(1))
    if not len(wrong):
        return None
    return (
        f"in {probe.name}, {dtype} on {device.platform}, {len(wrong)} of {len(expected)} values differ "
        f"from NumPy's, the first at {wrong[0]}"
    )


def _compute(probe: Probe, matrix: np.ndarray, rows: np.ndarray, device: Any) -> np.ndarray:
    with _precision(matrix.dtype), jax.default_device(device), jax.default_matmul_precision("highest"):
        return np.asarray(jax.jit(probe.compute)(matrix, rows))


@contextlib.contextmanager
def _precision(dtype: np.dtype) -> Iterator[None]:
    with jax.enable_x64(dtype == np.float64):
        yield


def _environment() -> str:
    """Everything the result of the self-test depends on."""
    plugins = sorted(
        f"{name} {distribution.version}"
        for distribution in metadata.distributions()
        if (name := distribution.metadata["Name"] or "").startswith(("jax", "jaxlib"))
    )
    devices = sorted({device.device_kind for device in jax.devices()})
    return " | ".join([*plugins, *devices, processor(), os.environ.get("XLA_FLAGS", "")])


def _remembered(memory: Path) -> list[str]:
    try:
        keys = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return keys if isinstance(keys, list) else []
