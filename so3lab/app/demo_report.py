"""The page that the demo leaves: how its model learned, how wrong it is, how its molecule moves."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from so3lab.app.movie import movie_of
from so3lab.structures.reading import read_structure
from so3lab.trajectory import Trajectory

if TYPE_CHECKING:
    import pandas as pd
    from so3lab_widgets.report import Section

    from so3lab.datasets import Dataset
    from so3lab.potential import Potential
    from so3lab.training import Evaluation


class DemoResults(NamedTuple):
    """What the demo has made."""

    potential: "Potential"
    curve: "pd.DataFrame"
    """One row per epoch of its training."""
    test: "Evaluation"
    """Its errors on frames it never saw."""
    data: "Dataset"
    """All frames of the reference."""
    trajectory: Path
    table: "pd.DataFrame"
    """One row per frame of the trajectory."""
    temperature_K: float
    timestep_fs: float


def force_error(test: "Evaluation") -> "pd.Series":
    """Errors of force components by measure and unit, such as ``mae_kcal_mol``."""
    return test.summary.set_index("quantity").T["force (per Å)"]


def write_report(results: DemoResults, folder: Path) -> tuple[Path, dict[str, str]]:
    """Write ``report.html`` to a folder; where it is, and the numbers at its top."""
    import so3lab
    from so3lab.observables import pair_distance_histogram

    with Trajectory(results.trajectory) as trajectory:
        positions = trajectory.positions()
    reference = pair_distance_histogram(np.stack(results.data.positions))
    simulated = pair_distance_histogram(positions)
    numbers = _numbers(results, positions, simulated, reference)
    page = so3lab.widgets.report.build_report(
        [_motion(results), _distances(simulated, reference), *_errors(results), _attention(results)],
        folder / "report.html",
        title="so3lab: ethanol in three minutes",
        subtitle="A SO3krates force field trained, tested and run on this machine",
        numbers=numbers,
    )
    return page, numbers


def _numbers(
    results: DemoResults, positions: np.ndarray, simulated: "pd.DataFrame", reference: "pd.DataFrame"
) -> dict[str, str]:
    """What stands at the top."""
    from so3lab import observables

    table = results.table
    bonds = observables.stability(positions, read_structure("ethanol"), table["time_fs"].to_numpy())
    return {
        "force MAE": f"{force_error(results.test)['mae_kcal_mol']:.2f} kcal/mol/Å",
        "training": f"{results.curve['seconds'].iloc[-1]:.0f} s",
        "molecular dynamics": f"{table['time_fs'].iloc[-1] / 1000:.1f} ps",
        "mean temperature": f"{table['temperature'].mean():.0f} K",
        "largest bond change": f"{bonds['largest_deviation_A'].max():.2f} Å",
        "h(r) error": f"{observables.histogram_error(simulated, reference):.3f}",
    }


def _motion(results: DemoResults) -> "Section":
    from so3lab.widgets import figures, report

    table, temperature = results.table, results.temperature_K
    return report.Section(
        "The molecule moves",
        f"Langevin dynamics at {temperature:.0f} K with the model trained a minute ago, from a relaxed minimum. "
        "Temperature and total energy follow the player.",
        [
            movie_of(results.trajectory, f"{len(table)} frames, {results.timestep_fs} fs per step"),
            figures.time_series(table, "temperature", "total_energy", levels={"temperature": temperature}),
        ],
    )


def _distances(simulated: "pd.DataFrame", reference: "pd.DataFrame") -> "Section":
    from so3lab.widgets import figures, report

    both = reference.rename(columns={"h": "reference"}).assign(simulated=simulated["h"])
    return report.Section(
        "Does it move like the real one?",
        "Distribution of all interatomic distances, in the simulation and in the reference frames.",
        [figures.pair_distance_histogram(both)],
    )


def _errors(results: DemoResults) -> "list[Section]":
    """How it learned, and what it makes of frames it never saw."""
    from so3lab.widgets import figures, report

    test = results.test
    learning = [figures.learning_curves(results.curve)]
    found = [
        test.summary.round(3),
        figures.parity(test.parity(), "energy"),
        figures.parity(test.parity(), "force"),
        figures.force_error_by_element(test.forces),
    ]
    return [
        report.Section("Learning", "Errors on validation frames while the model trained.", learning),
        report.Section("Errors on frames it never saw", "", found),
    ]


def _attention(results: DemoResults) -> "Section":
    """Attention in the relaxed molecule, and how all of this was made."""
    import so3lab
    from so3lab.attention import attention_table
    from so3lab.widgets import figures, report

    atoms = read_structure("ethanol")
    weights = attention_table(results.potential, atoms)
    labels = [f"{symbol}{index}" for index, symbol in enumerate(atoms.get_chemical_symbols())]
    return report.Section(
        "Who listens to whom",
        "Attention weights on features in the relaxed molecule, layer by layer and head by head. "
        "They are signed and not normalised: a negative weight subtracts what the sender says.",
        [figures.attention_matrix(weights[weights["kind"] == "features"], labels)],
        notes={
            "model": f"{results.potential.settings}",
            "data": f"{results.data.meta.get('source', '')}",
            "so3lab": so3lab.__version__,
        },
    )
