"""``so3lab data info``: what was understood of a structure, a data set or a trajectory of so3lab."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from so3lab.app.console import Console
from so3lab.app.inputs import load_data
from so3lab.app.md_results import summary_lines, summary_of
from so3lab.app.tables import heading
from so3lab.counting import counted
from so3lab.structures.reading import SMILES_PREFIX, file_and_number, understand
from so3lab.structures.understood import Understood

_STATISTICS = {
    "largest_frame": "most in a frame", "force_rms": "force RMS (eV/Å)", "force_max": "largest force (eV/Å)",
    "energy_mean": "mean energy (eV)", "energy_std": "its deviation (eV)", "energy_shift": "fitted energy (eV)",
}  # fmt: skip
"""Columns of :func:`so3lab.datasets.statistics` whose names say no unit, and what people read."""


def run_info(options: argparse.Namespace, console: Console) -> int:
    """Say what a name, a file or a SMILES is."""
    source = str(options.data)
    if Path(source).suffix.lower() in (".h5", ".h5md") and _is_trajectory(Path(source)):
        _about_trajectory(Path(source), console)
    elif (lacking := _lacking(source)) is None or options.keys:
        _about_data(options, console)
    else:
        found = understand(source)
        _tell_structure(found, console)
        if lacking:
            console.line(f"note: {lacking}", "yellow")
        notes = [*found.notes, *([lacking] if lacking else [])]
        console.result({"kind": "structure", **found.facts(), "notes": notes})
    return 0


def _lacking(source: str) -> str | None:
    """None of a data set; of a structure a sentence why it is none, empty where it is a mere structure.

    Those are a SMILES, one frame of a file, and a file without energies and forces.
    """
    from so3lab.datasets import labels_in
    from so3lab.datasets.sources import canonical

    if source.startswith(SMILES_PREFIX) or file_and_number(source) is not None:
        return ""
    path = Path(source).expanduser()
    if canonical(source) is not None or not path.is_file():
        return None
    labels = labels_in(path)
    if labels == {"energies"}:
        return "the file has energies and no forces, so it is read as a structure: a model cannot be trained on it"
    return None if labels else ""


def _is_trajectory(path: Path) -> bool:
    from so3lab.trajectory.recovery import is_trajectory

    return path.is_file() and is_trajectory(path)


def _tell_structure(found: Understood, console: Console) -> None:
    for line in found.lines():
        console.line(line)
    for note in found.notes:
        console.line(f"note: {note}", "yellow")


def _about_trajectory(path: Path, console: Console) -> None:
    from so3lab.trajectory import Trajectory

    with Trajectory(path) as trajectory:
        meta, frames = dict(trajectory.meta), len(trajectory)
        time_ps = float(trajectory.times_fs[-1]) / 1000.0 if frames else 0.0
        every = ["positions", "velocities", "forces", *trajectory.observables]
    wanted = ("model", "structure", "ensemble", "temperature_K", "timestep_fs", "interval", "seed", "dtype")
    about = {name: meta[name] for name in wanted if name in meta}
    console.line(f"{path}: a trajectory of so3lab, {counted(frames, 'frame')}, {time_ps:.4g} ps")
    for name, value in about.items():
        console.line(f"  {heading(name)}: {value}")
    for line in summary_lines(summary_of(path))[1:]:
        console.line(f"  {line}")
    console.line(f"  each frame has: {', '.join(heading(name) for name in every)}")
    facts: dict[str, Any] = {"kind": "trajectory", "frames": frames, "time_ps": time_ps, "run": about}
    if frames:
        found = understand(path)
        _tell_structure(found, console)
        facts["last_frame"] = found.facts()
    console.result(facts)


def _about_data(options: argparse.Namespace, console: Console) -> None:
    from so3lab import datasets

    data = load_data(options, console)
    statistics = datasets.statistics(data)
    values, counts = np.unique(data.total_charges, return_counts=True)
    charges = dict(zip(values.tolist(), counts.tolist(), strict=True))
    values, counts = np.unique(data.unpaired_electrons, return_counts=True)
    spins = dict(zip(values.tolist(), counts.tolist(), strict=True))
    periodic = int(data.pbc.any(axis=1).sum())
    console.line(str(data))
    for key, value in data.meta.items():
        if isinstance(value, str | int | float):
            console.line(f"  {key.replace('_', ' ')}: {value}")
    console.line(
        "  total charge: "
        + ", ".join(f"{charge:+g} e in {counted(count, 'frame')}" for charge, count in charges.items())
    )
    console.line(
        "  unpaired electrons: " + ", ".join(f"{spin:g} in {counted(count, 'frame')}" for spin, count in spins.items())
    )
    console.line(f"  frames in a cell: {periodic or 'none'}")
    if data.labels:
        console.line(f"  further labels: {', '.join(sorted(data.labels))}")
    console.table(statistics.rename(columns=_STATISTICS))
    console.result(
        {
            "kind": "data set",
            "name": data.name,
            "frames": len(data),
            "total_charges": charges,
            "unpaired_electrons": spins,
            "periodic_frames": periodic,
            "labels": sorted(data.labels),
            "meta": dict(data.meta),
            "statistics": statistics,
            "remarks": data.remarks,
            "untold": data.untold,
        }
    )
