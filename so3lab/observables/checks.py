"""Is a series fit to be analysed: finite, and equally spaced in time?"""

import numpy as np
from jaxtyping import Float

SPACING_TOLERANCE = 1e-3
"""Largest relative departure of a time step from the usual one; stored times are rounded, skipped frames are not."""


def spacing_fs(time_fs: Float[np.ndarray, " frames"], frames: int) -> float:
    """The time between consecutive frames in fs, when it is the same everywhere.

    Args:
        time_fs: Time of each frame.
        frames: Number of frames of the series that goes with the times.

    Raises:
        ValueError: If there are fewer than two frames, another number of them, or their times are not finite or not
            equally spaced and increasing.
    """
    times = times_of(time_fs, frames)
    if frames < 2:
        raise ValueError(f"time_fs must hold at least two frames, got {frames}")
    require_finite("time_fs", times)
    steps = np.diff(times)
    spacing = float(np.median(steps))
    if spacing <= 0:
        raise ValueError(f"time_fs must increase, got {times[0]:g} fs first and {times[-1]:g} fs last")
    wrong = np.abs(steps - spacing) > SPACING_TOLERANCE * spacing
    if wrong.any():
        frame = int(wrong.argmax())
        raise ValueError(
            f"time_fs must be equally spaced, the usual step is {spacing:g} fs and from frame {frame} to {frame + 1} "
            f"it is {steps[frame]:g} fs; use one unbroken run with a constant interval"
        )
    return float(times[-1] - times[0]) / (frames - 1)


def times_of(time_fs: Float[np.ndarray, " times"], frames: int) -> Float[np.ndarray, " frames"]:
    """The times as a column of a table with one row per frame.

    Raises:
        ValueError: If there are not as many times as frames.
    """
    if len(time_fs) != frames:
        raise ValueError(f"time_fs must hold one time per frame, got {len(time_fs)} times for {frames} frames")
    return np.asarray(time_fs, np.float64)


def require_finite(name: str, values: Float[np.ndarray, "*shape"]) -> None:
    """Check that no number is NaN or infinite.

    Raises:
        ValueError: If one is, with the frame (first axis) where it happens first.
    """
    finite = np.isfinite(values)
    if not finite.all():
        frame = int(np.argwhere(~finite)[0, 0]) if finite.ndim else 0
        raise ValueError(f"{name} must be finite, frame {frame} is not; leave out the frames from there on")
