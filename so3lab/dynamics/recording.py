"""What a simulation leaves on disk: one trajectory file for each structure, and the state to go on from."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from so3lab.dynamics.chunk import Chunk
from so3lab.dynamics.replica_exchange import ReplicaExchange
from so3lab.dynamics.restart import ADDED_LATER, OLD_NAMES
from so3lab.dynamics.sharded_replicas import AnyReplicas
from so3lab.trajectory import TrajectoryWriter

_KNOBS = 4096
"""Bytes in which a restart state keeps the knobs as they are; more (of hundreds of restraints) are not kept."""
_NOT_OBSERVABLES = {"positions", "velocities", "forces", "cell", "step", "time_fs"}


class Recording:
    """One trajectory file for each structure.

    The first file holds the restart state of all. It is written last, after every file has its frames, so that a kill
    between two files leaves the others at most one state ahead; they are then cut where the first one stands.

    Args:
        paths: A file for each structure.
        replicas: What is recorded; with ``resume`` it is brought to the state in the first file.
        interval: Steps between frames, for the record.
        meta: More for the record.
        resume: Whether to go on with the files, which must exist then, and must not otherwise.
        exchange: Of replica exchange.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        replicas: AnyReplicas,
        interval: int,
        meta: dict[str, Any] | None = None,
        resume: bool = False,
        exchange: ReplicaExchange | None = None,
    ):
        self._replicas, self._exchange, self.resumed = replicas, exchange, resume
        self._names_in_file: dict[str, str] = {}  # where an older version began the file
        self._left_out: set[str] = set()  # what its restart states do not hold
        self.writers: list[TrajectoryWriter] = []
        with ExitStack() as opened:
            if resume:
                self._open(paths, opened)
            else:
                self._create(paths, interval, meta or {}, opened)
            self._opened = opened.pop_all()

    def _open(self, paths: Sequence[Path], opened: ExitStack) -> None:
        replicas, exchange = self._replicas, self._exchange
        first, saved = TrajectoryWriter.resume(paths[0], replicas.structures[0])
        self.writers.append(opened.enter_context(first))
        self._check_identity(first)
        others = zip(paths[1:], replicas.structures[1:], saved["frames_written"][1:].tolist(), strict=True)
        for path, atoms, frames in others:
            self.writers.append(opened.enter_context(TrajectoryWriter.resume(path, atoms, frames)[0]))
        self._names_in_file = {new: old for old, new in OLD_NAMES.items() if old in saved}
        self._left_out = {name for name in ADDED_LATER if name not in saved}
        replicas.restore(saved)
        begun = json.loads(json.dumps(self._settings()))
        if all(first.meta.get(name) == value for name, value in begun.items()):  # what was turned stays turned
            words = bytes(saved["knobs"]).rstrip(b"\0")
            if words:
                replicas.control.update_from_dict(json.loads(words))
        if exchange is not None:
            exchange.restore(saved)
            replicas.control.temperature_K = tuple(exchange.temperatures_K.tolist())

    def _create(self, paths: Sequence[Path], interval: int, meta: dict[str, Any], opened: ExitStack) -> None:
        replicas = self._replicas
        about = {**self._settings(), "interval": interval, **replicas.identity(), **meta}
        temperatures = replicas.control.temperatures_K(len(replicas)).tolist()
        observables = sorted(set(replicas.frames()[0].columns()) - _NOT_OBSERVABLES)
        for number, (path, atoms) in enumerate(zip(paths, replicas.structures, strict=True)):
            writer = TrajectoryWriter(
                path,
                atoms,
                observables=observables,
                state_template=self._state([1] * len(paths)) if number == 0 else {"step": np.int64(0)},
                meta=about | {"temperature_K": temperatures[number], "seed": replicas.seeds[number]},
                precision=replicas.state.positions.dtype.name,
            )
            self.writers.append(opened.enter_context(writer))

    def _settings(self) -> dict[str, Any]:
        """The knobs, with the temperature of the first structure."""
        control = self._replicas.control
        return control.to_dict() | {"temperature_K": control.temperatures_K(len(self._replicas)).tolist()[0]}

    def _check_identity(self, first: TrajectoryWriter) -> None:
        """Refuse to go on with another force field, precision, ensemble, charge or spin.

        Raises:
            ValueError: If one differs.
        """
        different = [
            f"{name} {first.meta[name]} instead of {value}"
            for name, value in self._replicas.identity().items()
            if first.meta.get(name, value) != value
        ]
        if different:
            raise ValueError(
                f"{first.path} belongs to another run, with {', '.join(different)}; repeat that model, precision, "
                "ensemble and charge, or choose another file"
            )

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *error: Any) -> None:
        self._opened.__exit__(*error)

    def close(self) -> None:
        """Complete the files."""
        self._opened.close()

    def write(self, chunks: list[Chunk]) -> None:
        """Append frames, and keep the state behind them.

        When nobody is left, the state before stays: to resume is then to try the last stretch again.
        """
        for writer, chunk in zip(self.writers, chunks, strict=True):
            if len(chunk):
                writer.append(chunk.columns())
        if not self._replicas.alive.any():
            return
        for writer in self.writers[1:]:
            writer.save_state({"step": np.int64(self._replicas.step)})
        self.writers[0].save_state(self._state([writer.frames for writer in self.writers]))

    def _state(self, frames: list[int]) -> dict[str, np.ndarray]:
        exchange = {} if self._exchange is None else self._exchange.state()
        words = json.dumps(self._replicas.control.to_dict()).encode()
        knobs = np.zeros(_KNOBS, np.uint8)
        if len(words) <= _KNOBS:
            knobs[: len(words)] = np.frombuffer(words, np.uint8)
        counts = np.array(frames, np.int64)
        state = {self._names_in_file.get(name, name): x for name, x in self._replicas.restart_state().items()}
        state = {name: x for name, x in state.items() if name not in self._left_out}
        return state | exchange | {"frames_written": counts, "knobs": knobs}
