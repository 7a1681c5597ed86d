"""What a path between two minima looks like: energy against the distance that atoms have gone."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from so3lab_widgets.figures.landscape import EnergyUnit, per_unit
from so3lab_widgets.theme import BLUE, VERMILLION, require, styled


def path_profile(images: pd.DataFrame, *, ends: tuple[int, int], unit: EnergyUnit = "kcal/mol") -> go.Figure:
    """Draw the energies along a path; points carry ``"image N"`` as ``customdata[0]``.

    Args:
        images: ``image``, ``distance_A`` and ``energy_eV``, as :meth:`so3lab.landscape.Band.profile` gives them.
        ends: Numbers of the two minima.
        unit: Of the axis.
    """
    require(images, ["image", "distance_A", "energy_eV"])
    energies = images["energy_eV"].to_numpy(float)
    heights = (energies - energies[0]) / per_unit(unit)
    top = int(np.argmax(heights))
    told = [[f"image {number}", f"image {number}<br>{height:.2f} {unit} above minimum {ends[0]}"]
            for number, height in zip(images["image"], heights, strict=True)]  # fmt: skip
    colours = [VERMILLION if number == top else BLUE for number in range(len(heights))]
    figure = go.Figure()
    figure.add_scatter(
        x=images["distance_A"], y=heights, mode="lines+markers", name="path", customdata=told,
        hovertemplate="%{customdata[1]}<extra></extra>", line={"color": BLUE, "shape": "spline"},
        marker={"size": 9, "color": colours},
    )  # fmt: skip
    length = "Å" if unit != "ε" else "σ"
    figure.update_xaxes(title_text=f"distance along the path ({length}, of all atoms)")
    figure.update_yaxes(title_text=f"above minimum {ends[0]} ({unit})")
    back = heights[top] - heights[-1]
    words = f"{heights[top]:.2f} {unit} from {ends[0]} to {ends[1]}, {back:.2f} back"
    return styled(figure, f"From minimum {ends[0]} to minimum {ends[1]}", words)
