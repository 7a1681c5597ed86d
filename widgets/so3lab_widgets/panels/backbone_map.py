"""The free energy over a backbone's φ and ψ while a simulation runs: of what was counted, and for how long."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ase import Atoms

from so3lab import observables
from so3lab.dynamics.conditions import SETTLING_PS, Countable
from so3lab.dynamics.ensembles import ENSEMBLES
from so3lab.dynamics.live import LiveDynamics
from so3lab_widgets.theme import DENSITY_SCALE, INK

_BINS = 30
_MOST_FRAMES = 20_000
"""That are counted, spread over all that may be."""
_HIGHEST = 6.0
"""kcal/mol; what is higher looks as this."""
_GREYS = ((0.0, "#d9dbde"), (1.0, "#4a4e54"))
_TICKS = list(range(-180, 181, 90))


class BackboneMap:
    """A map of one residue, or of all together, that says what it is counted from.

    Args:
        atoms: The structure.

    Attributes:
        residues: How many have both angles.
        residue: The one that is drawn, counted from 0; None for all together.
        from_step: Frames before this step are not counted.

    Raises:
        ValueError: If there is no backbone.
    """

    def __init__(self, atoms: Atoms):
        self._torsions = observables.backbone_torsions(atoms)
        self.residues = len(self._torsions)
        self.residue: int | None = 0
        self.from_step = 0

    def add_to(self, figure: go.Figure) -> None:
        """Put an empty map into the first of two columns of a figure."""
        bar = {"title": {"text": "kcal/mol", "side": "right"}, "len": 1.0, "x": 0.4, "thickness": 10}
        figure.add_heatmap(
            z=[[None]], name="backbone", row=1, col=1, colorscale=DENSITY_SCALE, zmin=0.0, zmax=_HIGHEST, colorbar=bar
        )
        axis = {"range": [-180, 180], "tickvals": _TICKS, "row": 1, "col": 1}
        figure.update_xaxes(title_text="φ (°)", **axis)
        figure.update_yaxes(title_text="ψ (°)", **axis)
        figure.add_annotation(
            text="", name="counted", font={"color": INK, "size": 12}, showarrow=False, xref="x domain",
            yref="y domain", x=0.0, y=1.0, xanchor="left", yanchor="bottom", align="left", row=1, col=1,
        )  # fmt: skip

    def draw(self, figure: go.Figure, live: LiveDynamics, number: int, table: pd.DataFrame) -> None:
        """Draw what may be counted now of a replica; call it within a ``batch_update`` of the figure."""
        thermostat = ENSEMBLES[live.replicas.ensemble].thermostat != "none"
        counted = live.conditions.countable(table, thermostat=thermostat, from_step=self.from_step)
        biased = live.conditions.biased
        words = next(one for one in figure.layout.annotations if one.name == "counted")
        words.text = self._words(counted, biased, thermostat)
        trace = next(one for one in figure.data if one.name == "backbone")
        found = self._counted(live, number, counted)
        if found is None:
            trace.z = [[None]]
            return
        column = "count" if biased else "free_energy_kcal_mol"
        grid = found.pivot(index="psi_deg", columns="phi_deg", values=column)
        trace.colorscale = _GREYS if biased else DENSITY_SCALE
        trace.zmax = float(found["count"].max()) if biased else _HIGHEST
        trace.colorbar.title.text = unit = "frames" if biased else "kcal/mol"
        trace.hovertemplate = f"φ %{{x:.0f}}°, ψ %{{y:.0f}}°: %{{z:.3g}} {unit}<extra></extra>"
        trace.x, trace.y = grid.columns.to_numpy(), grid.index.to_numpy()
        # An array would become NaN again, which is no JSON.
        trace.z = grid.astype(object).where(grid.notna(), None).to_numpy().tolist()

    def _counted(self, live: LiveDynamics, number: int, counted: Countable) -> pd.DataFrame | None:
        """One row per square; None while there is nothing to count."""
        frames = counted.frames
        if frames.stop - frames.start < 2:
            return None
        stride = max(1, (frames.stop - frames.start) // _MOST_FRAMES)
        positions = live.positions(number, slice(frames.start, frames.stop, stride))
        of = self._torsions if self.residue is None else [self._torsions[self.residue]]
        phi, psi = (
            np.concatenate([observables.dihedral_degrees(positions, getattr(residue, name)) for residue in of])
            for name in ("phi", "psi")
        )
        found = observables.ramachandran(phi, psi, counted.temperature_K or 1.0, bins=_BINS)
        counts = (found["probability"] * len(phi)).round()
        return found.assign(count=counts.where(counts > 0))

    def _words(self, counted: Countable, biased: bool, thermostat: bool) -> str:
        whose = "all residues" if self.residue is None else f"residue {self.residue + 1} of {self.residues}"
        if counted.frames.stop - counted.frames.start < 2:
            return f"{whose} · settling: counted from {SETTLING_PS:g} ps<br>after the last change"
        if biased:
            return f"{whose} · {counted.time_ps:.1f} ps<br>biased: frames, no free energy"
        mean = "" if thermostat else " on average"
        return f"{whose} · {counted.temperature_K:.0f} K{mean} · {counted.time_ps:.1f} ps"
