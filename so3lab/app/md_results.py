"""What ``so3lab md`` tells about a simulation: its speed while it runs, and its means at the end."""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from so3lab import units
from so3lab.app.console import Console
from so3lab.cluster import RunSpec
from so3lab.trajectory import Trajectory

if TYPE_CHECKING:
    import pandas

G_PER_CM3 = 1.66053906660
"""One amu/Å³ in g/cm³."""
_HEADINGS = {
    "temperature_K": "T (K)",
    "mean_temperature_K": "mean T (K)",
    "conserved_energy_drift_eV_per_ps": "drift (eV/ps)",
    "mean_pressure_GPa": "P (GPa)",
    "mean_density_g_cm3": "density (g/cm³)",
}

_OPTIONS = (
    (r"keys=\{'(\w+)': '([^']*)'\}", r"--keys \1=\2"),
    (r"\bkeys=", "--keys"),
    (r"\bcheck=False", "--no-checks"),
    (r"(energy|length)_unit='([^']*)'", r"--\1-unit \2"),
)
"""Arguments of the library in sentences, and the options that stand for them."""


class SpeedMeter:
    """How fast a simulation runs, compilation left out."""

    def __init__(self, console: Console):
        self._console = console
        self.first_frame_s: float | None = None
        """From the start of the process."""
        self.step = 0
        self._from: tuple[float, int] | None = None
        self._now = 0.0

    def update(self, step: int) -> None:
        """A chunk has come that ends with this step."""
        self._now, self.step = time.monotonic(), step
        if self.first_frame_s is None:
            self.first_frame_s = time.time() - psutil.Process().create_time()
            if not self._console.json:
                self._console.say(f"first frame after {self.first_frame_s:.1f} s")
        elif self._from is None:
            self._from = (self._now, step)

    def ns_per_day(self, timestep_fs: float) -> dict[str, float]:
        """Of each simulation; nothing when there were too few chunks to tell."""
        if self._from is None or self.step <= self._from[1]:
            return {}
        seconds_per_step = (self._now - self._from[0]) / (self.step - self._from[1])
        return {"ns_per_day": timestep_fs * 1e-6 * 86400 / seconds_per_step}


def summary_of(path: Path) -> dict[str, Any]:
    """Number of frames, last step, and means over all frames of a trajectory that need not be complete."""
    try:
        with Trajectory(path) as trajectory:
            table, mass = trajectory.table(), float(trajectory.masses.sum())
    except (OSError, ValueError, KeyError):
        return {"frames": 0, "steps": 0, "mean_temperature_K": float("nan")}
    summary = {
        "frames": len(table),
        "steps": int(table["step"].iloc[-1]) if len(table) else 0,
        "mean_temperature_K": float(table["temperature"].mean()),
    }
    if len(table) > 1 and "conserved_energy" in table:
        from so3lab.observables import energy_drift

        drift = energy_drift(table["time_fs"].to_numpy(), table["conserved_energy"].to_numpy())
        summary["conserved_energy_drift_eV_per_ps"] = drift
    if "pressure" in table:
        summary["mean_pressure_GPa"] = float(table["pressure"].mean()) / units.GPa
        summary["mean_density_g_cm3"] = G_PER_CM3 * mass * float(np.mean(1.0 / table["volume"]))
    return summary


def summary_text(summary: Mapping[str, Any]) -> str:
    """A summary as the end of a line."""
    words = [f"{summary['frames']} frames", f"mean temperature {summary['mean_temperature_K']:.0f} K"]
    if "conserved_energy_drift_eV_per_ps" in summary:
        words.append(f"drift of the conserved energy {1000 * summary['conserved_energy_drift_eV_per_ps']:.3g} meV/ps")
    if "mean_pressure_GPa" in summary:
        words.append(f"mean pressure {summary['mean_pressure_GPa']:.3g} GPa")
        words.append(f"mean density {summary['mean_density_g_cm3']:.4g} g/cm³")
    if "ns_per_day" in summary:
        words.append(f"{summary['ns_per_day']:.1f} ns/day")
    return ", ".join(words)


def replica_of(run: RunSpec) -> dict[str, Any]:
    """Which replica this is, for a row of the table."""
    return {"replica": run.path.name, "seed": run.seed, "temperature_K": run.temperature_K}


def replica_table(rows: Sequence[Mapping[str, Any]]) -> "pandas.DataFrame":
    """Rows of summaries under the headings that people read."""
    import pandas as pd

    return pd.DataFrame(rows).rename(columns=_HEADINGS)


def with_cli_options(sentence: str | None) -> str | None:
    """A sentence of the library with the words of the command line for what to do."""
    if sentence is None:
        return None
    for call, option in _OPTIONS:
        sentence = re.sub(call, option, sentence)
    for limit in ("bond_stretch", "cell_width"):
        option = f"--limit-{limit.replace('_', '-')} none"
        sentence = sentence.replace(f"limits=Limits({limit}=None)", option)
    return sentence
