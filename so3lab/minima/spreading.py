"""The same search on many processes or machines: a round's structures are relaxed in pieces, wherever a worker is free.

What is proposed follows from seed and round, and the pieces are always the same, so that the minima do not depend on
how many workers took part, or died.
"""

import functools
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import ase

from so3lab.doctor.prepare import prepare_worker
from so3lab.machine.executors import LastingExecutor, Workers, results_in_order
from so3lab.minimize import Relaxed

PIECE = 8
"""Structures that a worker relaxes together."""


class SpreadRelaxation:
    """Relaxes structures on an executor, as a function does that takes them all.

    Args:
        executor: Any executor whose workers have so3lab, such as ``client.get_executor(pure=False)`` of Dask, or a
            function that makes one, which is called again when a dead worker has broken the last.
        relax: What relaxes structures; picklable.
        piece: Structures of a piece.
        retries: How many workers one piece may lose.

    Raises:
        ValueError: If ``piece`` is not positive, or ``retries`` is negative.
    """

    def __init__(
        self,
        executor: Workers,
        relax: Callable[[Sequence[ase.Atoms]], Iterable[Relaxed]],
        *,
        piece: int = PIECE,
        retries: int = 3,
    ):
        if piece < 1:
            raise ValueError(f"piece must be at least 1, got {piece}")
        if retries < 0:
            raise ValueError(f"retries must not be negative, got {retries}")
        self._given, self._piece, self._retries = executor, piece, retries
        self._sent = pickle.dumps(relax)
        self._executor: LastingExecutor | None = None

    def __call__(self, structures: Sequence[ase.Atoms]) -> Iterator[Relaxed]:
        """Relax them; results in order, piece by piece."""
        if self._executor is None:
            self._executor = LastingExecutor(self._given)
        starts = range(0, len(structures), self._piece)
        jobs = [(self._sent, start, list(structures[start : start + self._piece])) for start in starts]
        for found in results_in_order(self._executor, _relax_piece, jobs, retries=self._retries):
            yield from found

    def close(self) -> None:
        """Shut down the executor if it was made here; the next call makes another."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None


def _relax_piece(job: tuple[bytes, int, list[ase.Atoms]]) -> list[Relaxed]:
    """In a worker."""
    sent, start, structures = job
    prepare_worker()
    return [replace(one, number=start + one.number) for one in _relax_of(sent)(structures)]


@functools.lru_cache(maxsize=2)
def _relax_of(sent: bytes) -> Any:
    """What relaxes, with its model and what it has compiled, kept for the next piece."""
    return pickle.loads(sent)
