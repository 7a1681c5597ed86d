"""``so3lab stability``: does a molecule hold together in long runs, at several temperatures, several times?"""

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from so3lab import units
from so3lab.app.console import Console, Interrupted
from so3lab.app.inputs import add_model_argument, add_structure_arguments, load_structure
from so3lab.app.stability_report import force_mae, temperature_table, write_report
from so3lab.app.tables import add_unit_argument, force_error
from so3lab.doctor.prepare import prepare_process
from so3lab.dynamics.ensembles import EXCHANGING
from so3lab.machine.files import check_folder
from so3lab.structures.electrons import total_charge
from so3lab.trajectory.names import replica_path

if TYPE_CHECKING:
    from ase import Atoms

    from so3lab.datasets import Dataset
    from so3lab.potential import Potential
    from so3lab.stability import Stability


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "stability",
        parents=[common],
        help="how many of several long runs survive, and how true they are",
        description="The protocol of 'Forces are not enough' (Fu et al., 2023): replicas at each temperature, unstable "
        "when a bond strays by more than 0.5 Å from its mean length; fraction survived with a 2-sigma interval, error "
        "of the distribution of interatomic distances h(r), force errors on labelled frames. With --out, tables "
        "(CSV), trajectories and report.html go to a folder, and the same command with --resume goes on.",
        examples=[
            "so3lab stability ethanol ethanol --ps 10 --out study",
            "so3lab stability MODEL start.xyz --reference set.extxyz --ps 300 --out study",
        ],
    )
    add_model_argument(parser)
    add_structure_arguments(parser, "a molecule: ")
    parser.add_argument(
        "--reference",
        metavar="DATA",
        help="frames of the same atoms, a file or a name from 'so3lab data list' (default for bundled models: their "
        "own set, forces on the frames kept aside)",
    )
    parser.add_argument("--energy-unit", metavar="UNIT", help="of DATA: eV, kcal/mol, ... (default: what DATA says)")
    parser.add_argument("--length-unit", metavar="UNIT", help="of DATA: angstrom, bohr (default: what DATA says)")
    parser.add_argument(
        "--temperatures-K",
        type=float,
        nargs="+",
        default=[300.0, 500.0],
        metavar="T",
        dest="temperatures_K",
        help="(default: 300 500)",
    )
    parser.add_argument("--replicas", type=int, default=6, metavar="N", help="at each temperature")
    parser.add_argument("--ps", type=float, default=300.0, metavar="PS", help="length of each run")
    parser.add_argument("--ensemble", default="nose-hoover", choices=EXCHANGING, help="thermostat")
    parser.add_argument("--timestep-fs", type=float, default=0.5, metavar="FS", help="time step")
    parser.add_argument("--friction-per-ps", type=float, default=2.0, metavar="RATE", help="of the Langevin thermostat")
    parser.add_argument("--interval", type=int, default=100, metavar="N", help="steps between frames")
    parser.add_argument("--seed", type=int, default=0, help="of the first replica; others count on")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"], help="precision")
    add_unit_argument(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where tables, runs and the report go (default: nowhere)"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the study in FOLDER, if there is one; --ps may be longer",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Run the study with progress; write tables and the report."""
    import so3lab

    resume = _resumes(options)
    prepare_process()
    atoms = load_structure(options, console)
    potential = so3lab.load(options.model, options.dtype)
    reference, labelled = _reference(options, potential, atoms)
    if reference is None:
        console.warn("no reference frames: bonds are compared with their own means, and there is no h(r) error")
    state = _follow(_study(options, potential, atoms, reference, labelled, resume), options, console)
    _print(state, console)
    files = _write(state, 0 if reference is None else len(reference), options, console)
    console.result(
        {
            "temperatures": state.temperatures,
            "replicas": state.replicas,
            "time_ps": state.time_ps,
            "force_mae_kcal_mol_A": force_mae(state),
            "files": files,
        }
    )
    return 0


def _study(
    options: argparse.Namespace,
    potential: "Potential",
    atoms: "Atoms",
    reference: "Dataset | None",
    labelled: "Dataset | None",
    resume: bool,
) -> Generator["Stability"]:
    """The study that the options describe."""
    from so3lab import stability

    return stability.run_stability(
        potential, atoms, temperatures_K=options.temperatures_K, replicas=options.replicas, ps=options.ps,
        ensemble=options.ensemble, timestep_fs=options.timestep_fs, friction_per_ps=options.friction_per_ps,
        interval=options.interval, seed=options.seed, reference=reference, labelled=labelled, out=options.out,
        resume=resume, meta={"model": options.model, "structure": options.structure, "charge": total_charge(atoms)},
    )  # fmt: skip


def _follow(states: Generator["Stability"], options: argparse.Namespace, console: Console) -> "Stability":
    """Show progress to the end; the last state."""
    state = None
    try:
        with console.progress("simulating") as progress:
            progress.update(0.0, "compiling")
            for state in states:
                intact = int(state.replicas["unstable_at_ps"].isna().sum())
                note = f"{state.time_ps:.1f} ps, {intact} of {len(state.replicas)} stable"
                progress.update(state.progress, note)
    except KeyboardInterrupt:
        states.close()
        on = "" if options.out is None else "; the same command with --resume goes on"
        raise Interrupted(f"interrupted at {state.time_ps if state else 0:.1f} ps{on}") from None
    assert state is not None
    return state


def _resumes(options: argparse.Namespace) -> bool:
    if options.resume and options.out is None:
        raise ValueError("--resume needs --out: the folder of the study to go on with")
    if options.out is not None:
        check_folder(options.out)
    return options.resume and replica_path(options.out, 0).exists()


def _reference(
    options: argparse.Namespace, potential: "Potential", atoms: "Atoms"
) -> tuple["Dataset | None", "Dataset | None"]:
    """Frames for distances, and frames for force errors."""
    from so3lab import datasets, stability

    own, labelled = stability.reference_for(potential, atoms)
    if options.reference is None or (own is not None and options.reference == own.name):
        return own, labelled
    data = datasets.load(options.reference, energy_unit=options.energy_unit, length_unit=options.length_unit)
    return data, data


def _print(state: "Stability", console: Console) -> None:
    console.table(temperature_table(state.temperatures), f"runs of {state.time_ps:.4g} ps")
    if state.forces is not None:
        error = force_error((force_mae(state) or 0.0) / units.kcal_mol_per_meV, console.unit)
        console.line(f"force MAE {error} on {len(state.forces)} labelled frames")


def _write(state: "Stability", reference_frames: int, options: argparse.Namespace, console: Console) -> dict[str, Path]:
    """Tables and the report, where a folder for them is given."""
    if options.out is None:
        return {}
    files = {}
    for name in ("replicas", "temperatures", "distances", "deviations", "forces"):
        table = getattr(state, name)
        if table is not None:
            files[name] = options.out / f"{name}.csv"
            table.to_csv(files[name], index=False)
    try:
        files["report"] = write_report(state, reference_frames, options)
        console.line(f"open {files['report']}", "bold")
    except ImportError as error:
        console.warn(f"no report.html: {error}")
    return files
