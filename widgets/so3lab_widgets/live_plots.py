"""What a running simulation looks like in numbers: curves over the last while, the backbone's map, the spectrum."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from ase import Atoms
from plotly.subplots import make_subplots

from so3lab import observables
from so3lab.live import LiveDynamics
from so3lab_widgets.linked import LinkedFigure
from so3lab_widgets.picked_series import column_of
from so3lab_widgets.theme import BLUE, DENSITY_SCALE, GREEN, INK, PURPLE, VERMILLION, label, styled
from so3lab_widgets.thinning import strided

WINDOW = 4000
"""Frames of the past that curves show."""
_POINTS = 500
_MAPPED = 20_000
"""Frames that the map of the backbone counts at most, spread over all that are remembered."""
_SPECTRUM = 4096
_FEWEST = 64
_DIHEDRAL_TICKS = list(range(-180, 181, 90))


class LivePlots:
    """Curves of one replica that follow a running simulation.

    Args:
        atoms: Its structure.
        height: In pixels.

    Attributes:
        figure: The figure, to be shown.
    """

    def __init__(self, atoms: Atoms, height: int = 560):
        self._symbols, self._masses = atoms.get_chemical_symbols(), atoms.get_masses()
        try:
            self._torsions = observables.backbone_torsions(atoms)
        except ValueError:  # no peptide
            self._torsions = []
        right = [{"rowspan": 2}, {}] if self._torsions else [{"rowspan": 3}]
        specs = [[{}, right[0]], [{}, None], [{}, right[1] if self._torsions else None]]
        plain = make_subplots(rows=3, cols=2, specs=specs, horizontal_spacing=0.12, vertical_spacing=0.11)
        for row, name, colour in (
            (1, "temperature", VERMILLION), (1, "thermostat", INK), (2, "potential", BLUE), (2, "total", GREEN),
            (3, "picked", PURPLE),
        ):  # fmt: skip
            dash = "dot" if name == "thermostat" else "solid"
            plain.add_scatter(
                x=[],
                y=[],
                name=name,
                mode="lines",
                row=row,
                col=1,
                line={"color": colour, "width": 1.4, "dash": dash},
            )
        self._spectrum_row = 3 if self._torsions else 1
        plain.add_scatter(
            x=[], y=[], name="spectrum", mode="lines", fill="tozeroy", row=self._spectrum_row, col=2,
            line={"color": BLUE, "width": 1.2},
        )  # fmt: skip
        if self._torsions:
            plain.add_heatmap(
                z=[[None]], name="backbone", row=1, col=2, colorscale=DENSITY_SCALE, zmin=0.0, zmax=6.0,
                colorbar={"title": {"text": "kcal/mol", "side": "right"}, "len": 0.6, "y": 0.7, "thickness": 10},
                hovertemplate="φ %{x:.0f}°, ψ %{y:.0f}°: %{z:.2f} kcal/mol<extra></extra>",
            )  # fmt: skip
            turns = {"range": [-180, 180], "tickvals": _DIHEDRAL_TICKS, "row": 1, "col": 2}
            plain.update_xaxes(title_text="φ (°)", **turns)
            plain.update_yaxes(title_text="ψ (°)", **turns)
        plain.update_yaxes(title_text="T (K)", row=1, col=1)
        plain.update_yaxes(title_text="E − E₀ (eV)", row=2, col=1)
        plain.update_yaxes(title_text="pick atoms", row=3, col=1)
        plain.update_xaxes(title_text="time (ps)", row=3, col=1)
        plain.update_xaxes(title_text="wavenumber (cm⁻¹)", row=self._spectrum_row, col=2)
        plain.update_yaxes(title_text="power", showticklabels=False, row=self._spectrum_row, col=2)
        styled(plain, height=height).update_layout(showlegend=False, margin_t=16, uirevision="live")
        self.figure = LinkedFigure(plain)
        self._traces = {trace.name: trace for trace in self.figure.data}
        self._picked_axis = self.figure.layout.yaxis3 if not self._torsions else self.figure.layout.yaxis4

    def update(self, live: LiveDynamics, number: int = 0, picked: Sequence[int] = ()) -> None:
        """Draw the newest state of a replica; any thread may call, while the simulation goes on."""
        table = live.table(number)
        start = max(0, len(table) - WINDOW)
        rows = strided(start, len(table), _POINTS)
        part = table.iloc[rows]
        time = part["time_fs"].to_numpy() * 0.001
        base = float(table["potential_energy"].iloc[0])
        curves = {
            "temperature": part["temperature"], "thermostat": part["target_temperature"],
            "potential": part["potential_energy"] - base,
            "total": part["potential_energy"] + part["kinetic_energy"] - base,
        }  # fmt: skip
        measured = self._measured(live, number, picked, rows)
        spectrum = self._spectrum(live, number, table)
        energies = self._free_energy(live, number, table)
        with self.figure.batch_update():
            for name, values in curves.items():
                self._draw(name, time, values.to_numpy())
            if measured is not None:
                self._draw("picked", time, measured.to_numpy())
                self._picked_axis.title.text = label(str(measured.name))
            if spectrum is not None:
                self._draw(
                    "spectrum", spectrum["wavenumber_per_cm"].to_numpy(), spectrum["intensity"].to_numpy()
                )
            if energies is not None:
                trace = self._traces["backbone"]
                trace.x, trace.y, trace.z = (
                    energies.columns.to_numpy(),
                    energies.index.to_numpy(),
                    energies.to_numpy(),
                )

    def close(self) -> None:
        """Take the figure away."""
        self.figure.close()

    def _draw(self, name: str, x: np.ndarray, y: np.ndarray) -> None:
        trace = self._traces[name]
        trace.x, trace.y = x.astype(np.float32), y.astype(np.float32)

    def _measured(
        self, live: LiveDynamics, number: int, picked: Sequence[int], rows: np.ndarray
    ) -> pd.Series | None:
        if len(picked) < 2:
            return None
        step = int(rows[1] - rows[0]) if len(rows) > 1 else 1
        positions = live.positions(number, slice(int(rows[0]), int(rows[-1]) + 1, step))
        column = column_of(self._symbols, picked)
        found = observables.internal_coordinates(positions, {column.rsplit("_", 1)[0]: tuple(picked)})
        return found.iloc[: len(rows), 0]

    def _spectrum(self, live: LiveDynamics, number: int, table: pd.DataFrame) -> pd.DataFrame | None:
        times = table["time_fs"].to_numpy()[-_SPECTRUM:]
        if len(times) < _FEWEST:
            return None
        spacings = np.diff(times)
        turned = np.flatnonzero(np.abs(spacings - spacings[-1]) > 1e-6)  # somebody has turned the time step
        times = times[turned[-1] + 1 :] if len(turned) else times
        if len(times) < _FEWEST:
            return None
        velocities = live.velocities(number, slice(-len(times), None))
        velocities = velocities - np.average(velocities, axis=1, weights=self._masses)[:, None]
        highest = min(4000.0, 0.99 / (2.0 * _LIGHT_CM_PER_FS * spacings[-1]))
        return observables.vibrational_spectrum(
            velocities, times, self._masses, zero_padding=1, highest_per_cm=highest
        )  # fmt: skip

    def _free_energy(self, live: LiveDynamics, number: int, table: pd.DataFrame) -> pd.DataFrame | None:
        if not self._torsions or len(table) < 2:
            return None
        positions = live.positions(number, slice(None, None, max(1, len(table) // _MAPPED)))
        phi, psi = (
            np.concatenate(
                [
                    observables.dihedral_degrees(positions, getattr(residue, name))
                    for residue in self._torsions
                ]
            )
            for name in ("phi", "psi")
        )
        temperature = max(1.0, float(table["target_temperature"].iloc[-1]))
        map_of = observables.ramachandran(phi, psi, temperature, bins=30)
        return map_of.pivot(index="psi_deg", columns="phi_deg", values="free_energy_kcal_mol")


_LIGHT_CM_PER_FS = 2.99792458e-5
"""The speed of light."""
