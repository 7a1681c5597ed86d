"""``so3lab md`` and ``so3lab export``: simulate, and take frames out of a trajectory."""

import argparse
import time
from pathlib import Path

from so3lab.app import replicas
from so3lab.app.console import Console, Interrupted
from so3lab.app.inputs import prepare_machine
from so3lab.structures import read_structure


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add both commands to the parser."""
    parser = commands.add_parser(
        "md", parents=[common], help="molecular dynamics",
        description="Run molecular dynamics and write an H5MD trajectory. After a crash or Ctrl-C, the same command "
        "with --resume goes on exactly where it was.",
    )  # fmt: skip
    parser.add_argument("model", metavar="MODEL", help="a model file, the name of a bundled model, or so3lr")
    parser.add_argument(
        "structure",
        metavar="STRUCTURE",
        help="any file that ASE reads, a bundled name (ethanol), or smiles: and a SMILES (smiles:CCO)",
    )
    parser.add_argument("--no-cell", action="store_true", help="a molecule, whatever cell its file gives it")
    parser.add_argument("--out", required=True, type=Path, help="H5MD file to write")
    parser.add_argument("--steps", required=True, type=int)
    parser.add_argument("--ensemble", default="langevin", choices=["nve", "langevin"])
    parser.add_argument("--temperature-K", type=float, default=300.0, dest="temperature_K")
    parser.add_argument("--timestep-fs", type=float, default=0.5)
    parser.add_argument("--friction-per-ps", type=float, default=2.0, help="of the Langevin thermostat")
    parser.add_argument("--interval", type=int, default=20, help="steps between frames (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--resume", action="store_true", help="go on with the run in OUT, if there is one")
    replicas.add_arguments(parser)
    parser.set_defaults(run=run)

    parser = commands.add_parser(
        "export", parents=[common], help="trajectory to extxyz, traj, pdb, dcd or h5"
    )
    parser.add_argument("trajectory", type=Path, metavar="RUN.h5")
    parser.add_argument("out", type=Path, metavar="OUT", help="the ending says which format")
    parser.add_argument("--frames", default=":", help="which frames, as start:stop:step (default: all)")
    parser.add_argument(
        "--atoms", help="which atoms: heavy, or ranges and indices such as 0:10,12 (default: all)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.set_defaults(run=run_export)


def run(options: argparse.Namespace, console: Console) -> int:
    """Simulate with progress, then say what came out."""
    if replicas.asked_for(options):
        return replicas.run(options, console)
    import numpy as np
    import psutil

    import so3lab
    from so3lab import dynamics
    from so3lab.trajectory import Trajectory

    prepare_machine()
    potential = so3lab.load(options.model, options.dtype)
    atoms = read_structure(options.structure)
    if options.no_cell:
        atoms.pbc, atoms.cell = False, None
    chunks = dynamics.run(
        potential, atoms, steps=options.steps, ensemble=options.ensemble, temperature_K=options.temperature_K,
        timestep_fs=options.timestep_fs, friction_per_ps=options.friction_per_ps, interval=options.interval,
        seed=options.seed, out=options.out, resume=options.resume and options.out.exists(),
        meta={"model": options.model, "structure": options.structure, "settings": potential.settings.to_dict()},
    )  # fmt: skip
    first_frame = speed_from = None
    step = 0
    try:
        with console.progress("simulating") as progress:
            progress.update(0.0, "compiling")
            for chunk in chunks:
                now = time.monotonic()
                step = int(chunk.step[-1])
                if first_frame is None:
                    first_frame = time.time() - psutil.Process().create_time()
                    if not console.json:
                        console.say(f"first frame after {first_frame:.1f} s")
                elif speed_from is None:
                    speed_from = (now, step)
                note = f"{chunk.time_fs[-1] / 1000:.2f} ps  {np.mean(chunk.temperature):.0f} K"
                progress.update(min(1.0, step / options.steps), note)
    except KeyboardInterrupt:
        chunks.close()
        raise Interrupted(f"interrupted at step {step}; the same command with --resume goes on") from None
    with Trajectory(options.out) as trajectory:
        table = trajectory.table()
    result = {
        "trajectory": str(options.out), "frames": len(table), "steps": step, "first_frame_s": first_frame,
        "mean_temperature_K": float(table["temperature"].mean()),
    }  # fmt: skip
    if len(table) > 1:
        drift = so3lab.observables.energy_drift(table["time_fs"].to_numpy(), table["total_energy"].to_numpy())
        result["total_energy_drift_eV_per_ps"] = drift
    if speed_from is not None and step > speed_from[1]:
        seconds_per_step = (time.monotonic() - speed_from[0]) / (step - speed_from[1])
        result["ns_per_day"] = options.timestep_fs * 1e-6 * 86400 / seconds_per_step
    console.line(
        f"{options.out}: {len(table)} frames, mean temperature {result['mean_temperature_K']:.0f} K"
        + (f", {result['ns_per_day']:.1f} ns/day" if "ns_per_day" in result else "")
    )
    console.result(result)
    return 0


def run_export(options: argparse.Namespace, console: Console) -> int:
    """Write frames in another format."""
    from so3lab.trajectory import export

    count = export(
        options.trajectory,
        options.out,
        _slice(options.frames),
        atoms=options.atoms,
        overwrite=options.overwrite,
    )
    console.line(f"{options.out}: {count} frames")
    console.result({"out": str(options.out), "frames": count})
    return 0


def _slice(text: str) -> slice:
    """``"10:200:5"`` as a slice; a single number is one frame."""
    try:
        parts = [int(part) if part else None for part in text.split(":")]
    except ValueError:
        parts = []
    if len(parts) == 1 and parts[0] is not None:
        return slice(parts[0], parts[0] + 1 or None)
    if len(parts) not in (2, 3):
        raise ValueError(f"--frames must look like start:stop:step, for example 0:1000:10, got {text!r}")
    return slice(*parts)
