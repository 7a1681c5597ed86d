"""Help: grouped, with examples that the parser takes and the default of every option, in eighty columns."""

import argparse
import re
import shlex

import pytest

from so3lab.app import COMMANDS, main, parser
from so3lab.app.command_parser import CommandParser


def every_parser() -> dict[str, CommandParser]:
    """All commands by what is typed to call them."""
    found, left = {}, [parser()]
    while left:
        one = left.pop()
        found[one.prog] = one
        for action in one._actions:
            if isinstance(action, argparse._SubParsersAction):
                left += action.choices.values()
    return found


PARSERS = every_parser()


@pytest.mark.parametrize("name", PARSERS)
def test_help_fits_and_says_every_default(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    one = PARSERS[name]
    told = one.format_help()
    assert max(map(len, told.splitlines())) <= 80
    assert "%%" not in told
    for action in one._actions:
        if action.option_strings and action.nargs != 0 and not action.required:
            behind = told.partition(f"{action.option_strings[-1]} ")[2]
            entry = re.split(r"\n  -|\n\n", told[told.rindex(f"\n  {action.option_strings[0]} ") + 3 :])[0]
            assert behind
            assert "default" in entry, action.option_strings
        assert action.help, f"{name}: {action.dest} says nothing"


def test_examples_are_commands_that_are_understood():
    examples = [
        line.strip() for one in PARSERS.values() for line in (one.epilog or "").replace("\\\n", " ").splitlines()[1:]
    ]
    assert len(examples) > 30
    for example in examples:
        words = shlex.split(example, comments=True)
        if "..." in words or "--help" in words or words[1] == "lab":
            continue
        parser(words[1]).parse_args(words[1:])


def test_every_command_is_listed_under_a_heading(capsys):
    assert main([]) == 2
    told = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"\n  {name}  +\w", told)
