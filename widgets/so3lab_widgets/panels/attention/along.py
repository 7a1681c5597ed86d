"""How attention of chosen pairs changes along a run: a curve for each, linked to the frames."""

from collections.abc import Callable, Iterator, Sequence

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from ase import Atoms

from so3lab.attention import Channel
from so3lab.counting import counted
from so3lab_widgets.panels.attempt import Attempt, Attempts
from so3lab_widgets.panels.attention.shown import Shown
from so3lab_widgets.panels.attention.structures import times_ps
from so3lab_widgets.panels.frame_plot import FramePlot, Series
from so3lab_widgets.panels.job_bar import JobBar, button
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.theme import PALETTE

MOST_FRAMES = 400
"""Of a longer run with times, as many frames are looked at, evenly spread."""
Follow = Callable[[Sequence[Atoms], Sequence[tuple[int, int]], Channel], Iterator[np.ndarray]]
"""Attention of pairs, frame by frame, from frames, pairs and a channel."""


class AlongView(ipw.VBox):
    """Curves of pairs over frames, computed in a thread.

    Args:
        follow: Computes them.
        picked: Gives the atoms that are picked now.
        channel: Gives the chosen attention.
        on_frame: Called with the frame that somebody points at or clicks, and ``"hover"`` or ``"click"``.
        show_code: Called with a line of Python that does what was clicked.
        name: Of the job.

    Attributes:
        pairs: Whose curves are wanted.
        plot: The curves; None before there are frames.
        bar: Of the job.
        values: Shape (frames looked at, pairs), of the last job that has ended.
        frames_looked_at: Their numbers.
    """

    def __init__(
        self,
        follow: Follow,
        *,
        picked: Callable[[], Sequence[int]],
        channel: Callable[[], Channel],
        on_frame: Callable[[int, str], None],
        show_code: Callable[[str], None],
        name: str,
    ):
        self._follow, self._picked, self._channel = follow, picked, channel
        self._on_frame, self._show_code = on_frame, show_code
        self._frames: Sequence[Atoms] = []
        self.pairs: list[tuple[int, int]] = []
        self.values, self.frames_looked_at = np.zeros((0, 0)), np.zeros(0, int)
        self.plot: FramePlot | None = None
        self.bar = JobBar(self._start, self._words)
        self.attempts = Attempts(
            self._make,
            lambda: (tuple(self.pairs), self._channel(), len(self._frames)),
            bar=self.bar,
            name=name,
            on_item=lambda row: self.bar.item_made(),
            progress=lambda row: len(self._rows) / len(self.frames_looked_at),
            on_state=self._on_state,
        )
        self._rows: list[np.ndarray] = []
        add = button("Add picked pair", "plus", "a curve for the two picked atoms", self._add_picked)
        clear = button("Clear", "trash", "no curves", self._clear)
        self._place = ipw.VBox()
        super().__init__([ipw.HBox([add, clear]), self.bar, self._place])

    def load(self, frames: Sequence[Atoms]) -> None:
        """These frames from now on."""
        self.attempts.give_up()
        self._frames = frames
        times = times_ps(frames)
        every = 1 if times is None else max(1, -(-len(frames) // MOST_FRAMES))
        self.frames_looked_at = np.arange(0, len(frames), every)
        before, self.pairs, self.values = self.plot, [], np.zeros((0, 0))
        place = np.zeros(len(frames)) if times is None else times
        self.plot = FramePlot(place[self.frames_looked_at], self._pointed, lambda first, stop: None)
        self._place.children = [self.plot.figure]
        if before is not None:
            before.close()

    def add(self, one: int, other: int) -> None:
        """A curve for this pair, too.

        Raises:
            ValueError: If there is but one frame, or these are not two different atoms.
        """
        if len(self._frames) < 2:
            raise ValueError("curves need a trajectory, and there is but one structure; open a trajectory")
        atoms = len(self._frames[0])
        if one == other or not (0 <= one < atoms and 0 <= other < atoms):
            raise ValueError(f"a pair must be two different atoms, 0 to {atoms - 1}, got {one} and {other}")
        pair = (min(one, other), max(one, other))
        if pair not in self.pairs:
            self.pairs.append(pair)
        self._show_code(f"panel.along.add({one}, {other})")
        self.attempts.begin(self._make)

    def again(self) -> None:
        """Another attention is looked at: the same curves for it."""
        if self.pairs:
            self.attempts.begin(self._make)

    def draw(self, shown: Shown) -> None:
        """Curves are of all frames: another one changes nothing."""

    def show_frame(self, frame: int) -> None:
        """Move the line to a frame."""
        if self.plot is not None and len(self.frames_looked_at):
            self.plot.show_frame(int(np.abs(self.frames_looked_at - frame).argmin()))

    def picture(self) -> go.Figure:
        """The curves as a plain figure."""
        assert self.plot is not None
        return self.plot.picture()

    def close(self) -> None:
        """Take the view away; its job is told to end."""
        self.attempts.give_up()
        if self.plot is not None:
            self.plot.close()
        close_all(*self.children)
        super().close()

    def _start(self) -> None:
        self.bar.message.try_to(self._start_or_refuse)

    def _start_or_refuse(self) -> None:
        if not self.pairs:
            raise ValueError("no pair is chosen yet; pick two atoms and press Add picked pair")
        self.attempts.start()

    def _add_picked(self) -> None:
        self.bar.message.try_to(self._add_those)

    def _add_those(self) -> None:
        picked = list(self._picked())
        if len(picked) != 2:
            raise ValueError(f"a curve needs two picked atoms, and {len(picked)} are; click atoms or a link")
        self.add(*picked)

    def _clear(self) -> None:
        self.attempts.stop(wait=False)
        self.pairs, self.values = [], np.zeros((0, 0))
        self._draw()

    def _make(self, attempt: Attempt) -> Iterator[np.ndarray]:
        pairs, channel, chosen = list(self.pairs), self._channel(), [*self.frames_looked_at.tolist()]
        rows: list[np.ndarray] = []
        attempt.change(lambda: setattr(self, "_rows", rows))
        for row in self._follow(_Chosen(self._frames, chosen), pairs, channel):  # type: ignore[arg-type]
            rows.append(row)
            yield row
        attempt.change(lambda: self._finish(rows, pairs))

    def _finish(self, rows: list[np.ndarray], pairs: list[tuple[int, int]]) -> None:
        self.values, self.pairs = np.stack(rows), pairs
        self._draw()

    def _draw(self) -> None:
        if self.plot is None:
            return
        symbols = self._frames[0].get_chemical_symbols()
        names = [f"{symbols[i]}{i}–{symbols[j]}{j}" for i, j in self.pairs]
        self.plot.draw(
            {
                name: Series(f"attention {name}", self.values[:, number], PALETTE[number % len(PALETTE)])
                for number, name in enumerate(names)
            }
            if self.values.size
            else {}
        )

    def _pointed(self, place: int, how: str) -> None:
        self._on_frame(int(self.frames_looked_at[place]), how)

    def _words(self) -> str:
        return f"{len(self._rows):,} of {counted(len(self.frames_looked_at), 'frame')}"

    def _on_state(self, job: Job) -> None:
        self.bar.refresh()


class _Chosen(Sequence):
    """Some frames of many, read when they are looked at."""

    def __init__(self, frames: Sequence[Atoms], chosen: Sequence[int]):
        self._frames, self._chosen = frames, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, number):  # type: ignore[no-untyped-def]
        return self._frames[self._chosen[number]]
