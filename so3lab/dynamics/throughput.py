"""How fast does this machine simulate a structure: alone, and with more and more replicas in one batch?"""

import sys
import time
from collections.abc import Generator
from typing import NamedTuple

import ase
import jax
import numpy as np
import psutil

from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import Ensemble
from so3lab.dynamics.limits import Limits
from so3lab.dynamics.replicas import Replicas, SimulationError
from so3lab.engine.energy_model import EnergyModel
from so3lab.machine.processes import usable_cores
from so3lab.potential.potential import Potential

GROWTH = 0.05
"""Relative gain of atom-steps per second below which more replicas are not worth it."""
SHARE_OF_MEMORY = 0.5
"""Of the memory that is free at the start, which the next row may be expected to take."""
SHARE_OF_TIME = 0.06
"""Of the time budget, that one row measures; at least half a second."""
CHUNKS = 8
"""Timed for each row."""
INTERVAL = 20
"""Steps between frames, as in :func:`so3lab.dynamics.run`."""


class Throughput(NamedTuple):
    """Speed of so many replicas in one batch."""

    replicas: int
    start_s: float
    """Until the first energies: programs compiled, pair lists made."""
    step_ms: float
    """Median time of a step of all replicas."""
    spread_ms: float
    """Between the quartiles of that time."""
    ns_per_day: float
    """Of each replica."""
    total_ns_per_day: float
    atom_steps_per_s: float
    memory_MB: float
    """Peak: of the device where it tells, otherwise what this process has come to need since the first row began."""
    end: str | None
    """Why there is no further row; None when one follows."""


def measure(
    potential: Potential | EnergyModel,
    atoms: ase.Atoms,
    *,
    ensemble: Ensemble = "langevin",
    temperature_K: float = 300.0,
    timestep_fs: float = 0.5,
    seconds: float = 60.0,
    most_replicas: int = 4096,
) -> Generator[Throughput]:
    """Time 1, 2, 4, 8, ... copies of a structure, as long as more of them do more work per second.

    It ends when throughput has twice in a row grown by less than :data:`GROWTH`, or when the next row would probably
    exceed :data:`SHARE_OF_MEMORY` of the memory free at the start, or the time that is left. The first row comes in
    any case.

    Args:
        potential: A potential, or any :class:`~so3lab.engine.energy_model.EnergyModel`.
        atoms: The structure.
        ensemble: As in :func:`so3lab.dynamics.run`.
        temperature_K: Of the thermostat and of start velocities.
        timestep_fs: Time step.
        seconds: Time budget of all rows together.
        most_replicas: Where to stop in any case.

    Yields:
        A row for each number of replicas.

    Raises:
        ValueError: If an argument is not acceptable.
        SimulationError: If the structure blows up.
    """
    if not (np.isfinite(seconds) and seconds > 0):
        raise ValueError(f"seconds must be a positive number, got {seconds}")
    if most_replicas < 1:
        raise ValueError(f"most_replicas must be positive, got {most_replicas}")
    control, memory, began = Control(temperature_K, timestep_fs), _Memory(), time.monotonic()
    best, count, stalled, end = 0.0, 1, 0, None
    while end is None:
        row_began = time.monotonic()
        start_s, times = _timed(potential, [atoms] * count, ensemble, control, max(0.5, SHARE_OF_TIME * seconds))
        low, step_s, high = np.percentile(times, [25, 50, 75]).tolist()
        rate, used, now = len(atoms) * count / step_s, memory.used(), time.monotonic()
        stalled = stalled + 1 if rate < (1.0 + GROWTH) * best else 0
        needed_s = now - began + 1.5 * (now - row_began)  # compilation takes longer too
        if stalled == 2:  # one may be due to another process
            end = f"throughput grew by less than {100 * GROWTH:.0f} % twice in a row"
        elif 2 * count > most_replicas:
            end = f"{most_replicas} replicas at most"
        elif 2.0 * used > SHARE_OF_MEMORY * memory.free:
            end = f"{2 * count} would need more than {100 * SHARE_OF_MEMORY:.0f} % of the free memory"
        elif needed_s > seconds:
            end = f"{2 * count} would take longer than the {seconds:g} s given"
        speed = timestep_fs * 1e-6 * 86400.0 / step_s
        yield Throughput(count, start_s, 1e3 * step_s, 1e3 * (high - low), speed, count * speed, rate, 1e-6 * used, end)
        best, count = max(best, rate), 2 * count


def device_name() -> str:
    """The device that computes, in words."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return f"{device.device_kind} ({device.platform})"
    return f"CPU, {usable_cores()} cores"


def _timed(
    potential: Potential | EnergyModel,
    structures: list[ase.Atoms],
    ensemble: Ensemble,
    control: Control,
    seconds: float,
) -> tuple[float, list[float]]:
    """Seconds until the start, and seconds per step of several chunks."""
    began = time.monotonic()
    replicas = Replicas(
        potential, structures, ensemble=ensemble, control=control, limits=Limits(None, None, None, None)
    )
    start_s = time.monotonic() - began
    of_chunk = seconds / CHUNKS
    interval = int(np.clip(of_chunk / _step_seconds(replicas, 1, 1), 1, INTERVAL))
    step_s = _step_seconds(replicas, 1, interval)  # and the way there warms up: pair lists find their size
    frames = int(np.clip(of_chunk / (interval * step_s), 1, replicas.most_frames))
    times: list[float] = []
    began = time.monotonic()
    while len(times) < CHUNKS and (len(times) < 2 or time.monotonic() - began < 2.0 * seconds):
        times.append(_step_seconds(replicas, frames, interval))
    return start_s, times


def _step_seconds(replicas: Replicas, frames: int, interval: int) -> float:
    """Seconds for each step of a chunk."""
    began = time.monotonic()
    replicas.advance(frames, interval)
    took = time.monotonic() - began
    if not replicas.alive.all():
        raise SimulationError(replicas.failure(int(np.argmin(replicas.alive))))
    return max(took, 1e-9) / (frames * interval)


class _Memory:
    """Memory of the device where it tells, otherwise of this process."""

    def __init__(self) -> None:
        self._device = jax.devices()[0]
        stats = self._device.memory_stats() or {}
        self._on_device = "peak_bytes_in_use" in stats and "bytes_limit" in stats
        if self._on_device:
            self.free = stats["bytes_limit"] - stats["bytes_in_use"]
        else:
            self.free = psutil.virtual_memory().available
            self._before = psutil.Process().memory_info().rss

    def used(self) -> int:
        """Peak in bytes."""
        if self._on_device:
            return (self._device.memory_stats() or {})["peak_bytes_in_use"]
        return max(0, _peak_of_process() - self._before)


def _peak_of_process() -> int:
    """Largest resident set so far, bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
