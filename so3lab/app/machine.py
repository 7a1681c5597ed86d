"""``so3lab doctor`` and ``so3lab lab``: is this machine fit, and open the notebooks on it."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from so3lab.app.console import Console
from so3lab.machine import paths


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add both commands to the parser."""
    parser = commands.add_parser("doctor", parents=[common], help="check this machine, line by line")
    parser.set_defaults(run=run_doctor)
    parser = commands.add_parser(
        "lab",
        help="copy the notebooks and open JupyterLab",
        description="Existing files are never overwritten.",
    )
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, default=Path("so3lab-notebooks"))
    parser.add_argument("--no-open", action="store_true", help="copy only")
    parser.set_defaults(run=run_lab)


def run_doctor(options: argparse.Namespace, console: Console) -> int:
    """Print every finding; exit status 1 when something must be mended."""
    from so3lab import doctor

    findings = doctor.check()
    marks = {True: ("ok  ", "green"), None: ("note", "yellow"), False: ("FAIL", "red")}
    for finding in findings:
        mark, style = marks[finding.ok]
        remedy = f" -> {finding.remedy}" if finding.remedy and finding.ok is not True else ""
        console.line(f"{mark}  {finding.name}: {finding.message}{remedy}", style)
    console.result({"findings": [finding._asdict() for finding in findings]})
    return int(any(finding.ok is False for finding in findings))


def run_lab(options: argparse.Namespace, console: Console) -> int:
    """Copy notebooks that are not there yet, then become JupyterLab."""
    options.folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(paths.bundled("notebooks").glob("*.ipynb")):
        target = options.folder / source.name
        if target.exists():
            console.say(f"kept your {target}")
        else:
            shutil.copyfile(source, target)
            console.say(f"copied {target}")
    if options.no_open:
        return 0
    try:
        import jupyterlab  # noqa: F401
    except ImportError as error:
        raise ImportError("JupyterLab is not installed here; pip install jupyterlab") from error
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(options.folder)])
