"""What a labelled set looks like: how energies and force components of its frames are spread."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from so3lab_widgets.theme import BLUE, element_colour, require, styled

_LOWEST = -0.3
"""Logarithm of half a frame, so that one has a bar."""


def data_distributions(energies: pd.DataFrame, forces: pd.DataFrame, height: int = 300) -> go.Figure:
    """Draw how energies and, element by element, force components are spread, on logarithmic scales: one is seen, too.

    Args:
        energies: ``low``, ``high`` (eV) and ``frames``, as :func:`so3lab.datasets.energy_distribution` gives them.
        forces: ``element``, ``low``, ``high`` (eV/Å) and ``components``, as
            :func:`so3lab.datasets.force_distribution` gives them.
        height: In pixels.

    Returns:
        The first trace has a bar for each row of ``energies``; the others are named after their element, with a point
        for each of its rows.
    """
    require(energies, ["low", "high", "frames"])
    require(forces, ["element", "low", "high", "components"])
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.15, subplot_titles=("Energies", "Force components"))
    middle = 0.5 * (energies["low"] + energies["high"])
    figure.add_bar(
        x=middle, y=energies["frames"], width=energies["high"] - energies["low"], marker_color=BLUE, name="energies",
        showlegend=False, row=1, col=1, hovertemplate="%{x:.3f} eV<br>%{y:,} frames<extra></extra>",
    )  # fmt: skip
    for element, part in forces.groupby("element", sort=False):
        counted = part["components"].where(part["components"] > 0)
        figure.add_scatter(
            x=0.5 * (part["low"] + part["high"]), y=counted, name=str(element), mode="lines+markers", row=1, col=2,
            line={"shape": "hvh", "color": element_colour(str(element)), "width": 1.5}, marker={"size": 4},
            hovertemplate=f"{element}: %{{x:.2f}} eV/Å<br>%{{y:,}} components<extra></extra>",
        )  # fmt: skip
    small = {"title_font_size": 12, "row": 1}
    figure.update_xaxes(title_text="relative energy (eV)", col=1, **small)
    figure.update_xaxes(title_text="force component (eV/Å)", col=2, **small)
    counts = {"type": "log", "dtick": 1, "exponentformat": "power", **small}
    for column, words, most in ((1, "frames", energies["frames"].max()), (2, "components", forces["components"].max())):
        figure.update_yaxes(title_text=words, range=[_LOWEST, float(np.log10(2.0 * most))], col=column, **counts)
    styled(figure, height=height)
    legend = {"x": 1, "y": 1, "xanchor": "right", "yanchor": "top", "orientation": "v", "bgcolor": "rgba(0,0,0,0)"}
    return figure.update_layout(margin={"t": 30, "l": 60, "r": 12}, legend=legend, bargap=0, hovermode="closest")
