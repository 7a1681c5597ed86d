"""What is remembered of a structure that moves: its frames, in few pieces, to be read while more of them come."""

import numpy as np
from jaxtyping import Shaped

from so3lab.dynamics.chunk import Chunk

BLOCK = 512
"""Frames that are kept in one piece: thousands of small pieces would cost every look at them."""


class Past:
    """Frames of one structure, the oldest first; readers in other threads see them as they are at one moment.

    Args:
        first: What it begins with.
        block: Frames that are kept in one piece at most.
    """

    def __init__(self, first: Chunk, block: int = BLOCK):
        self._chunks = [first]
        self._block = block

    def __len__(self) -> int:
        return sum(map(len, self.pieces()))

    def pieces(self) -> list[Chunk]:
        """What is remembered, as it is now."""
        return list(self._chunks)

    def add(self, chunk: Chunk) -> None:
        """Append frames; small pieces grow together as the digits of a binary number do, so that little is copied."""
        chunks, pieces = self._chunks, [chunk]
        while len(chunks) > len(pieces):
            before = chunks[-len(pieces)]
            if len(before) > sum(map(len, pieces)) or len(before) + sum(map(len, pieces)) > self._block:
                break
            pieces.insert(0, before)
        if len(pieces) == 1:
            chunks.append(chunk)
        else:
            chunks[-(len(pieces) - 1) :] = [_joined(pieces)]  # at once, for readers

    def forget_oldest(self) -> None:
        """Forget the oldest piece, unless it is all that there is."""
        if len(self._chunks) > 1:
            del self._chunks[0]

    def go_back(self, frames: int, present: Chunk) -> None:
        """Keep so many frames, and go on with another one."""
        kept = []
        for chunk in self._chunks:
            if frames <= 0:
                break
            kept.append(chunk.first(frames))
            frames -= len(chunk)
        self._chunks = [*kept, present]

    def find(self, frame: int) -> tuple[Chunk, int]:
        """The piece that holds a frame, and its row there.

        Raises:
            IndexError: If it is not remembered.
        """
        chunks = self.pieces()
        frames = sum(map(len, chunks))
        if not -frames <= frame < frames:
            raise IndexError(f"frame must be 0 to {frames - 1}, got {frame}")
        frame %= frames
        for chunk in chunks:
            if frame < len(chunk):
                return chunk, frame
            frame -= len(chunk)
        raise AssertionError("frames do not add up")

    def gathered(self, frames: slice, *names: str) -> list[Shaped[np.ndarray, "frames *rest"]]:
        """Columns of the same frames, whatever comes meanwhile."""
        chunks = self.pieces()
        start, stop, stride = frames.indices(sum(map(len, chunks)))
        parts, first = [], 0
        for chunk in chunks:
            if first + len(chunk) > start and first < stop:
                parts.append((chunk, slice(max(start - first, 0), stop - first)))
            first += len(chunk)
        parts = parts or [(chunks[0], slice(0))]
        return [np.concatenate([getattr(chunk, name)[rows] for chunk, rows in parts])[::stride] for name in names]


def _joined(chunks: list[Chunk]) -> Chunk:
    names = chunks[0].columns()
    return Chunk(**{name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names})
