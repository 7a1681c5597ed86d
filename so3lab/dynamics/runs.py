"""Molecular dynamics as generators of chunks, of one structure or of many, on disk when asked, with exact restart."""

import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ase
import numpy as np

from so3lab.dynamics.chunk import Chunk
from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import EXCHANGING, Ensemble
from so3lab.dynamics.limits import Limits
from so3lab.dynamics.recording import Recording
from so3lab.dynamics.replica_exchange import ReplicaExchange
from so3lab.dynamics.replicas import Replicas, SimulationError
from so3lab.dynamics.sharded_replicas import AnyReplicas, replicas_on_devices
from so3lab.engine.energy_model import EnergyModel
from so3lab.machine.files import check_folder
from so3lab.potential.potential import Potential
from so3lab.trajectory.names import check_new_trajectory, replica_path

SECONDS_PER_CHUNK = 0.5
_FIRST_STEPS = 20
"""Steps of the first chunk, which are compiled, and of the second, which are timed, at most."""


def run(
    potential: Potential | EnergyModel,
    atoms: ase.Atoms,
    *,
    steps: int,
    ensemble: Ensemble = "langevin",
    temperature_K: float = 300.0,
    timestep_fs: float = 0.5,
    friction_per_ps: float = 2.0,
    interval: int = 20,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    control: Control | None = None,
    limits: Limits | None = None,
    seconds_per_chunk: float = SECONDS_PER_CHUNK,
    meta: dict[str, Any] | None = None,
) -> Generator[Chunk]:
    """Molecular dynamics as a generator of chunks; the first holds the start structure alone.

    Args:
        potential: A potential, or any :class:`~so3lab.engine.energy_model.EnergyModel`.
        atoms: Start structure, with or without velocities. Atoms under ASE's ``FixAtoms`` are held.
        steps: How many steps in all; a multiple of ``interval``, or the rest is left out.
        ensemble: ``"nve"`` (velocity Verlet), ``"langevin"`` (BAOAB), ``"nose-hoover"`` (chain of three),
            ``"csvr"`` (stochastic velocity rescaling), ``"npt"`` or ``"npt-flexible"`` (stochastic cell rescaling).
        temperature_K: Of the thermostat and of start velocities.
        timestep_fs: Time step.
        friction_per_ps: Of the Langevin thermostat.
        interval: Steps between frames.
        seed: Of start velocities and noise.
        out: H5MD file that every chunk is appended to, with the state for an exact restart.
        resume: Go on from the last state in ``out``; other arguments must be those of the first run.
        control: All knobs, those above and others, to turn while it runs; overrides ``temperature_K``,
            ``timestep_fs``, ``friction_per_ps``.
        limits: When the structure counts as blown up.
        seconds_per_chunk: How long a chunk should take: short for a live view, long for a batch run.
        meta: Provenance stored in ``out``.

    Yields:
        Frames as they come.

    Raises:
        ValueError: If an argument is not acceptable.
        SimulationError: If the simulation blows up; all good frames were yielded and written before.
    """
    _check(steps, interval, out, resume)
    if out is not None and not resume:
        check_new_trajectory(Path(out))
    control = control or Control(temperature_K, timestep_fs, friction_per_ps)
    replicas = Replicas(potential, [atoms], ensemble=ensemble, control=control, seeds=[seed], limits=limits)
    recording = None if out is None else Recording([Path(out)], replicas, interval, meta, resume)
    for chunks in _all_chunks(replicas, steps, interval, seconds_per_chunk, recording, None, None):
        if len(chunks[0]):
            yield chunks[0]
    reason = replicas.failure()
    if reason is not None:
        raise SimulationError(reason)


def run_replicas(
    potential: Potential | EnergyModel,
    structures: Sequence[ase.Atoms],
    *,
    steps: int,
    ensemble: Ensemble = "langevin",
    temperatures_K: float | Sequence[float] = 300.0,
    timestep_fs: float = 0.5,
    friction_per_ps: float = 2.0,
    interval: int = 20,
    seeds: Sequence[int] | None = None,
    exchange_every: int | None = None,
    exchange: ReplicaExchange | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    control: Control | None = None,
    limits: Limits | None = None,
    seconds_per_chunk: float = SECONDS_PER_CHUNK,
    meta: dict[str, Any] | None = None,
) -> Generator[list[Chunk]]:
    """Molecular dynamics of many structures at once; each time a chunk for every structure.

    A batch moves more atoms per second than one simulation after another: of molecules of ten atoms a quarter more to
    twice as many on a core (``python -m tests.benchmarks.replicas``), and several cores find work in it. Several
    devices have a share of the structures each. A structure that blows up stays behind: its chunks are empty from then
    on, and the others go on.

    Args:
        potential: A potential, or any :class:`~so3lab.engine.energy_model.EnergyModel`.
        structures: Copies of one structure, or different ones of any sizes; all molecules or all cells.
        steps: How many steps each.
        ensemble: As in :func:`run`.
        temperatures_K: One for all, or one for each.
        timestep_fs: Time step.
        friction_per_ps: Of the Langevin thermostat.
        interval: Steps between frames.
        seeds: One for each structure; default: 0, 1, 2, ...
        exchange_every: Steps between attempts to exchange temperatures (replica exchange); a multiple of
            ``interval``. None for no exchange.
        exchange: Keeps count of exchanges; give one to read its report. Default: a new one.
        out: Folder for ``replica_0000.h5`` and so on; the first file holds the state of all for an exact restart.
        resume: Go on from the last state in ``out``; other arguments must be those of the first run.
        control: As in :func:`run`; overrides ``temperatures_K``, ``timestep_fs``, ``friction_per_ps``.
        limits: When a structure counts as blown up.
        seconds_per_chunk: How long a chunk should take.
        meta: Provenance stored in each file.

    Yields:
        A chunk for each structure; the first holds the start structures alone.

    Raises:
        ValueError: If an argument is not acceptable.
        SimulationError: If every structure has blown up.
    """
    _check(steps, interval, out, resume)
    control = control or Control(temperatures_K, timestep_fs, friction_per_ps)
    if exchange_every is not None:
        if exchange_every < 1 or exchange_every % interval:
            raise ValueError(f"exchange_every must be a multiple of interval ({interval}), got {exchange_every}")
        if ensemble not in EXCHANGING:
            raise ValueError(f"ensemble must be one of {', '.join(EXCHANGING)} for replica exchange, got {ensemble!r}")
        exchange = exchange or ReplicaExchange(control.temperatures_K(len(structures)).tolist())
    if out is not None:
        check_folder(Path(out))
    replicas = replicas_on_devices(
        potential, structures, ensemble=ensemble, control=control, seeds=seeds, limits=limits
    )
    recording = None
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [replica_path(folder, number) for number in range(len(structures))]
        there = [path for path in paths if path.exists()]
        if there and not resume:
            raise FileExistsError(f"{there[0]} exists; resume, or choose another folder: nothing is overwritten")
        recording = Recording(paths, replicas, interval, meta, resume, exchange)
    yield from _all_chunks(replicas, steps, interval, seconds_per_chunk, recording, exchange_every, exchange)
    if not replicas.alive.any():
        last = int(np.argmax(np.asarray(replicas.state.last_good_step)))
        raise SimulationError(f"every structure has blown up; number {last} last: {replicas.failure(last)}")


def _check(steps: int, interval: int, out: str | Path | None, resume: bool) -> None:
    if steps < 1 or interval < 1:
        raise ValueError(f"steps and interval must be positive, got {steps} and {interval}")
    if resume and out is None:
        raise ValueError("resume needs out: where the run to go on with has written")
    if steps < interval:
        raise ValueError(
            f"steps must be at least interval, the steps between frames ({interval}), got {steps}; "
            "choose a smaller interval or more steps"
        )


def _all_chunks(
    replicas: AnyReplicas,
    steps: int,
    interval: int,
    seconds: float,
    recording: Recording | None,
    exchange_every: int | None,
    exchange: ReplicaExchange | None,
) -> Generator[list[Chunk]]:
    """The start and all chunks after it, each written before it is handed out."""
    with recording or ExitStack():
        if recording is None or not recording.resumed:
            start = replicas.frames()
            if recording is not None:
                recording.write(start)
            yield start
        for chunks in _chunks(replicas, steps, interval, seconds, exchange_every):
            if exchange is not None and exchange_every is not None and replicas.step % exchange_every == 0:
                _exchange(replicas, exchange, exchange_every)
            if recording is not None:
                recording.write(chunks)
            yield chunks


def _exchange(replicas: AnyReplicas, exchange: ReplicaExchange, every: int) -> None:
    energies = np.asarray(replicas.state.energy + replicas.state.bias, float) + replicas.shifts
    if exchange.exchange(energies, replicas.alive, replicas.step, replicas.step // every):
        replicas.exchange_temperatures(exchange.temperatures_K.tolist())


def _chunks(
    replicas: AnyReplicas, steps: int, interval: int, seconds: float, stop_every: int | None
) -> Generator[list[Chunk]]:
    """Chunks up to the last frame; their length follows the speed of the machine.

    Where steps between frames take longer than a chunk should, chunks without frames come between.
    """
    last, wanted, compiled = steps - steps % interval, min(interval, _FIRST_STEPS), False
    while replicas.alive.any() and (step := replicas.step) < last:
        started = time.monotonic()
        to_frame = interval - step % interval
        if to_frame < interval or wanted < interval:
            count = min(wanted, to_frame)
            chunks = replicas.advance(1, count)
            if count < to_frame:
                chunks = [chunk.first(0) for chunk in chunks]
        else:
            stop = last if stop_every is None else min(last, step + stop_every - step % stop_every)
            count = min(wanted, stop - step, replicas.most_frames * interval) // interval * interval
            chunks = replicas.advance(count // interval, interval)
        took = time.monotonic() - started
        if compiled:
            wanted = int(np.clip(count * seconds / max(took, 1e-9), 1, 4 * wanted))
        compiled = True
        yield chunks
