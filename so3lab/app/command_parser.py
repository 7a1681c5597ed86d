"""How commands explain themselves: short usage, options in groups, a default for everything, examples at the end."""

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import Any

EXAMPLES = "examples:"
"""What begins a text that stays as it is written."""


class CommandParser(argparse.ArgumentParser):
    """A parser whose usage names what is required, and whose help ends with general options and examples."""

    def __init__(
        self,
        *,
        examples: Sequence[str] = (),
        parents: Sequence[argparse.ArgumentParser] = (),
        add_help: bool = True,
        **options: Any,
    ):
        if examples:
            options["epilog"] = "\n  ".join([EXAMPLES, *examples])
        super().__init__(**options, add_help=False, formatter_class=_HelpFormatter)
        self._positionals.title = "arguments"
        self.general = self.add_argument_group("general options")
        """Those that all commands have."""
        if add_help:
            self.general.add_argument("-h", "--help", action="help", help="show this help and exit")
        for parent in parents:
            self._add_container_actions(parent)

    def format_usage(self) -> str:
        """The line that says how the command is called."""
        self.usage = self.usage or self._what_is_required()
        return super().format_usage()

    def format_help(self) -> str:
        """Everything about the command; the options that all commands have come last."""
        self.usage = self.usage or self._what_is_required()
        self._action_groups.sort(key=lambda group: group is self.general)
        return super().format_help()

    def _what_is_required(self) -> str:
        words = ["%(prog)s"]
        words += [_positional(action) for action in self._actions if not action.option_strings]
        words += [
            f"{action.option_strings[-1]} {action.metavar or action.dest.upper()}"
            for action in self._actions
            if action.option_strings and action.required
        ]
        return " ".join([*words, "[options]"])


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps paragraphs, keeps examples as they are, and says every default."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(EXAMPLES) or "\n  " in text:
            return "".join(f"{indent}{line}\n" for line in text.splitlines())
        return super()._fill_text(text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str:
        words = action.help or ""
        takes_a_value = bool(action.option_strings) and action.nargs != 0
        if not takes_a_value or action.required or re.search(r"\bdefault\b", words):
            return words
        return f"{words} (default: {'none' if action.default in (None, []) else '%(default)s'})".strip()


def overview(groups: Iterable[tuple[str, Iterable[str]]], words: dict[str, str]) -> str:
    """Commands with what they do, under headings.

    Args:
        groups: Headings, each with names of commands.
        words: What a command does, by its name.
    """
    wide = max(map(len, words)) + 2
    sections = [
        "\n".join([f"{title}:", *(f"  {name:{wide}}{words[name]}" for name in names)]) for title, names in groups
    ]
    return "\n\n".join(sections)


def _positional(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    return {"?": f"[{name}]", "+": f"{name} [{name} ...]"}.get(str(action.nargs), name)
