"""What follows when an atom moves, beside the attention that is paid to it: weights alone prove nothing."""

import threading
from collections.abc import Callable, Iterator, Sequence

import ipywidgets as ipw
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ase import Atoms

from so3lab.attention import rank_correlation, with_attention
from so3lab.counting import counted
from so3lab_widgets.panels.attempt import Attempt, Attempts
from so3lab_widgets.panels.attention.scatter import PairScatter
from so3lab_widgets.panels.attention.shown import Shown
from so3lab_widgets.panels.job_bar import JobBar, button
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.running.jobs import Job

AT_ONCE = 8
"""Atoms that are moved side by side."""
_KINDS = {
    "force": ("of forces", "eV/Å²", "eV/Å"),
    "charge": ("of charges", "e/Å", "e"),
    "energy": ("of energies per atom", "eV/Å", "eV"),
}
"""What responds, with the units of responses and of changes."""
Respond = Callable[[Atoms, Sequence[int]], pd.DataFrame]
"""Responses of all others to atoms that move, from a structure and the atoms."""
Displace = Callable[[Atoms, int, float], pd.DataFrame]
"""Changes when an atom is displaced, from a structure, the atom, and how far, Å."""


class CauseView(ipw.VBox):
    """Responses computed in a thread, drawn against attention for the same pairs.

    Args:
        respond: Computes exact responses.
        displace: Computes what a displacement changes.
        picked: Gives the atoms that are picked now.
        on_pair: Called with the two atoms of a point, and ``"click"`` or ``"hover"``.
        show_code: Called with a line of Python that does what was clicked.
        name: Of the job.

    Attributes:
        table: What has been computed of the shown structure; empty before.
        kind: Menu: which response.
        scatter: The points.
        bar: Of the job.
    """

    def __init__(
        self,
        respond: Respond,
        displace: Displace,
        *,
        picked: Callable[[], Sequence[int]],
        on_pair: Callable[[list[int], str], None],
        show_code: Callable[[str], None],
        name: str,
    ):
        self._respond, self._displace, self._picked, self._show_code = respond, displace, picked, show_code
        self._shown: Shown | None = None
        self._of: Atoms | None = None
        self._task: tuple[str, tuple[int, ...], float] = ("respond", (), 0.0)
        self.table = pd.DataFrame()
        self._done = 0
        self._drawing = threading.RLock()  # whoever draws last, in the job or at a click, draws what is wanted now
        self.bar = JobBar(lambda: self.bar.message.try_to(self._start), self._words)
        self.attempts = Attempts(
            self._make,
            lambda: self._task,
            bar=self.bar,
            name=name,
            on_item=lambda done: self.bar.item_made(),
            progress=lambda done: done / len(self._task[1]),
            on_state=self._on_state,
        )
        self.kind = ipw.Dropdown(
            options=[(words, kind) for kind, (words, *_) in _KINDS.items()], description="Response",
            layout=ipw.Layout(width="260px"), style={"description_width": "auto"},
        )  # fmt: skip
        self.kind.observe(lambda _: self._draw(), "value")
        self.distance = ipw.BoundedFloatText(
            0.2, min=0.001, max=2.0, step=0.05, description="by (Å)", layout=ipw.Layout(width="130px"),
            style={"description_width": "auto"},
        )  # fmt: skip
        tip = "exact second derivatives for the picked atoms, or for all where none is picked"
        self.move_button = button("Move picked atoms", "arrows", tip, lambda: self.bar.message.try_to(self.move))
        tip = "displace the picked atom along x, y and z, and compute everything anew"
        self.displace_button = button("Displace picked atom", "arrows-h", tip, self._displace_picked)
        self.scatter, self.sentence = PairScatter(on_pair), ipw.HTML()
        row = [self.move_button, self.displace_button, self.distance, self.kind]
        controls = ipw.HBox(row, layout=ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 8px"))
        super().__init__([controls, self.bar, self.sentence, self.scatter.figure])

    def move(self, *atoms: int) -> None:
        """What follows when these atoms move a little: those picked unless given, all where none is.

        Raises:
            ValueError: If there is no structure, or an atom does not exist.
        """
        shown = self._structure()
        chosen = atoms or tuple(self._picked()) or tuple(range(len(shown.atoms)))
        self._begin("respond", chosen, 0.0)
        self._show_code(f"panel.cause.move({', '.join(map(str, chosen)) if len(chosen) < len(shown.atoms) else ''})")

    def displace(self, atom: int, distance: float = 0.2) -> None:
        """What changes when this atom is displaced by so many Å.

        Raises:
            ValueError: If there is no structure, or the atom does not exist.
        """
        self._begin("displace", (atom,), distance)
        self._show_code(f"panel.cause.displace({atom}, {distance:g})")

    def draw(self, shown: Shown) -> None:
        """Attention of this; responses of another structure are of no use."""
        self._shown = shown
        if self._of is not None and not self.fits(shown):
            self.table, self._of = pd.DataFrame(), None
        self._draw()

    def fits(self, shown: Shown) -> bool:
        """Whether the responses are those of this structure."""
        return self._of is not None and np.array_equal(self._of.positions, shown.atoms.positions)

    def forget(self) -> None:
        """Another model or structure comes: responses of the one before are of no use, those that are computed too."""
        self.attempts.give_up()
        self._shown, self.table, self._of = None, pd.DataFrame(), None

    def mark(self, picked: Sequence[int]) -> None:
        """Put rings around the points of picked atoms."""
        self.scatter.mark(picked)

    def beside(self) -> pd.DataFrame:
        """Responses with the attention of the same pairs; empty before any were computed."""
        if self._shown is None or self.table.empty or not self.fits(self._shown):
            return pd.DataFrame()
        return with_attention(self.table, self._shown.inside, self._shown.channel)

    def picture(self) -> go.Figure:
        """The points as a plain figure."""
        return self.scatter.picture()

    def close(self) -> None:
        """Take the view away; its job is told to end."""
        self.attempts.give_up()
        close_all(*self.children)
        super().close()

    def _start(self) -> None:
        """Go on, or begin: with the picked atoms, or with all."""
        if self.attempts.goes_on:
            self.attempts.start()
        else:
            self.move()

    def _structure(self) -> Shown:
        if self._shown is None:
            raise ValueError("there is no structure yet; open one above")
        return self._shown

    def _begin(self, what: str, atoms: tuple[int, ...], distance: float) -> None:
        count = len(self._structure().atoms)
        if not all(0 <= atom < count for atom in atoms):
            raise ValueError(f"atoms are numbered 0 to {count - 1}, got {', '.join(map(str, atoms))}")
        self._task = (what, atoms, distance)
        self.attempts.begin(self._make)

    def _displace_picked(self) -> None:
        self.bar.message.try_to(self._displace_that)

    def _displace_that(self) -> None:
        picked = list(self._picked())
        if not picked:
            raise ValueError("no atom is picked; click the one to displace")
        self.displace(picked[0], self.distance.value)

    def _make(self, attempt: Attempt) -> Iterator[int]:
        what, chosen, distance = self._task
        atoms, tables, done = self._structure().atoms.copy(), [], 0
        attempt.change(lambda: setattr(self, "_done", 0))
        for start in range(0, len(chosen), AT_ONCE):
            some = chosen[start : start + AT_ONCE]
            tables.append(self._respond(atoms, some) if what == "respond" else self._displace(atoms, some[0], distance))
            found = pd.concat(tables, ignore_index=True)
            done += len(some)
            if not attempt.change(lambda found=found, done=done: self._take(atoms, found, done)):  # type: ignore[misc]
                return
            yield done

    def _take(self, atoms: Atoms, found: pd.DataFrame, done: int) -> None:
        self._of, self.table, self._done = atoms, found, done
        self._draw()

    def _draw(self) -> None:
        with self._drawing:
            self._draw_what_is_wanted()

    def _draw_what_is_wanted(self) -> None:
        table, shown = self.beside(), self._shown
        if shown is None:
            return
        displaced = "force_change" in table
        words, per_length, unit = _KINDS[self.kind.value]
        column = f"{self.kind.value}_{'change' if displaced else 'response'}"
        if table.empty or column not in table:
            wanted = "nothing was moved yet: attention says who reads whom, moving an atom says what depends on it"
            self.sentence.value = wanted if table.empty else "this model has no charges"
            table = pd.DataFrame({"receiver": [], "sender": [], "attention": [], column: []}, dtype=float)
        else:
            self.sentence.value = _sentence(table, column)
        self.scatter.draw_points(
            table[["receiver", "sender"]].to_numpy(int),
            table["attention"].abs().to_numpy(float),
            table[column].to_numpy(float),
            shown.names,
            titles=(
                f"size of attention, {shown.channel.words} (no unit)",
                f"{'change' if displaced else 'response'} {words} ({unit if displaced else per_length})",
            ),
            heading=("Attention and what follows when the sender moves", "one point per pair, both axes logarithmic"),
            logarithmic=True,
        )

    def _words(self) -> str:
        return f"{self._done} of {counted(len(self._task[1]), 'atom')} moved"

    def _on_state(self, job: Job) -> None:
        self.bar.refresh()


def _sentence(table: pd.DataFrame, column: str) -> str:
    """How well attention orders what follows, and how much follows where nobody pays attention."""
    near, far = table[table["attention"] != 0.0], table[table["attention"] == 0.0]
    agreement = rank_correlation(table, column)
    words = [f"{counted(len(near), 'pair')} within the cutoff"]
    if np.isfinite(agreement):
        words[0] += f": attention orders the responses with a rank correlation of {agreement:+.2f}"
    if len(far):
        words.append(
            f"{counted(len(far), 'pair')} beyond it, with attention 0 and responses up to {far[column].max():.3g} "
            f"(largest within: {near[column].max() if len(near) else 0.0:.3g})"
        )
    return "; ".join(words)
