"""A map of a table: any column against any other, linked to rows, thinned out where there are many."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from plot_page import dragged, from_page
from so3lab_widgets.plots.downsampling import scattered
from so3lab_widgets.plots.property_map import MOST_POINTS, PropertyMap


def table(rows: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "energy_meV": rng.normal(0, 30, rows),
            "phi_deg": rng.uniform(-180, 180, rows),
            "visits": rng.integers(1, 9, rows),
            "origin": rng.choice(["torsions", "hopping"], rows),
        }
    )


class Linked:
    """A map, and what it told."""

    def __init__(self, rows: int = 50, **options):
        self.points, self.choices, self.axes = [], [], []
        self.map = PropertyMap(
            "minimum",
            on_point=lambda row, how: self.points.append((row, how)),
            on_choice=self.choices.append,
            on_axes=lambda axis, column: self.axes.append((axis, column)),
            **options,
        )
        self.map.show(table(rows))

    @property
    def trace(self):
        return self.map.figure.data[0]


@pytest.fixture
def linked():
    made = Linked(prefer=(["phi_deg"], ["psi_deg", "energy_meV"], ["visits"]))
    yield made
    made.map.close()


def test_preferred_columns_are_drawn_with_their_units(linked):
    assert (linked.map.x.value, linked.map.y.value, linked.map.colour.value) == ("phi_deg", "energy_meV", "visits")
    assert linked.map.figure.layout.xaxis.title.text == "phi (°)"
    assert linked.map.figure.layout.yaxis.title.text == "energy (meV)"
    assert tuple(linked.map.figure.layout.xaxis.range) == (-185, 185)
    np.testing.assert_allclose(linked.trace.x, linked.map.table["phi_deg"])
    np.testing.assert_allclose(linked.trace.marker.color, linked.map.table["visits"])


def test_menus_choose_axes_and_tell(linked):
    linked.map.x.value = "visits"
    linked.map.colour.value = "origin"
    assert linked.axes == [("x", "visits"), ("colour", "origin")]
    np.testing.assert_allclose(linked.trace.x, linked.map.table["visits"])
    assert linked.map.figure.layout.xaxis.autorange is True
    names = linked.trace.marker.colorbar.ticktext
    assert [names[code] for code in linked.trace.marker.color] == linked.map.table["origin"].tolist()
    linked.map.colour.value = None
    assert linked.trace.marker.showscale is False


def test_words_are_no_axis(linked):
    assert "origin" not in [column for _, column in linked.map.x.options]
    with pytest.raises(ValueError, match="two columns of numbers, and there are energy_meV"):
        linked.map.show(table()[["energy_meV", "origin"]])


def test_axes_stay_when_more_rows_and_columns_come(linked):
    linked.map.y.value = "visits"
    linked.map.show(table(80).assign(psi_deg=1.0))
    assert linked.map.y.value == "visits"
    assert len(linked.trace.x) == 80
    assert linked.axes == [("y", "visits")], "nobody has chosen anything since"


def test_rows_pointed_at_and_clicked_are_told(linked):
    from_page(linked.map.figure, "hover", 0, [1.0], points=[7])
    from_page(linked.map.figure, "click", 0, [1.0], points=[31])
    assert linked.points == [(7, "hover"), (31, "click")]


def test_dragging_chooses_all_rows_within_the_box(linked):
    dragged(linked.map.figure, -90.0, 0.0, y=(-20.0, 20.0))
    rows = linked.map.table.query("-90 <= phi_deg <= 0 and -20 <= energy_meV <= 20").index
    assert linked.choices[-1].tolist() == rows.tolist()
    linked.map.choose(np.array([3, 5]))
    assert list(linked.trace.selectedpoints) == [3, 5]
    from_page(linked.map.figure, "deselect", 0, [])
    assert linked.choices[-1] is None
    linked.map.choose(None)
    assert linked.trace.selectedpoints is None


def test_rings_stand_where_the_rows_are(linked):
    linked.map.mark(4, [8])
    here = linked.map.table[["phi_deg", "energy_meV"]].to_numpy()
    assert linked.map.figure.marks == [[*here[8], "selected"], [*here[4], "current"]]
    linked.map.x.value = "visits"
    assert linked.map.figure.marks[1][0] == linked.map.table["visits"][4]
    picture = linked.map.picture()
    assert type(picture) is go.Figure
    assert [trace.name for trace in picture.data[1:]] == ["selected", "current"]


def test_of_many_points_each_place_keeps_one_and_zooming_shows_the_rest():
    linked = Linked(MOST_POINTS + 5000, prefer=(["phi_deg"], ["energy_meV"], []))
    try:
        assert isinstance(linked.trace, go.Scattergl)
        assert len(linked.trace.x) <= MOST_POINTS
        assert "zoom in to see the others" in linked.map.words.value
        linked.map.figure.plotly_relayout({"xaxis.range": [0.0, 20.0]})
        inside = linked.map.table.query("0 <= phi_deg <= 20").index
        assert linked.trace.customdata.tolist() == inside.tolist()
        from_page(linked.map.figure, "click", 0, [1.0], points=[2])
        assert linked.points == [(inside[2], "click")]
        linked.map.figure.plotly_relayout({"xaxis.autorange": True})
        assert len(linked.trace.x) > len(inside)
    finally:
        linked.map.close()


def test_few_points_stay_when_somebody_zooms_and_rows_arrive(linked):
    linked.map.figure.plotly_relayout({"xaxis.range": [0.0, 20.0]})
    linked.map.show(table(60))
    assert len(linked.trace.x) == 60


def test_no_lonely_point_is_lost():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 50_000))
    x[123], y[123], x[7] = 40.0, -40.0, np.nan
    rows = scattered(x, y, 4000)
    assert len(rows) == 4000
    assert 123 in rows
    assert 7 not in rows
    assert np.all(np.diff(rows) > 0)


def test_numbers_that_are_missing_are_drawn_nowhere(linked):
    holes = table()
    holes.loc[3, "energy_meV"] = np.nan
    linked.map.show(holes)
    assert 3 not in linked.trace.customdata
    linked.map.mark(3)
    assert linked.map.figure.marks == []
