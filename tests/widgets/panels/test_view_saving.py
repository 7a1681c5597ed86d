"""What is saved of a molecule on the page: its line of Python, its atoms, and no wait for pages that are gone."""

import threading

import numpy as np
import pytest
from ase.build import molecule
from ase.io import read
from so3lab_widgets.panels.view_saving import MovieFields, writing_of_view
from so3lab_widgets.viewer.viewer import Viewer
from waiting import wait_for


@pytest.fixture
def viewer():
    made = Viewer([molecule("H2O")] * 3)
    yield made
    made.close()


def test_the_atoms_that_are_shown_are_written_once(viewer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target, closing = tmp_path / "water.pdb", threading.Event()
    writing = writing_of_view(viewer, "panel.viewer", "structure", target, closing)
    assert writing.line == f"panel.viewer.atoms.write({str(target)!r})"
    assert writing.write() == f"Wrote {target}."
    distances = molecule("H2O").get_all_distances()  # the view may have moved the whole
    np.testing.assert_allclose(read(target).get_all_distances(), distances, atol=2e-3)
    with pytest.raises(FileExistsError, match="choose another name"):
        writing_of_view(viewer, "panel.viewer", "structure", target, closing)


def test_a_picture_is_what_a_page_draws(viewer, tmp_path):
    writing = writing_of_view(viewer, "panel.viewer", "picture", tmp_path / "one.png", threading.Event())
    writer = threading.Thread(target=writing.write)
    writer.start()
    wait_for(lambda: viewer._pictures, "the question for it")
    viewer._receive_picture(viewer, {"kind": "picture", "number": next(iter(viewer._pictures))}, [b"png"])
    writer.join()
    assert (tmp_path / "one.png").read_bytes() == b"png"


def test_pictures_and_movies_that_nobody_draws_end_with_the_panel(viewer, tmp_path):
    closing, movie = threading.Event(), MovieFields()
    movie.width.value, movie.frames.value = 320, 2
    writing = writing_of_view(viewer, "panel.viewer", "movie", tmp_path / "film.gif", closing, movie)
    assert writing.line == f"panel.viewer.save_movie({str(tmp_path / 'film.gif')!r}, frames=2, fps=20, width=320)"
    picture = writing_of_view(viewer, "panel.viewer", "picture", tmp_path / "one.png", closing)
    closing.set()
    with pytest.raises(TimeoutError, match="no page has drawn the molecule"):
        picture.write()
    assert not (tmp_path / "one.png").exists()
