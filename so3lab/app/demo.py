"""``so3lab demo``: the whole story on bundled data in a few minutes, told on one HTML page."""

import argparse
import time
from pathlib import Path
from typing import Any

from so3lab import units
from so3lab.app.console import Console
from so3lab.doctor.prepare import prepare_process
from so3lab.structures.reading import read_structure

TRAINING_MINUTES = 1.4
TEMPERATURE_K = 500.0
STEPS = 20_000
TIMESTEP_FS = 0.5
VALID_FRAMES, TEST_FRAMES = 50, 200
MOVIE_FRAMES = 300


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        parents=[common],
        help="train, evaluate, simulate, and look: ethanol in three minutes",
        description="Trains a small model of ethanol on bundled DFT frames, tests it, runs molecular dynamics and "
        "writes report.html, model and trajectory to a folder.",
    )
    parser.add_argument("--out", type=Path, default=Path("so3lab-demo"), help="folder (default: so3lab-demo)")
    parser.add_argument("--minutes", type=float, default=TRAINING_MINUTES, help="of training (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=STEPS, help="of molecular dynamics (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Tell the story."""
    started = time.monotonic()
    folder = _new_folder(options.out)
    prepare_process()
    potential, curve, test, data = _train(options, console)
    potential.save(folder / "ethanol.so3.safetensors")
    console.line(f"trained: {_force_error(test)}")
    table, trajectory_file = _simulate(potential, options, folder, console)
    page, numbers = _report(potential, curve, test, data, table, trajectory_file, folder)
    seconds = time.monotonic() - started
    console.line(f"simulated: {table['time_fs'].iloc[-1] / 1000:.1f} ps, mean {table['temperature'].mean():.0f} K")
    console.line(f"done in {seconds:.0f} s; open {page}", "bold")
    console.result({"report": str(page), "seconds": seconds, **numbers})
    return 0


def _new_folder(wanted: Path) -> Path:
    """The folder, or its first free numbered neighbour: an earlier demo is not overwritten."""
    folder, number = wanted, 2
    while folder.exists() and any(folder.iterdir()):
        folder, number = wanted.with_name(f"{wanted.name}-{number}"), number + 1
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _train(options: argparse.Namespace, console: Console):
    import pandas as pd

    from so3lab import datasets
    from so3lab.network.settings import preset
    from so3lab.training import TrainingSettings, evaluate, train

    data = datasets.load("ethanol")
    split = datasets.split(data, len(data) - VALID_FRAMES - TEST_FRAMES, VALID_FRAMES, TEST_FRAMES, seed=options.seed)
    console.line(
        f"ethanol: {len(split.train)} frames to learn from, level of theory {data.meta.get('level_of_theory')}"
    )
    rows: list[dict[str, Any]] = []
    settings = TrainingSettings(minutes=options.minutes, seed=options.seed)
    with console.progress("training") as progress:
        progress.update(0.0, "compiling")
        for report in train(data.select(split.train), data.select(split.valid), preset("small"), settings):
            rows.append(report.row())
            progress.update(
                report.progress,
                f"validation force MAE {report.valid_force_mae_meV_A * units.kcal_mol_per_meV:.2f} kcal/mol/Å",
            )
    return report.best, pd.DataFrame(rows), evaluate(report.best, data.select(split.test)), data


def _force_error(test) -> str:
    force = test.summary.set_index("quantity").loc["force (per Å)"]
    return f"force MAE {force['mae_kcal_mol']:.2f} kcal/mol/Å ({force['mae_meV']:.0f} meV/Å) on held-out frames"


def _simulate(potential, options: argparse.Namespace, folder: Path, console: Console):
    from ase.optimize import BFGS

    from so3lab import dynamics
    from so3lab.trajectory import Trajectory

    atoms = read_structure("ethanol")
    atoms.calc = potential.calculator()
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=200)
    atoms.calc = None
    path = folder / "ethanol.h5"
    chunks = dynamics.run(
        potential, atoms, steps=options.steps, temperature_K=TEMPERATURE_K, timestep_fs=TIMESTEP_FS, interval=20,
        seed=options.seed, out=path, meta={"model": "ethanol.so3.safetensors"},
    )  # fmt: skip
    with console.progress("simulating") as progress:
        for chunk in chunks:
            progress.update(min(1.0, chunk.step[-1] / options.steps), f"{chunk.time_fs[-1] / 1000:.1f} ps")
    with Trajectory(path) as trajectory:
        return trajectory.table(), path


def _report(potential, curve, test, data, table, trajectory_file: Path, folder: Path):
    import numpy as np

    import so3lab
    from so3lab import observables
    from so3lab.attention import attention_table
    from so3lab.trajectory import Trajectory

    figures, report = so3lab.widgets.figures, so3lab.widgets.report
    atoms = read_structure("ethanol")
    with Trajectory(trajectory_file) as trajectory:
        positions = trajectory.positions()
        thinned = slice(None, None, max(1, len(trajectory) // MOVIE_FRAMES))
        movie, times = list(trajectory[thinned]), trajectory.times_fs[thinned] / 1000.0
    histogram = observables.pair_distance_histogram(np.stack(data.positions))
    simulated = observables.pair_distance_histogram(positions)
    bonds = observables.stability(positions, atoms, table["time_fs"].to_numpy())
    weights = attention_table(potential, atoms)
    labels = [f"{symbol}{index}" for index, symbol in enumerate(atoms.get_chemical_symbols())]
    force = test.summary.set_index("quantity").loc["force (per Å)"]
    numbers = {
        "force MAE": f"{force['mae_kcal_mol']:.2f} kcal/mol/Å",
        "training": f"{curve['seconds'].iloc[-1]:.0f} s",
        "molecular dynamics": f"{table['time_fs'].iloc[-1] / 1000:.1f} ps",
        "mean temperature": f"{table['temperature'].mean():.0f} K",
        "largest bond change": f"{bonds['largest_deviation_A'].max():.2f} Å",
        "h(r) error": f"{observables.histogram_error(simulated, histogram):.3f}",
    }
    Section = report.Section
    sections = [
        Section(
            "The molecule moves",
            f"Langevin dynamics at {TEMPERATURE_K:.0f} K with the model trained a minute ago, from a relaxed minimum. "
            "Temperature and total energy follow the player.",
            [
                report.Movie(movie, times, f"{len(table)} frames, {TIMESTEP_FS} fs per step"),
                figures.time_series(table, "temperature", "total_energy", levels={"temperature": TEMPERATURE_K}),
            ],
        ),
        Section(
            "Does it move like the real one?",
            "Distribution of all interatomic distances, in the simulation and in the reference frames.",
            [
                figures.pair_distance_histogram(
                    histogram.rename(columns={"h": "reference"}).assign(simulated=simulated["h"])
                )
            ],
        ),
        Section(
            "Learning",
            "Errors on validation frames while the model trained.",
            [figures.learning_curves(curve)],
        ),
        Section(
            "Errors on frames it never saw",
            "",
            [
                test.summary.round(3),
                figures.parity(test.parity(), "energy"),
                figures.parity(test.parity(), "force"),
                figures.force_error_by_element(test.forces),
            ],
        ),
        Section(
            "Who listens to whom",
            "Attention weights on features in the relaxed molecule, layer by layer and head by head. "
            "They are signed and not normalised: a negative weight subtracts what the sender says.",
            [figures.attention_matrix(weights[weights["kind"] == "features"], labels)],
            notes={
                "model": f"{potential.settings}",
                "data": f"{data.meta.get('source', '')}",
                "so3lab": so3lab.__version__,
            },
        ),
    ]
    page = report.build_report(
        sections,
        folder / "report.html",
        title="so3lab: ethanol in three minutes",
        subtitle="A SO3krates force field trained, tested and run on this machine",
        numbers=numbers,
    )
    return page, numbers
