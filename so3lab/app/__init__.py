"""The command line: thin commands over the library, each with ``--help``, progress and ``--json``."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from so3lab import __version__
from so3lab.app.console import Console, Interrupted
from so3lab.doctor.prepare import be_quiet

COMMANDS = {
    "demo": "demo", "train": "train", "evaluate": "evaluate", "md": "md", "relax": "relax", "minima": "minima",
    "bench-md": "bench_md",
    "stability": "stability", "export": "export", "data": "data", "convert": "convert", "doctor": "machine",
    "lab": "machine",
}  # fmt: skip
"""Each command and the module here that adds it to the parser."""


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of one command, whose modules alone are then imported, or of all of them."""
    main_parser = argparse.ArgumentParser(
        prog="so3lab",
        description="Train SO3krates force fields, run molecular dynamics with them, and look inside.",
    )
    main_parser.add_argument("--version", action="version", version=f"so3lab {__version__}")
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the results as JSON on standard output")
    wanted = [COMMANDS[command]] if command in COMMANDS else dict.fromkeys(COMMANDS.values())
    for module in wanted:
        importlib.import_module(f"so3lab.app.{module}").add_commands(commands, common)
    return main_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 refused or failed with a sentence, 130 interrupted."""
    be_quiet()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = parser(arguments[0] if arguments else None).parse_args(arguments)
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
        from so3lab.app.md_results import with_cli_options

        console.error(with_cli_options(str(error)) or type(error).__name__)
        return 1


if __name__ == "__main__":
    sys.exit(main())
