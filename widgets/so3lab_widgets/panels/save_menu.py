"""How a panel writes files: a menu of all that can be saved, a field for a name, and what came of it, with links."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import ipywidgets as ipw

from so3lab_widgets.confinement import permitted
from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.saved_file import links_to
from so3lab_widgets.running.jobs import Job

FORMATS = {
    ".csv": "CSV", ".db": "ASE database", ".dcd": "DCD", ".extxyz": "extended XYZ", ".gif": "GIF", ".h5": "H5MD",
    ".html": "web page", ".mp4": "MP4", ".pdb": "PDB", ".png": "PNG", ".py": "Python script",
    ".so3.safetensors": "safetensors", ".traj": "ASE trajectory", ".xyz": "XYZ",
}  # fmt: skip
"""What files with these endings are called."""


class Saveable(NamedTuple):
    """Something that can be saved, before anybody wants it."""

    tip: str
    endings: tuple[str, ...]
    """Of its files; the menu has an entry for each."""


class Writing(NamedTuple):
    """What is to be done when somebody saves."""

    write: Callable[[], str]
    """Writes the file, in a thread, and gives a sentence about it."""
    line: str
    """Python that does the same."""


class SaveMenu(ipw.HBox):
    """A menu of all that can be saved, the name of the file, and a button that saves.

    A name may end in one of the endings that there are; what is saved has its own all the same.

    Args:
        things: What can be saved, by one word each.
        begin: Called when somebody saves, with the word and the file; says how it is written.
        path: What stands in the field at first.
        name: Of the job that writes; the next one waits for it.
        on_line: Called with the line of Python when something has been written.
        fields: Further fields of some of these, in sight while they are chosen.
        after: Further widgets, behind the button.

    Attributes:
        menu: Its value is the word and the ending of what is chosen.
        path: The field.
        button: Saves what is chosen.
        message: What came of it.
        closing: Set when the row goes; whoever waits for a page to save something gives up then.
    """

    def __init__(
        self,
        things: Mapping[str, Saveable],
        begin: Callable[[str, Path], Writing],
        *,
        path: str,
        name: str,
        on_line: Callable[[str], None] = lambda line: None,
        fields: Mapping[str, Sequence[ipw.Widget]] = MappingProxyType({}),
        after: Sequence[ipw.Widget] = (),
    ):
        self._things, self._begin, self._usual = dict(things), begin, path
        self._name, self._on_line = name, on_line
        self._job: Job | None = None
        self._endings = {what: thing.endings[0] for what, thing in things.items()}
        self._fields = {what: ipw.HBox(list(found)) for what, found in fields.items()}
        self.closing = threading.Event()
        self.menu = ipw.Dropdown(
            options=[entry for what, thing in things.items() for entry in _entries(what, thing)],
            description="Save", layout=ipw.Layout(width="302px"), style={"description_width": "36px"},
        )  # fmt: skip
        self.path = ipw.Text(
            path, description="as file", layout=ipw.Layout(width="170px"), style={"description_width": "44px"}
        )
        self.button = button("Save", "download", "write the file", lambda: self.save(self.menu.value[0]))
        self.message = MessageLine()
        self.menu.observe(self._on_menu, "value")
        super().__init__(
            [self.menu, self.path, *self._fields.values(), self.button, *after, self.message],
            layout=ipw.Layout(flex_flow="row wrap", align_items="center"),
        )
        self._on_menu()

    def choose(self, what: str, ending: str | None = None) -> None:
        """Choose an entry of the menu; with the ending that was chosen last unless told.

        Raises:
            ValueError: If there is no such entry.
        """
        self._check(what)
        chosen, endings = (what, ending or self._endings[what]), self._things[what].endings
        if chosen[1] not in endings:
            raise ValueError(f"ending of {what} must be one of {', '.join(endings)}, got {ending!r}")
        self.menu.value = chosen

    def target(self, what: str) -> Path:
        """The file that something is saved to.

        Raises:
            PermissionError: If nothing may be written there.
        """
        given = Path(self.path.value.strip() or self._usual)
        known = {ending for thing in self._things.values() for ending in thing.endings} | {Path(self._usual).suffix, ""}
        typed = max(filter(given.name.endswith, known), key=len)
        stem = given.with_name(given.name.removesuffix(typed)) if given.name != typed else given
        return permitted(stem.with_name(stem.name + self._endings[what]))

    def save(self, what: str) -> None:
        """Write something in a thread; what came of it is said behind the button."""
        self.message.try_to(lambda: self._save(what))

    def give_up(self) -> list[Job]:
        """Wait no longer for a page; what is being written is finished all the same, and handed out."""
        self.closing.set()
        if self._job is None:
            return []
        self._job.stop(wait=False)
        return [self._job]

    def close(self) -> None:
        """Take the row away."""
        self.give_up()
        super().close()

    def _on_menu(self, _: object = None) -> None:
        what, self._endings[what] = self.menu.value
        self.menu.tooltip = f"what to save: {self._things[what].tip}"
        for of, box in self._fields.items():
            box.layout.display = "" if of == what else "none"

    def _check(self, what: str) -> None:
        if what not in self._things:
            raise ValueError(f"what must be one of {', '.join(self._things)}, got {what!r}")

    def _save(self, what: str) -> None:
        self._check(what)
        target = self.target(what)
        writing = self._begin(what, target)

        def finish(job: Job) -> None:
            if job.state == "failed":
                self.message.warn(job.error or "")

        def written(sentence: str) -> None:
            self.message.say(sentence, links_to(target))
            self._on_line(writing.line)

        self.message.say(f"writing {target} …")
        self._job = Job(lambda: iter([writing.write()]), on_item=written, name=self._name)
        self._job.subscribe(finish)
        self._job.start()


def _entries(what: str, thing: Saveable) -> list[tuple[str, tuple[str, str]]]:
    """Entries of the menu: what it is, in which format, with its ending."""
    return [(f"{what.capitalize()} as {FORMATS[ending]} ({ending})", (what, ending)) for ending in thing.endings]


def save_text(target: Path, text: str) -> str:
    """Write a text file that must not exist yet; returns a sentence about it.

    Raises:
        FileExistsError: If it does.
    """
    check_new(target)
    target.write_text(text, encoding="utf-8")
    return f"Wrote {target}."


def check_new(target: Path) -> None:
    """Refuse to replace a file.

    Raises:
        FileExistsError: If it exists.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; choose another name")
