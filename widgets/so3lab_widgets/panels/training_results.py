"""What a panel that trains gives to Python and to files: tables, pictures, and what was clicked."""

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from so3lab import training
from so3lab_widgets.panels.code_line import CodeLine
from so3lab_widgets.panels.data_part import DataPart
from so3lab_widgets.panels.panel import Panel
from so3lab_widgets.panels.parity_part import ParityPart
from so3lab_widgets.panels.run_saving import page_of
from so3lab_widgets.panels.save_menu import save_text
from so3lab_widgets.panels.training_curves import TrainingCurves
from so3lab_widgets.panels.training_saving import TrainingSaving


class TrainingResults(Panel):
    """A panel with what came of trainings."""

    data: DataPart
    curves: TrainingCurves
    parity: ParityPart
    code_line: CodeLine
    saving: TrainingSaving
    _folder: Path

    def errors(self) -> pd.DataFrame:
        """Errors of each frame that was evaluated, one per row.

        Raises:
            ValueError: If nothing has been evaluated.
        """
        return self.parity.evaluation().structures

    def curve(self) -> pd.DataFrame:
        """All epochs of the run that is shown, one per row."""
        return self.curves.table

    def runs(self) -> pd.DataFrame:
        """The runs of the folder, one per row (:func:`so3lab.training.runs_table`)."""
        return training.runs_table(self._folder)

    def figures(self) -> list[go.Figure]:
        """All pictures that there are, as plain figures."""
        drawn = [go.Figure(self.data.figure)] if self.data.figure is not None else []
        drawn += [self.curves.picture()] if len(self.curves.table) else []
        drawn += [self.parity.drawn()] if self.parity.found is not None else []
        if not drawn:
            raise ValueError("there is no picture yet; load data first")
        return drawn

    def save_figures(self, path: str | Path) -> str:
        """Write the pictures into one page that needs no network; returns a sentence about it.

        Raises:
            FileExistsError: If the file exists: nothing is replaced.
        """
        return save_text(Path(path), page_of(self.figures()))

    def session(self) -> str:
        """All that was clicked as lines of Python, which wait for the epochs at which it was done."""
        return self.code_line.script()

    def save(self, what: str) -> None:
        """Write the ``"model"``, ``"curve"``, ``"errors"``, ``"runs"``, ``"figure"`` or ``"session"``.

        The panel's field says under which name.
        """
        self.saving.save(what)
