"""A frame of a labelled set in 3D, with its forces as arrows: of the reference, predicted ones, both, or the error."""

from collections.abc import Callable
from typing import Literal, get_args

import ipywidgets as ipw
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab.datasets import Dataset
from so3lab.training import Evaluation
from so3lab_widgets.viewer.viewer import Viewer

Arrows = Literal["none", "reference", "predicted", "both", "error"]
_WORDS = {
    "none": "none",
    "reference": "reference forces",
    "predicted": "predicted forces",
    "both": "reference and predicted forces",
    "error": "predicted − reference",
}
_LENGTH, _LONGEST = 0.5, 3.0
"""Å of an arrow per eV/Å, and of the longest one: larger forces make all arrows of their frame shorter."""
_LONGEST_ERROR = 1.5
"""Å of the arrow of an error that one in a hundred exceeds."""


class LabelledView(ipw.VBox):
    """Frames of a set, with arrows of a choice.

    Args:
        height: Of the molecule in pixels.
        on_frame: Called with the number of a frame when somebody moves to it.

    Attributes:
        viewer: The molecule.
        arrows: The field that says what arrows are.
        frame: The field that says which frame is shown.
        readout: How far the model is off in this frame.
        dataset: What is shown; None before there is one.
    """

    def __init__(self, height: int, on_frame: Callable[[int], None] = lambda frame: None):
        self._on_frame = on_frame
        self.dataset: Dataset | None = None
        self._predicted: dict[int, np.ndarray] = {}
        self._errors: dict[int, tuple[float, float]] = {}  # of energy (meV) and forces (meV/Å), by frame
        self._error_scale = _LENGTH
        self._shown = 0
        self._drawing = False
        self.viewer = Viewer(height=height, saves=False)
        self.frame = ipw.BoundedIntText(
            0, min=0, max=0, description="Frame", layout=ipw.Layout(width="150px"), style={"description_width": "46px"}
        )
        self.arrows = ipw.Dropdown(
            options=[(words, kind) for kind, words in _WORDS.items()],
            description="Arrows",
            tooltip="forces as arrows: of the reference, of the model, or what the model is off",
            layout=ipw.Layout(width="290px"),
            style={"description_width": "52px"},
        )
        self.frame.observe(lambda change: self.show(change.new), "value")
        self.arrows.observe(lambda change: self._draw(), "value")
        self.viewer.observe(lambda change: self._on_player(change.new), "frame")
        row = ipw.HBox([self.frame, self.arrows], layout=ipw.Layout(flex_flow="row wrap"))
        self.readout = ipw.HTML()
        super().__init__([self.viewer, row, self.readout], layout=ipw.Layout(flex="2 1 360px", min_width="0"))

    @property
    def shown(self) -> int:
        """Number of the frame that is shown."""
        return self._shown

    def set_data(self, dataset: Dataset) -> None:
        """Show another set from its first frame on."""
        self.dataset = None  # fields that change now mean nothing
        self.frame.max, self.frame.value, self._shown = len(dataset) - 1, 0, 0
        self.dataset = dataset
        self.set_predictions(None)

    def set_predictions(self, found: Evaluation | None) -> None:
        """What a model says of frames of the set; None when it is to be forgotten."""
        self._predicted, self._errors = {}, {}
        if found is not None:
            self._predicted = _forces_by_frame(found)
            columns = found.structures[["frame", "energy_error_meV", "force_mae_meV_A"]]
            self._errors = {int(frame): (energy, force) for frame, energy, force in columns.itertuples(index=False)}
            errors = found.forces["predicted"] - found.forces["reference"]
            self._error_scale = _LONGEST_ERROR / max(float(errors.abs().quantile(0.99)), 1e-4)
        self._draw()

    def show(self, frame: int, arrows: Arrows | None = None) -> None:
        """Show a frame.

        Args:
            frame: Its number in the set.
            arrows: What arrows are from now on; as before where it is None.

        Raises:
            ValueError: If there is no such frame, or no such kind of arrows.
        """
        if self.dataset is None:
            return
        if not 0 <= frame < len(self.dataset):
            raise ValueError(f"frame must be 0 to {len(self.dataset) - 1}, got {frame}")
        if arrows is not None and arrows not in get_args(Arrows):
            raise ValueError(f"arrows must be one of {', '.join(get_args(Arrows))}, got {arrows!r}")
        moved, self._shown = frame != self._shown, frame
        self.frame.value = frame
        if arrows is not None and arrows != self.arrows.value:
            self.arrows.value = arrows  # which draws
        elif self.viewer.frames > 1:
            self.viewer.arrow_scale = self._scale()
            self.viewer.frame = frame
            self._describe()
        else:
            self._draw()
        if moved:
            self._on_frame(frame)

    def forces(self, frame: int) -> np.ndarray:
        """The arrows of a frame in eV/Å, zero where nothing is known; of both kinds one after the other."""
        assert self.dataset is not None
        reference, predicted = self.dataset.forces[frame], self._predicted.get(frame)
        if self.arrows.value == "reference":
            return reference
        if self.arrows.value == "both":
            return np.concatenate([reference, np.zeros_like(reference) if predicted is None else predicted])
        if predicted is None or self.arrows.value == "none":
            return np.zeros_like(reference)
        return predicted if self.arrows.value == "predicted" else predicted - reference

    def close(self) -> None:
        """Take the view away; its threads end."""
        self.viewer.close()
        super().close()

    def _draw(self) -> None:
        """Show the frame with the arrows that are wanted now."""
        if self.dataset is None:
            return
        frame, self._drawing = self._shown, True  # a viewer begins at its frame 0
        try:
            self.viewer.show(_Frames(self) if self.dataset.uniform else _Frames(self)[frame])
            self.viewer.arrow_scale = self._scale()
            self.viewer.arrow_names = ["reference", "predicted"] if self.arrows.value == "both" else []
            self.viewer.forces = self.arrows.value != "none"
            if self.viewer.frames > 1:
                self.viewer.frame = frame
        finally:
            self._drawing = False
        self._describe()

    def _scale(self) -> float:
        """Å of an arrow per eV/Å, in the frame that is shown."""
        usual = self._error_scale if self.arrows.value == "error" else _LENGTH
        return min(usual, _LONGEST / max(float(np.linalg.norm(self.forces(self._shown), axis=1).max()), 1e-9))

    def _describe(self) -> None:
        kind = self.arrows.value
        charge = self.dataset.total_charges[self._shown] if self.dataset is not None else 0.0
        parts = [f"frame {self._shown}", f"charge {charge:+g}".replace("-", "−") if charge else "", _WORDS[kind]]
        self.viewer.caption = " · ".join(one for one in parts if one not in ("", "none"))
        words = ""
        if self._shown in self._errors:
            words = "Energy {:+.1f} meV, forces {:.1f} meV/Å off on average.".format(*self._errors[self._shown])
        elif kind in ("predicted", "both", "error"):
            words = "This frame was not evaluated: there are no arrows of predictions."
        self.readout.value = f'<span role="status">{words}</span>' if words else ""

    def _on_player(self, frame: int) -> None:
        if self.dataset is not None and not self._drawing and self.viewer.frames > 1:
            self.show(frame)


class _Frames:
    """The frames of a view as a viewer takes them: atoms whose forces are the arrows that are wanted."""

    def __init__(self, view: LabelledView):
        assert view.dataset is not None
        self._view, self._dataset = view, view.dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, frame: int) -> Atoms:
        atoms = self._dataset[frame]
        atoms.calc = SinglePointCalculator(atoms, forces=self._view.forces(frame))
        return atoms


def _forces_by_frame(found: Evaluation) -> dict[int, np.ndarray]:
    """Predicted forces (atoms, 3) of each frame that was evaluated."""
    frames, values = found.forces["frame"].to_numpy(), found.forces["predicted"].to_numpy()
    starts = np.flatnonzero(np.diff(frames, prepend=frames[0] - 1))
    return {int(frames[at]): part.reshape(-1, 3) for at, part in zip(starts, np.split(values, starts[1:]), strict=True)}
