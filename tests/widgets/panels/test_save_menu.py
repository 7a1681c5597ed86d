"""The menu of what can be saved: which file a name means, what is written in a thread, and what is said about it."""

import threading
from pathlib import Path

import ipywidgets as ipw
import pytest
from so3lab_widgets.panels.save_menu import Saveable, SaveMenu, Writing, save_text
from waiting import wait_for

THINGS = {"frames": Saveable("frames", (".extxyz", ".pdb")), "table": Saveable("a table", (".csv",))}


class Saved:
    """A row, what it was asked to write, and the lines it told."""

    def __init__(self, folder: Path, things=THINGS, fields=None):
        self.lines: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.row = SaveMenu(
            things,
            self.begin,
            path=str(folder / "run.h5"),
            name="save menu",
            on_line=self.lines.append,
            fields=fields or {},
        )

    def begin(self, what: str, target: Path) -> Writing:
        def write() -> str:
            assert self.gate.wait(60)
            return save_text(target, what)

        return Writing(write, f"save({what!r})")


@pytest.fixture
def saved(tmp_path):
    made = Saved(tmp_path)
    yield made
    made.gate.set()
    made.row.close()


@pytest.mark.parametrize(
    ("typed", "file"),
    [
        ("run.h5", "run.csv"),
        ("run.pdb", "run.csv"),
        ("run", "run.csv"),
        ("at 300.5", "at 300.5.csv"),
        ("run.csv.csv", "run.csv.csv"),
        ("deep/run.h5", "deep/run.csv"),
    ],
)
def test_what_is_saved_has_its_own_ending_and_no_other_part_of_a_name_is_lost(saved, typed, file):
    saved.row.path.value = f"  {typed} "
    assert saved.row.target("table") == Path(file)


def test_an_empty_field_means_the_usual_name_and_the_menu_the_format(saved, tmp_path):
    saved.row.path.value = ""
    assert saved.row.target("table") == tmp_path / "run.csv"
    assert saved.row.target("frames") == tmp_path / "run.extxyz"
    saved.row.choose("frames", ".pdb")
    assert saved.row.target("frames") == tmp_path / "run.pdb"
    saved.row.choose("table")
    assert saved.row.target("table") == tmp_path / "run.csv"
    assert saved.row.target("frames") == tmp_path / "run.pdb", "the format stays as it was chosen"


def test_the_menu_names_everything_and_its_formats(saved):
    labels = [label for label, _ in saved.row.menu.options]
    assert labels == ["Frames as extended XYZ (.extxyz)", "Frames as PDB (.pdb)", "Table as CSV (.csv)"]
    saved.row.choose("table")
    assert saved.row.menu.tooltip == "what to save: a table"
    for chosen, words in ((("film", None), "what must be one of frames, table"), (("table", ".pdb"), "one of .csv")):
        with pytest.raises(ValueError, match=words):
            saved.row.choose(*chosen)


def test_fields_of_one_thing_are_in_sight_while_it_is_chosen(tmp_path):
    width = ipw.IntText()
    row = Saved(tmp_path, fields={"table": [width]}).row
    (box,) = (child for child in row.children if width in getattr(child, "children", ()))
    assert box.layout.display == "none"
    row.choose("table")
    assert box.layout.display == ""
    row.close()


def test_writing_is_said_and_its_line_comes_with_success(saved, tmp_path):
    saved.gate.clear()
    saved.row.choose("table")
    saved.row.button.click()
    assert saved.row.message.sentence == f"writing {tmp_path / 'run.csv'} …"
    assert saved.lines == []
    saved.gate.set()
    wait_for(lambda: saved.lines == ["save('table')"], "its line")
    assert saved.row.message.sentence == f"Wrote {tmp_path / 'run.csv'}."
    assert (tmp_path / "run.csv").read_text() == "table"


def test_nothing_is_replaced_and_the_refusal_has_no_line(saved, tmp_path):
    (tmp_path / "run.csv").write_text("mine")
    saved.row.choose("table")
    saved.row.button.click()
    wait_for(lambda: saved.row.message.wrong, "the refusal")
    assert saved.row.message.sentence == f"{tmp_path / 'run.csv'} exists; choose another name"
    assert (tmp_path / "run.csv").read_text() == "mine"
    assert saved.lines == []


def test_what_nobody_can_save_is_said(saved):
    saved.row.save("film")
    assert saved.row.message.sentence == "what must be one of frames, table, got 'film'"


@pytest.mark.parametrize("typed", ["mine", "mine.csv", "mine.so3.safetensors"])
def test_endings_of_two_parts_are_known_too(tmp_path, typed):
    things = {"model": Saveable("a model", (".so3.safetensors",)), "table": Saveable("a table", (".csv",))}
    row = Saved(tmp_path, things).row
    row.path.value = typed
    assert [row.target(what).name for what in things] == ["mine.so3.safetensors", "mine.csv"]
    row.close()
