"""The 3D view of everything that moves: a widget of ours that draws with the NGL that nglview brings along.

One way for structures, trajectories of any length and running simulations: a frame is a few arrays that a thread sends,
the newest first, at a rate that the page can paint.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
from ase import Atoms

from so3lab_widgets.running.sender import IN_SOFTWARE_HZ, LatestValueSender
from so3lab_widgets.viewer import movie_encoder
from so3lab_widgets.viewer.drawn_frame import DrawnFrameMixin
from so3lab_widgets.viewer.frame_source import Frames, check_size, pdb_text, residues_of
from so3lab_widgets.viewer.links import LinksMixin
from so3lab_widgets.viewer.movie_recorder import MovieRecorder
from so3lab_widgets.viewer.overlays import OverlaysMixin
from so3lab_widgets.viewer.page import page_module
from so3lab_widgets.viewer.plain_nglview import in_nglview
from so3lab_widgets.viewer.player import Player
from so3lab_widgets.viewer.static_preview import SnapshotMixin, StaticPreview
from so3lab_widgets.viewer.traits import OF_CONTENT, SETTABLE


class Viewer(SnapshotMixin, DrawnFrameMixin, LinksMixin, OverlaysMixin, anywidget.AnyWidget):
    """A molecule that can be turned, played, steered by pushes, coloured and measured.

    Args:
        structure: ``Atoms``, a sequence of them, a file or an open one; see :meth:`show`.
        representation: ``"ball+stick"``, ``"licorice"``, ``"spacefill"`` or ``"line"``.
        height: Of the view in pixels; its width follows the page.
        traits: Any of the traits below.

    Traits to set and to observe: ``frame`` (shown), ``frames`` (how many there are), ``playing``, ``fps``, ``loop``,
    ``smoothing`` (average over so many frames before and after), ``representation``, ``colour`` (one of ``colours``),
    ``labels``, ``follow`` (``"molecule"`` lays free molecules upon the first frame, ``"picked"`` keeps the picked atoms
    where they were there, ``"off"``), ``images`` (of a cell's atoms: as ``"stored"``, each ``"wrapped"`` into it, or
    molecules ``"whole"``), ``forces`` (whether to draw them as arrows, where there are any), ``arrow_scale`` (Å of an
    arrow per eV/Å), ``arrow_names`` (of what arrows are, for the legend; with two of them frames have two forces for
    each atom, first all of one kind, then all of the other), ``picked`` (up to four atoms in order), ``link_threshold``
    (share of the strongest link, 0 to 1, below which links are not drawn), ``links_of_picked`` (whether only links of
    picked atoms are, as long as there are some), ``tools`` (whether a bar above the view offers all that), ``saves``
    (whether that bar has a menu of what can be saved, where no panel has one), ``camera`` (sixteen numbers),
    ``caption`` (a few words in a corner), ``notice`` (a sentence over the molecule).

    Raises:
        TypeError: If a keyword is unknown, or the structure is nothing that can be shown.
        ValueError: If the structure is empty or too large.
    """

    _esm = page_module()
    _css = Path(__file__).parent / "viewer.css"

    def __init__(
        self, structure: Any = None, *, representation: str = "ball+stick", height: int = 400, **traits: Any
    ) -> None:
        unknown = sorted(set(traits) - {name for name in self.trait_names() if not name.startswith("_")})
        if unknown:
            raise TypeError(f"Viewer has no {unknown[0]!r}; it has representation, height, {', '.join(SETTABLE)}")
        self._lock = threading.RLock()
        self._content: Frames | None = None
        self._atoms: Atoms | None = None
        self._begin_drawing()
        self._player = Player(self)
        self._recorder = MovieRecorder(self, self._draw, lambda: self._sender.put(("frame", self.frame)))
        self._closing = threading.Event()
        self._preview: StaticPreview | None = None
        self._sender = LatestValueSender(self._send_frame, name="viewer")
        of_content = {name: traits.pop(name) for name in OF_CONTENT if name in traits}
        super().__init__(representation=representation, height=height, **traits)
        self.on_msg(self._on_message)
        self.observe(self._on_move, ["frame", "smoothing", "colour", "forces", "follow", "images"])
        self.observe(self._on_move, "picked")
        self.observe(lambda change: self._player.follow(change.new), "playing")
        try:
            if structure is not None:
                self.show(structure)
            for name, value in of_content.items():
                setattr(self, name, value)
        except Exception:
            self.close()
            raise

    @property
    def atoms(self) -> Atoms | None:
        """The structure as it is drawn now: a copy."""
        if self._atoms is None:
            return None
        with self._lock:
            now = self._atoms.copy()
            now.set_constraint()
            if "positions" in self.latest:
                now.positions = self.latest["positions"]
            if "cell" in self.latest:
                now.cell = self.latest["cell"]
        return now

    @property
    def rate_hz(self) -> float:
        """Frames per second that are sent at most, as of now."""
        return self._sender.rate_hz

    def show(
        self,
        structure: Any,
        values: Mapping[str, Callable[[int], np.ndarray]] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> None:
        """Show a structure, or a trajectory with a player.

        Args:
            structure: ``Atoms``, a sequence of them, a file, or an open one (:func:`so3lab.frames.open_frames`), of
                which the frames looked at are read.
            values: What else frames can be coloured by: functions of a frame's index that give a number per atom.
            units: Of these, for the legend.

        Raises:
            TypeError: If this is nothing that can be shown.
            ValueError: If it is empty or too large.
        """
        content = Frames(structure, values)
        self.playing = False
        with self._lock:
            self._content = content
            self._scale.clear(units)
            self._set_structure(content.first, len(content), ["element", *content.values], content.has_forces)
        self._sender.put(("frame", self.frame))

    def show_live(self, atoms: Atoms, colours: Sequence[str] = (), forces: bool = False) -> None:
        """Show a structure whose positions will be pushed.

        Args:
            atoms: Elements, bonds and cell.
            colours: Names of numbers per atom that will come with the positions.
            forces: Whether arrows can come too; whoever pushes looks at ``forces`` to see whether they are wanted.
        """
        check_size(atoms)
        self.playing = False
        with self._lock:
            self._content = None
            self._scale.clear()
            self._set_structure(atoms, 0, ["element", *colours], forces)
        self.push(atoms.positions, cell=np.asarray(atoms.cell) if atoms.pbc.any() else None)

    def push(
        self,
        positions: np.ndarray,
        *,
        cell: np.ndarray | None = None,
        values: Mapping[str, np.ndarray] | None = None,
        arrows: np.ndarray | None = None,
    ) -> None:
        """Show these positions as soon as the page is ready for them; never waits.

        Args:
            positions: Å, one row per atom of the structure that is shown.
            cell: Its vectors as rows, Å.
            values: Numbers per atom by name, to colour by.
            arrows: A vector per atom, eV/Å; drawn ``arrow_scale`` Å long per unit.

        Raises:
            ValueError: If the number of atoms is another one.
        """
        if self._atoms is None:
            raise ValueError("push needs a structure to move; call show or show_live first")
        positions = np.asarray(positions)
        if positions.shape != (len(self._atoms), 3):
            raise ValueError(f"positions must have shape {(len(self._atoms), 3)}, got {positions.shape}")
        self._sender.put(("push", (positions, cell, values or {}, arrows)))

    def refresh(self) -> None:
        """Read the shown frame once more, where what it is coloured by has changed."""
        if self._content is not None:
            self._sender.put(("frame", self.frame))

    def recolour(self, values: Mapping[str, np.ndarray]) -> None:
        """Colour what is shown by numbers per atom that come later than its positions.

        Args:
            values: By name; those of the colour that is chosen are drawn, unless they are for other atoms.
        """

        def with_values(waiting: tuple[str, Any] | None) -> tuple[str, Any]:
            if waiting is not None and waiting[0] == "push":  # sent without them it would take them away
                positions, cell, others, arrows = waiting[1]
                return "push", (positions, cell, {**others, **values}, arrows)
            return waiting if waiting is not None and waiting[0] == "frame" else ("recolour", values)

        self._sender.update(with_values)

    def as_nglview(self):
        """The same as a plain nglview widget, on which all of nglview works."""
        if self._content is not None:
            return in_nglview(self._content.source if self.frames > 1 else self._content.first, self.representation)
        now = self.atoms
        if now is None:
            raise ValueError("there is nothing to show yet; call show first")
        return in_nglview(now, self.representation)

    def save_picture(self, path: str | Path) -> "Future[bytes]":
        """Write a PNG of the view as soon as a page has drawn it."""
        future = self.take_picture()
        future.add_done_callback(lambda done: Path(path).write_bytes(done.result()))
        return future

    def save_movie(
        self,
        path: str | Path,
        frames: Sequence[int] | int | None = None,
        fps: float = 20.0,
        width: int = movie_encoder.WIDTH,
    ) -> "Future[Path]":
        """Write a movie of some frames as the page draws them, each of them; the work is done in a thread.

        Args:
            path: File to write; its name ends in ``.gif`` or ``.mp4``.
            frames: Which frames, or how many, spread evenly; 100 unless given.
            fps: Frames per second of the movie.
            width: Of the movie in pixels, where the page draws as many.

        Raises:
            ValueError: If the ending is another one, there is nothing that moves, or a frame does not exist.
        """
        return self._recorder.save(path, frames, fps, width)

    def close(self) -> None:
        """Take the view away; its threads end."""
        if not hasattr(self, "_sender"):  # refused before it was made
            return
        self._closing.set()
        self._player.close()
        self.playing = False
        if self._preview is not None:
            self._preview.close()
        self._sender.close()
        layout = self.layout
        super().close()
        layout.close()

    def _ipython_display_(self) -> None:
        if self._preview is None:
            self._preview = StaticPreview(self, lambda: [self])
            self.observe(self._preview.schedule, "painted")
        self._preview.show()

    def _set_structure(self, atoms: Atoms, frames: int, colours: list[str], forces: bool) -> None:
        """Put a structure on the stage; whoever looked at the same atoms before keeps the camera."""
        before = self._atoms
        same = (
            before is not None and np.array_equal(before.numbers, atoms.numbers) and before.pbc.any() == atoms.pbc.any()
        )
        self._atoms = atoms.copy()
        self._draw_anew(atoms)
        self._forget_links()
        with self.hold_trait_notifications():
            if not same:
                self.picked = []
            self.set_trait("colours", colours)
            if self.colour not in colours:
                self.colour = "element"
            self.set_trait("has_forces", forces)
            self.set_trait("frames", frames)
            self.frame = 0
            self.notice = ""
            self._overlays = []
            self._structure = {
                "text": pdb_text(atoms),
                "symbols": atoms.get_chemical_symbols(),
                "residues": residues_of(atoms),
                "fresh": not same,
                "cell": np.asarray(atoms.cell).ravel().tolist() if atoms.pbc.any() else None,
            }

    def _on_move(self, change: Any) -> None:
        if change.name == "picked" and self.follow != "picked":
            return
        if change.name == "forces" and not change.new:
            with self._lock:
                self._take_arrows(None)
        if self._content is not None:
            self._sender.put(("frame", self.frame))
        else:
            self._sender.put_if_empty(("again", None))

    def _send_frame(self, item: tuple[str, Any]) -> None:
        """In the sender's thread: make the newest frame and send it."""
        kind, what = item
        try:
            with self._lock:
                if kind == "frame" and self._content is not None:
                    self._read(self._content, what)
                elif kind == "push" and self._atoms is not None and len(what[0]) == len(self._atoms):
                    self._take(*what)
                elif kind == "recolour" and self._atoms is not None:
                    atoms = len(self._atoms)
                    self._take_values({name: array for name, array in what.items() if len(array) == atoms})
                elif kind == "again":
                    self._place()
                self._send_latest()
        except Exception as error:  # shown in place; the view goes on
            self.notice = " ".join(str(error).split())

    def _draw(self, frame: int) -> "Future[bytes]":
        """Show a frame, and ask for its picture on the same channel, so that the picture is of this frame."""
        content = self._content
        assert content is not None
        with self._lock:
            self._read(content, frame)
            self._send_latest()
            return self.take_picture()

    def _on_message(self, _: Any, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        if content["kind"] == "painted":
            self.painted += content["count"]
            self._sender.report(content["count"])
        elif content["kind"] == "hello":
            if content["in_software"]:
                self._sender.limit(IN_SOFTWARE_HZ)
            self._sender.put_if_empty(("again", None))
        elif content["kind"] == "film":
            self._recorder.send(f"so3lab.{content['format']}", content["frames"], content["width"])
