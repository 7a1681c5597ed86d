"""The page that shows a stability study: survival, distances, force errors, the most telling run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from so3lab.app.movie import movie_of
from so3lab.counting import counted
from so3lab.trajectory.names import replica_path

if TYPE_CHECKING:
    from so3lab_widgets.report import Section

    from so3lab.stability import Stability

MOST_POINTS = 400
"""Points of a replica's curve; of more, the largest of each group is drawn."""


def force_mae(state: "Stability") -> float | None:
    """kcal/mol/Å over all components of all labelled frames."""
    if state.forces is None:
        return None
    atoms = state.forces["atoms"]
    return float((state.forces["force_mae_kcal_mol_A"] * atoms).sum() / atoms.sum())


def temperature_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table of temperatures as people read it; where runs survived, times are lower bounds."""
    shown = pd.DataFrame(
        {
            "T (K)": table["temperature_K"],
            "survived": [f"{row.survived} of {row.replicas}" for row in table.itertuples()],
            "fraction, 2σ": [
                f"{row.fraction_survived:.2f} ({row.fraction_low:.2f} to {row.fraction_high:.2f})"
                for row in table.itertuples()
            ],
            "stable time (ps)": [
                ("≥ " if survived else "") + shown
                for survived, shown in zip(table["survived"], _with_errors(table, "stable_ps", 1), strict=True)
            ],
            "bond change (Å)": table["largest_deviation_A"],
        }
    )
    if table["h_error"].notna().any():
        shown["h(r) error"] = _with_errors(table, "h_error", 3)
    return shown


def _with_errors(table: pd.DataFrame, name: str, digits: int) -> list[str]:
    """Means with their errors, where there are any."""
    shown = []
    for mean, error in zip(table[name], table[f"{name}_error"], strict=True):
        margin = "" if np.isnan(error) or error == 0.0 else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{error:.{digits}f}"
        shown.append("" if np.isnan(mean) else f"{mean:.{digits}f}{margin}")
    return shown


def write_report(state: "Stability", reference_frames: int, options: argparse.Namespace) -> Path:
    """Write ``report.html`` beside the trajectories.

    Args:
        state: The study at its end.
        reference_frames: How many frames h(r) is compared with; 0 for none.
        options: Of the command.

    Raises:
        ImportError: If the packages that draw are missing.
    """
    from so3lab.widgets import report

    sections = [_survival(state, reference_frames)]
    if reference_frames:
        sections.append(_distances(state, reference_frames))
    if state.forces is not None:
        sections.append(_force_errors(state.forces))
    sections.append(_runs(state, options))
    return report.build_report(
        sections,
        options.out / "report.html",
        title="Is it stable?",
        subtitle=f"Model {options.model}, molecule {options.structure}: {counted(options.replicas, 'run')} at each of "
        f"{', '.join(f'{t:g}' for t in options.temperatures_K)} K",
        numbers=_numbers(state),
    )


def _numbers(state: "Stability") -> dict[str, str]:
    """What stands at the top."""
    numbers = {
        f"survived at {row.temperature_K:g} K": f"{row.survived} of {row.replicas}"
        for row in state.temperatures.itertuples()
    }
    numbers["length of each run"] = f"{state.time_ps:.4g} ps"
    if state.forces is not None:
        numbers["force MAE"] = f"{force_mae(state):.2f} kcal/mol/Å"
    return numbers


def _survival(state: "Stability", reference_frames: int) -> "Section":
    from so3lab.widgets import figures, report

    return report.Section(
        "Does it hold together?",
        "A run is stable until, in one of its frames, a bond differs by more than 0.5 Å from its mean length "
        f"({'in the reference frames' if reference_frames else 'so far, as there are no reference frames'}). "
        "The interval is Wilson's at 2σ: that all of a few survive does not mean that all of many would.",
        [
            figures.survival(state.replicas, state.temperatures),
            figures.largest_deviation(_thinned(state.deviations)),
            temperature_table(state.temperatures),
        ],
    )


def _distances(state: "Stability", reference_frames: int) -> "Section":
    from so3lab.widgets import figures, report

    return report.Section(
        "Does it move like the reference?",
        f"h(r), the distribution of all interatomic distances, over the stable part of all runs at a "
        f"temperature, and in {reference_frames} reference frames. Its error is the area between the curves: 0 "
        "when they agree, 2 when they have nothing in common. Reference frames sampled at another temperature, "
        "or with another method, leave an error to the best of models.",
        [
            figures.pair_distance_histogram(rows).update_layout(
                title_text=f"Interatomic distances at {temperature:g} K"
            )
            for temperature, rows in state.distances.groupby("temperature_K", sort=False)
        ],
    )


def _force_errors(errors: pd.DataFrame) -> "Section":
    from so3lab.widgets import figures, report

    return report.Section(
        "Errors of forces",
        "On labelled frames, one value for each. Small errors do not make long runs stable; that is the point "
        "of running them.",
        [figures.force_error_histogram(errors)],
    )


def _runs(state: "Stability", options: argparse.Namespace) -> "Section":
    """One of the runs as a movie, all of them as a table, and how it was done."""
    import so3lab

    chosen = _most_telling(state.replicas)
    movie = movie_of(
        replica_path(options.out, int(chosen["replica"])),
        f"replica {chosen['replica']}, {chosen['temperature_K']:g} K",
    )
    settings: dict[str, Any] = {
        "thermostat": options.ensemble,
        "time step": f"{options.timestep_fs} fs",
        "frames": f"every {options.interval} steps",
        "model": f"{options.model}, {options.dtype}",
        "so3lab": so3lab.__version__,
    }
    return so3lab.widgets.report.Section(
        "The runs",
        "The run that broke first, or else the one whose bonds strayed farthest; and all of them as a table.",
        [movie, _by_replica(state.replicas)],
        notes=settings,
    )


def _by_replica(table: pd.DataFrame) -> pd.DataFrame:
    """The table of runs as people read it."""
    shown = pd.DataFrame(
        {
            "run": table["replica"],
            "T (K)": table["temperature_K"],
            "mean T (K)": table["mean_temperature_K"].round(),
            "stable (ps)": table["stable_ps"],
            "bond change (Å)": table["largest_deviation_A"].round(3),
            "of": table["bond"].str.replace("-", "\N{NON-BREAKING HYPHEN}"),
        }
    )
    return shown if table["h_error"].isna().all() else shown.assign(**{"h(r) error": table["h_error"].round(3)})


def _most_telling(replicas: pd.DataFrame) -> dict[Any, Any]:
    """The run that broke first, or the one whose bonds strayed farthest."""
    broken = replicas[replicas["unstable_at_ps"].notna()]
    if len(broken):
        return broken.sort_values("unstable_at_ps").to_dict("records")[0]
    return replicas.sort_values("largest_deviation_A", ascending=False).to_dict("records")[0]


def _thinned(deviations: pd.DataFrame) -> pd.DataFrame:
    """Curves of at most so many points, the largest of each group, so that no excursion is lost."""
    size = -(-int(deviations.groupby("replica").size().max()) // MOST_POINTS)
    if size <= 1:
        return deviations
    group = deviations.groupby("replica").cumcount() // size
    largest = deviations.groupby([deviations["replica"], group])["largest_deviation_A"].idxmax()
    return deviations.loc[largest]
