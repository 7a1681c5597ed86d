"""``so3lab doctor`` and ``so3lab lab``: is this machine fit, and open the notebooks on it."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from so3lab.app.console import Console
from so3lab.machine import paths


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add both commands to the parser."""
    parser = commands.add_parser(
        "doctor",
        parents=[common],
        help="check this machine, line by line",
        description="Check this machine, line by line, and say what to do where something is missing.",
    )
    parser.set_defaults(run=run_doctor)
    parser = commands.add_parser(
        "lab",
        help="copy the notebooks and open JupyterLab",
        description="Copy the notebooks to a folder, whose files are never overwritten, and open JupyterLab there. "
        "Options that are not listed here are JupyterLab's, and passed on to it.",
        examples=["so3lab lab", "so3lab lab mine --port 9999 --no-browser", "so3lab lab mine --no-open"],
    )
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        default=Path("so3lab-notebooks"),
        help="where the notebooks go (default: %(default)s)",
    )
    parser.add_argument("--no-open", action="store_true", help="copy only")
    parser.set_defaults(run=run_lab, for_jupyterlab=())


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What of the arguments of ``so3lab lab`` is ours, and what is JupyterLab's.

    Ours are a folder, where it comes first, and the options that the help lists; a value behind an option of JupyterLab
    (``--port 9999``) cannot be told from a folder otherwise.
    """
    ours: list[str] = []
    theirs: list[str] = []
    for number, argument in enumerate(arguments):
        is_ours = argument in ("--no-open", "-h", "--help") or (number == 0 and not argument.startswith("-"))
        (ours if is_ours else theirs).append(argument)
    return ours, theirs


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
    passed_on = list(options.for_jupyterlab)
    if _is_root() and "--allow-root" not in passed_on:
        console.say("you are root, as in most containers, and so JupyterLab is started with --allow-root")
        passed_on.append("--allow-root")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(options.folder), *passed_on])


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
