"""Which energies and forces does a reference method give? Labels from any ASE calculator.

Each finished frame is one line of JSON in a journal that is flushed to the disk before the next
result is reported, so a killed run continues where it stopped. Frames whose self-consistent field
does not converge, or whose forces break a conservation law, are recorded as failed and get no label.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float

from so3lab.labels.journal import append, parsed, recovered, structure_checksum
from so3lab.labels.methods import method_of
from so3lab.labels.workers import FAILURES, calculator_of, results
from so3lab.structures.electrons import stated_charge, stated_spin

NET_FORCE_LIMIT = 1e-3
"""Largest accepted component of the sum of all forces, eV/Å."""
NET_TORQUE_LIMIT = 1e-2
"""Largest accepted component of the total torque of a molecule, eV."""


class LabelProgress(NamedTuple):
    """What :func:`label` reports after each frame."""

    done: int
    """Frames in the journal, failed ones included."""
    total: int
    failed: int
    frame: int | None
    """Index of the frame just finished; None in the first report, before anything ran."""
    failure: str | None
    """Why the frame just finished got no label; None when it has one."""
    remaining_s: float | None
    """Estimated wall-clock seconds to the end; None before the first frame."""


class Labels(NamedTuple):
    """Reference data read back from a journal; only frames that have a label."""

    indices: list[int]
    energies: Float[np.ndarray, " labelled"]
    """Total energies in eV."""
    forces: list[Float[np.ndarray, "atoms 3"]]
    """Forces in eV/Å, one array for each labelled frame."""
    failures: dict[int, str]
    """Reason for each frame that was tried and failed."""


def label(
    frames: Sequence[Atoms],
    level: str | Callable[[], Any],
    out: str | os.PathLike,
    *,
    processes: int | None = 1,
    executor: Executor | None = None,
    retry_failed: bool = False,
) -> Iterator[LabelProgress]:
    """Label ``frames`` with energies and forces, appending each result to the journal ``out``.

    Calling it again with the same frames continues after a kill at any moment; finished frames are
    skipped. Read the results with :func:`read_labels`.

    Args:
        frames: Structures; their own calculators are ignored.
        level: ``"gfn2"``, ``"pbe"``, another name that :func:`so3lab.labels.method_of` knows, or a picklable
            function that takes no arguments and returns an ASE calculator with energy and forces.
        out: Journal, one JSON object a line; created when missing.
        processes: Worker processes, each with one thread; 1 computes in the calling process, None
            takes one for each core.
        executor: Runs the work instead of ``processes``, for example Dask's.
        retry_failed: Try frames again that failed before.

    Yields:
        One report before the start, then one after every finished frame, in order of completion.

    Raises:
        ValueError: If ``level`` is unknown, or ``out`` holds labels of other frames or another level.
    """
    name, factory = method_of(level)
    out = Path(out)
    records = recovered(out, "frame")
    _check_same_run(records, frames, name)
    finished = {i for i, record in records.items() if not (retry_failed and "failed" in record)}
    failed = sum("failed" in records[i] for i in finished)
    todo = [i for i in range(len(frames)) if i not in finished]
    yield LabelProgress(len(finished), len(frames), failed, None, None, None)
    if not todo:
        return
    jobs = [(i, bare(frames[i])) for i in todo]
    started = time.monotonic()
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("ab") as journal:
        done = results(_label_one, jobs, factory, processes=processes, executor=executor)
        for count, (i, result) in enumerate(done, 1):
            append(journal, {"frame": i, "structure": structure_checksum(frames[i]), "level": name, **result})
            failed += "failed" in result
            remaining = (time.monotonic() - started) / count * (len(todo) - count)
            yield LabelProgress(len(finished) + count, len(frames), failed, i, result.get("failed"), remaining)


def read_labels(journal: str | os.PathLike) -> Labels:
    """Read the labels in a journal of :func:`label`, in order of frame index.

    Raises:
        FileNotFoundError: If there is no such journal.
        ValueError: If a line other than an unfinished last one cannot be read.
    """
    journal = Path(journal)
    if not journal.is_file():
        raise FileNotFoundError(f"journal must be a file written by so3lab.labels.label, got {journal}")
    records = parsed(journal, "frame")[0]
    done = sorted(i for i, record in records.items() if "failed" not in record)
    return Labels(
        indices=done,
        energies=np.array([records[i]["energy"] for i in done], dtype=np.float64),
        forces=[np.array(records[i]["forces"], dtype=np.float64) for i in done],
        failures={i: record["failed"] for i, record in sorted(records.items()) if "failed" in record},
    )


def labelled_frames(frames: Sequence[Atoms], journal: str | os.PathLike) -> list[Atoms]:
    """Copies of the labelled ``frames`` that carry their energy and forces, ready for ``ase.io.write``.

    Raises:
        ValueError: If the journal belongs to other frames.
    """
    _check_same_run(parsed(Path(journal), "frame")[0], frames, None)
    labels = read_labels(journal)
    labelled = []
    for i, energy, forces in zip(labels.indices, labels.energies, labels.forces, strict=True):
        atoms = frames[i].copy()
        atoms.calc = SinglePointCalculator(atoms, energy=float(energy), forces=forces)
        labelled.append(atoms)
    return labelled


def net_force_and_torque(
    positions: Float[np.ndarray, "atoms 3"], forces: Float[np.ndarray, "atoms 3"]
) -> tuple[float, float]:
    """Largest component of the total force (eV/Å) and of the total torque about the centroid (eV)."""
    torque = np.cross(positions - positions.mean(axis=0), forces).sum(axis=0)
    return float(np.abs(forces.sum(axis=0)).max()), float(np.abs(torque).max())


# --- one frame -------------------------------------------------------------------------------------


def _label_one(job: tuple[int, Atoms], factory: bytes) -> tuple[int, dict[str, Any]]:
    """Energy and forces of one frame, or the sentence that says why there are none."""
    index, atoms = job
    calculator = calculator_of(factory)
    try:
        atoms.calc = calculator
        energy = float(atoms.get_potential_energy())
        forces = np.asarray(atoms.get_forces(), dtype=np.float64)
    except NotImplementedError:
        raise  # a calculator that cannot do this at all fails on every frame
    except FAILURES as error:
        return index, {"failed": f"{type(error).__name__}: {error}"}
    problem = _problem(atoms, energy, forces)
    return index, {"failed": problem} if problem else {"energy": energy, "forces": forces.tolist()}


def _problem(atoms: Atoms, energy: float, forces: Float[np.ndarray, "atoms 3"]) -> str | None:
    """Why the numbers cannot be a label, or None when they can."""
    if not (math.isfinite(energy) and np.isfinite(forces).all()):
        return "energy and forces must be finite numbers, got NaN or infinity"
    net_force, net_torque = net_force_and_torque(atoms.positions, forces)
    if net_force > NET_FORCE_LIMIT:
        return f"forces must sum to zero within {NET_FORCE_LIMIT} eV/Å, got {net_force:.2e} eV/Å"
    if not atoms.pbc.any() and net_torque > NET_TORQUE_LIMIT:
        return f"torques must sum to zero within {NET_TORQUE_LIMIT} eV, got {net_torque:.2e} eV"
    return None


def bare(atoms: Atoms) -> Atoms:
    """What a method needs to know of a structure. Charge and spin stand in ``info`` under the names that some methods
    read, and as charges and magnetic moments of atoms, whose sums others take."""
    charge, spin = stated_charge(atoms), stated_spin(atoms)
    info = {name: number.value for name, number in (("charge", charge), ("spin", spin)) if number.source}
    result = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=info)
    first = np.arange(len(result)) == 0
    if charge.value:
        result.set_initial_charges(np.where(first, charge.value, 0.0))
    if spin.value:
        result.set_initial_magnetic_moments(np.where(first, spin.value, 0.0))
    return result


# --- the journal -------------------------------------------------------------------------------------


def _check_same_run(records: dict[int, dict[str, Any]], frames: Sequence[Atoms], level: str | None) -> None:
    for i, record in records.items():
        if not 0 <= i < len(frames) or record["structure"] != structure_checksum(frames[i]):
            raise ValueError(
                f"the journal must belong to these {len(frames)} frames, but its frame {i} is another "
                "structure; give another journal file"
            )
        if level is not None and record["level"] != level:
            raise ValueError(
                f"the journal must hold labels of level {level!r}, but frame {i} was labelled with "
                f"{record['level']!r}; give another journal file"
            )
