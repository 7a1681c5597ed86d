"""The model that somebody works with at the moment: where it is from, and a button that hands it on."""

import html
from collections.abc import Callable
from pathlib import Path

import ipywidgets as ipw

from so3lab.potential.model_file import SUFFIX
from so3lab.potential.potential import Potential
from so3lab_widgets.panels.job_bar import button


class ModelInHand(ipw.HBox):
    """A model, in words, and what can be done with it: *Use this model*, *Fine-tune it*.

    Args:
        on_use, on_fine_tune: Called when somebody presses the buttons.

    Attributes:
        potential: The model, None before there is one.
        words: Says which one it is.
        use_button, fine_tune_button: The buttons.
    """

    def __init__(self, on_use: Callable[[], None], on_fine_tune: Callable[[], None]):
        self.potential: Potential | None = None
        self.words = ipw.HTML("No model in hand yet")
        self.use_button = button("Use this model", "share", "other panels of this session take it", on_use)
        self.fine_tune_button = button("Fine-tune it", "graduation-cap", "begin the next run with it", on_fine_tune)
        self.use_button.disabled = self.fine_tune_button.disabled = True
        layout = ipw.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 10px")
        super().__init__([self.words, self.use_button, self.fine_tune_button], layout=layout)

    def take(self, potential: Potential, words: str) -> None:
        """Have another model in hand; what stays as it is is not sent to pages again."""
        self.potential = potential
        self.words.value = f'<span role="status">Model in hand: <b>{html.escape(words)}</b></span>'
        self.use_button.disabled = self.fine_tune_button.disabled = False

    def present(self) -> Potential:
        """The model.

        Raises:
            ValueError: If there is none.
        """
        if self.potential is None:
            raise ValueError("there is no model in hand; train one, or open a run")
        return self.potential

    def keep_in(self, folder: Path) -> str:
        """Write the model into a folder, under a name that is free, and give that.

        Raises:
            ValueError: If there is none.
        """
        potential, number = self.present(), 1
        while (path := folder / f"start-{number}{SUFFIX}").exists():
            number += 1
        folder.mkdir(parents=True, exist_ok=True)
        potential.save(path)
        return str(path)
