"""Which data a model learns from: a set by name or file, what is in it, and which of its frames stand out."""

import html
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
from ase.data import chemical_symbols

from so3lab import datasets
from so3lab.datasets import Dataset
from so3lab.datasets.file_units import ENERGY_UNITS, LENGTH_UNITS
from so3lab_widgets.confinement import permitted
from so3lab_widgets.figures import data_distributions
from so3lab_widgets.panels.attempt import Attempt, GivenUp, Newest
from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.running.jobs import Job
from so3lab_widgets.tables.linked_table import LinkedTable

_MOST_OUTLIERS = 1000
_AS_WRITTEN = "as the file says"
_UNIT_STYLE = {"description_width": "90px"}


class DataPart(ipw.VBox):
    """Fields for a set, and pictures of what is in it.

    A click on a bar or a point shows a frame that it counts, another click the next one.

    Args:
        on_data: Called with a set that has been loaded.
        on_frame: Called with the number of a frame that somebody wants to see.
        on_line: Called with the line of Python for what somebody did.
        name: Of the job that loads.

    Attributes:
        source: The field for a name or a file.
        energy_unit, length_unit: Fields for units; see :meth:`set_units`.
        dataset: The set, None before there is one.
        frames: A row per frame (:func:`so3lab.datasets.frame_table`).
        outliers: Frames that stand out (:func:`so3lab.datasets.outliers`).
        outlier_table: Them as a table; a click on a row shows the frame.
        message: What goes on, and what is wrong.
        job: What loads, None before the first.
        figure: The distributions, None before there is a set.
    """

    def __init__(
        self,
        on_data: Callable[[Dataset], None],
        on_frame: Callable[[int], None],
        on_line: Callable[[str], None],
        *,
        name: str,
    ):
        self._on_data, self._on_frame, self._on_line, self._name = on_data, on_frame, on_line, name
        self.dataset: Dataset | None = None
        self.loaded: tuple[str, dict[str, Any]] | None = None  # what the fields said when it was asked for
        self.frames, self.outliers, self._forces = pd.DataFrame(), pd.DataFrame(), pd.DataFrame()
        self.job: Job | None = None
        self._newest = Newest()
        self.figure: LinkedFigure | None = None
        self._given: Dataset | None = None
        self._clicked: tuple[Any, int] = (None, -1)
        self.message = MessageLine()
        catalogue = datasets.catalogue()
        self._by_name = set(catalogue["name"])
        self.source = ipw.Combobox(
            value="", options=list(catalogue["name"]), description="Data", placeholder="name or file",
            tooltip="a bundled set (ethanol), a public one (rmd17-aspirin), which is downloaded, or a file",
            layout=ipw.Layout(width="280px"), style={"description_width": "36px"},
        )  # fmt: skip
        self.energy_unit = _unit_field("Energies in", ENERGY_UNITS)
        self.length_unit = _unit_field("Lengths in", LENGTH_UNITS)
        self.load_button = button("Load", "folder-open", "read this set, and look at it", self._on_load)
        self.about = ipw.HTML()
        self._plot = ipw.VBox(layout=ipw.Layout(min_width="0"))
        self.outlier_words = ipw.HTML()
        self.outlier_table = LinkedTable("frame", height=170)
        self.outlier_table.observe(self._on_outlier, "current")
        head = [self.source, self.energy_unit, self.length_unit, self.load_button]
        row = ipw.HBox(head, layout=ipw.Layout(flex_flow="row wrap", align_items="center"))
        self._rest = ipw.VBox(
            [self.about, self._plot, self.outlier_words, self.outlier_table], layout=ipw.Layout(display="none")
        )
        super().__init__([row, self.message, self._rest])

    def load(self, source: str | Dataset) -> None:
        """Begin to load a set, and look at it when it is there; what is wrong with it is said here.

        Args:
            source: A name, a file, or a set, which the field then only names.
        """
        self._given = source if isinstance(source, Dataset) else None
        self.source.value = source.name if isinstance(source, Dataset) else source
        self.reload()

    def reload(self) -> None:
        """Load what the fields say, in a thread."""
        source, given = self.source.value.strip(), self._given
        if given is not None and given.name != source:
            given = self._given = None
        asked, attempt = (source, self.units()), self._newest.begin()
        self.message.say(f"loading {source} …")
        self.job = Job(
            lambda: self._loaded(attempt, asked, given), name=self._name, expected=(ValueError, OSError, GivenUp)
        )
        self.job.subscribe(lambda job: self._on_end(job, attempt))
        self.job.start()

    def present(self) -> Dataset:
        """The set.

        Raises:
            ValueError: If there is none yet.
        """
        if self.dataset is None:
            raise ValueError("no data are loaded; give a name (ethanol) or a file, and press Load")
        return self.dataset

    def units(self) -> dict[str, Any]:
        """What the fields say of units, as arguments of :func:`so3lab.datasets.load`."""
        fields = {"energy_unit": self.energy_unit, "length_unit": self.length_unit}
        return {name: None if field.value == _AS_WRITTEN else field.value for name, field in fields.items()}

    def set_units(self, energy_unit: str | None, length_unit: str | None) -> None:
        """Say in which units a file is; None for what it says itself."""
        self.energy_unit.value, self.length_unit.value = energy_unit or _AS_WRITTEN, length_unit or _AS_WRITTEN

    def close(self) -> None:
        """Take the part away; a download ends with its next piece, for which nobody waits."""
        self._newest.give_up(self._close_figure)
        if self.job is not None:
            self.job.stop(wait=False)
        super().close()

    def _close_figure(self) -> None:
        if self.figure is not None:
            self.figure.close()

    def _loaded(self, attempt: Attempt, asked: tuple[str, dict[str, Any]], given: Dataset | None) -> Iterator[Dataset]:
        """In the job's thread: download where it must be, read, check, and show unless another set is wanted."""
        source, units = asked
        if not source and given is None:
            raise ValueError("the data must be a name (ethanol) or a file; the field is empty")
        if given is None and source.lower() in self._by_name:
            datasets.fetch(source, progress=lambda done, total: self._say_bytes(attempt, done, total))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", datasets.LabelWarning)  # they are remarks, which are shown
            if given is not None:
                datasets.check_labels(given)
            found = given or datasets.load(permitted(source), **units)
        attempt.change(lambda: self._take(found, asked))
        yield found

    def _say_bytes(self, attempt: Attempt, done: int, total: int | None) -> None:
        attempt.check()
        of = f" of {total / 1e6:,.0f}" if total else ""
        attempt.change(lambda: self.message.say(f"downloading {done / 1e6:,.1f}{of} MB …"))

    def _on_end(self, job: Job, attempt: Attempt) -> None:
        if job.state == "failed":
            attempt.change(lambda: self.message.warn(job.error or ""))

    def _take(self, dataset: Dataset, asked: tuple[str, dict[str, Any]]) -> None:
        """Show what is in a set."""
        frames = datasets.frame_table(dataset)
        self.outliers = datasets.outliers(dataset, frames).head(_MOST_OUTLIERS)
        self._forces = datasets.force_distribution(dataset)
        self._energies = datasets.energy_distribution(frames)
        self.dataset, self.loaded, self.frames, self._clicked = dataset, asked, frames, (None, -1)
        before, self.figure = self.figure, LinkedFigure(data_distributions(self._energies, self._forces))
        for trace in self.figure.data:
            trace.on_click(self._on_click)
        self._plot.children = (self.figure,)
        if before is not None:
            close_all(before)
        self.outlier_table.show(_shown(dataset, self.outliers))
        self.outlier_table.layout.display = "" if len(self.outliers) else "none"
        self.outlier_words.value = f'<span role="status">{_outlier_words(self.outliers)}</span>'
        self.about.value = _facts(dataset)
        self._rest.layout.display = ""
        self.message.clear()
        self._on_data(dataset)

    def _on_load(self) -> None:
        units = "".join(f", {name}={value!r}" for name, value in self.units().items() if value)
        self._on_line(f"panel.load_data({self.source.value.strip()!r}{units})")
        self.reload()

    def _on_outlier(self, change: Any) -> None:
        if change.new >= 0:
            self._on_frame(int(self.outliers["frame"].iloc[change.new]))

    def _on_click(self, trace: Any, points: Any, state: Any) -> None:
        """Show the next of the frames that a bar or a point counts."""
        if not points.xs or self.dataset is None:
            return
        table = self._energies if trace.name == "energies" else self._forces.query("element == @trace.name")
        bar = table.iloc[int(np.argmin(np.abs(0.5 * (table["low"] + table["high"]) - float(points.xs[0]))))]
        if trace.name == "energies":
            found = datasets.frames_with_energy(self.frames, bar["low"], bar["high"])
        else:
            found = datasets.frames_with_force(self.dataset, trace.name, bar["low"], bar["high"])
        if not len(found):
            return
        key = (trace.name, float(bar["low"]))
        number = self._clicked[1] + 1 if self._clicked[0] == key else 0
        self._clicked = (key, number)
        unit = "eV" if trace.name == "energies" else f"eV/Å on {trace.name}"
        self.message.say(
            f"{number % len(found) + 1} of {len(found)} frames with {bar['low']:.2f} to {bar['high']:.2f} {unit}"
        )
        self._on_frame(int(found[number % len(found)]))


def _unit_field(words: str, known: Any) -> ipw.Dropdown:
    return ipw.Dropdown(
        options=[_AS_WRITTEN, *known],
        description=words,
        tooltip="needed for files that do not say it",
        layout=ipw.Layout(width="230px"),
        style=_UNIT_STYLE,
    )


def _facts(dataset: Dataset) -> str:
    """What a set is, in a paragraph, with what its check had to say."""
    symbols = " ".join(chemical_symbols[z] for z in dataset.elements)
    sizes = dataset.sizes
    atoms = f"{sizes.max()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"
    words = [f"<b>{len(dataset):,} frames</b>", f"{atoms} atoms", symbols]
    words += ["cells"] if dataset.pbc.any() else []
    words += _electrons(dataset)
    words += [html.escape(str(dataset.meta[key])) for key in ("level_of_theory", "licence") if dataset.meta.get(key)]
    remarks = "".join(
        f'<li style="line-height: 1.3">{html.escape(one)}</li>' for one in (*(dataset.remarks or ()), *dataset.untold)
    )
    doubts = f'<ul role="note" style="margin: 2px 0">{remarks}</ul>' if remarks else ""
    return f'<div style="line-height: 1.4">{" · ".join(words)}{doubts}</div>'


def _electrons(dataset: Dataset) -> list[str]:
    """Total charges and unpaired electrons with how many frames have them, where there are any."""
    words = []
    for name, values in (("charge", dataset.total_charges), ("unpaired electrons", dataset.unpaired_electrons)):
        kinds, counts = np.unique(np.asarray(values), return_counts=True)
        if kinds.any():
            listed = (f"{kind:+g} ({count:,})" if name == "charge" else f"{kind:g} ({count:,})"
                      for kind, count in zip(kinds, counts, strict=True))  # fmt: skip
            words.append(f"{name} {', '.join(listed)}".replace("-", "−").replace("+0 ", "0 "))
    return words


def _outlier_words(outliers: pd.DataFrame) -> str:
    if outliers.empty:
        return "No frame stands out."
    frames = outliers["frame"].nunique()
    return f"{frames} {'frame stands' if frames == 1 else 'frames stand'} out by energy or by a force:"


def _shown(dataset: Dataset, outliers: pd.DataFrame) -> pd.DataFrame:
    """Outliers in columns as short as they can be."""
    what = [
        "energy (eV)" if atom < 0 else f"force on {chemical_symbols[dataset.numbers[frame][atom]]}{atom} (eV/Å)"
        for frame, atom in zip(outliers["frame"], outliers["atom"], strict=True)
    ]
    return pd.DataFrame(
        {"frame": outliers["frame"], "what": what, "value": outliers["value"], "spreads": outliers["spreads"].round(1)}
    )
