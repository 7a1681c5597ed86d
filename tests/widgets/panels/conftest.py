"""Dynamics panels of ethanol that leave no thread behind."""

import threading
from collections.abc import Iterator

import pytest
from fake_simulation import FakeSimulation
from so3lab_widgets.panels.dynamics_panel import DynamicsPanel
from waiting import wait_for

from so3lab.dynamics.control import Control


def made(**options) -> Iterator[DynamicsPanel]:
    before = set(threading.enumerate())
    panel = DynamicsPanel("ethanol", "ethanol", control=Control(temperature_K=300.0, friction_per_ps=20.0), **options)
    yield panel
    panel.close()
    # what an older attempt is still preparing ends soon after, and changes nothing
    wait_for(lambda: not [one for one in set(threading.enumerate()) - before if one.name.startswith("so3lab")])


@pytest.fixture
def panel():
    """A panel whose molecule moves by a formula: for what is not about physics."""
    yield from made(simulate=FakeSimulation)


@pytest.fixture
def physical_panel():
    """A panel as people have it."""
    yield from made()
