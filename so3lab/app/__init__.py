"""The command line: thin commands over the library, each with ``--help``, progress and ``--json``."""

import argparse
import os
import sys
from collections.abc import Sequence

from so3lab import __version__
from so3lab.app import bench_md, convert, data, demo, evaluate, export, machine, md, stability, train
from so3lab.app.console import Console, Interrupted

COMMANDS = (demo, train, evaluate, md, bench_md, stability, export, data, convert, machine)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    main_parser = argparse.ArgumentParser(
        prog="so3lab",
        description="Train SO3krates force fields, run molecular dynamics with them, and look inside.",
    )
    main_parser.add_argument("--version", action="version", version=f"so3lab {__version__}")
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the results as JSON on standard output")
    for module in COMMANDS:
        module.add_commands(commands, common)
    return main_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 refused or failed with a sentence, 130 interrupted."""
    # XLA reports imaginary differences between processors, in long lines, for each program that it takes from
    # the cache; real failures arrive as exceptions. It reads this when JAX is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options = parser().parse_args(arguments)
    console = Console(json=getattr(options, "json", False))
    try:
        return options.run(options, console) or 0
    except Interrupted as stop:
        console.warn(str(stop))
        return 130
    except KeyboardInterrupt:
        console.warn("interrupted")
        return 130
    except (
        ValueError,
        FileNotFoundError,
        FileExistsError,
        ImportError,
        OSError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        from so3lab.app.md_results import on_command_line

        console.error(on_command_line(str(error)) or type(error).__name__)
        return 1


if __name__ == "__main__":
    sys.exit(main())
