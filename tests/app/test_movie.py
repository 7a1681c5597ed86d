"""A movie has the first frame and even distances, and of a long run as many frames as are enough."""

import numpy as np
import pytest
from known_frames import frames_of, write

from so3lab.app.movie import ENOUGH_FRAMES, movie_of


@pytest.mark.parametrize("frames", [1, ENOUGH_FRAMES, 2 * ENOUGH_FRAMES, 2 * ENOUGH_FRAMES + 50])
def test_frames_are_thinned_evenly(tmp_path, frames):
    movie = movie_of(write(tmp_path / "run.h5", frames), "A run")
    assert movie.caption == "A run"
    assert len(movie.frames) == len(movie.times_ps)
    assert min(frames, ENOUGH_FRAMES) <= len(movie.frames) < 2 * ENOUGH_FRAMES
    every = frames // ENOUGH_FRAMES or 1
    np.testing.assert_allclose(movie.times_ps, 0.01 * np.arange(0, frames, every))
    np.testing.assert_array_equal(movie.frames[-1].positions, frames_of(0, frames)["positions"][::every][-1])
