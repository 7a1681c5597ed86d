"""Dynamics panels of ethanol that leave no thread behind."""

import threading
from collections.abc import Iterator

import pytest
from fake_simulation import FakeSimulation
from so3lab_widgets.panels.dynamics_panel import DynamicsPanel

from so3lab.dynamics.control import Control


def made(**options) -> Iterator[DynamicsPanel]:
    before = set(threading.enumerate())
    panel = DynamicsPanel("ethanol", "ethanol", control=Control(temperature_K=300.0, friction_per_ps=20.0), **options)
    yield panel
    panel.close()
    left = {thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("so3lab")}
    assert left == set()


@pytest.fixture
def panel():
    """A panel whose molecule moves by a formula: for what is not about physics."""
    yield from made(simulate=FakeSimulation)


@pytest.fixture
def physical_panel():
    """A panel as people have it."""
    yield from made()
