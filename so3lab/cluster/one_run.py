"""What a worker does: start or continue one simulation that is described in plain values.

JAX is imported when a simulation runs, not before: the process that hands out work needs none.
"""

import functools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from ase import Atoms

from so3lab.doctor.prepare import be_quiet, prepare_worker
from so3lab.structures.constraints import held_atoms
from so3lab.structures.electrons import total_charge, unpaired_electrons
from so3lab.structures.reading import read_structure
from so3lab.trajectory import Trajectory, TrajectoryWriter, check_same_atoms
from so3lab.trajectory.files import FileLock
from so3lab.trajectory.recovery import is_marked_open

if TYPE_CHECKING:
    from so3lab.dynamics.control import Control
    from so3lab.dynamics.ensembles import Ensemble
    from so3lab.dynamics.limits import Limits

PATIENCE_SECONDS = 180.0
"""How long a worker waits for another one to let go of a file that does not grow meanwhile.

The kernel frees a dead process's lock at once; a server of files frees that of a dead machine after a minute or two.
"""

ALONE: Mapping[str, Any] = {"replicas": 1, "exchange_every": None}
"""What a file tells about the batch that its run was part of; here none."""

_stop_requested: Callable[[], bool] = lambda: False  # noqa: E731


@dataclass(frozen=True, eq=False)
class RunSpec:
    """One simulation in values that can be sent to another process.

    Paths become absolute here, for a worker may have another working directory; it must see the same files.

    Raises:
        ValueError: If ``steps`` or ``interval`` is not positive, ``seed`` is negative, or a knob of ``control`` is not
            acceptable.
        TypeError: If there is no such knob.
    """

    model: str | Path
    """A model file, the name of a bundled model, or ``"so3lr"``."""
    structure: str | Path | Atoms
    """Atoms, or whatever :func:`so3lab.structures.read_structure` takes. Atoms under ASE's ``FixAtoms`` are held."""
    out: str | Path
    """H5MD file to write, or to go on with if it exists."""
    steps: int
    """How many steps in all; a multiple of ``interval``, or the rest is left out."""
    ensemble: "Ensemble" = "langevin"
    """As in :func:`so3lab.dynamics.run`, like all that follow."""
    temperature_K: float = 300.0
    """Of the thermostat and of start velocities."""
    timestep_fs: float = 0.5
    """Time step."""
    friction_per_ps: float = 2.0
    """Of the Langevin thermostat."""
    interval: int = 20
    """Steps between frames."""
    seed: int = 0
    """Of start velocities and noise."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision to compute in."""
    control: Mapping[str, Any] = field(default_factory=dict)
    """Further knobs of :class:`so3lab.dynamics.control.Control` by name, such as ``{"pressure_GPa": 0.1}``; biases and
    a ramp too."""
    limits: "Limits | None" = None
    """When the structure counts as blown up."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.interval < 1:
            raise ValueError(f"steps and interval must be positive, got {self.steps} and {self.interval}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        object.__setattr__(self, "out", Path(self.out).absolute())
        object.__setattr__(self, "model", _absolute(self.model))
        structure = self.structure.copy() if isinstance(self.structure, Atoms) else _absolute(self.structure)
        object.__setattr__(self, "structure", structure)  # without its calculator, which need not be picklable
        if self.control:
            self.knobs()

    @property
    def path(self) -> Path:
        """Where the trajectory is."""
        return Path(self.out)

    @property
    def last_step(self) -> int:
        """Step of the last frame."""
        return self.steps - self.steps % self.interval

    def atoms(self) -> Atoms:
        """The start structure."""
        return self.structure.copy() if isinstance(self.structure, Atoms) else read_structure(str(self.structure))

    def knobs(self) -> "Control":
        """All knobs of the simulation."""
        from so3lab.dynamics.control import Control

        return Control(self.temperature_K, self.timestep_fs, self.friction_per_ps, **self.control)

    def settings(self) -> dict[str, Any]:
        """Values that a trajectory file keeps and that must stay the same when a run goes on."""
        named = {name: getattr(self, name) for name in ("ensemble", "interval", "seed")}
        atoms = self.atoms()
        return json.loads(json.dumps(self.knobs().to_dict() | named | _of_atoms(atoms)))


class Summary(NamedTuple):
    """What came of a run."""

    run: RunSpec
    frames: int
    """Frames in the file."""
    step: int
    """Step of the last frame; 0 when there is none."""
    mean_temperature_K: float
    """Over all frames; NaN when there are none."""
    seconds: float
    """Wall-clock time of the last attempt."""
    failure: str | None
    """Why the run did not reach its last step; None when it did."""


def simulate(run: RunSpec) -> Summary:
    """Run a simulation to its end, or on from its file; for worker processes, and anybody else.

    A file that is complete is left as it is. While another process writes the file (a worker slow to die), this
    waits. What goes wrong with the simulation is told in the summary.
    """
    started = time.monotonic()
    failure = None
    try:
        failure = _when_the_file_is_free(run)
    except (ValueError, OSError, RuntimeError, ImportError) as error:  # SimulationError is a RuntimeError
        failure = str(error) or type(error).__name__
    return summarise(run, time.monotonic() - started, failure)


def summarise(run: RunSpec, seconds: float, failure: str | None) -> Summary:
    """Look into the file of a run."""
    frames, step, temperature = 0, 0, float("nan")
    try:
        with Trajectory(run.path) as trajectory:
            if frames := len(trajectory):
                step = int(trajectory.steps[-1])
                temperature = float(trajectory.table()["temperature"].mean())
    except (OSError, ValueError, KeyError):
        pass  # no file, or none that is readable: the failure says so
    return Summary(run, frames, step, temperature, seconds, failure)


def frames_in(path: Path) -> int:
    """Complete frames of a file; 0 when there is none."""
    try:
        with Trajectory(path) as trajectory:
            return len(trajectory)
    except (OSError, ValueError):
        return 0


def stop_when(requested: Callable[[], bool]) -> None:
    """Tell this process's simulations how to learn that they should end after their present chunk."""
    global _stop_requested
    _stop_requested = requested


def _when_the_file_is_free(run: RunSpec) -> str | None:
    frames, quiet_since = -1, time.monotonic()
    while True:
        try:
            return _advance(run)
        except (BlockingIOError, FileExistsError):  # the latter when another worker was first to make it
            present, now = frames_in(run.path), time.monotonic()
            if present > frames:
                frames, quiet_since = present, now
            if now - quiet_since > PATIENCE_SECONDS:
                raise
            if _stop_requested():
                return "stopped while another process was writing the file"
            time.sleep(0.5)


def _advance(run: RunSpec) -> str | None:
    """Start or go on; returns why the run was stopped, None when it came to its end."""
    be_quiet()
    resume = is_resumable(run)
    if resume and _is_complete(run):
        return None
    prepare_worker()
    from so3lab import dynamics

    potential = _potential(run.model, run.dtype, _modified(run.model))
    chunks = dynamics.run(
        potential, run.atoms(), steps=run.steps, ensemble=run.ensemble, control=run.knobs(), interval=run.interval,
        seed=run.seed, limits=run.limits, out=run.path, resume=resume, meta=provenance(run, potential),
    )  # fmt: skip
    for chunk in chunks:
        if _stop_requested() and chunk.step[-1] < run.last_step:
            chunks.close()
            return f"stopped at step {int(chunk.step[-1])}; run it again to go on"
    return None


def is_resumable(run: RunSpec, batch: Mapping[str, Any] = ALONE) -> bool:
    """Whether the file of a run holds something to go on from; a file in which nothing was kept is removed.

    Raises:
        BlockingIOError: If another process is writing the file.
        ValueError: If it belongs to another run, or is no trajectory.
    """
    if run.path.exists():
        FileLock(run.path).release()  # stops here while somebody writes
        _remove_if_nothing_was_kept(run.path)
    if not run.path.exists():
        return False
    _check_same_run(run, batch)
    return True


def provenance(run: RunSpec, potential: Any, batch: Mapping[str, Any] = ALONE) -> dict[str, Any]:
    """What the file of a run tells about it, besides its knobs."""
    structure = str(run.structure.symbols) if isinstance(run.structure, Atoms) else str(run.structure)
    return {
        "model": str(run.model),
        "structure": structure,
        "settings": potential.settings.to_dict(),
        **_of_atoms(run.atoms()),
        **batch,
    }


def _of_atoms(atoms: Atoms) -> dict[str, Any]:
    """What a trajectory keeps of atoms beside elements, masses and positions."""
    return {
        "held_atoms": np.flatnonzero(held_atoms(atoms)).tolist(),
        "charge": total_charge(atoms),
        "multiplicity": unpaired_electrons(atoms) + 1.0,
    }


def _remove_if_nothing_was_kept(path: Path) -> None:
    """A worker that dies before its first restart state leaves a start structure at most: begin again."""
    with Trajectory(path) as trajectory:
        nothing = len(trajectory) <= 1 and trajectory.restart_state() is None
    if nothing:
        path.unlink()


def _check_same_run(run: RunSpec, batch: Mapping[str, Any]) -> None:
    """Refuse to go on with the file of another run.

    Raises:
        ValueError: If atoms or settings differ.
    """
    check_same_atoms(run.path, run.atoms())
    with Trajectory(run.path) as trajectory:
        meta = trajectory.meta
    different = [
        f"{name} {meta[name]!r} instead of {value!r}"
        for name, value in (run.settings() | dict(batch)).items()
        if meta.get(name, value) != value
    ]
    if different:
        raise ValueError(
            f"{run.path} belongs to another run, with {', '.join(different)}; repeat those settings, or choose "
            "another file"
        )


def _is_complete(run: RunSpec) -> bool:
    """Whether the last frame is there; a worker killed behind it may have left the file open."""
    if _last_step(run.path) < run.last_step:
        return False
    if is_marked_open(run.path):  # put it in order, which may cut a frame that no state was saved behind
        TrajectoryWriter.resume(run.path)[0].close()
    return _last_step(run.path) >= run.last_step


def _last_step(path: Path) -> int:
    with Trajectory(path) as trajectory:
        return int(trajectory[-1:].steps[0]) if len(trajectory) else -1


@functools.lru_cache(maxsize=2)
def _potential(model: str | Path, dtype: Literal["float32", "float64"], modified: int | None):
    """The potential, kept for the next run of this process unless its file has changed."""
    from so3lab.pretrained.loading import load

    return load(model, dtype)


def _modified(model: str | Path) -> int | None:
    return Path(model).stat().st_mtime_ns if Path(model).is_file() else None


def _absolute(source: str | Path) -> str | Path:
    """A file as an absolute path; a name stays a name."""
    return Path(source).absolute() if Path(source).is_file() else source
