"""What a model says about one structure: attention, terms of the energy, charges."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from so3lab import units
from so3lab_widgets.theme import BLUE, INK, SIGNED_SCALE, VERMILLION, cycle, element_colour, require, styled

_MODES = {
    "compat": ("compat: no self term, as published", VERMILLION, "square"),
    "wolf": ("wolf: with self term", BLUE, "circle"),
}


def attention_matrix(table: pd.DataFrame, atom_labels: Sequence[str] | None = None, kind: str = "head") -> go.Figure:
    """Show who listens to whom: one heat map per layer (row) and head or degree (column).

    The scale is centred at zero, because the weights are not normalised and may be negative.

    Args:
        table: ``layer``, ``head_or_degree``, ``receiver``, ``sender``, ``weight``.
        atom_labels: Names of the atoms, such as ``["C0", "C1", "O2"]``; their indices when left out.
        kind: What ``head_or_degree`` counts: ``"head"`` or ``"degree"``.
    """
    if kind not in ("head", "degree"):
        raise ValueError(f"kind must be 'head' or 'degree', got {kind!r}")
    require(table, ["layer", "head_or_degree", "receiver", "sender", "weight"])
    layers, heads = (sorted(table[name].unique()) for name in ("layer", "head_or_degree"))
    atoms = 1 + int(table[["receiver", "sender"]].to_numpy().max())
    names = list(atom_labels) if atom_labels is not None else [str(index) for index in range(atoms)]
    if len(names) < atoms:
        raise ValueError(f"atom_labels names {len(names)} atoms, the table has {atoms}")
    figure = make_subplots(
        rows=len(layers),
        cols=len(heads),
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=0.1 / len(layers),
        column_titles=[f"{kind} {head}" for head in heads],
        row_titles=[f"layer {layer}" for layer in layers],
        x_title="sender (who speaks)",
        y_title="receiver (who listens)",
    )
    for (layer, head), block in table.groupby(["layer", "head_or_degree"]):
        weights = np.full((len(names), len(names)), np.nan, np.float32)
        weights[block["receiver"], block["sender"]] = block["weight"]
        figure.add_heatmap(
            x=names,
            y=names,
            z=weights,
            coloraxis="coloraxis",
            hoverongaps=False,
            row=layers.index(layer) + 1,
            col=heads.index(head) + 1,
            hovertemplate=f"layer {layer}, {kind} {head}<br>%{{y}} listens to %{{x}}"
            "<br>weight %{z:.4f} (no unit)<extra></extra>",
        )
    largest = float(table["weight"].abs().max()) or 1.0
    bar = {"title": {"text": "weight", "side": "right"}, "thickness": 12}
    scale = {"colorscale": SIGNED_SCALE, "cmin": -largest, "cmax": largest, "colorbar": bar}
    figure.update_xaxes(type="category", showgrid=False, ticks="", tickangle=0 if atoms < 12 else None)
    figure.update_yaxes(type="category", showgrid=False, ticks="", autorange="reversed")
    styled(figure, "Attention weights", height=150 + 230 * len(layers))
    return figure.update_layout(coloraxis=scale, margin={"l": 80, "t": 84})


def energy_terms(table: pd.DataFrame) -> go.Figure:
    """Show which terms of the energy change from one structure to others: repulsion, electrostatics and so on.

    Bars are energies less those of the first structure, since the totals depend on a choice of zero.

    Args:
        table: One row per structure with a column per term in eV, such as
            ``pd.DataFrame([a.energy_terms, b.energy_terms], index=["start", "relaxed"])``; the index names structures.
    """
    require(table, [])
    if len(table) < 2:
        raise ValueError("energy terms are drawn as changes: the table needs two structures, it has one")
    terms = [*table.columns, "total"]
    energies = table.assign(total=table.sum(axis=1))
    changes = energies - energies.iloc[0]
    first = str(table.index[0])
    figure = go.Figure()
    for row, colour in zip(range(1, len(table)), cycle(len(table) - 1), strict=True):
        name, change = str(table.index[row]), changes.iloc[row].to_numpy(float)
        extra = np.column_stack([1000 * change * units.kcal_mol_per_meV, energies.iloc[0], energies.iloc[row]])
        figure.add_bar(
            x=terms, y=change, name=name, marker_color=colour, customdata=extra, texttemplate="%{y:+.3f}",
            textposition="outside", cliponaxis=False, showlegend=len(table) > 2,
            hovertemplate=f"{name}, %{{x}}<br>%{{y:+.4f}} eV = %{{customdata[0]:+.2f}} kcal/mol"
            f"<br>{first} %{{customdata[1]:.4f}} eV, {name} %{{customdata[2]:.4f}} eV<extra></extra>",
        )  # fmt: skip
    figure.add_hline(0.0, line={"color": INK, "width": 1})
    figure.update_xaxes(showgrid=False, showline=False, ticks="")
    heights = changes.to_numpy(float)
    low, high, margin = heights.min(), heights.max(), 0.12 * float(np.ptp(heights)) or 1.0
    figure.update_yaxes(title_text="change of energy (eV)", range=[low - margin, high + margin])
    total = float(changes["total"].iloc[-1])
    subtitle = (
        f"from {first} to {table.index[-1]}: {total:+.3f} eV = {1000 * total * units.kcal_mol_per_meV:+.1f} kcal/mol"
    )
    return styled(figure, "Energy by term", subtitle)


def partial_charges(table: pd.DataFrame) -> go.Figure:
    """Show the charge of every atom, coloured by element.

    Args:
        table: One row per atom: ``element``, and ``partial_charge`` in e.
    """
    require(table, ["element", "partial_charge"])
    elements, charges = table["element"].to_numpy(str), table["partial_charge"].to_numpy(float)
    names = [f"{element}{number}" for number, element in enumerate(elements)]
    figure = go.Figure()
    for element in dict.fromkeys(elements):
        chosen = np.flatnonzero(elements == element)
        figure.add_bar(
            x=[names[number] for number in chosen],
            y=charges[chosen],
            name=element,
            marker_color=element_colour(element),
            hovertemplate="%{x}: %{y:+.3f} e<extra></extra>",
        )
    figure.add_hline(0.0, line={"color": INK, "width": 1})
    figure.update_xaxes(
        title_text="atom",
        type="category",
        categoryorder="array",
        categoryarray=names,
        showgrid=False,
        showline=False,
        ticks="",
    )
    figure.update_yaxes(title_text="partial charge (e)")
    styled(figure, "Partial charges", f"they sum to {round(charges.sum(), 2) + 0.0:g} e")
    return figure.update_layout(showlegend=True)


def electrostatics_modes(table: pd.DataFrame) -> go.Figure:
    """Show by how much truncated electrostatics changes forces, against the cutoff, for each mode.

    Args:
        table: ``mode`` (``wolf`` or ``compat``), ``cutoff_A``, ``largest_force_error_eV_A`` and
            ``force_rms_error_eV_A``, such as :func:`so3lab.electrostatics.truncation_errors` gives.
    """
    largest, rms = "largest_force_error_eV_A", "force_rms_error_eV_A"
    require(table, ["mode", "cutoff_A", largest, rms])
    unknown = set(table["mode"]) - set(_MODES)
    if unknown:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, the table has {', '.join(unknown)}")
    figure = go.Figure()
    for mode, rows in table.sort_values("cutoff_A").groupby("mode"):
        name, colour, symbol = _MODES[str(mode)]
        figure.add_scatter(
            x=rows["cutoff_A"],
            y=rows[largest],
            customdata=rows[[rms]],
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2},
            marker={"symbol": symbol, "size": 8},
            hovertemplate=f"{mode}, cutoff %{{x:g}} Å<br>largest difference %{{y:.4f}} eV/Å"
            "<br>root mean square %{customdata[0]:.4f} eV/Å<extra></extra>",
        )
    figure.add_hline(
        units.kcal_per_mol,
        line={"color": INK, "dash": "dash", "width": 1},
        annotation={"text": "1 kcal/mol/Å", "font": {"color": INK, "size": 12}},
    )
    figure.update_xaxes(title_text="long-range cutoff (Å)", rangemode="tozero")
    highest = max(float(table[largest].max()), 2 * units.kcal_per_mol)
    figure.update_yaxes(title_text="largest force error (eV/Å)", range=[-0.03 * highest, 1.08 * highest])
    return styled(figure, "Truncated electrostatics", "difference to the forces of exact electrostatics")


_LEAST_SPAN = 1e-12
"""eV below which an energy in double precision does not change."""


def torsion_reach(scan: pd.DataFrame) -> go.Figure:
    """Show how much the energy of cumulenes depends on their torsion, against their length.

    Args:
        scan: ``carbons``, ``torsion_deg``, ``energy`` and ``learned`` (eV), such as
            :func:`so3lab.attention.torsion_scan` gives.
    """
    require(scan, ["carbons", "torsion_deg", "energy", "learned"])
    molecules = scan.groupby("carbons")[["energy", "learned"]]
    spans = molecules.max() - molecules.min()
    figure = go.Figure()
    for column, words, colour, symbol in (
        ("energy", "whole energy", VERMILLION, "square"),
        ("learned", "what the network says by itself", BLUE, "circle"),
    ):
        span = spans[column].to_numpy()
        figure.add_scatter(
            x=spans.index,
            y=np.maximum(span, _LEAST_SPAN),
            text=["does not change" if one < _LEAST_SPAN else f"{one:.3g} eV" for one in span],
            mode="lines+markers",
            name=words,
            line={"color": colour, "width": 2},
            marker={
                "symbol": [f"{symbol}-open" if one < _LEAST_SPAN else symbol for one in span], "size": 9,
            },
            hovertemplate="C<sub>%{x}</sub>H<sub>4</sub>, " + words + ": %{text}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="carbons", dtick=1)
    figure.update_yaxes(title_text="span over the torsion (eV)", type="log", exponentformat="power")
    return styled(figure, "How far a torsion is seen", "open marks: not at all").update_layout(showlegend=True)
