"""What each ensemble has: parameters, a thermostat, a cell that changes. Everybody reads it here; it needs no JAX."""

from dataclasses import dataclass
from typing import Literal

Ensemble = Literal["nve", "langevin", "nose-hoover", "csvr", "npt", "npt-flexible"]

_ALWAYS = ("timestep_fs",)
_BAROSTAT = ("pressure_GPa", "barostat_fs", "compressibility_per_GPa")


@dataclass(frozen=True)
class EnsembleProperties:
    """Facts about an ensemble."""

    name: str
    """In words."""
    usual: str
    """What it is called in papers and programs."""
    parameters: tuple[str, ...]
    """Attributes of :class:`~so3lab.dynamics.control.Control` that act in it."""
    thermostat: Literal["none", "noise", "rescaling"] = "none"
    """``noise`` heats overall motion too; ``rescaling`` keeps momentum, and angular momentum of molecules, at zero."""
    constant_pressure: bool = False
    """Whether the cell changes."""


ENSEMBLES: dict[str, EnsembleProperties] = {
    "nve": EnsembleProperties("constant energy, velocity Verlet", "NVE", _ALWAYS),
    "langevin": EnsembleProperties(
        "Langevin thermostat, BAOAB", "NVT Langevin", ("temperature_K", *_ALWAYS, "friction_per_ps"), "noise"
    ),
    "nose-hoover": EnsembleProperties(
        "Nosé-Hoover chain of three", "NVT Nosé–Hoover", ("temperature_K", *_ALWAYS, "thermostat_fs"), "rescaling"
    ),
    "csvr": EnsembleProperties(
        "stochastic velocity rescaling", "NVT Bussi", ("temperature_K", *_ALWAYS, "thermostat_fs"), "rescaling"
    ),
    "npt": EnsembleProperties(
        "stochastic cell rescaling, constant shape",
        "NPT, constant shape",
        ("temperature_K", *_ALWAYS, "thermostat_fs", *_BAROSTAT),
        "rescaling",
        True,
    ),
    "npt-flexible": EnsembleProperties(
        "stochastic cell rescaling, any shape",
        "NPT, any shape",
        ("temperature_K", *_ALWAYS, "thermostat_fs", *_BAROSTAT),
        "rescaling",
        True,
    ),
}

CONSTANT_PRESSURE = tuple(name for name, facts in ENSEMBLES.items() if facts.constant_pressure)
EXCHANGING = tuple(
    name for name, facts in ENSEMBLES.items() if facts.thermostat != "none" and not facts.constant_pressure
)
"""Ensembles with a temperature at constant volume, whose replicas may exchange temperatures."""


def ensembles_with(parameter: str) -> tuple[str, ...]:
    """The ensembles in which an attribute of :class:`~so3lab.dynamics.control.Control` acts."""
    return tuple(name for name, facts in ENSEMBLES.items() if parameter in facts.parameters)
