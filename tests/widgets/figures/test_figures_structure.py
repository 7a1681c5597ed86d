"""Figures of shapes name units, keep angles apart at ±180° and leave empty what was never visited."""

import json

import numpy as np
import pandas as pd
import pytest
from so3lab_widgets import figures, theme

TIME_FS = 10.0 * np.arange(50)


def titles(figure) -> list[str]:
    layout = figure.to_plotly_json()["layout"]
    return [axis["title"]["text"] for name, axis in layout.items() if "axis" in name and "title" in axis]


def test_radial_distribution_tells_pairs_apart_and_marks_the_mean_density():
    r = np.linspace(0.05, 6, 60)
    one = pd.DataFrame({"r": r, "g": 1 + np.exp(-((r - 2.8) ** 2))})
    figure = figures.radial_distribution(one)
    assert "highest at 2.77 Å: 2.00 times" in figure.layout.title.subtitle.text
    assert titles(figure) == ["distance r (Å)", "g(r) (no unit)"]
    assert figure.layout.shapes[0].y0 == 1.0
    both = figures.radial_distribution(pd.concat([one.assign(pair="O-O"), one.assign(pair="O-H", g=2 * one["g"])]))
    assert [trace.name for trace in both.data] == ["O-O", "O-H"]
    assert both.data[1].y.max() == pytest.approx(2 * both.data[0].y.max())
    assert both.layout.showlegend
    assert not figure.layout.showlegend


def test_a_dihedral_that_crosses_180_degrees_is_drawn_with_gaps():
    degrees = np.where(np.arange(50) % 10 < 5, 170.0, -170.0)
    angle = np.full(50, 109.5)
    table = pd.DataFrame({"time_fs": TIME_FS, "phi_deg": degrees, "CCO_deg": angle, "CO_A": angle / 80})
    figure = figures.internal_coordinates(table)
    phi, bend, bond = figure.data
    assert np.isnan(phi.y).sum() == 9  # one for each crossing
    jumps = np.abs(np.diff(np.asarray(phi.y)))
    assert np.nanmax(jumps) < 180
    assert len(bend.y) == len(bond.y) == 50
    assert figure.layout.yaxis.range == (-180, 180)
    assert figure.layout.yaxis2.range is None
    assert {"phi (°)", "CCO (°)", "CO (Å)", "time (ps)"} == set(titles(figure)) - {""}
    assert bond.x[-1] == pytest.approx(0.49)
    assert figure.layout.meta == {"x": "time_ps"}


def test_rmsd_draws_every_column_in_picoseconds():
    table = pd.DataFrame({"time_fs": TIME_FS, "rmsd_A": 0.01 * TIME_FS, "heavy_A": 0.005 * TIME_FS})
    figure = figures.rmsd(table)
    assert [trace.name for trace in figure.data] == ["RMSD", "heavy"]
    assert figure.data[0].x[1] == pytest.approx(0.01)
    assert "mean 2.45 Å, largest 4.90 Å" in figure.layout.title.subtitle.text
    assert titles(figure) == ["time (ps)", "RMSD (Å)"]
    assert figure.layout.meta == {"x": "time_ps"}


def test_rmsf_keeps_the_order_and_the_numbers_of_the_atoms():
    table = pd.DataFrame({"atom": [2, 5, 7], "element": ["O", "H", "O"], "rmsf_A": [0.1, 0.7, 0.2]})
    figure = figures.rmsf(table)
    assert list(figure.layout.xaxis.categoryarray) == ["O2", "H5", "O7"]
    assert [list(trace.x) for trace in figure.data] == [["O2", "O7"], ["H5"]]
    assert list(figure.data[0].y) == [0.1, 0.2]
    assert "most mobile: H5, 0.70 Å" in figure.layout.title.subtitle.text


def test_ramachandran_map_has_phi_to_the_right_and_nothing_where_nothing_was():
    centres = np.array([-90.0, 90.0])
    table = pd.DataFrame(
        {
            "phi_deg": np.repeat(centres, 2),
            "psi_deg": np.tile(centres, 2),
            "free_energy_kcal_mol": [1.0, 0.0, np.nan, 2.0],
            "free_energy_eV": np.array([1.0, 0.0, np.nan, 2.0]) / 23.06,
        }
    )
    figure = figures.ramachandran(table)
    (heat,) = figure.data
    np.testing.assert_array_equal(heat.z, [[1.0, np.nan], [0.0, 2.0]])  # rows are ψ
    assert heat.customdata[1, 1] == pytest.approx(86.7, abs=0.1)
    assert not heat.hoverongaps
    assert heat.colorbar.title.text == "free energy (kcal/mol)"
    assert titles(figure) == ["φ (°)", "ψ (°)"]
    assert figure.layout.xaxis.range == figure.layout.yaxis.range == (-180, 180)
    assert "lowest at φ -90°, ψ 90° · 75 % visited" in figure.layout.title.subtitle.text


def test_hydrogen_bonds_are_counted_over_time_and_ranked():
    counts = pd.DataFrame({"time_fs": TIME_FS, "hydrogen_bonds": np.arange(50) % 2})
    figure = figures.hydrogen_bonds(counts)
    assert "0.50 on average" in figure.layout.title.subtitle.text
    assert figure.layout.meta == {"x": "time_ps"}
    assert figure.layout.yaxis.dtick == 1
    share = np.linspace(0.0, 1.0, 25)
    bonds = pd.DataFrame(
        {"bond": [f"N{i}" for i in range(25)], "occupancy": share, "distance_A": 2.0, "angle_deg": 150.0}
    )
    ranked = figures.hydrogen_bond_occupancy(bonds)
    assert list(ranked.data[0].y)[:2] == ["N24", "N23"]
    assert ranked.data[0].x[0] == 100.0
    assert ranked.layout.title.subtitle.text == "5 rarer ones left out"
    assert titles(ranked) == ["share of the frames (%)"]


def test_figures_of_structure_name_the_column_they_miss_and_follow_the_page():
    with pytest.raises(ValueError, match="no column '…_A or …_deg'; it has time_fs"):
        figures.internal_coordinates(pd.DataFrame({"time_fs": TIME_FS}))
    with pytest.raises(ValueError, match="no column 'rmsd_A'; it has time_fs"):
        figures.rmsd(pd.DataFrame({"time_fs": TIME_FS}))
    with pytest.raises(ValueError, match="no column 'time_fs'; it has hydrogen_bonds"):
        figures.hydrogen_bonds(pd.DataFrame({"hydrogen_bonds": [1]}))
    figure = figures.rmsd(pd.DataFrame({"time_fs": TIME_FS, "rmsd_A": TIME_FS}))
    assert figure.layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.template.layout.font.color == theme.INK
    assert figure.layout.width is None
    assert json.loads(figure.to_json())["layout"]["height"] == 380
