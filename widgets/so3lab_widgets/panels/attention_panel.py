"""What a model attends to in a molecule, linked: links, matrices, pairs, their change over time, and what it proves."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ase import Atoms

from so3lab.attention import (
    Channel,
    Inside,
    channels,
    displacement_table,
    look_inside,
    pair_series,
    response_table,
)
from so3lab.potential.potential import Potential
from so3lab_widgets.panels.attention.along import AlongView
from so3lab_widgets.panels.attention.answers import Answers
from so3lab_widgets.panels.attention.cause import CauseView
from so3lab_widgets.panels.attention.colours import colours_of, definitions_of
from so3lab_widgets.panels.attention.compare import FRAME, MODEL, CompareRow
from so3lab_widgets.panels.attention.distance import DistanceView
from so3lab_widgets.panels.attention.matrix import MatrixView
from so3lab_widgets.panels.attention.overview import Overview
from so3lab_widgets.panels.attention.pair_list import PairList
from so3lab_widgets.panels.attention.reach_line import ReachLine
from so3lab_widgets.panels.attention.saving import AttentionSaving
from so3lab_widgets.panels.attention.shown import Shown
from so3lab_widgets.panels.attention.source_row import SourceRow
from so3lab_widgets.panels.attention.structures import in_python, let_go, opened
from so3lab_widgets.panels.attention_choice import AttentionChoice
from so3lab_widgets.panels.code_line import CodeLine
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.panel import Panel, Runs
from so3lab_widgets.running.jobs import stop_all
from so3lab_widgets.running.sender import LatestValueSender
from so3lab_widgets.session import Session
from so3lab_widgets.viewer.static_preview import SnapshotMixin
from so3lab_widgets.viewer.viewer import Viewer

VIEWS = ("overview", "matrix", "distance", "along the run", "cause")
_ASKING = "asking the model; a molecule of another size takes some seconds the first time"
_LOOKS_HZ, _PLOTS_HZ = 12.0, 4.0
"""The molecule comes first: matrices and lists are drawn less often, and always for the last frame."""


class AttentionPanel(Panel):
    """See what a SO3krates network attends to in a molecule, and whether that matters.

    Thumbnails of all layers, heads and degrees come first; a click opens one. Its strongest pairs are links on the
    molecule, blue for positive and orange for negative weights, and cells, points and rows beside it: whatever is
    pointed at is picked everywhere. Pairs have curves along a trajectory; another frame or model can be compared with.
    ``cause`` moves atoms and shows what follows, since attention alone proves nothing.

    Args:
        model: Name of a bundled model, a model file, ``"so3lr"``, or a potential.
        structure: ``Atoms``, a sequence of them, an open trajectory, a file, a bundled name, or ``smiles:`` and a
            SMILES. Where either is not given it is the session's (trajectory before structure), or else ``"ala2"``.
        session: What is shared with other panels: potential, structure, trajectory, frame and picked atoms.
        height: Of the molecule in pixels.
        look, follow, respond, displace: What computes: with the arguments of :func:`so3lab.attention.look_inside`,
            :func:`~so3lab.attention.pair_series`, :func:`~so3lab.attention.response_table` and
            :func:`~so3lab.attention.displacement_table`.

    Attributes:
        shared: The session.
        viewer: The molecule.
        attention: Fields for layer, head or degree and threshold; set ``attention.channel``.
        compare: What is compared with.
        overview, matrix, distance, along, cause: The views.
        pairs: The strongest pairs.
        reach: Whether the network can see from the first to the last picked atom.
        shown: What is drawn; None before the model has answered.
        message: What goes on, and what cannot be done.
    """

    def __init__(
        self,
        model: str | Potential | None = None,
        structure: Any = None,
        *,
        session: Session | None = None,
        height: int = 420,
        look: Callable[[Potential, Atoms], Inside] = look_inside,
        follow: Callable[..., Iterator[np.ndarray]] = pair_series,
        respond: Callable[..., pd.DataFrame] = response_table,
        displace: Callable[..., pd.DataFrame] = displacement_table,
    ):
        self.shared = session or Session()
        self._follow, self._respond, self._displace = follow, respond, displace
        self._take_place("attention")
        self.potential: Potential | None = None
        self.shown: Shown | None = None
        self._frames: Sequence[Atoms] = []
        self._given: Any = None
        self._other: Potential | None = None
        self._answers = Answers(look)
        self._looks = LatestValueSender(self._look_at, _LOOKS_HZ, "attention look")
        self._plots = LatestValueSender(self._draw, _PLOTS_HZ, "attention plots")
        self.message, self.code_line = MessageLine(), CodeLine()
        self.viewer = Viewer(height=height, saves=False)
        self._make_views()
        self._make_controls()
        super().__init__([self.source, self.message, self._body])
        self.viewer.observe(lambda change: self._on_frame(change.new), "frame")
        self.viewer.observe(lambda change: self._on_pick(list(change.new)), "picked")
        self.code_line.follow(self.viewer, "panel.viewer")
        assert self._preview is not None
        self.viewer.observe(self._preview.schedule, "painted")
        self._stop_sharing = self.shared.share_picks(self.viewer)
        self._stop_following = self.shared.follow(self._on_session, "potential", "structure", "trajectory", "frame")
        self._open_first(model, structure)

    def load(self, model: str | Potential | None = None, structure: Any = None) -> None:
        """Look at another structure or with another model; what is wrong is said in the panel, which keeps the rest."""
        self.message.try_to(lambda: self._load(model, structure))

    def look_at(self, view: str) -> None:
        """Show one of the views: ``"overview"``, ``"matrix"``, ``"distance"``, ``"along the run"`` or ``"cause"``.

        Raises:
            ValueError: If it is something else.
        """
        if view not in VIEWS:
            raise ValueError(f"view must be one of {', '.join(VIEWS)}, got {view!r}")
        self.views.value = view

    def table(self) -> pd.DataFrame:
        """Attention of the shown structure in all layers, heads and degrees; differences where two are compared.

        Responses that were computed stand beside the pairs.
        """
        shown = self._known()
        found, responses = shown.table(), self.cause.table
        if responses.empty or not self.cause.fits(shown):
            return found
        return found.merge(responses.drop(columns="distance"), on=["receiver", "sender"], how="left")

    def figure(self) -> go.Figure:
        """The figure of the view that is open, as a plain figure."""
        self._known()
        return self._drawn[self.views.value].picture()

    def session(self) -> str:
        """All that was clicked as lines of Python."""
        return self.code_line.script()

    def save(self, what: str) -> None:
        """Write the ``"table"``, the ``"figure"`` or the ``"session"``; the panel's field says under which name."""
        self.saving.save(what)

    def close(self) -> None:
        """Take the panel away: threads end, a file is let go."""
        if "_body" not in vars(self):  # a panel that could not be made is closed by Python all the same
            return
        self._stop_following()
        self._stop_sharing()
        stop_all(self.give_up())
        self._looks.close()
        self._plots.close()
        self.saving.close()
        for view in (self.overview, self.matrix, self.distance, self.along, self.cause):
            view.close()
        self.viewer.close()
        let_go(self._frames)
        super().close()

    def _runs(self) -> list[Runs]:
        """What may be busy when the panel goes, and is waited for."""
        return [self.along.attempts, self.cause.attempts, self.saving]

    def _snapshot_parts(self) -> list[SnapshotMixin]:
        """What a picture of the panel shows."""
        figure = getattr(self._drawn[self.views.value], "figure", None)
        return [self.viewer, *([figure] if figure is not None else [])]

    def _make_views(self) -> None:
        show_code = self.code_line.show_code
        self.attention = AttentionChoice(self._on_channel, show_code)
        self.attention.draw_in(self.viewer)
        self.compare = CompareRow(self._on_compare, self.message, show_code)
        self.pairs, self.reach = PairList(self._pick), ReachLine()
        self.overview = Overview(self._open)
        self.matrix, self.distance = MatrixView(self._point), DistanceView(self._point)
        self.along = AlongView(
            lambda frames, pairs, channel: self._follow(self._model(), frames, pairs, channel),
            picked=lambda: self.viewer.picked,
            channel=lambda: self.attention.channel,
            on_frame=self._on_curve,
            show_code=show_code,
            name=f"{self._name} along",
        )
        self.cause = CauseView(
            lambda atoms, moved: self._respond(self._model(), atoms, moved),
            lambda atoms, moved, by: self._displace(self._model(), atoms, moved, by),
            picked=lambda: self.viewer.picked,
            on_pair=self._point,
            show_code=show_code,
            name=f"{self._name} cause",
        )
        parts = (self.overview, self.matrix, self.distance, self.along, self.cause)
        self._drawn: dict[str, Any] = dict(zip(VIEWS, parts, strict=True))

    def _make_controls(self) -> None:
        self.source = SourceRow(self.load)
        self.follows = ipw.Checkbox(True, description="Molecule follows the pointer", indent=False)
        self.follows.layout.width = "230px"
        self.views = ipw.ToggleButtons(options=VIEWS, tooltips=[f"show {view}" for view in VIEWS])
        self.views.style.button_width = "auto"
        self.views.observe(lambda _: self._on_view(), "value")
        self._place = ipw.VBox()
        self.saving = AttentionSaving(self, on_line=self.code_line.show_code, name=f"{self._name} save")
        wrap = {"flex_flow": "row wrap", "grid_gap": "0 12px"}
        left = ipw.VBox([self.viewer, self.reach, self.pairs], layout=ipw.Layout(flex="2 1 400px", min_width="0"))
        head = ipw.HBox([self.views, self.follows], layout=ipw.Layout(align_items="center", **wrap))
        right = ipw.VBox([head, self._place], layout=ipw.Layout(flex="3 1 520px", min_width="0"))
        both = ipw.HBox([left, right], layout=ipw.Layout(**wrap))
        self._body = ipw.VBox([self.attention, self.compare, both, self.saving, self.code_line])
        self._body.layout.display = "none"

    def _open_first(self, model: str | Potential | None, structure: Any) -> None:
        model = model if model is not None else self.shared.potential
        frame = self.shared.frame
        if structure is None:
            structure = self.shared.trajectory if self.shared.trajectory is not None else self.shared.structure
        self.load("ala2" if model is None else model, "ala2" if structure is None else structure)
        if self.shared.trajectory is not None and self.shared.trajectory is self._given:
            self._go_to(frame)

    def _load(self, model: str | Potential | None, structure: Any) -> None:
        potential = self.shared.load(model) if isinstance(model, str) else model
        if potential is not None and not isinstance(potential, Potential):
            raise TypeError(
                f"the model must be a SO3krates network, which alone has attention; got {potential!r}"[:160]
            )
        frames = opened(structure) if structure is not None else self._frames
        chosen = potential if potential is not None else self._model()
        chosen.check_structure(frames[0])
        before, former = self._frames, self.potential
        self._frames, self.potential = frames, chosen
        if before is not frames or former is not chosen:
            self.cause.forget()
        self.shown = None
        self.source.says(model, structure)
        self.attention.offer(chosen.settings)
        if structure is not None:
            self._given = structure
            self.compare.offer(len(frames))
            self.along.load(frames)
        elif former is not chosen:
            self.along.again()
        look = functools.partial(self._answers.of, chosen, frames)
        colours = colours_of(chosen.settings, look, lambda: self.attention.channel)
        units = {name: unit for name, (_, unit) in definitions_of(chosen.settings).items()}
        self.viewer.show(frames if len(frames) > 1 else frames[0], colours, units)
        for name, (definition, _) in definitions_of(chosen.settings, self.attention.channel).items():
            self.viewer.describe(name, definition)
        if before is not frames:
            let_go(before)
        self.shared.fill(potential=chosen, structure=frames[0] if len(frames) == 1 else None)
        self._body.layout.display = ""
        self._on_view()
        self._tell_line()
        self._ask()

    def _tell_line(self) -> None:
        self.code_line.show_code(f"panel = so3lab.widgets.AttentionPanel({self.source.arguments})")

    def _model(self) -> Potential:
        if self.potential is None:
            raise ValueError("there is no model yet; type a bundled name (ethanol), a file, or so3lr above")
        return self.potential

    def _known(self) -> Shown:
        if self.shown is None:
            raise ValueError("the model has not answered yet; wait until links are drawn")
        return self.shown

    def _ask(self) -> None:
        if self.shown is None:
            self.message.say(_ASKING)
        self._looks.put((self.viewer.frame,))

    def _look_at(self, item: tuple[int]) -> None:
        """In a thread: ask the model for the newest frame, and draw its links."""
        try:
            potential, frames, channel = self._model(), self._frames, self.attention.channel
            frame = min(item[0], len(frames) - 1)
            inside = self._answers.of(potential, frames, frame)
            other, words = self._compared(potential, frames, frame), self.compare.words(self.source.model_name, frame)
            shown = Shown(frames[frame], inside, channel, other, words)
            if potential is self.potential and frames is self._frames:
                self.shown = shown
                self.compare.tell(shown.compared)
                if self.message.sentence == _ASKING:
                    self.message.clear()
                self.viewer.link(*shown.links)
                self._plots.put((shown,))
        except Exception as error:  # said in place; the next frame may do
            self.message.warn(error)
        self._looks.report(1)

    def _compared(self, potential: Potential, frames: Sequence[Atoms], frame: int) -> Inside | None:
        if self.compare.what.value == FRAME:
            return self._answers.besides(potential, frames, self.compare.frame.value)
        if self.compare.what.value == MODEL and self._other is not None:
            return self._answers.besides(self._other, frames, frame)
        return None

    def _draw(self, item: tuple[Shown]) -> None:
        """In a thread: bring the open view and the list up to date."""
        try:
            (shown,) = item
            self.pairs.draw(shown)
            view = self._drawn[self.views.value]
            view.draw(shown)
            if view is self.overview and self.overview.figure is not None:
                self._show_in_place([self.overview.figure])
            self._mark(self.viewer.picked)
        except Exception as error:
            self.message.warn(error)
        self._plots.report(1)

    def _on_view(self) -> None:
        """Another view is wanted."""
        view = self._drawn[self.views.value]
        content = [view] if isinstance(view, ipw.Widget) else [view.figure] if view.figure is not None else []
        self._show_in_place(content)
        self.code_line.show_code(f"panel.views.value = {self.views.value!r}")
        if self.shown is not None:
            self._plots.put((self.shown,))

    def _show_in_place(self, content: list[ipw.Widget]) -> None:
        if list(self._place.children) != content:
            self._place.children = content

    def _on_channel(self) -> None:
        self.message.clear()
        definition = definitions_of(self._model().settings, self.attention.channel)["attention"][0]
        self.viewer.describe("attention", definition)
        self.viewer.refresh()
        self.along.again()
        self._ask()

    def _open(self, channel: Channel) -> None:
        """A thumbnail was clicked."""
        self.attention.channel = channel
        self.look_at("matrix")

    def _on_compare(self) -> None:
        wanted = self.compare.model.value.strip() if self.compare.what.value == MODEL else ""
        self._other = None
        if wanted:
            other = self.shared.load(wanted)
            if channels(other.settings) != channels(self._model().settings):
                raise ValueError(f"{wanted} has other layers, heads or degrees than this model: they do not compare")
            self._other = other
        self._ask()

    def _point(self, atoms: list[int], how: str) -> None:
        if how == "click" or self.follows.value:
            self._pick(atoms)

    def _pick(self, atoms: list[int]) -> None:
        self.viewer.picked = atoms

    def _on_pick(self, picked: list[int]) -> None:
        self.code_line.show_code(f"panel.viewer.picked = {picked}")
        self._mark(picked)

    def _mark(self, picked: Sequence[int]) -> None:
        self.pairs.mark(picked)
        if self.shown is not None:
            self.reach.tell(self.shown, picked)
        for view in (self.matrix, self.distance, self.cause):
            view.mark(picked[:2])

    def _on_frame(self, frame: int) -> None:
        if self.shared.trajectory is not None and self.shared.trajectory is self._given:
            self.shared.frame = frame
        self.along.show_frame(frame)
        self._ask()

    def _on_curve(self, frame: int, how: str) -> None:
        if how == "click" or (self.follows.value and not self.viewer.playing):
            self.viewer.frame = frame
        if how == "click":
            self.code_line.show_code(f"atoms = {in_python(self._frames)}[{frame}]")

    def _on_session(self, change: Any) -> None:
        """Another panel has moved on, or somebody wants to look at something else."""
        if change.name == "frame":
            if self.shared.trajectory is not None and self.shared.trajectory is self._given:
                self._go_to(change.new)
        elif change.new is None or self.shared.filling:
            return
        elif change.name == "potential":
            self.load(model=change.new)
        elif change.new is not self._given:
            self.load(structure=change.new)

    def _go_to(self, frame: int) -> None:
        if frame < self.viewer.frames:
            self.viewer.frame = frame
