"""What a running simulation looks like in numbers: curves over the last while, the backbone's map, the spectrum."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ase import Atoms
from plotly.subplots import make_subplots

from so3lab import observables
from so3lab.dynamics.live import LiveDynamics
from so3lab_widgets.panels.backbone_map import BackboneMap
from so3lab_widgets.panels.frame_plot import Series
from so3lab_widgets.panels.picked_series import column_of
from so3lab_widgets.plots.downsampling import strided
from so3lab_widgets.plots.linked_figure import LinkedFigure
from so3lab_widgets.theme import BLUE, GREEN, INK, ORANGE, PURPLE, VERMILLION, styled

WINDOW = 4000
"""Frames of the past that curves show."""
_POINTS = 250
_SPECTRUM = 4096
_FEWEST = 64
_SECONDS_BETWEEN_MAPS = 3.0
_SECONDS_UNSEEN = 5.0
"""Between drawings of a figure that is out of sight: another page may show it."""
_SLOWEST_HZ, FASTEST_HZ = 0.5, 2.0
_SHARE = 0.04
"""Of a page's time that curves may take, and maps too: the molecule, and who computes beside the page, come first."""
_LIGHT_CM_PER_FS = 2.99792458e-5
"""The speed of light."""
_MAPS, _SPECTRUM_ALONE = 0.75, 0.5
"""Height of map and spectrum side by side, and of a spectrum alone, as a share of that of the curves."""
_CONSERVED = "conserved energy"
_NOTHING_PICKED = "distance, angle or dihedral: pick 2 to 4 atoms"
_UNITS = {"temperature": "K", "thermostat": "K", "potential": "eV", "total": "eV", "conserved": "meV"}
_ROWS, _GAP = 4, 0.06
_FOLDED = 0.02
"""Height of the row of what is picked while nothing is, as a share of the figure."""


class LivePlots:
    """Figures of one replica that follow a running simulation: curves twice a second, the rest now and then.

    They are two, for a page draws all of a figure again when a part of it changes.

    Args:
        atoms: Its structure.
        height: Of the curves in pixels.
        thermostat: Whether there is one, whose temperature is drawn.
        on_time: Called with the moment, in ps, that somebody clicks on a curve.

    Attributes:
        curves: Temperature, energies, what is conserved of them, and what is picked, over time.
        maps: The backbone's free energy, where there is a backbone, and the spectrum.
        backbone: Which residue is mapped, and since when; None where there is no backbone.
    """

    def __init__(
        self,
        atoms: Atoms,
        height: int = 450,
        thermostat: bool = True,
        on_time: Callable[[float], None] = lambda time_ps: None,
    ):
        self._symbols, self._masses = atoms.get_chemical_symbols(), atoms.get_masses()
        self.backbone: BackboneMap | None = None
        with contextlib.suppress(ValueError):  # no peptide
            self.backbone = BackboneMap(atoms)
        self.curves = LinkedFigure(_curves(height, thermostat))
        self.maps = LinkedFigure(_maps(round((_MAPS if self.backbone else _SPECTRUM_ALONE) * height), self.backbone))
        self._traces = {trace.name: trace for trace in (*self.curves.data, *self.maps.data)}
        self._drawn_at = self._mapped_at = -float("inf")
        self._on_time = on_time
        self.curves.cursor_follows = True
        for curve in self.curves.data:
            curve.on_click(lambda trace, points, state: self._go_to(points.xs))

    @property
    def rate_hz(self) -> float:
        """How often to draw the curves, by how long pages take for it."""
        return float(np.clip(_SHARE / max(1e-3 * self.curves.draw_ms, 1e-3), _SLOWEST_HZ, FASTEST_HZ))

    def update(self, live: LiveDynamics, number: int = 0, picked: Sequence[int] = ()) -> None:
        """Draw the newest state of a replica, seldom what is out of sight; any thread may call, while it goes on."""
        now, pause = time.monotonic(), max(_SECONDS_BETWEEN_MAPS, 1e-3 * self.maps.draw_ms / _SHARE)
        curves = self.curves.in_sight or now - self._drawn_at > _SECONDS_UNSEEN
        maps = now - self._mapped_at > (pause if self.maps.in_sight else max(pause, _SECONDS_UNSEEN))
        if not (curves or maps):
            return
        table = live.table(number)
        if curves:
            self._drawn_at = now  # before it is, for somebody may want it again meanwhile
            self._draw_curves(live, number, picked, table)
        if maps:
            self._mapped_at = now
            self._draw_maps(live, number, table)

    def forget(self) -> None:
        """Another replica or residue comes, or the run waits: draw all of it with the next update."""
        self._drawn_at = self._mapped_at = -float("inf")

    def stand_at(self, time_ps: float | None) -> None:
        """Let a line stand at a moment of the past; None for the present, which has none."""
        self.curves.cursor = time_ps

    def figures(self) -> list[go.Figure]:
        """Both as plain figures."""
        return [go.Figure(self.curves), go.Figure(self.maps)]

    def close(self) -> None:
        """Take the figures away."""
        self.curves.close()
        self.maps.close()

    def _draw_curves(self, live: LiveDynamics, number: int, picked: Sequence[int], table: pd.DataFrame) -> None:
        rows = strided(max(0, len(table) - WINDOW), len(table), _POINTS)
        part = table.iloc[rows]
        times = part["time_fs"].to_numpy() * 0.001
        base = float(table["potential_energy"].iloc[0])
        drawn = {
            "temperature": part["temperature"],
            "thermostat": part["target_temperature"],
            "potential": part["potential_energy"] - base,
            "total": part["potential_energy"] + part["kinetic_energy"] + part["bias_energy"] - base,
        }
        conserved = 1000.0 * (table["conserved_energy"] - table["conserved_energy"].iloc[0]) / len(self._symbols)
        measured = self._measured(live, number, picked, rows)
        with self.curves.batch_update():
            for name, values in drawn.items():
                if name in self._traces:
                    self._draw(name, times, values.to_numpy())
            self._draw("conserved", times, conserved.iloc[rows].to_numpy())
            self._say("drift", _drift(table, conserved, live.conditions.since_step))
            if measured is None:
                self._draw("picked", times[:0], times[:0])
                self._fold("")
            else:
                self._draw("picked", times[: len(measured)], _broken(measured, len(picked) == 4))
                self._fold(Series(column_of(self._symbols, picked), measured).title)

    def _fold(self, title: str) -> None:
        """Give what is picked a row with this title; without one the other rows take its place."""
        if (self.curves.layout.yaxis4.title.text or "") != title:
            self.curves.update_layout(_rows(title))
            next(one for one in self.curves.layout.annotations if one.name == _NOTHING_PICKED).visible = not title

    def _go_to(self, times_ps: Sequence[float]) -> None:
        if times_ps:
            self._on_time(float(times_ps[0]))

    def _draw_maps(self, live: LiveDynamics, number: int, table: pd.DataFrame) -> None:
        spectrum = self._spectrum(live, number, table)
        with self.maps.batch_update():
            if spectrum is not None:
                self._draw("spectrum", spectrum["wavenumber_per_cm"].to_numpy(), spectrum["intensity"].to_numpy())
            if self.backbone is not None:
                self.backbone.draw(self.maps, live, number, table)

    def _draw(self, name: str, x: np.ndarray, y: np.ndarray) -> None:
        trace = self._traces[name]
        trace.x, trace.y = x.astype(np.float32), y.astype(np.float32)

    def _say(self, name: str, words: str) -> None:
        """Change a few words above a row of curves."""
        next(one for one in self.curves.layout.annotations if one.name == name).text = words

    def _measured(self, live: LiveDynamics, number: int, picked: Sequence[int], rows: np.ndarray) -> np.ndarray | None:
        if len(picked) < 2:
            return None
        step = int(rows[1] - rows[0]) if len(rows) > 1 else 1
        return live.measure(picked, number, slice(int(rows[0]), int(rows[-1]) + 1, step))[: len(rows)]

    def _spectrum(self, live: LiveDynamics, number: int, table: pd.DataFrame) -> pd.DataFrame | None:
        times = table["time_fs"].to_numpy()[-_SPECTRUM:]
        if len(times) < _FEWEST:
            return None
        spacings = np.diff(times)
        turned = np.flatnonzero(np.abs(spacings - spacings[-1]) > 1e-6)  # somebody has turned the time step
        times = times[turned[-1] + 1 :] if len(turned) else times
        if len(times) < _FEWEST:
            return None
        velocities = live.inner_velocities(number, slice(-len(times), None))
        highest = min(4000.0, 0.99 / (2.0 * _LIGHT_CM_PER_FS * spacings[-1]))
        return observables.vibrational_spectrum(velocities, times, self._masses, zero_padding=1, highest_per_cm=highest)


def _drift(table: pd.DataFrame, conserved: pd.Series, since_step: int) -> str:
    """Slope of the conserved energy since something was changed, in words."""
    first = int(np.searchsorted(table["step"].to_numpy(), since_step, side="right"))
    if len(table) - first < _FEWEST:
        return _CONSERVED
    slope = observables.energy_drift(table["time_fs"].to_numpy()[first:], conserved.to_numpy()[first:])
    return f"{_CONSERVED}, slope {slope:.2g} meV/atom/ps".replace("-", "−")


def _broken(values: np.ndarray, circular: bool) -> np.ndarray:
    """A curve with a gap wherever it goes from 180° to -180°."""
    if not circular:
        return values
    broken = values.astype(float)
    broken[1:][np.abs(np.diff(values)) > 180.0] = np.nan
    return broken


def _small_title(axis: Any) -> None:
    """Two lines fit beside a low row."""
    axis.title.font.size = 12


def _rows(picked: str) -> dict[str, Any]:
    """Where the rows of curves are: the last one has this title, or next to no height without one."""
    last = (1 - _GAP * (_ROWS - 1)) / _ROWS if picked else _FOLDED
    each = (1 - last - _GAP * (_ROWS - 1)) / (_ROWS - 1)
    found: dict[str, Any] = {"yaxis4": {"domain": [0.0, last], "visible": bool(picked), "title": {"text": picked}}}
    for row in range(_ROWS - 1):
        top = 1 - row * (each + _GAP)
        found[f"yaxis{row + 1}" if row else "yaxis"] = {"domain": [top - each, top]}
    return found


def _curves(height: int, thermostat: bool) -> go.Figure:
    figure = make_subplots(rows=_ROWS, cols=1, shared_xaxes=True, vertical_spacing=_GAP)
    for row, name, colour in (
        (1, "temperature", VERMILLION),
        (1, "thermostat", INK),
        (2, "potential", BLUE),
        (2, "total", GREEN),
        (3, "conserved", ORANGE),
        (4, "picked", PURPLE),
    ):
        if name == "thermostat" and not thermostat:
            continue
        line = {"color": colour, "width": 1.4, "dash": "dot" if name == "thermostat" else "solid"}
        # A dihedral about 180° is cut at each jump to -180°: its moments are dots where no line is left of it.
        mode = "lines+markers" if name == "picked" else "lines"
        figure.add_scatter(
            x=[], y=[], name=name, mode=mode, row=row, col=1, line=line, marker={"size": 2.5, "color": colour},
            hovertemplate=f"%{{x:.3f}} ps<br>{name} %{{y:.4~g}} {_UNITS.get(name, '')}<extra></extra>",
        )  # fmt: skip
    for row, words in ((1, "T (K)"), (2, "E − E₀ (eV)"), (3, "ΔE per atom<br>(meV)")):
        figure.update_yaxes(title_text=words, row=row, col=1)
    figure.update_xaxes(title_text="time (ps)", row=4, col=1)
    for row, place, words, colour in (
        (1, 0.0, "atoms", VERMILLION),
        (1, 0.17, "thermostat ┄", INK),
        (2, 0.0, "total", GREEN),
        (2, 0.17, "potential", BLUE),
        (3, 0.0, _CONSERVED, ORANGE),
    ):
        if words.startswith("thermostat") and not thermostat:
            continue
        figure.add_annotation(
            text=words, name="drift" if words == _CONSERVED else words, font={"color": colour, "size": 12},
            showarrow=False, xref="x domain", yref="y domain", x=place, y=1.0, xanchor="left", yanchor="bottom",
            row=row, col=1,
        )  # fmt: skip
    figure.add_annotation(
        text=_NOTHING_PICKED, name=_NOTHING_PICKED, font={"color": INK, "size": 12}, showarrow=False, xref="paper",
        yref="paper", x=0.0, y=0.0, xanchor="left", yanchor="bottom",
    )  # fmt: skip
    return (
        styled(figure, height=height)
        .update_layout(showlegend=False, margin_t=24, uirevision="live", hovermode="x", hoverdistance=-1, **_rows(""))
        .for_each_xaxis(_small_title)
        .for_each_yaxis(_small_title)
    )


def _maps(height: int, backbone: BackboneMap | None) -> go.Figure:
    """The backbone's map and the spectrum side by side, or the spectrum alone."""
    columns = 2 if backbone else 1
    figure = make_subplots(rows=1, cols=columns, horizontal_spacing=0.22)
    figure.add_scatter(
        x=[],
        y=[],
        name="spectrum",
        mode="lines",
        fill="tozeroy",
        row=1,
        col=columns,
        line={"color": BLUE, "width": 1.2},
    )
    figure.update_xaxes(title_text="wavenumber (cm⁻¹)", range=[0, 4000], row=1, col=columns)
    figure.update_yaxes(title_text="power (arb. u.)", showticklabels=False, row=1, col=columns)
    if backbone:
        backbone.add_to(figure)
    return (
        styled(figure, height=height)
        .update_layout(showlegend=False, margin_t=40 if backbone else 24, uirevision="live")
        .for_each_xaxis(_small_title)
        .for_each_yaxis(_small_title)
    )
