"""so3lab: see a machine-learned force field work.

``so3lab.load(name_or_file)`` gives a :class:`Potential`; ``potential(atoms)`` its energy and forces;
``potential.calculator()`` an ASE calculator. Everything else lives in modules named after the question
they answer: :mod:`so3lab.datasets`, :mod:`so3lab.training`, :mod:`so3lab.dynamics`, ...
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_FROM = {
    "load": "so3lab.potential",
    "load_so3lr": "so3lab.pretrained",
    "Potential": "so3lab.potential",
    "ModelSettings": "so3lab.settings",
    "TrainingSettings": "so3lab.training",
    "preset": "so3lab.settings",
    "train": "so3lab.training",
    "evaluate": "so3lab.training",
}
_MODULES = (
    "attention",
    "cluster",
    "datasets",
    "dipoles",
    "dynamics",
    "electrostatics",
    "labels",
    "observables",
    "pretrained",
    "stability",
    "structures",
    "training",
    "trajectory",
    "units",
    "widgets",
)

if TYPE_CHECKING:
    from so3lab import (
        attention,
        cluster,
        datasets,
        dipoles,
        dynamics,
        electrostatics,
        labels,
        observables,
        pretrained,
        stability,
        structures,
        training,
        trajectory,
        units,
    )
    from so3lab.potential import Potential, load
    from so3lab.pretrained import load_so3lr
    from so3lab.settings import ModelSettings, preset
    from so3lab.training import TrainingSettings, evaluate, train

__all__ = [
    "ModelSettings", "Potential", "TrainingSettings", "__version__", "attention", "cluster", "datasets", "dipoles",
    "dynamics", "electrostatics", "evaluate", "labels", "load", "load_so3lr", "observables", "preset", "pretrained",
    "stability", "structures", "train", "training", "trajectory", "units", "widgets",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a promised name when it is first used, so that ``import so3lab`` costs nothing."""
    if name in _FROM:
        return getattr(importlib.import_module(_FROM[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"so3lab.{name}")
    raise AttributeError(f"module 'so3lab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
