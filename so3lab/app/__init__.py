"""The command line: thin commands over the library, each with ``--help``, progress and ``--json``."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from so3lab import __version__
from so3lab.app.command_parser import CommandParser, overview
from so3lab.app.console import Console, Interrupted
from so3lab.doctor.prepare import be_quiet

GROUPS = (
    ("first steps", ("demo", "lab", "app", "doctor")),
    ("data and models", ("data", "train", "evaluate", "convert")),
    ("molecular dynamics", ("md", "bench-md", "stability", "export")),
    ("structures", ("relax", "minima")),
)
"""Commands as the help lists them."""
COMMANDS = {name: name.replace("-", "_") for _, names in GROUPS for name in names} | {
    "doctor": "machine", "lab": "machine", "app": "application",
}  # fmt: skip
"""Each command and the module here that adds it to the parser."""
EXAMPLES = (
    "so3lab demo                 # ethanol, from data to dynamics",
    "so3lab train ethanol --out my.so3.safetensors --minutes 5",
    "so3lab md so3lr smiles:CCO --steps 20000 --out run.h5",
    "so3lab data info run.h5",
    "so3lab relax so3lr molecules.xyz --out relaxed.extxyz",
    "so3lab md --help            # each command has its own help",
)


def parser(command: str | None = None) -> CommandParser:
    """The parser of one command, whose modules alone are then imported, or of all of them."""
    main_parser = CommandParser(
        prog="so3lab",
        usage="%(prog)s COMMAND [options]",
        description="Train SO3krates force fields, run dynamics with them, and look inside.",
        examples=EXAMPLES,
    )
    main_parser.general.add_argument(
        "--version", action="version", version=f"so3lab {__version__}", help="show the version and exit"
    )
    commands = main_parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help=argparse.SUPPRESS, prog="so3lab"
    )
    common = CommandParser(add_help=False)
    common.general.add_argument("--json", action="store_true", help="print the results as JSON on standard output")
    wanted = [COMMANDS[command]] if command in COMMANDS else dict.fromkeys(COMMANDS.values())
    for module in wanted:
        importlib.import_module(f"so3lab.app.{module}").add_commands(commands, common)
    if command not in COMMANDS:
        words = {str(action.dest): str(action.help) for action in commands._get_subactions()}
        main_parser.description = f"{main_parser.description}\n\n{overview(GROUPS, words)}"
    return main_parser


def _options(arguments: list[str]) -> argparse.Namespace:
    """What the arguments say; what ``so3lab lab`` does not know is JupyterLab's."""
    if arguments[0] != "lab":
        return parser(arguments[0]).parse_args(arguments)
    from so3lab.app.machine import split_arguments

    ours, theirs = split_arguments(arguments[1:])
    options = parser("lab").parse_args(["lab", *ours])
    options.for_jupyterlab = theirs
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 refused or failed with a sentence, 130 interrupted."""
    be_quiet()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments:
        print(parser().format_help(), end="")
        return 2
    options = _options(arguments)
    console = Console(json=getattr(options, "json", False), unit=getattr(options, "unit", "meV"))
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
