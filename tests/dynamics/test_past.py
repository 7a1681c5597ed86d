"""What is remembered are the frames that came, in few pieces, however small the chunks were."""

import numpy as np
import pytest

from so3lab.dynamics.chunk import Chunk
from so3lab.dynamics.past import Past


def frames(first: int, count: int) -> Chunk:
    """Frames of two atoms that tell their number in every column."""
    number = np.arange(first, first + count, dtype=float)
    rows = np.broadcast_to(number[:, None, None], (count, 2, 3)).copy()
    return Chunk(rows, 2 * rows, 3 * rows, *[number] * 6, step=np.arange(first, first + count), time_fs=0.5 * number)


def remembered(chunks: list[int], block: int = 64) -> Past:
    past, first = Past(frames(0, chunks[0]), block), chunks[0]
    for count in chunks[1:]:
        past.add(frames(first, count))
        first += count
    return past


@pytest.mark.parametrize("chunks", [[1] * 1000, [1, 2, 3] * 100, [1, 100, 1, 1, 7, 300, 2]])
def test_frames_stay_in_order_and_grow_into_few_pieces(chunks):
    past, count = remembered(chunks), sum(chunks)
    assert len(past) == count
    (steps,) = past.gathered(slice(None), "step")
    np.testing.assert_array_equal(steps, np.arange(count))
    assert len(past.pieces()) <= count / 32 + 8
    assert max(map(len, past.pieces())) <= max(64, *chunks)


@pytest.mark.parametrize("some", [slice(None), slice(3, 90, 7), slice(-5, None), slice(40, 40), slice(None, 1)])
def test_columns_are_those_of_the_frames_asked_for(some):
    positions, velocities = remembered([1, 4] * 20).gathered(some, "positions", "velocities")
    np.testing.assert_array_equal(positions[:, 0, 0], np.arange(100)[some])
    np.testing.assert_array_equal(velocities, 2 * positions)


def test_every_frame_is_found_and_no_other():
    past = remembered([1, 4] * 20)
    for frame in (0, 1, 57, 99, -1, -100):
        chunk, row = past.find(frame)
        assert chunk.step[row] == frame % 100
    for frame in (100, -101):
        with pytest.raises(IndexError, match=f"frame must be 0 to 99, got {frame}"):
            past.find(frame)


def test_going_back_forgets_what_came_later():
    past = remembered([1, 4] * 20)
    past.go_back(33, frames(33, 1))
    past.add(frames(34, 2))
    np.testing.assert_array_equal(past.gathered(slice(None), "step")[0], np.arange(36))


def test_the_oldest_piece_is_forgotten_and_never_the_last():
    past = remembered([64, 64, 3])
    for kept in (67, 3, 3):
        past.forget_oldest()
        assert len(past) == kept
