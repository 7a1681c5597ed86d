"""Which frames of a watched simulation sample one distribution: those since the last change of what it depends on."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from so3lab.dynamics.control import Control

SETTLING_PS = 1.0
"""Time after a change in which a molecule finds its way to what was asked for; frames of it say little of either."""


class Countable(NamedTuple):
    """Frames from which a distribution may be counted."""

    frames: slice
    time_ps: float
    temperature_K: float | None
    """Of the distribution; None while a bias acts, for then counts are no free energy of the molecule."""


class Conditions:
    """What the distribution of a running simulation depends on, and since when that is the same.

    Attributes:
        since_step: The step of the last change: of temperature, pressure, biases, or of the future.
    """

    def __init__(self, control: Control):
        self.since_step = 0
        self._known = _of(control)

    @property
    def biased(self) -> bool:
        """Whether a restraint, a pull or a wall acts."""
        return bool(self._known[-1])

    def look(self, control: Control, step: int) -> None:
        """Compare the knobs, with which a simulation now goes on from a step, with those before."""
        now = _of(control)
        if now != self._known:
            self._known, self.since_step = now, step

    def go_back(self, step: int) -> None:
        """Another future begins at a step."""
        self.since_step = step

    def countable(self, table: pd.DataFrame, *, thermostat: bool, from_step: int = 0) -> Countable:
        """The frames of a table that may be counted: of the present conditions, settled, at one temperature.

        Args:
            table: Of :meth:`~so3lab.dynamics.live.LiveDynamics.table`.
            thermostat: Whether there is one; without it the temperature is the mean of the kinetic one.
            from_step: Count nothing before it, whatever else holds.
        """
        steps, times = table["step"].to_numpy(), table["time_fs"].to_numpy()
        first = int(np.searchsorted(steps, self.since_step))
        if thermostat:
            targets = table["target_temperature"].to_numpy()
            others = np.flatnonzero(targets != targets[-1])
            first = max(first, int(others[-1]) + 1 if len(others) else 0)
        settled = int(np.searchsorted(times, times[min(first, len(times) - 1)] + 1000.0 * SETTLING_PS))
        first = max(settled, int(np.searchsorted(steps, from_step, side="right")) if from_step else 0)
        frames = slice(first, len(table))
        if first >= len(table):
            return Countable(frames, 0.0, None)
        temperature = table["target_temperature"].iloc[-1] if thermostat else table["temperature"].iloc[frames].mean()
        return Countable(frames, float(0.001 * (times[-1] - times[first])), None if self.biased else float(temperature))


def _of(control: Control) -> tuple[Any, ...]:
    return control.temperature_K, tuple(control.ramp), control.pressure_GPa, tuple(control.biases)
