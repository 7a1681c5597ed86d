"""The knobs of a running simulation, in the units that people type."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from so3lab import units
from so3lab.dynamics.integrators import Ramp, StepParameters
from so3lab.engine.biases import Bias, BiasCapacity, Pull, Restraint, SphericalWall

__all__ = ["BiasCapacity", "Control", "Pull", "Restraint", "SphericalWall"]

_KINDS: dict[type, str] = {Restraint: "Restraint", Pull: "Pull", SphericalWall: "Sphere"}
"""Biases and what files call them."""
_MAY_BE_NEGATIVE = ("pressure_GPa",)
_MAY_NOT_BE_ZERO = ("timestep_fs", "thermostat_fs", "barostat_fs", "compressibility_per_GPa")


@dataclass
class Control:
    """Knobs of a running simulation: set an attribute from anywhere, and the next chunk obeys."""

    temperature_K: float | Sequence[float] = 300.0
    """Of the thermostat; one number, or one for each replica."""
    timestep_fs: float = 0.5
    friction_per_ps: float = 2.0
    """Of Langevin dynamics."""
    thermostat_fs: float = 100.0
    """Relaxation time of Nosé-Hoover chains and stochastic rescaling."""
    pressure_GPa: float = 1.01325e-4
    """Of constant-pressure dynamics; one atmosphere unless set."""
    barostat_fs: float = 1000.0
    compressibility_per_GPa: float = 0.45
    """Estimate, here that of water; a wrong one makes the barostat faster or slower, not wrong."""
    biases: Sequence[Bias] = field(default_factory=tuple)
    """Restraints, pulls and a sphere (:mod:`so3lab.engine.biases`)."""
    ramp: Sequence[tuple[int, float]] = field(default_factory=tuple)
    """Steps and the temperatures in K at them, with straight lines between; instead of ``temperature_K``."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in {known.name for known in fields(self)}:
            raise AttributeError(f"Control has no knob {name!r}; it has {[known.name for known in fields(self)]}")
        if name == "biases":
            object.__setattr__(self, name, _checked_biases(value))
            return
        if name == "ramp":
            object.__setattr__(self, name, _checked_ramp(value))
            return
        numbers = np.atleast_1d(np.asarray(value, float))
        bad = ~np.isfinite(numbers)
        if name not in _MAY_BE_NEGATIVE:
            bad |= numbers < 0
        if name in _MAY_NOT_BE_ZERO:
            bad |= numbers == 0
        if bad.any():
            kind = "finite number" if name in _MAY_BE_NEGATIVE else "positive finite number"
            raise ValueError(f"{name} must be a {kind}, got {float(numbers[bad][0])}")
        if name == "temperature_K" and np.ndim(value):
            object.__setattr__(self, name, tuple(numbers.tolist()))
            return
        if np.ndim(value):
            raise ValueError(f"{name} must be one number, got {value!r}")
        object.__setattr__(self, name, float(value))

    def temperatures_K(self, structures: int) -> np.ndarray:
        """One temperature for each structure.

        Raises:
            ValueError: If there are as many temperatures as neither one nor structures.
        """
        given = np.atleast_1d(np.asarray(self.temperature_K, float))
        if len(given) not in (1, structures):
            raise ValueError(
                f"temperature_K must be one number or {structures}, one for each structure; got {len(given)}"
            )
        return np.broadcast_to(given, structures).copy()

    def target_K(self, structures: int, step: Int[np.ndarray, " frames"]) -> Float[np.ndarray, "frames structures"]:
        """Temperature of the thermostats of all structures at some steps."""
        if not self.ramp:
            return np.broadcast_to(self.temperatures_K(structures), (len(step), structures))
        corners, temperatures = zip(*self.ramp, strict=True)
        return np.broadcast_to(np.interp(step, corners, temperatures)[:, None], (len(step), structures))

    def to_dict(self) -> dict[str, Any]:
        """The present values as JSON holds them."""
        plain = {known.name: getattr(self, known.name) for known in fields(self)}
        plain["biases"] = [{"kind": _KINDS[type(bias)], **vars(bias)} for bias in self.biases]
        return plain

    def update_from_dict(self, values: dict[str, Any]) -> None:
        """Set all knobs to values that :meth:`to_dict` gave."""
        kinds: dict[str, Any] = {name: kind for kind, name in _KINDS.items()}
        for name, value in values.items():
            if name == "biases":
                value = [
                    kinds[bias["kind"]](
                        **{key: tuple(x) if isinstance(x, list) else x for key, x in bias.items() if key != "kind"}
                    )
                    for bias in value
                ]
            setattr(self, name, value)

    def step_parameters(self, structures: int = 1) -> StepParameters:
        """The present values in ASE units, biases left out."""
        ramp = None
        if self.ramp:
            corners, temperatures = zip(*self.ramp, strict=True)
            ramp = Ramp(np.array(corners), units.kB * np.array(temperatures))
        return StepParameters(
            timestep=self.timestep_fs * units.fs,
            temperature=self.temperatures_K(structures) * units.kB,
            friction=self.friction_per_ps / units.ps,
            thermostat_time=self.thermostat_fs * units.fs,
            pressure=self.pressure_GPa * units.GPa,
            barostat_time=self.barostat_fs * units.fs,
            compressibility=self.compressibility_per_GPa / units.GPa,
            ramp=ramp,
        )


def _checked_ramp(value: Iterable[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    ramp = tuple((int(step), float(temperature)) for step, temperature in value)
    steps = [step for step, _ in ramp]
    if any(not np.isfinite(t) or t < 0 for _, t in ramp) or steps != sorted(set(steps)):
        raise ValueError(f"ramp must be pairs of rising steps and temperatures in K, got {value!r}")
    return ramp


def _checked_biases(value: Iterable[Bias]) -> tuple[Bias, ...]:
    biases = tuple(value)
    for bias in biases:
        if not isinstance(bias, Restraint | Pull | SphericalWall):
            raise TypeError(f"biases must be Restraint, Pull or SphericalWall, got {bias!r}")
    if sum(isinstance(bias, SphericalWall) for bias in biases) > 1:
        raise ValueError("biases may hold one SphericalWall, got several")
    return biases
