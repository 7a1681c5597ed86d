"""All panels as tabs of one page: what one of them shows is sent to the others."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as ipw
import numpy as np
from ase import Atoms

from so3lab.engine.energy_model import EnergyModel
from so3lab.potential.potential import Potential
from so3lab_widgets.panels.attention.compare import FRAME
from so3lab_widgets.panels.attention_panel import AttentionPanel
from so3lab_widgets.panels.code_line import CodeLine
from so3lab_widgets.panels.dynamics_panel import DynamicsPanel
from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.later import Later
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.minima_panel import MinimaPanel
from so3lab_widgets.panels.panel import Panel, Runs, first_of
from so3lab_widgets.panels.train_panel import TrainPanel
from so3lab_widgets.panels.trajectory_panel import TrajectoryPanel
from so3lab_widgets.running.jobs import stop_all
from so3lab_widgets.session import Session
from so3lab_widgets.viewer.static_preview import SnapshotMixin

TITLES = {
    "dynamics": "Dynamics", "trajectory": "Trajectory", "minima": "Minima", "attention": "Attention",
    "training": "Training",
}  # fmt: skip
"""Of the tabs, by their names."""
DOORS = {
    "dynamics": ("Dynamics", "play", "run dynamics from what is shown; Start begins"),
    "attention": ("Attention", "eye", "look at what the model attends to in what is shown"),
    "minima": ("Search", "search", "search for minima from what is shown; Start begins"),
    "relax": ("Relax and keep", "compress", "relax what is shown, and keep it among the minima"),
    "training": (
        "Label and train", "graduation-cap",
        "frames of the run, chosen minima or chosen frames: label them, and let a model learn from them",
    ),
}  # fmt: skip
"""Where a structure can be sent to, or many of them: words, icon and tip of the button."""


class Lab(Panel):
    """Panels for dynamics, trajectories, minima, attention and training over one session.

    A panel is made when its tab is opened for the first time. What the open tab shows, a frame of running dynamics
    among others, is sent to the other panels by a button.

    Args:
        model: Name of a bundled model, a model file, ``"so3lr"``, or a potential; the session's, or ``"ala2"``, unless
            given.
        structure: ``Atoms``, or what :func:`so3lab.structures.read_structure` reads; the session's, or ``"ala2"``,
            unless given.
        panels: Which there are, in their order.
        session: What the panels share; one of its own unless given.
        make: Makes a panel in place of the usual one, by name, from ``model=``, ``structure=`` and ``session=``.

    Attributes:
        shared: The session.
        tabs: The tabs.
        doors: The buttons that send what is shown elsewhere.
        message: What goes on, and what cannot be done.
    """

    def __init__(
        self,
        model: str | Potential | EnergyModel | None = None,
        structure: str | Atoms | None = None,
        *,
        panels: Iterable[str] = tuple(TITLES),
        session: Session | None = None,
        make: dict[str, Callable[..., Panel]] | None = None,
    ):
        self._names = list(panels)
        if unknown := [name for name in self._names if name not in TITLES]:
            raise ValueError(f"panels must be some of {', '.join(TITLES)}, got {unknown[0]!r}")
        if not self._names:
            raise ValueError(f"panels must name at least one of {', '.join(TITLES)}, got none")
        self.shared = session or Session()
        self._model, self._structure = model, structure
        self._makers = _MAKERS | (make or {})
        self._panels: dict[str, Panel] = {}
        self._take_place("lab")
        self.message, self.code_line = MessageLine(), CodeLine()
        self._later = Later(self.message, f"{self._name} relax", "relaxing …")
        self._places = {name: ipw.VBox() for name in self._names}
        self.tabs = ipw.Tab([*self._places.values()], titles=[TITLES[name] for name in self._names])
        self.doors = {
            name: button(words, icon, tip, lambda name=name: self.message.try_to(lambda: self.send(name)))  # type: ignore[misc]
            for name, (words, icon, tip) in DOORS.items()
            if ("minima" if name == "relax" else name) in self._names
        }
        row = ipw.Layout(flex_flow="row wrap", align_items="center")
        head = ipw.HBox([ipw.Label("Send what is shown to"), *self.doors.values(), self.message], layout=row)
        super().__init__([head, self.tabs, self.code_line])
        self.code_line.show_code(f"lab = so3lab.widgets.Lab({self._arguments()})")
        self.tabs.observe(lambda change: self._turned(), "selected_index")
        self.panel(self._names[0])

    @property
    def shown(self) -> str:
        """Name of the tab that is open."""
        return self._names[self.tabs.selected_index or 0]

    def panel(self, name: str) -> Any:
        """A panel by its name, made when it is asked for first.

        Raises:
            ValueError: If the lab has no such panel.
        """
        self._check_open()
        if name not in self._names:
            raise ValueError(f"this lab has {', '.join(self._names)}, got {name!r}")
        if name not in self._panels:
            made = self._makers[name](model=self._model, structure=self._structure, session=self.shared)
            self._panels[name] = made
            if made._preview is not None and self._preview is not None:
                made._preview.pass_on_to(self._preview)
            self._places[name].children = (made,)
        return self._panels[name]

    def turn_to(self, name: str) -> None:
        """Open the tab of a panel.

        Raises:
            ValueError: If the lab has no such panel.
        """
        self.panel(name)
        self.tabs.selected_index = self._names.index(name)

    def atoms(self) -> Atoms:
        """The structure that the open tab shows, without a calculator.

        Raises:
            ValueError: If it shows none.
        """
        found = _SHOWN[self.shown](self.panel(self.shown))
        if found is None:
            raise ValueError(f"the {TITLES[self.shown]} tab shows no structure yet")
        found = found.copy()
        found.calc = None
        return found

    def frames(self) -> Sequence[Atoms]:
        """What is chosen in the open tab: remembered frames of dynamics, chosen frames or minima, or what is shown.

        Raises:
            ValueError: If there is nothing.
        """
        chosen = _CHOSEN.get(self.shown)
        return [self.atoms()] if chosen is None else chosen(self.panel(self.shown))

    def _together(self) -> list[Atoms]:
        """The minimum that is looked at, and those that are selected with it."""
        panel = self.panel("minima")
        rows = dict.fromkeys([panel.current, *panel.views.selected])
        first = self.atoms()
        return [one for row in rows if np.array_equal((one := panel.atoms(row)).numbers, first.numbers)]

    def send(self, door: str) -> None:
        """Send the structure that is shown elsewhere.

        Args:
            door: ``"dynamics"``, ``"attention"``, ``"minima"`` (a search begins with it when Start is pressed), or
                ``"relax"``, which keeps what it relaxes to among the minima. ``"training"`` takes all frames of
                :meth:`frames`, ``"attention"`` all selected minima, and compares the first two.

        Raises:
            ValueError: If there is no such door in this lab, or nothing is shown.
        """
        if door not in self.doors:
            raise ValueError(f"what is shown can be sent to {', '.join(self.doors)}, got {door!r}")
        if door == "training":
            self._label()
            return
        if door == "attention" and self.shown == "minima" and len(several := self._together()) > 1:
            self._compare(several)
            return
        atoms, target, source = self.atoms(), "minima" if door == "relax" else door, TITLES[self.shown]
        if door != "relax":
            self.shared.structure = None  # an equal structure would be no news, and may have another charge
            self.shared.structure = atoms
        panel = self.panel(target)
        self.turn_to(target)
        if door == "relax":
            self._later.do(lambda: panel.relax(atoms))
        else:
            then = "; stop the run that is there, and Start begins with it" if _goes_on(panel) else ""
            self.message.say(f"{atoms.get_chemical_formula()} of {source} is in {TITLES[target]} now{then}.")
        self.code_line.show_code(f"lab.send({door!r})")

    def _compare(self, minima: Sequence[Atoms]) -> None:
        """Let minima be frames of the attention panel, the first of which stands beside the second."""
        panel = self.panel("attention")
        self.turn_to("attention")
        panel.load(structure=minima)
        panel.compare.frame.value, panel.compare.what.value = 1, FRAME
        self.message.say(f"{len(minima)} minima are frames in Attention now; how the second differs is what is drawn.")
        self.code_line.show_code("lab.send('attention')")

    def _label(self) -> None:
        """Take what is chosen to the training panel, where a button labels it."""
        found, source = self.frames(), TITLES[self.shown]
        panel = self.panel("training")
        panel.label(found)
        self.turn_to("training")
        self.message.say(f"{len(panel.frames)} of {len(found)} frames of {source} wait for labels in Training now.")
        self.code_line.show_code("lab.send('training')")

    def session(self) -> str:
        """All that was clicked in the lab itself as lines of Python; each panel has its own."""
        return self.code_line.script()

    def close(self) -> None:
        """Take the lab away with all its panels."""
        if "_panels" not in vars(self):  # refused before it was made
            return
        panels, self._panels = self._panels, {}
        stop_all([*self.give_up(), *(job for panel in panels.values() for job in panel.give_up())])
        for panel in panels.values():
            panel.close()
        super().close()

    def _runs(self) -> list[Runs]:
        """What may be busy when the lab goes, and is waited for."""
        return [self._later] if hasattr(self, "_later") else []

    def _snapshot_parts(self) -> list[SnapshotMixin]:
        """What a picture of the lab shows: that of its open tab."""
        return list(self.panel(self.shown)._snapshot_parts())

    def _turned(self) -> None:
        self.message.try_to(lambda: self.panel(self.shown))
        self.code_line.show_code(f"lab.turn_to({self.shown!r})")

    def _arguments(self) -> str:
        given = [repr(one) if isinstance(one, str) else name for name, one in
                 (("model", self._model), ("structure", self._structure)) if one is not None]  # fmt: skip
        more = [] if self._names == list(TITLES) else [f"panels={self._names!r}"]
        return ", ".join([*given, *more])


def _model_of(session: Session, model: Any) -> Any:
    """What a panel begins with: the model of the session, by its name where it has one, or that of the lab."""
    return first_of(session.named(session.potential), model, "ala2")


def _made_dynamics(model: Any, structure: Any, session: Session) -> DynamicsPanel:
    return DynamicsPanel(_model_of(session, model), session.structure or structure, session=session)


def _made_trajectory(model: Any, structure: Any, session: Session) -> TrajectoryPanel:
    own = session.potential
    return TrajectoryPanel(model=own if isinstance(own, Potential) else model, session=session)


def _made_minima(model: Any, structure: Any, session: Session) -> MinimaPanel:
    return MinimaPanel(_model_of(session, model), session.structure or structure, session=session)


def _made_attention(model: Any, structure: Any, session: Session) -> AttentionPanel:
    return AttentionPanel(_model_of(session, model), session.structure or structure, session=session)


def _made_training(model: Any, structure: Any, session: Session) -> TrainPanel:
    return TrainPanel(session=session)


def _goes_on(panel: Panel) -> bool:
    """Whether a panel has a run that Start would go on with."""
    attempts = getattr(getattr(panel, "run", None), "attempts", None)
    return attempts is not None and attempts.begun


def _first_shown(panel: DynamicsPanel) -> int:
    """The frame that a dynamics panel shows: the one that is looked at, or the present."""
    return -1 if panel.run.shown_frame is None else panel.run.shown_frame


_MAKERS: dict[str, Callable[..., Panel]] = {
    "dynamics": _made_dynamics, "trajectory": _made_trajectory, "minima": _made_minima, "attention": _made_attention,
    "training": _made_training,
}  # fmt: skip


class _Numbered(Sequence[Atoms]):
    """Structures by their numbers, made when they are looked at: a run remembers thousands."""

    def __init__(self, numbers: Sequence[int], structure: Callable[[int], Atoms]):
        self._numbers, self._structure = numbers, structure

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: Any) -> Any:
        return self._structure(int(self._numbers[place]))


def _remembered(panel: DynamicsPanel) -> Sequence[Atoms]:
    live, replica = panel.run.present, panel.plot_area.number
    return _Numbered(range(live.frames(replica)), lambda frame: live.atoms(replica, frame))


def _chosen_frames(panel: TrajectoryPanel) -> Sequence[Atoms]:
    opened = panel.trajectory
    if opened is None:
        raise ValueError("no trajectory is open; open one, and choose frames of it")
    return _Numbered(panel.choice.frames.tolist(), lambda frame: opened[frame])


_CHOSEN: dict[str, Callable[[Any], Sequence[Atoms]]] = {
    "dynamics": _remembered, "trajectory": _chosen_frames,
    "minima": lambda panel: _Numbered(panel.chosen, panel.atoms),
}  # fmt: skip
"""Where many structures are chosen."""
_SHOWN: dict[str, Callable[[Any], Atoms | None]] = {
    "dynamics": lambda panel: None if panel.live is None else panel.atoms(_first_shown(panel)),
    "trajectory": lambda panel: None if panel.trajectory is None else panel.trajectory[panel.viewer.frame],
    "minima": lambda panel: panel.atoms(),
    "attention": lambda panel: panel.viewer.atoms,
    "training": lambda panel: panel.view.viewer.atoms,
}
