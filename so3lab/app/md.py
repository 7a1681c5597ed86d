"""``so3lab md``: simulate."""

import argparse

import numpy as np

from so3lab.app import replicas
from so3lab.app.console import Console, Interrupted
from so3lab.app.md_arguments import add_arguments, check_timestep_of, run_of
from so3lab.app.md_results import SpeedMeter, summary_lines, summary_of
from so3lab.cluster import RunSpec
from so3lab.cluster.one_run import is_resumable, provenance
from so3lab.doctor.prepare import prepare_process
from so3lab.trajectory.names import check_new_trajectory


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "md",
        parents=[common],
        help="molecular dynamics",
        description="Run molecular dynamics and write an H5MD trajectory. After a crash or Ctrl-C, the same command "
        "with --resume goes on exactly where it was.",
        examples=[
            "so3lab md ethanol ethanol --steps 20000 --out run.h5",
            "so3lab md so3lr smiles:CCO --steps 20000 --temperature-K 350 --out run.h5",
            "so3lab md so3lr oh.xyz --charge -1 --steps 20000 --out oh.h5",
            "so3lab md MODEL box.cif --ensemble npt --steps 100000 --out npt.h5",
            "so3lab md MODEL ala2 --replicas 8 --steps 100000 --out eight",
            "so3lab md MODEL ala2 --hold 0,1 --restrain 1,2,3,4=180:0.5 ...",
        ],
    )
    add_arguments(parser)
    replicas.add_arguments(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Simulate with progress, then say what came out."""
    if replicas.asked_for(options):
        return replicas.run(options, console)
    one, meter = run_of(options, console), SpeedMeter(console)
    resume = options.resume and is_resumable(one)
    if not resume:
        check_new_trajectory(one.path)
    prepare_process()
    check_timestep_of(one, console)
    chunks = _simulation(options, one, resume)
    try:
        with console.progress("simulating") as progress:
            progress.update(0.0, "compiling")
            for chunk in chunks:
                meter.update(int(chunk.step[-1]))
                note = f"{chunk.time_fs[-1] / 1000:.2f} ps  {np.mean(chunk.temperature):.0f} K"
                progress.update(min(1.0, meter.step / options.steps), note)
    except KeyboardInterrupt:
        chunks.close()
        raise Interrupted(f"interrupted at step {meter.step}; the same command with --resume goes on") from None
    summary = summary_of(one.path) | meter.ns_per_day(options.timestep_fs)
    first, *rest = summary_lines(summary)
    console.line("\n  ".join([f"{options.out}: {first}", *rest]))
    console.result({"trajectory": str(options.out), "first_frame_s": meter.first_frame_s, **summary})
    return 0


def _simulation(options: argparse.Namespace, one: RunSpec, resume: bool):
    import so3lab
    from so3lab import dynamics

    potential = so3lab.load(options.model, options.dtype)
    return dynamics.run(
        potential, one.atoms(), steps=one.steps, ensemble=options.ensemble, control=one.knobs(),
        interval=one.interval, seed=one.seed, limits=one.limits, out=options.out, resume=resume,
        meta=provenance(one, potential) | {"structure": options.structure},
    )  # fmt: skip
