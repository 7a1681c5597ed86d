"""so3lab_widgets: what people look at and click. It draws what it is given and computes no physics.

Also reachable as ``so3lab.widgets``.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

_FROM = {
    "DynamicsPanel": "so3lab_widgets.dynamics_panel",
    "Job": "so3lab_widgets.jobs",
    "LinkedFigure": "so3lab_widgets.linked",
    "LiveFigure": "so3lab_widgets.live",
    "Movie": "so3lab_widgets.report",
    "Pump": "so3lab_widgets.pump",
    "Section": "so3lab_widgets.report",
    "TrajectoryPanel": "so3lab_widgets.trajectory_panel",
    "Viewer": "so3lab_widgets.viewer",
    "build_report": "so3lab_widgets.report",
    "show": "so3lab_widgets.view3d",
}
_MODULES = ("figures", "jobs", "linked", "live", "ngl", "pump", "report", "theme", "view3d", "viewer")

if TYPE_CHECKING:
    from so3lab_widgets import figures, jobs, linked, live, ngl, pump, report, theme, view3d, viewer
    from so3lab_widgets.dynamics_panel import DynamicsPanel
    from so3lab_widgets.jobs import Job
    from so3lab_widgets.linked import LinkedFigure
    from so3lab_widgets.live import LiveFigure
    from so3lab_widgets.pump import Pump
    from so3lab_widgets.report import Movie, Section, build_report
    from so3lab_widgets.trajectory_panel import TrajectoryPanel
    from so3lab_widgets.view3d import show
    from so3lab_widgets.viewer import Viewer

__all__ = [
    "DynamicsPanel", "Job", "LinkedFigure", "LiveFigure", "Movie", "Pump", "Section", "TrajectoryPanel", "Viewer",
    "build_report", "figures", "jobs", "linked", "live", "ngl", "pump", "report", "show", "theme", "view3d", "viewer",
]  # fmt: skip

if "jax" not in sys.modules:
    # XLA alarms people, wrongly, about each program that it reads from disk, and asks only once whether it may.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if "ipykernel" in sys.modules:  # a notebook's kernel keeps memory, as the commands do: twice the speed on CPU
    from so3lab.memory import keep_memory

    keep_memory()


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: a report needs no notebook packages, a figure no NGL."""
    if name in _FROM:
        return getattr(importlib.import_module(_FROM[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"so3lab_widgets.{name}")
    raise AttributeError(f"module 'so3lab_widgets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
