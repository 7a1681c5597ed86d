"""How pictures become a movie: an animated GIF that plays anywhere, or an MP4 that is small and smooth."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np

ENDINGS = (".gif", ".mp4")
MOST_FRAMES = 100
"""Of a trajectory, unless told; the more, the longer people wait."""
WIDTH = 640
"""Pixels of a movie, unless told."""
_FASTEST_GIF = 50.0
"""Per second: players slow down those whose frames last less than two hundredths."""


def ending_of(path: str | Path) -> str:
    """The ending of a movie's name.

    Raises:
        ValueError: If it is none that can be written.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"path must end in {' or '.join(ENDINGS)}, got {str(path)!r}")
    return ending


def spread(frames: int, most: int = MOST_FRAMES) -> list[int]:
    """Frames of a trajectory, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, frames - 1, most).astype(int)).tolist()


def check_width(width: int) -> None:
    """Refuse a width that no movie has.

    Raises:
        ValueError: If it is none from 16 to 4096.
    """
    if not 16 <= width <= 4096:
        raise ValueError(f"width must be 16 to 4096 pixels, got {width}")


def encode(pictures: Iterable[bytes], ending: str, fps: float, width: int = WIDTH) -> bytes:
    """A movie of PNGs, on white.

    Args:
        pictures: At least one; all are shown in the size of the first, made smaller where it is wider than asked for.
        ending: ``.gif`` or ``.mp4``.
        fps: Pictures per second.
        width: Most pixels from left to right.
    """
    frames = list(_on_white(pictures, width))
    if not frames:
        raise ValueError("a movie needs at least one picture, got none")
    return _gif(frames, fps) if ending == ".gif" else _mp4(frames, fps)


def _on_white(pictures: Iterable[bytes], width: int) -> Iterable[np.ndarray]:
    """Pixels of even width and height, which codecs of movies want."""
    from PIL import Image

    size: tuple[int, int] | None = None
    for picture in pictures:
        drawn = Image.open(BytesIO(picture)).convert("RGBA")
        share = min(1.0, width / drawn.width)
        size = size or (round(share * drawn.width), max(2, round(share * drawn.height)))
        if drawn.size != size:  # somebody has made the window larger meanwhile
            drawn = drawn.resize(size)
        white = Image.new("RGBA", size, "white")
        pixels = np.asarray(Image.alpha_composite(white, drawn).convert("RGB"))
        yield pixels[: size[1] // 2 * 2, : size[0] // 2 * 2]


def _gif(frames: Sequence[np.ndarray], fps: float) -> bytes:
    from PIL import Image

    palette = Image.Palette.ADAPTIVE
    images = [Image.fromarray(frame).convert("P", palette=palette) for frame in frames]
    written = BytesIO()
    duration = 1000.0 / min(fps, _FASTEST_GIF)
    images[0].save(written, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0, disposal=1)
    return written.getvalue()


def _mp4(frames: Sequence[np.ndarray], fps: float) -> bytes:
    import av

    written = BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000), options={"crf": "18"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"  # the only one that every player reads
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return written.getvalue()
