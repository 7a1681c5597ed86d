"""A lab that others use touches no file outside its folder, whatever they type into whichever field."""

import os
import sys

import ipywidgets as ipw
import pytest
from fake_inside import fake_look
from fake_simulation import FakeSimulation
from so3lab_widgets import AttentionPanel, DynamicsPanel, MinimaPanel, Session, TrainPanel, TrajectoryPanel, confinement
from so3lab_widgets.confinement import confine, confined_to, permitted

from so3lab.pretrained import lennard_jones


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the process is confined to until the test ends, with something to be kept from outside."""
    monkeypatch.setattr(confinement, "_folder", None)
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    (tmp_path / "secret.xyz").write_text("1\n\nH 0 0 0\n")
    (inside / "way_out").symlink_to(tmp_path)
    (inside / "disguised.xyz").symlink_to(tmp_path / "secret.xyz")
    confine(inside)
    return inside


OUTSIDE = (
    "../secret.xyz", "way_out/secret.xyz", "disguised.xyz", "disguised.xyz:0", "disguised.xyz@-1",
    "sub/../../secret.xyz", "~/secret.xyz", "/etc/hostname", "way_out", "..",
)  # fmt: skip
INSIDE = ("ala2", "so3lr", "smiles:C/C=C/C", "smiles:C#CC(=O)[O-]", "run.h5", "models.pdb:0", "new/run.h5", "", ".")


def test_what_leads_out_of_the_folder_is_refused_and_all_else_passes(folder):
    for words in OUTSIDE:
        with pytest.raises(PermissionError, match=r"lies outside .*inside"):
            permitted(words)
    with pytest.raises(PermissionError, match="names a server"):
        permitted("postgresql://somebody@somewhere/minima")
    thing = object()
    assert [permitted(one) for one in (*INSIDE, folder / "a.db", thing)] == [*INSIDE, folder / "a.db", thing]


def test_a_process_is_confined_once_and_to_a_folder_that_is_there(folder):
    assert confine(folder) == confined_to() == folder.resolve()
    with pytest.raises(ValueError, match=r"is confined to .*inside already"):
        confine(folder.parent)
    with pytest.raises(NotADirectoryError, match="a folder that exists"):
        confine(folder / "nowhere")


def test_where_nobody_else_is_everything_may_be_opened(monkeypatch):
    monkeypatch.setattr(confinement, "_folder", None)
    assert [permitted(one) for one in OUTSIDE] == list(OUTSIDE)


class Watch:
    """Which files below a folder this process opens, or asks SQLite for."""

    def __init__(self):
        self.folder, self.opened = "", []
        sys.addaudithook(self._hear)  # which stays for ever, and hears nothing without a folder

    def _hear(self, event, given):
        if self.folder and event in ("open", "os.mkdir", "os.listdir", "os.scandir", "sqlite3.connect"):
            named = given[0]
            if isinstance(named, str | bytes | os.PathLike):
                path = os.path.realpath(os.fsdecode(named))
                if path.startswith(self.folder) and not path.startswith(self.folder + os.sep + "inside"):
                    self.opened.append((event, path))


WATCH = Watch()
PANELS = {
    "dynamics": lambda session: DynamicsPanel("ethanol", "ethanol", session=session, simulate=FakeSimulation),
    "trajectory": lambda session: TrajectoryPanel(session=session),
    "minima": lambda session: MinimaPanel(lennard_jones(), "ethanol", session=session, reduced=False),
    "attention": lambda session: AttentionPanel("ethanol", "ethanol", session=session, look=fake_look),
    "training": lambda session: TrainPanel(session=session, runs="runs"),
}


def held(widget, kind):
    """All widgets of a kind within another."""
    found = [widget] if isinstance(widget, kind) else []
    return found + [one for child in getattr(widget, "children", ()) for one in held(child, kind)]


@pytest.mark.parametrize("name", PANELS)
def test_no_field_of_a_panel_opens_a_file_outside(folder, name, request):
    WATCH.folder = str(folder.parent)
    request.addfinalizer(lambda: setattr(WATCH, "folder", ""))
    panel = PANELS[name](Session())
    try:
        fields = [one for one in held(panel, (ipw.Text, ipw.Combobox)) if not one.disabled]
        assert fields
        for words in ("../secret.xyz", "way_out/secret.h5"):
            for field in fields:
                field.value = words
            for button in held(panel, ipw.Button):
                button.click()
    finally:
        panel.close()  # which waits for what was begun
    assert WATCH.opened == []
