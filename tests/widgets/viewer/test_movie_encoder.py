"""Movies are made of pictures of one size, on white, evenly spread over a trajectory."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from so3lab_widgets.viewer import movie_encoder


def picture(width: int, height: int, colour: tuple[int, ...]) -> bytes:
    written = BytesIO()
    Image.new("RGBA", (width, height), colour).save(written, "PNG")
    return written.getvalue()


@pytest.mark.parametrize("frames", [2, 40, 99, 100, 101, 20_000])
def test_frames_are_spread_from_the_first_to_the_last(frames):
    chosen = movie_encoder.spread(frames)
    assert (chosen[0], chosen[-1]) == (0, frames - 1)
    assert len(chosen) == min(frames, movie_encoder.MOST_FRAMES)
    assert chosen == sorted(set(chosen))
    assert np.ptp(np.diff(chosen)) <= 1


def test_a_window_that_was_made_larger_meanwhile_changes_no_size_and_nothing_is_transparent():
    pictures = [picture(33, 21, (0, 0, 0, 0)), picture(66, 42, (255, 0, 0, 255))]
    with Image.open(BytesIO(movie_encoder.encode(pictures, ".gif", 10.0))) as movie:
        shown = []
        for number in range(movie.n_frames):
            movie.seek(number)
            shown.append(movie.convert("RGBA").getpixel((5, 5)))
        assert (movie.size, len(shown)) == ((32, 20), 2)
    assert shown[0] == (255, 255, 255, 255)
    assert shown[1][0] > 240 > 20 > shown[1][1]


@pytest.mark.parametrize("ending", movie_encoder.ENDINGS)
def test_a_movie_of_nothing_is_refused(ending):
    with pytest.raises(ValueError, match="at least one picture"):
        movie_encoder.encode([], ending, 20.0)


def test_endings_are_read_in_any_case():
    assert movie_encoder.ending_of("Run.MP4") == ".mp4"
    with pytest.raises(ValueError, match=r"path must end in .gif or .mp4, got 'run'"):
        movie_encoder.ending_of("run")
