"""``so3lab export``: take frames out of a trajectory."""

import argparse
from pathlib import Path

from so3lab.app.console import Console
from so3lab.counting import counted


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "export",
        parents=[common],
        help="trajectory to extxyz, traj, pdb, dcd or h5",
        description="Write frames of a trajectory of so3lab in a format that other programs read.",
        examples=[
            "so3lab export run.h5 run.extxyz",
            "so3lab export run.h5 run.pdb --frames 0:1000:10 --atoms heavy",
            "so3lab export damaged.h5 saved.h5 --salvage",
        ],
    )
    parser.add_argument("trajectory", type=Path, metavar="RUN.h5", help="trajectory of so3lab md or of a panel")
    parser.add_argument("out", type=Path, metavar="OUT", help="the ending says which format")
    parser.add_argument("--frames", default=":", help="which frames, as start:stop:step (default: all)")
    parser.add_argument("--atoms", help="which atoms: heavy, or ranges and indices such as 0:10,12 (default: all)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument(
        "--salvage", action="store_true", help="save what can be read of a damaged RUN.h5 in a new OUT.h5"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, console: Console) -> int:
    """Write frames in another format, or save those of a damaged file."""
    if options.salvage:
        return _salvage(options, console)
    from so3lab.trajectory import export

    count = export(
        options.trajectory,
        options.out,
        _slice(options.frames),
        atoms=options.atoms,
        overwrite=options.overwrite,
    )
    console.line(f"{options.out}: {counted(count, 'frame')}")
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
    if len(parts) == 3 and parts[2] == 0:
        raise ValueError(f"--frames must have a step other than 0, for example 0:1000:10, got {text!r}")
    return slice(*parts)


def _salvage(options: argparse.Namespace, console: Console) -> int:
    """All frames that can be read, as a new trajectory."""
    from so3lab.trajectory import salvage

    if options.frames != ":" or options.atoms is not None or options.overwrite:
        raise ValueError(
            "--salvage saves every frame there is in a new file, so --frames, --atoms and --overwrite must be left "
            "out; export the new file afterwards"
        )
    if options.out.suffix.lower() not in (".h5", ".h5md"):
        raise ValueError(f"the name of OUT must end in .h5 or .h5md with --salvage, got {options.out}")
    count = salvage(options.trajectory, options.out)
    console.line(f"{options.out}: {counted(count, 'frame')} saved")
    console.result({"out": str(options.out), "frames": count})
    return 0
