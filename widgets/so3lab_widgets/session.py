"""What panels share: a potential, a structure, a trajectory, minima, the picked atoms, the frame, and loaded models."""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets
from ase import Atoms

import so3lab
from so3lab.potential.potential import Potential
from so3lab_widgets.confinement import permitted
from so3lab_widgets.viewer.viewer import Viewer


class Session(traitlets.HasTraits):
    """A record that panels look at and write into; give the same one to several, and they go together.

    What is set here from Python reaches every panel of the session: another structure stands in the fields of a
    dynamics panel, another trajectory is opened, picked atoms are picked everywhere, frames move along.

    Traits:
        potential: A potential or energy model, None before there is one.
        structure: ``Atoms`` to work on, None before there are any.
        trajectory: A file or an open trajectory.
        minima: A database of minima.
        selection: The picked atoms in order.
        frame: Which frame of the trajectory is looked at.
    """

    potential = traitlets.Any(None)
    structure = traitlets.Instance(Atoms, allow_none=True)
    trajectory = traitlets.Any(None)
    minima = traitlets.Any(None)
    selection: tuple[int, ...] = traitlets.Tuple()  # type: ignore[assignment]
    frame = traitlets.Int(0, min=0)

    def __init__(self, **values: Any) -> None:
        unknown = sorted(set(values) - set(self.trait_names()))
        if unknown:
            raise TypeError(f"Session has no {unknown[0]!r}; it has {', '.join(sorted(self.trait_names()))}")
        self._loaded: dict[tuple[Any, ...], Potential] = {}
        self._loading = threading.Lock()
        self._filling = threading.local()
        super().__init__(**values)

    def load(self, model: str | os.PathLike) -> Potential:
        """A model by name or file, read once; a file that was written anew is read anew.

        Raises:
            ValueError: If there is no such model, or the file holds none.
            OSError: If the file cannot be read, or may not be (:func:`so3lab_widgets.confinement.permitted`).
        """
        permitted(model)
        with self._loading:  # a second panel that wants the same one waits for it
            key = _key(model)
            if key not in self._loaded:
                self._loaded[key] = so3lab.load(Path(model) if isinstance(model, os.PathLike) else model)
            return self._loaded[key]

    def named(self, potential: Any) -> Any:
        """The name or file that a potential was loaded by in this session, or itself where there is none."""
        with self._loading:
            found = (key[0] for key, loaded in self._loaded.items() if loaded is potential)
            return next(found, potential)

    @property
    def filling(self) -> bool:
        """Whether a change that is being told now is no wish of anybody, but comes from :meth:`fill`."""
        return getattr(self._filling, "now", False)

    def fill(self, **values: Any) -> None:
        """Set what nobody has set yet; panels that are open do not take it over."""
        self._filling.now = True
        try:
            for name, value in values.items():
                if getattr(self, name) is None:
                    setattr(self, name, value)
        finally:
            self._filling.now = False

    def follow(self, act: Callable[[Any], None], *names: str) -> Callable[[], None]:
        """Call ``act(change)`` when one of these is set; returns what ends that, and may be called again."""
        self.observe(act, list(names))
        ends = contextlib.ExitStack()
        ends.callback(self.unobserve, act, list(names))
        return ends.close

    def share_picks(self, viewer: Viewer) -> Callable[[], None]:
        """Let atoms that are picked in a viewer be those of the session, and the other way round.

        Returns:
            What ends it.
        """

        def tell(change: Any) -> None:
            self.selection = tuple(change.new)

        def obey(change: Any) -> None:
            atoms = viewer.atoms
            if atoms is not None and all(0 <= one < len(atoms) for one in change.new):
                viewer.picked = list(change.new)

        viewer.observe(tell, "picked")
        ends = contextlib.ExitStack()  # which calls each once
        ends.callback(viewer.unobserve, tell, "picked")
        ends.callback(self.follow(obey, "selection"))
        return ends.close


def _key(model: str | os.PathLike) -> tuple[Any, ...]:
    """What tells models apart: a name, or a file as it stands."""
    path = Path(model)
    if not path.is_file():
        return (str(model),)
    found = path.stat()
    return str(path.resolve()), found.st_mtime_ns, found.st_size
