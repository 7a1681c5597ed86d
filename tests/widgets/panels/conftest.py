"""Panels that leave no thread behind: of dynamics of ethanol, of training, of the minima of pentane."""

from collections.abc import Iterator

import pytest
from fake_simulation import FakeSimulation
from fake_training import fake_evaluate, fake_train
from pentane_panel import pentane_panel, searched
from so3lab_widgets.panels.dynamics_panel import DynamicsPanel
from so3lab_widgets.panels.train_panel import TrainPanel
from training_panel import data, length
from waiting import no_threads_left

from so3lab.dynamics.control import Control


def made(**options) -> Iterator[DynamicsPanel]:
    control = Control(temperature_K=300.0, friction_per_ps=20.0)
    with no_threads_left():
        panel = DynamicsPanel("ethanol", "ethanol", control=control, **options)
        yield panel
        panel.close()


@pytest.fixture
def panel():
    """A panel whose molecule moves by a formula: for what is not about physics."""
    yield from made(simulate=FakeSimulation)


@pytest.fixture
def physical_panel():
    """A panel as people have it."""
    yield from made()


@pytest.fixture
def train_panel(tmp_path, monkeypatch):
    """A panel in a folder of its own that learns by a formula, 30 epochs."""
    monkeypatch.chdir(tmp_path)
    with no_threads_left():
        panel = TrainPanel(data(), preset="tiny", train=fake_train, evaluate=fake_evaluate)
        panel.wait()
        length(panel, 30)
        yield panel
        panel.close()


@pytest.fixture
def empty_minima_panel(tmp_path, monkeypatch):
    """A panel in a folder of its own that has not searched yet."""
    monkeypatch.chdir(tmp_path)
    with no_threads_left():
        panel = pentane_panel()
        yield panel
        panel.close()


@pytest.fixture
def minima_panel(empty_minima_panel):
    """After its search: the four minima of pentane."""
    return searched(empty_minima_panel)
