"""What ``so3lab md`` tells about a simulation: its speed while it runs, and its means at the end."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from so3lab import units
from so3lab.app.console import Console
from so3lab.cluster import RunSpec
from so3lab.counting import counted
from so3lab.trajectory import Trajectory

if TYPE_CHECKING:
    import pandas

G_PER_CM3 = 1.66053906660
"""One amu/Å³ in g/cm³."""
_MEANS = (("temperature", "K", "K", 3), ("pressure", "GPa", "GPa", 3), ("density", "g_cm3", "g/cm³", 4))
"""Means of a summary: quantity, end of its name, unit, digits where there is no error."""
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
    """Number of frames, last step, and means over all frames of a trajectory that need not be complete.

    Means have standard errors from blocks, where there are frames enough to form some.
    """
    try:
        with Trajectory(path) as trajectory:
            table, masses = trajectory.table(), trajectory.masses
    except (OSError, ValueError, KeyError):
        return {"frames": 0, "steps": 0, "mean_temperature_K": float("nan")}
    summary: dict[str, Any] = {
        "frames": len(table),
        "atoms": len(masses),
        "steps": int(table["step"].iloc[-1]) if len(table) else 0,
    }
    if "temperature" in table:
        summary["mean_temperature_K"] = float(table["temperature"].mean())
        summary["mean_temperature_error_K"] = _error(table["temperature"])
    if len(table) > 3 and "conserved_energy" in table:
        from so3lab.observables import slope_and_error

        drift, error = slope_and_error(table["time_fs"].to_numpy() / 1000.0, table["conserved_energy"].to_numpy())
        summary["conserved_energy_drift_eV_per_ps"] = drift
        summary["conserved_energy_drift_error_eV_per_ps"] = error
    if "pressure" in table:
        density = G_PER_CM3 * float(masses.sum()) / table["volume"]
        summary["mean_pressure_GPa"] = float(table["pressure"].mean()) / units.GPa
        summary["mean_pressure_error_GPa"] = _error(table["pressure"] / units.GPa)
        summary["mean_density_g_cm3"] = float(density.mean())
        summary["mean_density_error_g_cm3"] = _error(density)
    return summary


def _error(series: "pandas.Series") -> float:
    """Standard error of a mean; not a number for few frames."""
    if len(series) < 4:
        return float("nan")
    from so3lab.observables import mean_and_error

    return mean_and_error(series.to_numpy(float)).error


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """A summary as people read it: each mean with its standard error, and what it is per."""
    lines = [counted(summary["frames"], "frame")]
    for name, end, unit, digits in _MEANS:
        if f"mean_{name}_{end}" in summary:
            error = summary.get(f"mean_{name}_error_{end}", float("nan"))
            lines.append(f"{f'mean {name}':<18}{with_error(summary[f'mean_{name}_{end}'], error, digits)} {unit}")
    if "conserved_energy_drift_eV_per_ps" in summary:
        drift, error = drift_per_atom(summary)
        lines.append(f"{'conserved energy':<18}drifts by {with_error(drift, error, 3)} meV/ps per atom")
    if "ns_per_day" in summary:
        lines.append(f"{'speed':<18}{summary['ns_per_day']:.1f} ns/day")
    return lines


def drift_per_atom(summary: Mapping[str, Any]) -> tuple[float, float]:
    """Drift of the conserved energy and its standard error, in meV/ps per atom; not numbers for few frames."""
    nothing = float("nan")
    drift, error = (summary.get(f"conserved_energy_drift{what}_eV_per_ps", nothing) for what in ("", "_error"))
    return 1000.0 * drift / summary.get("atoms", 1), 1000.0 * error / summary.get("atoms", 1)


def with_error(value: float, error: float, digits: int) -> str:
    """A number with its standard error, to the digits that the error leaves; without one, to so many digits."""
    if not error > 0:
        return "" if math.isnan(value) else f"{value:.{digits}g}"
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{places}f} ± {error:.{places}f}"


def replica_of(run: RunSpec) -> dict[str, Any]:
    """Which replica this is, for a row of the table."""
    return {"replica": run.path.name, "seed": run.seed, "temperature_K": run.temperature_K}


def tell_replicas(console: Console, rows: Sequence[Mapping[str, Any]]) -> "pandas.DataFrame":
    """Show what people want to know of each simulation; all of the summaries, for machines."""
    import pandas as pd

    nothing = float("nan")
    means = [with_error(row["mean_temperature_K"], row.get("mean_temperature_error_K", nothing), 3) for row in rows]
    shown = {
        "replica": [row["replica"] for row in rows],
        "T (K)": [row["temperature_K"] for row in rows],
        "frames": [row["frames"] for row in rows],
        "mean T (K)": means,
        "drift (meV/ps per atom)": [with_error(*drift_per_atom(row), 3) for row in rows],
        "result": [row["result"] for row in rows],
    }
    console.table(pd.DataFrame(shown))
    return pd.DataFrame(rows)


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
