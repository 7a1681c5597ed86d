"""Structures that somebody has found, labelled by a reference method, as a set that a model learns from."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ase.io
import ipywidgets as ipw
import numpy as np
from ase import Atoms

from so3lab import datasets, labels
from so3lab.datasets import Dataset
from so3lab.labels import LabelProgress
from so3lab_widgets.confinement import confined_to
from so3lab_widgets.panels.attempt import Attempt, Attempts
from so3lab_widgets.panels.attention.structures import opened
from so3lab_widgets.panels.job_bar import JobBar, button
from so3lab_widgets.panels.minima_reading import gathered, where_of
from so3lab_widgets.session import Session

SOURCES = ("trajectory", "minima", "structure")
"""Of a session: where frames may be taken from."""
_USUAL_MOST = 50


class FoundPart(ipw.VBox):
    """Frames that wait for labels, and what labels them; the set that comes of it is a file in the folder of runs.

    Args:
        session: Where frames are taken from.
        folder: Keeps labels (``found-1.jsonl``, to go on from after a stop) and sets (``found-1.extxyz``).
        loaded: Gives the set that is loaded, which labelled frames may be added to.
        on_set: Called in the job's thread with the file of a set.
        on_line: Called with the line of Python for what somebody did.
        name: Of the job that labels.

    Attributes:
        frames: What waits for labels; set them, or :meth:`take` them from the session.
        source, at_most: Fields: what of the session, and at most how many frames of it.
        level: The field for the method: ``gfn2``, ``pbe``, or a calculator of ASE.
        together: Whether labelled frames are added to the set that is loaded.
        bar: Shows the job; its start button labels.
    """

    def __init__(
        self,
        session: Session,
        folder: Path,
        loaded: Callable[[], Dataset],
        on_set: Callable[[str], None],
        on_line: Callable[[str], None],
        *,
        name: str,
    ):
        self._session, self._folder, self._loaded, self._on_set, self._on_line = (
            session,
            folder,
            loaded,
            on_set,
            on_line,
        )
        self._frames: tuple[Atoms, ...] = ()
        self._stem = ""
        self.source = _field(ipw.Dropdown, "Take from", 210, 66, "what of the session", options=SOURCES)
        self.at_most = _field(
            ipw.BoundedIntText, "at most", 140, 52, "spread evenly", value=_USUAL_MOST, min=1, max=10**6
        )
        self.level = _field(
            ipw.Combobox, "Label with", 210, 68, "gfn2 and pbe need so3lab[labels]; any calculator of ASE, such as emt",
            options=list(labels.LEVELS), value="gfn2",
        )  # fmt: skip
        self.together = ipw.Checkbox(
            False, description="add to the loaded set", indent=False, layout=ipw.Layout(width="170px"),
            tooltip="so that the model does not forget it; both must have been labelled by one method",
        )  # fmt: skip
        self.take_button = button("Take frames", "hand-o-down", "take them from the session", self._on_take)
        self.words = ipw.HTML()
        self.bar = JobBar(lambda: self.bar.message.try_to(self._on_start))
        self._attempts = Attempts(
            self._labelled,
            lambda: (self._stem, self.level.value, self.together.value),
            bar=self.bar,
            name=name,
            progress=lambda item: item.done / max(item.total, 1),
            on_item=self._tell,
            expected=(ValueError, OSError, ImportError, NotImplementedError),
        )
        wrapped = ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 8px")
        takes = ipw.HBox([self.source, self.at_most, self.take_button, self.words], layout=wrapped)
        labelling = ipw.HBox([self.level, self.together, self.bar], layout=wrapped)
        super().__init__([takes, labelling])
        self.frames = ()

    @property
    def frames(self) -> tuple[Atoms, ...]:
        """What waits for labels."""
        return self._frames

    @frames.setter
    def frames(self, frames: Sequence[Atoms]) -> None:
        frames = tuple(frames)
        wrong = next((one for one in frames if not isinstance(one, Atoms)), None)
        if wrong is not None:
            raise TypeError(f"frames must be Atoms, got {type(wrong).__name__}")
        self._frames = frames
        self._stem = self._free_name()
        count = f"{len(frames)} frame{'s' * (len(frames) != 1)}"
        self.words.value = f'<span role="status">{count} to be labelled</span>' if frames else "none taken yet"

    def take(self, source: str | None = None, at_most: int | None = None) -> None:
        """Take frames of the session.

        Args:
            source: ``"trajectory"``, ``"minima"`` or ``"structure"``; what the field says unless given.
            at_most: Take no more than so many, spread evenly; what the field says unless given.

        Raises:
            ValueError: If the session has none, or there is no such source.
        """
        source = self.source.value if source is None else source
        if source not in SOURCES:
            raise ValueError(f"source must be one of {', '.join(SOURCES)}, got {source!r}")
        self.source.value = source
        if at_most is not None:
            self.at_most.value = at_most
        given = getattr(self._session, source)
        if given is None:
            raise ValueError(f"the session has no {source} yet; open one in another panel, or set session.{source}")
        if source == "minima":
            found: Sequence[Atoms] = [one.atoms for one in gathered(where_of(given), (), None).minima]
        else:
            found = opened(given)
        if not len(found):
            raise ValueError(f"the {source} of the session hold no structure yet")
        self.spread(found)

    def spread(self, found: Sequence[Atoms]) -> None:
        """Let some of these frames wait for labels: as many as the field says at most, spread evenly.

        Raises:
            ValueError: If there are none.
        """
        if not len(found):
            raise ValueError("there are no frames to be labelled; choose some")
        few = np.unique(np.linspace(0, len(found) - 1, min(len(found), self.at_most.value)).astype(int))
        self.frames = [found[int(number)] for number in few]

    def start(self) -> None:
        """Label, or go on with labelling.

        Raises:
            ValueError: If there are no frames, or no such method.
            PermissionError: If others use this process, and the method is code rather than a name.
        """
        if not self.frames:
            raise ValueError("there are no frames to be labelled; take some from the session, or set panel.frames")
        level = self.level.value.strip()
        if ":" in level and confined_to() is not None:
            raise PermissionError(
                f"{level} names code; this lab is open to others, and labels with methods by name only"
            )
        labels.method_of(level)
        self._attempts.start()

    def wait(self) -> None:
        """Return when labelling has ended."""
        if self._attempts.job is not None:
            self._attempts.job.join()

    def close(self) -> None:
        """Take the part away; what has been labelled is kept."""
        self._attempts.give_up()
        super().close()

    def _labelled(self, attempt: Attempt) -> Iterator[LabelProgress]:
        """In the job's thread."""
        frames, level, stem = self.frames, self.level.value.strip(), self._stem
        together = self._loaded() if self.together.value else None
        self._folder.mkdir(parents=True, exist_ok=True)
        journal, file = (self._folder / f"{stem}{ending}" for ending in (".jsonl", ".extxyz"))
        yield from labels.label(frames, level, journal)
        found = labels.labelled_set(frames, level, journal)
        if together is not None:
            found = datasets.joined(together, found)
            datasets.check_units_and_geometry(found)  # two methods count energies from different zeros
        ase.io.write(file, list(found), format="extxyz")
        attempt.change(lambda: self._on_set(str(file)))

    def _tell(self, item: Any) -> None:
        self.bar.item_made()
        failed = f", {item.failed} without a label" if item.failed else ""
        self.words.value = f'<span role="status">{item.done} of {item.total} frames labelled{failed}</span>'

    def _free_name(self) -> str:
        taken = {path.stem for path in self._folder.glob("found-*")}
        return next(name for number in range(1, 10**9) if (name := f"found-{number}") not in taken)

    def _on_take(self) -> None:
        self._on_line(f"panel.found.take({self.source.value!r}, at_most={self.at_most.value})")
        self.bar.message.try_to(self.take)

    def _on_start(self) -> None:
        self._on_line("panel.found.start()")
        self.start()


def _field(kind: Any, words: str, width: int, words_width: int, tip: str, **options: Any) -> Any:
    return kind(
        description=words,
        tooltip=tip,
        layout=ipw.Layout(width=f"{width}px"),
        style={"description_width": f"{words_width}px"},
        **options,
    )
