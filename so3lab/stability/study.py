"""Replicas at several temperatures as one batch, each followed until a bond breaks."""

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pandas as pd

from so3lab import datasets
from so3lab.datasets import Dataset
from so3lab.datasets.sources import BUNDLED
from so3lab.dynamics.chunk import Chunk
from so3lab.dynamics.ensembles import EXCHANGING, Ensemble
from so3lab.dynamics.limits import Limits
from so3lab.dynamics.replicas import SimulationError
from so3lab.dynamics.runs import run_replicas
from so3lab.engine.energy_model import EnergyModel
from so3lab.observables import STABILITY_TOLERANCE, bonds
from so3lab.potential.potential import Potential
from so3lab.stability.accumulator import Stability, StabilityAccumulator

LIMITS = Limits(bond_stretch=2.0, energy_jump=None, heat=None)
"""What ends a replica's run before its time, found at every step.

The protocol judges frames, and calls a bond broken at 0.5 Å. Limits that strike earlier would judge in its place; these
only put away a molecule that has come apart, so that it costs nothing more, and one whose numbers are not finite.
"""
SECONDS_PER_CHUNK = 5.0


def reference_for(potential: Potential, atoms: ase.Atoms) -> tuple[Dataset | None, Dataset | None]:
    """Frames of the bundled set that a model was trained on: those of equilibrium dynamics, and those it never saw.

    The first are for distances and bond lengths, the second for force errors. None where the model was trained on
    something else, or the structure is another molecule (or its atoms are in another order).
    """
    name = str(potential.metadata.get("dataset"))
    if name not in BUNDLED:
        return None, None
    data = datasets.load(name)
    if not np.array_equal(data.numbers[0], atoms.numbers):
        return None, None
    sampled = data.select(np.asarray(data.labels["origin"]) == "md") if "origin" in data.labels else data
    held_out = potential.metadata.get("split", {}).get("test_frames")
    return sampled, data.select(held_out) if held_out else None


def run_stability(
    potential: Potential | EnergyModel,
    atoms: ase.Atoms,
    *,
    temperatures_K: Sequence[float] = (300.0, 500.0),
    replicas: int = 6,
    ps: float = 300.0,
    ensemble: Ensemble = "nose-hoover",
    timestep_fs: float = 0.5,
    friction_per_ps: float = 2.0,
    interval: int = 100,
    seed: int = 0,
    reference: Dataset | None = None,
    labelled: Dataset | None = None,
    tolerance: float = STABILITY_TOLERANCE,
    out: str | Path | None = None,
    resume: bool = False,
    meta: dict[str, Any] | None = None,
) -> Generator[Stability]:
    """Run all replicas at all temperatures as one batch, each followed until a bond breaks.

    Every replica starts from the same structure with its own thermal velocities. One that blows up between two frames
    is unstable at the frame that it did not reach. The study ends early when none is stable any more. Positions are
    kept in memory, 12 bytes per atom, replica and frame; nothing else of the frames is.

    Args:
        potential: A potential, or any :class:`~so3lab.engine.energy_model.EnergyModel`.
        atoms: A molecule; its bonds are those that are watched.
        temperatures_K: Temperatures, one group of replicas each.
        replicas: Simulations at each temperature.
        ps: Length of each.
        ensemble: ``"nose-hoover"`` as in the papers, ``"langevin"`` or ``"csvr"``.
        timestep_fs: Time step.
        friction_per_ps: Of the Langevin thermostat.
        interval: Steps between frames.
        seed: Of the first replica; others count on.
        reference: Frames of the same atoms from the true dynamics: mean bond lengths and h(r). Without them, bonds are
            compared with their own means (:func:`first_unstable_frame`).
        labelled: Frames with energies and forces that the model has not seen, for force errors.
        tolerance: Largest change of a bond, Å.
        out: Folder for the trajectories, ``replica_0000.h5`` and so on.
        resume: Go on with the study in ``out``; ``ps`` may be longer than before, all else must be the same.
        meta: Provenance stored with the trajectories, such as the name of the model; must be the same to resume.

    Yields:
        The study as it stands after each chunk of frames; the last one is the result.

    Raises:
        ValueError: If an argument is not acceptable, or differs from that of the study to resume.
    """
    _check(atoms, temperatures_K, replicas, ps, ensemble, timestep_fs, interval, reference)
    temperatures = [float(t) for t in temperatures_K for _ in range(replicas)]
    settings = {
        "temperatures_K": [float(t) for t in temperatures_K],
        "replicas": replicas,
        "ensemble": ensemble,
        "timestep_fs": timestep_fs,
        "friction_per_ps": friction_per_ps,
        "interval": interval,
        "seed": seed,
        **(meta or {}),
    }
    forces = _force_errors(potential, labelled)
    accumulator = StabilityAccumulator(
        atoms, temperatures, seed, 0.001 * interval * timestep_fs, reference, tolerance, forces
    )
    if resume:
        if out is None:
            raise ValueError("resume needs out: the folder of the study to go on with")
        accumulator.read(Path(out), settings)
    steps = round(1000.0 * ps / timestep_fs / interval) * interval
    chunks = run_replicas(
        potential, [atoms] * len(temperatures), steps=steps, ensemble=ensemble, temperatures_K=temperatures,
        timestep_fs=timestep_fs, friction_per_ps=friction_per_ps, interval=interval,
        seeds=[seed + number for number in range(len(temperatures))], out=out, resume=resume, limits=LIMITS,
        seconds_per_chunk=SECONDS_PER_CHUNK, meta={"stability": settings},
    )  # fmt: skip
    yield from _judged(chunks, accumulator, steps // interval)


def _force_errors(potential: Potential | EnergyModel, labelled: Dataset | None) -> pd.DataFrame | None:
    """One row for each labelled frame; None without any, and for a model that is no potential."""
    if labelled is None or not isinstance(potential, Potential):
        return None
    from so3lab.training import evaluate

    return evaluate(potential, labelled).structures


def _judged(chunks: Generator[list[Chunk]], accumulator: StabilityAccumulator, last_frame: int) -> Generator[Stability]:
    """The study after each chunk of its simulations, until these end or none of them is stable any more."""
    with closing(chunks):
        try:
            for chunk in chunks:
                accumulator.add([(of_one.positions, of_one.temperature) for of_one in chunk])
                state = accumulator.summary(last_frame)
                yield state
                if state.replicas["unstable_at_ps"].notna().all():
                    break
        except SimulationError:
            if accumulator.empty:  # the start itself is beyond the model
                raise
            accumulator.all_ended = True
    yield accumulator.summary(last_frame, finished=True)


def _check(atoms, temperatures_K, replicas, ps, ensemble, timestep_fs, interval, reference) -> None:
    if atoms.pbc.any():
        raise ValueError(
            f"atoms must be a free molecule, got atoms.pbc {atoms.pbc.tolist()}; if its cell is none, take it away "
            "(--no-cell, atoms.pbc = False)"
        )
    if not len(bonds(atoms)):
        raise ValueError(f"atoms must have bonds to watch, {atoms.get_chemical_formula()} as it stands has none")
    if not len(temperatures_K) or not all(np.isfinite(t) and t > 0 for t in temperatures_K):
        raise ValueError(f"temperatures_K must be positive numbers, got {list(temperatures_K)}")
    if len(set(temperatures_K)) != len(temperatures_K):
        raise ValueError(f"temperatures_K must differ, got {list(temperatures_K)}; ask for more replicas instead")
    if replicas < 1:
        raise ValueError(f"replicas must be at least 1, got {replicas}")
    if ensemble not in EXCHANGING:
        raise ValueError(f"ensemble must be one of {', '.join(EXCHANGING)}, got {ensemble!r}")
    if not timestep_fs > 0 or interval < 1:
        raise ValueError(f"timestep_fs and interval must be positive, got {timestep_fs} and {interval}")
    if not (np.isfinite(ps) and 1000.0 * ps >= interval * timestep_fs):
        raise ValueError(f"ps must be at least the {0.001 * interval * timestep_fs:g} ps of one frame, got {ps}")
    if reference is not None and not all(np.array_equal(z, atoms.numbers) for z in reference.numbers):
        raise ValueError(
            f"reference must hold the same atoms in the same order as atoms ({atoms.get_chemical_formula()}); "
            f"{reference.name!r} does not"
        )
