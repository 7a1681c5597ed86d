"""What does a reference method make of minima that a model has found? It relaxes them, or tells their energies.

Any ASE calculator does, on several processes or an executor, as for labels (:mod:`so3lab.labels`): what has been
computed is kept in a journal, one line for each structure, so that a run that was killed goes on, and more minima of
the same database can be checked later. :mod:`so3lab.minima.agreement` compares.
"""

import os
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np

from so3lab.labels.journal import Record, append, recovered, structure_checksum
from so3lab.labels.labelling import bare
from so3lab.labels.methods import method_of
from so3lab.labels.workers import FAILURES, calculator_of, results
from so3lab.minima.accounts import Minimum
from so3lab.minimize import MoleculeOptimizer

TIGHTER = 4
"""How often the limit of the forces is halved while energy is still to be gained."""


@dataclass(frozen=True)
class ReferenceRelaxation:
    """When a relaxation by the reference method ends."""

    max_force: float = 0.01
    """eV/Å, the largest on an atom."""
    max_gain_meV: float = 0.1
    """meV that may be left until the minimum, as predicted."""
    max_steps: int = 300
    """Evaluations for each minimum."""

    def __post_init__(self) -> None:
        for name in ("max_force", "max_gain_meV", "max_steps"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number, got {value}")


class CheckProgress(NamedTuple):
    """What :func:`check_minima` reports after each minimum."""

    done: int
    """Minima that are in the journal, failed ones included."""
    total: int
    number: int | None
    """The minimum just finished; None in the first report."""
    failure: str | None
    """Why there is nothing to say about it; None when there is."""
    remaining_s: float | None
    """Estimated wall-clock seconds to the end; None before the first."""


def choose(
    minima: Sequence[Minimum], *, lowest: int = 10, at_random: int = 10, also: Sequence[int] = (), seed: int = 0
) -> list[Minimum]:
    """The lowest minima, some of the others at random, and some by number; the lowest first.

    Args:
        minima: All of them.
        lowest: How many of the lowest.
        at_random: How many of the others, any with the same chance.
        also: Numbers of further ones, such as those beyond the training data.
        seed: Of the choice: the same seed chooses the same ones.

    Raises:
        ValueError: If a count is negative, or a number is none of the minima.
    """
    for name, count in (("lowest", lowest), ("at_random", at_random)):
        if count < 0:
            raise ValueError(f"{name} must not be negative, got {count}")
    by_energy = sorted(minima, key=lambda one: one.energy)
    if unknown := sorted(set(also) - {one.number for one in minima}):
        raise ValueError(f"also must be numbers of the minima, got {unknown[0]}")
    others = np.random.default_rng(seed).permutation(np.arange(min(lowest, len(minima)), len(minima)))
    chosen = {*range(min(lowest, len(minima))), *others[:at_random].tolist()}
    return [one for place, one in enumerate(by_energy) if place in chosen or one.number in set(also)]


def check_minima(
    minima: Sequence[Minimum],
    calculator: str | Callable[[], Any],
    journal: str | os.PathLike,
    *,
    relaxation: ReferenceRelaxation | None = ReferenceRelaxation(),
    processes: int | None = 1,
    executor: Executor | None = None,
    retry_failed: bool = False,
) -> Generator[CheckProgress]:
    """Have a reference method look at minima; read what it says with :func:`read_check`.

    Args:
        minima: Those to check, see :func:`choose`.
        calculator: As :func:`so3lab.labels.method_of` takes it: ``"gfn2"``, ``"emt"``, ``"tblite.ase:TBLite"``, or a
            picklable function.
        journal: File that keeps what is computed; what it has already is not computed again.
        relaxation: When relaxations from the model's minima end; None computes energies there and no more.
        processes: Worker processes, each with one thread; 1 computes in the calling process, None takes one for each
            core.
        executor: Takes the work instead of ``processes``, for example Dask's.
        retry_failed: Whether minima at which the method failed before are tried again.

    Yields:
        One report before the start, then one after every minimum, in order of completion.

    Raises:
        ValueError: If there is no such method, or the journal is of another one.
    """
    name, factory = method_of(calculator)
    journal = Path(journal)
    records = recovered(journal, "structure")
    _require_method(records, name, journal)
    jobs = []
    for one in minima:
        record = records.get(structure_checksum(one.atoms))
        if record is None or not _enough(record, relaxation, retry_failed):
            jobs.append((one.number, bare(one.atoms), relaxation))
    ready, total = len(minima) - len(jobs), len(minima)
    yield CheckProgress(ready, total, None, None, None)
    if not jobs:
        return
    started = time.monotonic()
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("ab") as file:
        done = results(_check_one, jobs, factory, processes=processes, executor=executor)
        for count, (number, record) in enumerate(done, 1):
            append(file, {**record, "calculator": name})
            remaining = (time.monotonic() - started) / count * (len(jobs) - count)
            yield CheckProgress(ready + count, total, number, record.get("failed"), remaining)


def read_check(minima: Sequence[Minimum], journal: str | os.PathLike) -> dict[int, Record]:
    """What the reference says of minima, by their numbers; those that have not been checked are left out.

    A record has ``energy_there`` (eV) and ``force_there`` (eV/Å, the largest) at the model's minimum; relaxed ones have
    ``energy``, ``positions`` (Å), ``converged`` and ``evaluations``; failed ones have ``failed``, the reason.

    Raises:
        FileNotFoundError: If there is no such journal.
    """
    if not Path(journal).is_file():
        raise FileNotFoundError(f"journal must be a file written by check_minima, got {journal}")
    records = recovered(Path(journal), "structure")
    found = {one.number: records.get(structure_checksum(one.atoms)) for one in minima}
    return {number: record for number, record in found.items() if record is not None}


def _check_one(job: tuple[int, ase.Atoms, ReferenceRelaxation | None], factory: bytes) -> tuple[int, Record]:
    """In a worker: what the method says of one minimum."""
    number, atoms, relaxation = job
    record: Record = {"structure": structure_checksum(atoms)}
    atoms.calc = calculator_of(factory)
    try:
        there, forces = float(atoms.get_potential_energy()), atoms.get_forces()
        record |= {"energy_there": there, "force_there": _largest(forces)}
        if relaxation is not None:
            record |= _relaxed(atoms, relaxation)
    except NotImplementedError:
        raise  # a calculator that cannot do this at all fails at every structure
    except (*FAILURES, ValueError) as error:
        return number, {"structure": record["structure"], "failed": f"{type(error).__name__}: {error}"}
    numbers = [value for value in record.values() if isinstance(value, float)]
    if not np.isfinite(numbers).all():
        return number, {"structure": record["structure"], "failed": "energy and forces must be finite numbers"}
    return number, record


def _relaxed(atoms: ase.Atoms, relaxation: ReferenceRelaxation) -> Record:
    """Relax, with smaller and smaller forces until little energy is left to gain: soft dihedrals have shoulders."""
    optimizer = MoleculeOptimizer(atoms, logfile=None)
    converged, limit = False, relaxation.max_force
    for _ in range(TIGHTER + 1):
        left = relaxation.max_steps - optimizer.nsteps
        converged = bool(optimizer.run(fmax=limit, steps=left))
        if not converged or 1e3 * optimizer.gain <= relaxation.max_gain_meV:
            break
        limit /= 2.0
    if np.isfinite(optimizer.gain):  # who began with hardly a force has made no step, and predicts nothing
        converged = converged and 1e3 * optimizer.gain <= relaxation.max_gain_meV
    return {
        "energy": float(atoms.get_potential_energy()), "force": _largest(atoms.get_forces()),
        "positions": atoms.positions.tolist(), "converged": converged, "evaluations": optimizer.nsteps + 1,
        "limits": [relaxation.max_force, relaxation.max_gain_meV, relaxation.max_steps],
    }  # fmt: skip


def _largest(forces: np.ndarray) -> float:
    return float(np.linalg.norm(forces, axis=1).max())


def _enough(record: Record, relaxation: ReferenceRelaxation | None, retry_failed: bool) -> bool:
    """Whether a record answers what is asked now."""
    if "failed" in record:
        return not retry_failed
    if relaxation is None:
        return True
    if "limits" not in record:
        return False
    max_force, max_gain_meV, max_steps = record["limits"]
    if record["converged"]:
        return bool(max_force <= relaxation.max_force and max_gain_meV <= relaxation.max_gain_meV)
    easier = max_force >= relaxation.max_force and max_gain_meV >= relaxation.max_gain_meV
    return bool(easier and max_steps >= relaxation.max_steps)  # what failed at less fails at more


def _require_method(records: dict[str, Record], name: str, journal: Path) -> None:
    for record in records.values():
        if record.get("calculator") != name:
            raise ValueError(
                f"{journal} holds results of {record.get('calculator')!r}, not of {name!r}; give another journal"
            )
