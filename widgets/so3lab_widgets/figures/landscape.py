"""What an energy landscape looks like: its minima by energy, on maps, in a tree, and by weight.

Points of minima carry their numbers, points of saddles ``"saddle N"``, as ``customdata[0]``, so that a click says which
one is meant. Figures whose layout has ``meta["select"] == "minimum"`` end with a trace named ``shown``, the ring about
the one that is looked at.
"""

from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from so3lab import units
from so3lab.counting import counted
from so3lab_widgets.theme import (
    BLUE,
    DENSITY_SCALE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILLION,
    cycle,
    require,
    styled,
)

EnergyUnit = Literal["kcal/mol", "kJ/mol", "eV", "ε"]
"""What energies are shown in; ε is that of a Lennard-Jones cluster, whose energies are in reduced units already."""
_IN_EV: dict[str, float] = {"kcal/mol": units.kcal_per_mol, "kJ/mol": units.kJ_per_mol, "eV": 1.0, "ε": 1.0}
_SELECT = {"select": "minimum"}
_ANGLES = {"range": [-180, 180], "tickvals": list(range(-180, 181, 60)), "constrain": "domain"}
_RUNGS = 120
_NAMED_LEAVES = 60
_NAMED_POINTS = 6
_MOST_SHAPES = 3000
"""Points that are drawn one by one; more are drawn by the graphics card, and a page with them stays quick."""
_COLOURED_PERCENT = 90
"""Share of the minima over which colours spread; a few high ones would leave one colour for all others."""
_SHOULDER = 0.025
"""Share of the height within which a branch of a tree goes to its place."""


def energy_ladder(minima: pd.DataFrame, *, unit: EnergyUnit = "kcal/mol") -> go.Figure:
    """Draw every minimum as a rung at its energy, the lowest first.

    Args:
        minima: ``number`` and ``energy_eV``, such as :func:`so3lab.minima.properties` gives; ``visits`` and ``novelty``
            (in units of the training set's reach, :mod:`so3lab.landscape.novelty`) are told where they are known.
        unit: Of the axis.
    """
    require(minima, ["number", "energy_eV"])
    table = minima.sort_values("energy_eV", kind="stable")
    heights = _above(table["energy_eV"], minima, unit)
    few = len(table) <= _RUNGS
    figure = go.Figure()
    points = figure.add_scatter if len(table) <= _MOST_SHAPES else figure.add_scattergl
    for name, colour, chosen in _by_novelty(table):
        points(
            x=np.flatnonzero(chosen) + 1, y=heights[chosen], mode="markers", name=name,
            marker={
                "symbol": "line-ew" if few else "circle", "color": colour,
                "size": float(np.clip(320 / len(table), 5, 16)) if few else 4,
                "line": {"width": 2.5 if few else 0, "color": colour},
            },
            customdata=_told(table[chosen], heights[chosen], unit), hovertemplate=_HOVER,
        )  # fmt: skip
    figure.update_xaxes(title_text="minima in the order of their energies (number)", rangemode="tozero")
    figure.update_yaxes(title_text=f"above the lowest ({unit})", rangemode="tozero")
    within = int(np.sum(heights <= _WINDOW[unit]))
    subtitle = f"{counted(len(table), 'minimum')}, {within} of them within {_WINDOW[unit]:g} {unit} of the lowest"
    return _selectable(styled(figure, "Minima by energy", subtitle))


def disconnectivity(tree: pd.DataFrame, minima: pd.DataFrame, *, unit: EnergyUnit = "kcal/mol") -> go.Figure:
    """Draw the tree of superbasins: two minima are joined at the height that a path between them must climb.

    Args:
        tree: ``node``, ``parent``, ``x``, ``energy_eV``, ``minimum``, ``saddle`` and ``size``, such as
            :meth:`so3lab.landscape.DisconnectivityTree.table` gives.
        minima: ``number``, and what else is known of them, as :func:`energy_ladder` takes it; row ``n`` is minimum
            ``n`` of the tree.
        unit: Of the axis.
    """
    require(tree, ["node", "parent", "x", "energy_eV", "minimum", "saddle", "size"])
    require(minima, ["number", "energy_eV"])
    heights = _above(tree["energy_eV"], tree, unit)
    top = float(heights.max()) or 1.0
    alone = (tree["parent"].to_numpy() < 0) & (tree["minimum"].to_numpy() >= 0)
    figure = go.Figure()
    line = {"color": INK, "width": 1.2}
    figure.add_scatter(**_branches(tree, heights, _SHOULDER * top), mode="lines", line=line, hoverinfo="skip")
    if alone.any() and len(tree) > 1:
        figure.add_scatter(
            **_stems(tree["x"].to_numpy()[alone], heights[alone], top), mode="lines", hoverinfo="skip",
            line={"color": GREY, "width": 1.2, "dash": "dot"},
        )  # fmt: skip
    joined = (tree["minimum"] < 0).to_numpy()
    words = [
        [f"saddle {saddle}", f"saddle {saddle}, {height:.2f} {unit} above the lowest<br>joins {size} minima below it"]
        for saddle, size, height in zip(tree["saddle"][joined], tree["size"][joined], heights[joined], strict=True)
    ]
    figure.add_scatter(
        x=tree["x"][joined], y=heights[joined], mode="markers", customdata=words, hovertemplate=_HOVER,
        marker={"symbol": "diamond", "size": 7 if joined.sum() <= 300 else 4, "color": INK},
    )  # fmt: skip
    figure.update_traces(showlegend=False)
    leaves = tree[~joined].sort_values("minimum")
    named = "markers+text" if len(leaves) <= _NAMED_LEAVES else "markers"
    for name, colour, chosen in _by_novelty(minima):
        figure.add_scatter(
            x=leaves["x"][chosen], y=heights[~joined][chosen], mode=named, name=name,
            marker={"size": 7 if len(leaves) <= 300 else 4, "color": colour},
            text=minima["number"][chosen].astype(str), textposition="bottom center", textfont={"size": 11},
            customdata=_told(minima[chosen], heights[~joined][chosen], unit), hovertemplate=_HOVER, cliponaxis=False,
        )  # fmt: skip
    figure.update_xaxes(visible=False, range=[-0.7, len(leaves) - 0.3])
    figure.update_yaxes(title_text=f"above the lowest ({unit})", range=[-0.07 * top, 1.05 * top])
    parts = int(np.sum(tree["parent"] < 0))
    apart = "all joined by known paths" if parts == 1 else f"{parts} parts that no known path joins"
    styled(figure, "Which minima belong together", f"{counted(len(leaves), 'minimum')}, {apart}", 460)
    return _selectable(figure)


def conformation_map(
    minima: pd.DataFrame,
    saddles: pd.DataFrame | None = None,
    *,
    axes: tuple[str, str],
    periodic: bool = False,
    title: str = "Map of conformations",
    unit: EnergyUnit = "kcal/mol",
) -> go.Figure:
    """Draw minima and the saddles between them where they lie on a map, coloured by energy.

    Args:
        minima: ``number``, ``energy_eV``, ``x`` and ``y``, such as :mod:`so3lab.landscape.maps` places them; more as
            :func:`energy_ladder` takes it.
        saddles: ``number``, ``energy_eV``, ``x``, ``y``, and ``first`` and ``second``, the minima that they join.
        axes: Names of both, with units.
        periodic: Whether both are angles from -180° to 180°; lines then go the short way round.
        title: Of the figure.
        unit: Of energies.
    """
    require(minima, ["number", "energy_eV", "x", "y"])
    table = minima.sort_values("energy_eV", ascending=False, kind="stable")  # the lowest are drawn last, on top
    figure = go.Figure()
    if saddles is not None and len(saddles):
        require(saddles, ["number", "energy_eV", "x", "y", "first", "second"])
        _draw_saddles(figure, minima, saddles, periodic, unit)
    heights = _above(table["energy_eV"], minima, unit)
    beyond = _beyond(table)
    figure.add_scatter(
        x=table["x"], y=table["y"], mode="markers+text", name="minima", showlegend=False, cliponaxis=False,
        text=_lowest_named(table), textposition="top center", textfont={"size": 11},
        marker={
            "size": _sizes(table), "color": heights, "opacity": 0.9, "colorscale": DENSITY_SCALE,
            "cmin": 0.0, "cmax": max(float(np.percentile(heights, _COLOURED_PERCENT)), 1e-9),
            "line": {"color": np.where(beyond, VERMILLION, "white"), "width": np.where(beyond, 2.0, 0.6)},
            "colorbar": {
                "title": {"text": f"above the lowest ({unit})", "side": "bottom"}, "orientation": "h", "thickness": 12,
                "len": 0.45, "y": -0.16, "yanchor": "top",
            },
        },
        customdata=_told(table, heights, unit), hovertemplate=_HOVER,
    )  # fmt: skip
    _set_axes(figure, axes, periodic)
    count = f"{counted(len(table), 'minimum')}" + (
        f", {counted(len(saddles), 'saddle')}" if saddles is not None and len(saddles) else ""
    )
    ringed = f"; red rims: {int(beyond.sum())} beyond the training data" if beyond.any() else ""
    styled(figure, title, count + ringed, 560)
    return _selectable(figure.update_layout(margin_b=130))


def populations(table: pd.DataFrame, *, most: int = 6, unit: Literal["K", "ε/k"] = "K") -> go.Figure:
    """Draw which share of the molecules each minimum holds against the temperature; the most populated ones.

    Args:
        table: ``temperature`` (in ``unit``), ``number`` and ``population``, whose sum at one temperature is 1.
        most: Minima that have a line of their own; the others share one.
        unit: Of temperatures.
    """
    require(table, ["temperature", "number", "population"])
    shares = 100.0 * table.pivot_table(index="temperature", columns="number", values="population", aggfunc="sum")
    largest = shares.max().sort_values(ascending=False, kind="stable").index[:most]
    chosen = sorted(largest.tolist())
    figure = go.Figure()
    for number, colour in zip(chosen, cycle(len(chosen)), strict=True):
        figure.add_scatter(
            x=shares.index, y=shares[number], mode="lines", name=f"{number}", line={"color": colour, "width": 2},
            customdata=[[number]] * len(shares), hovertemplate=f"minimum {number}<br>%{{y:.1f}} % at %{{x:g}} {unit}"
            "<extra></extra>",
        )  # fmt: skip
    rest = shares.drop(columns=chosen)
    if rest.shape[1]:
        figure.add_scatter(
            x=shares.index, y=rest.sum(axis=1), mode="lines", name=f"{rest.shape[1]} others",
            line={"color": INK, "width": 2, "dash": "dash"},
            hovertemplate=f"{rest.shape[1]} others<br>%{{y:.1f}} % at %{{x:g}} {unit}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text=f"temperature ({unit})")
    figure.update_yaxes(title_text="share of the molecules (%)", range=[0, 100])
    styled(figure, "Populations against temperature")
    return figure.update_layout(showlegend=True, meta=_SELECT)


def saturation_curve(table: pd.DataFrame) -> go.Figure:
    """Draw how many minima a search has found after so many relaxations, and how many it expects there are.

    Args:
        table: ``relaxations``, ``found``, and ``unseen``, the estimate of Chao (:func:`so3lab.minima.unseen`).
    """
    require(table, ["relaxations", "found", "unseen"])
    expected = table["found"] + table["unseen"]
    figure = go.Figure()
    figure.add_scatter(
        x=table["relaxations"], y=expected, mode="lines", name="expected (Chao's lower bound)",
        line={"color": ORANGE, "width": 1.6, "dash": "dash"},
        hovertemplate="%{x} relaxations<br>%{y:.0f} minima expected<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=table["relaxations"],
        y=table["found"],
        mode="lines",
        name="found",
        line={"color": BLUE, "width": 2},
        hovertemplate="%{x} relaxations<br>%{y} minima found<extra></extra>",
    )
    figure.update_xaxes(title_text="relaxations (number)", rangemode="tozero")
    figure.update_yaxes(title_text="minima (number)", rangemode="tozero")
    last = table.iloc[-1]
    subtitle = f"{last['found']:.0f} found in {last['relaxations']:.0f} relaxations, about {last['unseen']:.0f} unseen"
    return styled(figure, "How complete is the search?", subtitle)


_WINDOW: dict[str, float] = {"kcal/mol": 3.0, "kJ/mol": 12.0, "eV": 0.13, "ε": 1.0}
_HOVER = "%{customdata[1]}<extra></extra>"


def per_unit(unit: str) -> float:
    """eV in one unit of energy; ε counts as one, since energies of such clusters are in ε.

    Raises:
        ValueError: If there is no such unit.
    """
    if unit not in _IN_EV:
        raise ValueError(f"unit must be one of {', '.join(_IN_EV)}, got {unit!r}")
    return _IN_EV[unit]


def _above(energies: pd.Series, all_of_them: pd.DataFrame, unit: str) -> np.ndarray:
    """Above the lowest, in the unit."""
    return (energies.to_numpy(float) - float(all_of_them["energy_eV"].min())) / per_unit(unit)


def _told(minima: pd.DataFrame, heights: np.ndarray, unit: str) -> list[list[Any]]:
    """Number of each minimum, and what is known of it in words."""
    words = [f"minimum {number}<br>{height:.2f} {unit} above the lowest" for number, height in zip(
        minima["number"], heights, strict=True)]  # fmt: skip
    if "visits" in minima:
        words = [f"{one}<br>visited {visits} times" for one, visits in zip(words, minima["visits"], strict=True)]
    if "novelty" in minima:
        beyond = _beyond(minima)
        words = [
            f"{one}<br>{'beyond' if out else 'within'} the training data ({novelty:.1f} times their reach)"
            for one, novelty, out in zip(words, minima["novelty"], beyond, strict=True)
        ]
    return [[number, text] for number, text in zip(minima["number"].tolist(), words, strict=True)]


def _beyond(minima: pd.DataFrame) -> np.ndarray:
    """Which minima are beyond the training data; none where nothing is known of it."""
    return (minima["novelty"] > 1.0).to_numpy() if "novelty" in minima else np.zeros(len(minima), bool)


def _by_novelty(minima: pd.DataFrame) -> list[tuple[str, str, np.ndarray]]:
    """Name, colour and rows of minima within and beyond the training data, where that is known."""
    beyond = _beyond(minima)
    groups = [("within the training data", BLUE, ~beyond), ("beyond the training data", VERMILLION, beyond)]
    return [group for group in groups if group[2].any()]


def _selectable(figure: go.Figure) -> go.Figure:
    """With a ring, empty as yet, about the minimum that is looked at."""
    figure.add_scatter(
        x=[], y=[], mode="markers", name="shown", showlegend=False, hoverinfo="skip", cliponaxis=False,
        marker={"symbol": "circle-open", "size": 20, "color": PURPLE, "line": {"width": 3.5}},
    )  # fmt: skip
    named = {trace.name for trace in figure.data} >= {"within the training data", "beyond the training data"}
    return figure.update_layout(showlegend=named, meta=_SELECT)


def _branches(tree: pd.DataFrame, heights: np.ndarray, shoulder: float) -> dict[str, np.ndarray]:
    """Lines from each node's parent: aside on the shoulder, then straight down."""
    parents = tree["parent"].to_numpy()
    nodes = np.flatnonzero(parents >= 0)
    x, above = tree["x"].to_numpy(float), heights[parents[nodes]]
    bend = np.maximum(above - shoulder, heights[nodes])
    gap = np.full(len(nodes), np.nan)
    lines_x = np.stack([x[parents[nodes]], x[nodes], x[nodes], gap], axis=1)
    lines_y = np.stack([above, bend, heights[nodes], gap], axis=1)
    return {"x": lines_x.ravel(), "y": lines_y.ravel()}


def _stems(x: np.ndarray, heights: np.ndarray, top: float) -> dict[str, np.ndarray]:
    """Vertical lines up to the top."""
    gap = np.full(len(x), np.nan)
    upwards = np.stack([heights, np.full(len(x), top), gap], axis=1)
    return {"x": np.stack([x, x, gap], axis=1).ravel(), "y": upwards.ravel()}


def _draw_saddles(figure: go.Figure, minima: pd.DataFrame, saddles: pd.DataFrame, periodic: bool, unit: str) -> None:
    """Diamonds with a line to each of their minima."""
    places = minima.set_index("number")[["x", "y"]]
    centres = saddles[["x", "y"]].to_numpy(float)
    parts = []
    for end in ("first", "second"):
        ends = places.loc[saddles[end]].to_numpy(float)
        parts.append(_lines(centres, ends, periodic))
    lines = np.concatenate(parts)
    figure.add_scatter(
        x=lines[:, 0], y=lines[:, 1], mode="lines", line={"color": FAINT, "width": 1.5}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    heights = _above(saddles["energy_eV"], minima, unit)
    words = [
        [f"saddle {number}", f"saddle {number}, between {first} and {second}<br>{height:.2f} {unit} above the lowest"]
        for number, first, second, height in zip(
            saddles["number"], saddles["first"], saddles["second"], heights, strict=True
        )
    ]
    figure.add_scatter(
        x=saddles["x"], y=saddles["y"], mode="markers", name="saddles", showlegend=False, customdata=words,
        marker={"symbol": "diamond-open", "size": 7, "color": GREY, "line": {"width": 1.4}}, hovertemplate=_HOVER,
    )  # fmt: skip


def _lines(starts: np.ndarray, ends: np.ndarray, periodic: bool) -> np.ndarray:
    """Points of straight lines with gaps between; on a map that repeats, the short way, from both ends."""
    gap = np.full_like(starts, np.nan)
    if not periodic:
        return np.stack([starts, ends, gap], axis=1).reshape(-1, 2)
    step = (ends - starts + 180.0) % 360.0 - 180.0
    there = np.stack([starts, starts + step, gap], axis=1).reshape(-1, 2)
    across = np.any(np.abs(starts + step) > 180.0, axis=1)
    back = np.stack([ends - step, ends, gap], axis=1)[across].reshape(-1, 2)
    return np.concatenate([there, back])


def _set_axes(figure: go.Figure, axes: tuple[str, str], periodic: bool) -> None:
    figure.update_xaxes(title_text=axes[0], **(_ANGLES if periodic else {}))
    figure.update_yaxes(title_text=axes[1], **({**_ANGLES, "scaleanchor": "x"} if periodic else {}))
    if periodic:
        for line in (figure.add_hline, figure.add_vline):
            line(0.0, line={"color": INK, "width": 1, "dash": "dot"})


def _lowest_named(minima: pd.DataFrame) -> list[str]:
    """Numbers of the lowest few, so that a map can be read without pointing at it."""
    limit = minima["energy_eV"].nsmallest(_NAMED_POINTS).max()
    return [str(n) if energy <= limit else "" for n, energy in zip(minima["number"], minima["energy_eV"], strict=True)]


def _sizes(minima: pd.DataFrame) -> np.ndarray | int:
    """Larger where a minimum was visited more often."""
    small = 7 if len(minima) > 300 else 9
    if "visits" not in minima:
        return small
    return small + np.minimum(2.2 * np.log2(np.maximum(minima["visits"].to_numpy(float), 1.0)), 14.0)
