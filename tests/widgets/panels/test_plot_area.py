"""Which replica's curves are drawn and which residue is mapped is chosen by fields, and said in Python."""

import itertools

import pytest
from ase.build import molecule
from fake_simulation import FakeSimulation
from running_panel import open_widgets
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.panels.plot_area import PlotArea
from waiting import wait_for

from so3lab.structures import read_structure


@pytest.fixture
def said():
    return []


@pytest.fixture
def area(said):
    made = PlotArea(
        picked=tuple, on_draw=lambda live: True, on_choice=said.append, on_trouble=said.append, on_time=said.append
    )
    yield made
    made.close()


def test_a_residue_is_chosen_and_the_map_counts_anew(area, said):
    peptide = read_structure("ala3")
    live = FakeSimulation(None, [peptide])
    area.set_structure(peptide, 1, thermostat=True)
    assert said == []
    list(itertools.islice(live.run(0.0), 5))
    area.draw(live)
    assert [value for _, value in area.residue.options] == [*range(area.plots.backbone.residues), None]
    area.residue.value = 1
    assert area.plots.backbone.residue == 1
    area.reset_button.click()
    assert area.plots.backbone.from_step == live.replicas.step
    assert said == ["panel.plot_area.residue.value = 1", "panel.plot_area.count_anew()"]


def test_without_a_backbone_there_is_nothing_to_choose_and_its_return_leaves_no_widget(area):
    counts = []
    for structure in (read_structure("ala2"), molecule("H2O"), read_structure("ala2")):
        area.set_structure(structure, 1, thermostat=True)
        assert (area.residue in shown(area)) == (len(structure) > 3)
        counts.append(open_widgets())
    assert counts[0] == counts[2]


def shown(widget) -> list:
    """All widgets within one that are not hidden."""
    if getattr(widget.layout, "display", None) == "none":
        return []
    return [widget, *(one for child in getattr(widget, "children", ()) for one in shown(child))]


def test_a_figure_that_comes_into_sight_is_drawn(area):
    live = FakeSimulation(None, [molecule("H2O")])
    area.set_structure(molecule("H2O"), 1, thermostat=True)
    area.plots.curves.in_sight = False
    list(itertools.islice(live.run(0.0), 20))
    area.update(live)
    curve = area.plots.curves.data[0]
    wait_for(lambda: len(curve.x) > 0, "the first drawing")
    drawn = len(curve.x)
    list(itertools.islice(live.run(0.0), 20))
    area.plots.curves.in_sight = True
    wait_for(lambda: len(curve.x) > drawn, "what came meanwhile")


def test_closing_leaves_nothing():
    widgets = open_widgets()
    area = PlotArea(picked=tuple, on_draw=lambda live: True, on_choice=print, on_trouble=print, on_time=print)
    area.set_structure(molecule("H2O"), 1, thermostat=False)
    area.close()
    close_all(area)
    assert open_widgets() == widgets
