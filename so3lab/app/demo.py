"""``so3lab demo``: the whole story on bundled data in a few minutes, told on one HTML page."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from so3lab import units
from so3lab.app.console import Console
from so3lab.app.demo_report import DemoResults, force_error, write_report
from so3lab.doctor.prepare import prepare_process
from so3lab.structures.reading import read_structure

if TYPE_CHECKING:
    import pandas

    from so3lab.datasets import Dataset
    from so3lab.potential import Potential
    from so3lab.training import Evaluation

TRAINING_MINUTES = 1.4
TEMPERATURE_K = 500.0
STEPS = 20_000
TIMESTEP_FS = 0.5
VALID_FRAMES, TEST_FRAMES = 50, 200


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        parents=[common],
        help="train, evaluate, simulate, and look: ethanol in three minutes",
        description="Trains a small model of ethanol on bundled DFT frames, tests it, runs molecular dynamics and "
        "writes report.html, model and trajectory to a folder.",
        examples=["so3lab demo", "so3lab demo --minutes 5 --out my-demo"],
    )
    parser.add_argument("--out", type=Path, default=Path("so3lab-demo"), metavar="FOLDER", help="where everything goes")
    parser.add_argument("--minutes", type=float, default=TRAINING_MINUTES, help="of training")
    parser.add_argument("--steps", type=int, default=STEPS, help="of molecular dynamics")
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and velocities")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Tell the story."""
    started = time.monotonic()
    folder = _new_folder(options.out)
    prepare_process()
    potential, curve, test, data = _train(options, console)
    potential.save(folder / "ethanol.so3.safetensors")
    force = force_error(test)
    console.line(f"trained: force MAE {force['mae_kcal_mol']:.2f} kcal/mol/Å on {TEST_FRAMES} frames kept aside")
    trajectory, table = _simulate(potential, options, folder, console)
    results = DemoResults(potential, curve, test, data, trajectory, table, TEMPERATURE_K, TIMESTEP_FS)
    page, numbers = write_report(results, folder)
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


def _train(
    options: argparse.Namespace, console: Console
) -> tuple["Potential", "pandas.DataFrame", "Evaluation", "Dataset"]:
    """A potential, its learning curve, its errors on frames kept aside, and all frames."""
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


def _simulate(
    potential: "Potential", options: argparse.Namespace, folder: Path, console: Console
) -> tuple[Path, "pandas.DataFrame"]:
    """A trajectory from the relaxed molecule, and its table of frames."""
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
        return path, trajectory.table()
