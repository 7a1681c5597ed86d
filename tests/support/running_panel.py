"""A dynamics panel that runs, for tests without a browser."""

import ipywidgets
from so3lab_widgets.panels.dynamics_panel import DynamicsPanel
from waiting import wait_for


def open_widgets() -> int:
    """How many widgets the kernel holds."""
    return len(ipywidgets.widgets.widget._instances)


def runs(panel: DynamicsPanel) -> DynamicsPanel:
    """The panel, started, with its first frames."""
    panel.start()
    wait_for(
        lambda: (panel.live is not None and panel.live.frames() > 20) or panel.job.ended,
        "the first frames",
        240,
    )
    assert panel.job.error is None
    return panel
