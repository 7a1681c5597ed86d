"""How a panel writes files: a field for a name, a button for each thing that can be saved, and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import ipywidgets as ipw

from so3lab_widgets.confinement import permitted
from so3lab_widgets.panels.job_bar import button
from so3lab_widgets.panels.message_line import MessageLine
from so3lab_widgets.panels.saved_file import links_to
from so3lab_widgets.running.jobs import Job


class Saveable(NamedTuple):
    """Something that can be saved, before anybody wants it."""

    tip: str
    endings: tuple[str, ...]
    """Of its files; where there are several, a menu offers them."""


class Writing(NamedTuple):
    """What is to be done when somebody saves."""

    write: Callable[[], str]
    """Writes the file, in a thread, and gives a sentence about it."""
    line: str
    """Python that does the same."""


class SaveRow(ipw.HBox):
    """A field for a name, and buttons that save under it.

    A name may end in one of the endings that there are; what is saved has its own all the same.

    Args:
        things: What can be saved, by the word on its button.
        begin: Called when somebody saves, with the word and the file; says how it is written.
        path: What stands in the field at first.
        name: Of the job that writes; the next one waits for it.
        on_line: Called with the line of Python when something has been written.
        before: Further widgets, between the name and the buttons.

    Attributes:
        path: The field.
        ending: The menu of endings, None where each thing has but one.
        buttons: By the word.
        message: What came of it.
    """

    def __init__(
        self,
        things: Mapping[str, Saveable],
        begin: Callable[[str, Path], Writing],
        *,
        path: str,
        name: str,
        on_line: Callable[[str], None] = lambda line: None,
        before: Sequence[ipw.Widget] = (),
    ):
        self._things, self._begin, self._usual = dict(things), begin, path
        self._name, self._on_line = name, on_line
        self._job: Job | None = None
        self.path = ipw.Text(
            path, description="Save as", layout=ipw.Layout(width="240px"), style={"description_width": "56px"}
        )
        several = next((thing.endings for thing in things.values() if len(thing.endings) > 1), ())
        self.ending = (
            ipw.Dropdown(options=several, tooltip="format", layout=ipw.Layout(width="100px")) if several else None
        )
        self.buttons = {
            what: button(what.capitalize(), "download", thing.tip, lambda what=what: self.save(what))  # type: ignore[misc]
            for what, thing in things.items()
        }
        self.message = MessageLine()
        menu = () if self.ending is None else (self.ending,)
        super().__init__(
            [self.path, *menu, *before, *self.buttons.values(), self.message],
            layout=ipw.Layout(flex_flow="row wrap", align_items="center"),
        )

    def target(self, what: str) -> Path:
        """The file that something is saved to.

        Raises:
            PermissionError: If nothing may be written there.
        """
        endings = self._things[what].endings
        given = Path(self.path.value.strip() or self._usual)
        known = {ending for thing in self._things.values() for ending in thing.endings} | {Path(self._usual).suffix, ""}
        typed = max(filter(given.name.endswith, known), key=len)
        stem = given.with_name(given.name.removesuffix(typed)) if given.name != typed else given
        ending = self.ending.value if self.ending and len(endings) > 1 else endings[0]
        return permitted(stem.with_name(stem.name + ending))

    def save(self, what: str) -> None:
        """Write something in a thread; what came of it is said behind the buttons."""
        self.message.try_to(lambda: self._save(what))

    def close(self) -> None:
        """Take the row away; what is being written is finished first."""
        if self._job is not None:
            self._job.stop()
        super().close()

    def _save(self, what: str) -> None:
        if what not in self._things:
            raise ValueError(f"what must be one of {', '.join(self._things)}, got {what!r}")
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
