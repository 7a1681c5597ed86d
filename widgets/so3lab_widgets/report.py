"""How results travel: one HTML file with figures, tables and a moving molecule, opened without a network."""

import base64
import html
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import ase.io
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ase import Atoms
from plotly.offline import get_plotlyjs

from so3lab_widgets.viewer.looks import Style, looks_script
from so3lab_widgets.viewer.ngl import ngl_script

MAX_FRAMES = 1000
MAX_COORDINATES = 600_000
"""Numbers per movie, two bytes each; together with Plotly and NGL a page stays below 10 MB."""


@dataclass(frozen=True)
class Movie:
    """A trajectory for the report's 3D player.

    Long trajectories are thinned evenly. Free molecules are shown with their centre at rest.
    """

    frames: Sequence[Atoms]
    """Structures with the same atoms in the same order; anything with a length that gives atoms by index."""
    times_ps: Sequence[float] | np.ndarray | None = None
    """Time of each frame. Figures over time in the same section then follow the player, and it them."""
    caption: str = ""
    names: Sequence[str] | None = None
    """What each frame is, where they are no moments of one run; they are then gone through one by one, not played."""
    keys: Sequence[int | str] | None = None
    """By which figures (``customdata[0]``) and tables (first column) know each frame, for :func:`build_report`."""
    style: Style = "ball+stick"

    def __post_init__(self) -> None:
        if len(self.frames) == 0:
            raise ValueError("frames is empty: a movie needs at least one structure")
        for name in ("times_ps", "names", "keys"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.frames):
                raise ValueError(f"{name} has {len(values)} values for {len(self.frames)} frames")


@dataclass(frozen=True)
class Section:
    """A headline, a few words, and what is shown below them."""

    title: str
    text: str = ""
    items: Sequence[go.Figure | pd.DataFrame | Movie] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    """Facts printed small at the end, such as settings."""


def build_report(
    sections: Sequence[Section],
    path: str | os.PathLike,
    *,
    title: str = "so3lab report",
    subtitle: str = "",
    numbers: Mapping[str, str] | None = None,
    aside: Movie | None = None,
) -> Path:
    """Write one self-contained HTML file.

    Args:
        sections: What the page shows, from top to bottom.
        path: File to write; folders are made.
        title: Headline of the page.
        subtitle: One line below it.
        numbers: The results in a nutshell, drawn large at the top: what it is, and its value with unit.
        aside: Stays in sight beside the sections. A click on what has one of its keys, a point of a figure whose layout
            has ``meta["select"]`` or a row of a table, shows that frame.

    Returns:
        The path of the file.
    """
    shown = [item for section in sections for item in section.items] + ([aside] if aside else [])
    page = Template(_static("report.html")).substitute(
        title=html.escape(title),
        subtitle=html.escape(subtitle),
        numbers="".join(_number(name, value) for name, value in (numbers or {}).items()),
        sections="\n".join(map(_section, sections)),
        arrangement="beside" if aside else "",
        aside=f"<aside>{_item(aside)}</aside>" if aside else "",
        style=_static("report.css"),
        plotly=get_plotlyjs() if any(isinstance(item, go.Figure) for item in shown) else "",
        ngl=ngl_script() if any(isinstance(item, Movie) for item in shown) else "",
        script=looks_script() + _static("report.js"),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _static(name: str) -> str:
    return (resources.files("so3lab_widgets") / "static" / name).read_text("utf-8")


def _number(name: str, value: str) -> str:
    return f'<div class="number"><dd>{html.escape(value)}</dd><dt>{html.escape(name)}</dt></div>'


def _section(section: Section) -> str:
    text = "".join(f"<p>{html.escape(part)}</p>" for part in section.text.split("\n\n") if part)
    items = "\n".join(map(_item, section.items))
    notes = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in section.notes.items()
    )
    notes = f'<dl class="notes">{notes}</dl>' if notes else ""
    heading = f"<h2>{html.escape(section.title)}</h2>"
    return f'<section>{heading}{text}<div class="items">{items}</div>{notes}</section>'


def _item(item: go.Figure | pd.DataFrame | Movie) -> str:
    if isinstance(item, go.Figure):
        return f'<div class="figure">{_embedded(str(item.to_json()))}</div>'
    if isinstance(item, pd.DataFrame):
        table = item.to_html(index=False, border=0, float_format=lambda value: f"{value:.4g}")
        return f'<div class="table">{table}</div>'
    if isinstance(item, Movie):
        caption = f"<figcaption>{html.escape(item.caption)}</figcaption>" if item.caption else ""
        return f'<figure class="movie">{_embedded(json.dumps(_movie_data(item)))}{caption}</figure>'
    raise TypeError(f"a report shows figures, tables and movies, not {type(item).__name__}")


def _embedded(data: str) -> str:
    """JSON in the page; ``<`` is escaped so that no text can end the element."""
    escaped = data.replace("<", r"\u003c")
    return f'<script type="application/json">{escaped}</script>'


def _movie_data(movie: Movie) -> dict[str, Any]:
    """What the player needs: the first structure as PDB, coordinates as 16-bit integers, times and names."""
    first = movie.frames[0]
    if not len(first):
        raise ValueError("frame 0 has no atoms: there is nothing to show")
    budget = most_frames(len(first))
    step = -(-len(movie.frames) // budget)
    chosen = range(0, len(movie.frames), step)
    positions = np.stack([_shown_positions(movie.frames[index], first, index) for index in chosen])
    low = positions.min()
    scale = max(float(np.ptp(positions)), 1e-6) / 65535
    integers = np.round((positions - low) / scale - 32768).astype("<i2")
    structure = first.copy()
    structure.positions = positions[0]
    pdb = io.StringIO()
    ase.io.write(pdb, structure, format="proteindatabank")
    return {
        "pdb": pdb.getvalue(),
        "names": [f"{symbol}{index}" for index, symbol in enumerate(first.get_chemical_symbols())],
        "periodic": bool(first.pbc.any()),
        "coordinates": base64.b64encode(integers.tobytes()).decode(),
        "scale": scale,
        "offset": float(low) + 32768 * scale,
        "frames": list(chosen),
        "times": None if movie.times_ps is None else [float(movie.times_ps[index]) for index in chosen],
        "words": None if movie.names is None else [movie.names[index] for index in chosen],
        "keys": None if movie.keys is None else [movie.keys[index] for index in chosen],
        "style": movie.style,
    }


def most_frames(atoms: int) -> int:
    """How many frames of so many atoms a movie has at most; of more, every second, third, ... is left."""
    return max(1, min(MAX_FRAMES, MAX_COORDINATES // (3 * atoms)))


def _shown_positions(atoms: Atoms, first: Atoms, index: int) -> np.ndarray:
    """Positions of a frame, the centre of a free molecule at the origin."""
    if len(atoms) != len(first):
        raise ValueError(f"frame {index} has {len(atoms)} atoms, frame 0 has {len(first)}")
    if not np.isfinite(atoms.positions).all():
        raise ValueError(f"frame {index} has coordinates that are not numbers")
    return atoms.positions if atoms.pbc.any() else atoms.positions - atoms.positions.mean(axis=0)
