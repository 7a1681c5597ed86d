"""A report is one file: it carries what it shows, asks no network for anything, and stays small."""

import base64
import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from ase.build import bulk, molecule
from so3lab_widgets.report import MAX_FRAMES, Movie, Section, build_report
from so3lab_widgets.viewer.ngl import ngl_script


def frames(count: int):
    ethanol = molecule("CH3CH2OH")
    result = []
    for number in range(count):
        atoms = ethanol.copy()
        atoms.positions += 5.0 + 0.1 * np.sin(number + np.arange(27).reshape(9, 3))
        result.append(atoms)
    return result


def embedded(page: str) -> list[dict]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]


def written(tmp_path, *items, **options) -> str:
    return build_report([Section("Results", "Look.", items)], tmp_path / "deep" / "r.html", **options).read_text()


def test_coordinates_survive_to_a_thousandth_of_an_angstrom(tmp_path):
    movie = frames(7)
    data = embedded(written(tmp_path, Movie(movie, np.arange(7) * 0.5)))[0]
    integers = np.frombuffer(base64.b64decode(data["coordinates"]), "<i2")
    shown = (data["offset"] + data["scale"] * integers).reshape(7, 9, 3)
    expected = [atoms.positions - atoms.positions.mean(axis=0) for atoms in movie]
    np.testing.assert_allclose(shown, expected, atol=1e-3)
    assert data["times"] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert data["names"][:3] == ["C0", "C1", "O2"]
    assert data["pdb"].count("ATOM") == 9


def test_long_movies_are_thinned_evenly(tmp_path):
    movie = frames(3) * 1500
    data = embedded(written(tmp_path, Movie(movie)))[0]
    assert len(data["frames"]) <= MAX_FRAMES
    assert set(np.diff(data["frames"])) == {5}


def test_periodic_movies_keep_their_cell(tmp_path):
    crystal = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    data = embedded(written(tmp_path, Movie([crystal])))[0]
    assert data["periodic"]
    assert "CRYST1" in data["pdb"]


def test_the_page_fetches_nothing_and_stays_below_ten_megabytes(tmp_path):
    page = written(tmp_path, Movie(frames(1200)), go.Figure(go.Scatter(x=np.arange(30000), y=np.arange(30000))))
    assert len(page.encode()) < 10e6
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="?http', page)
    assert "default-src 'none'" in page


def test_libraries_are_left_out_when_nothing_needs_them(tmp_path):
    table = pd.DataFrame({"quantity": ["force"], "MAE (meV/Å)": [12.345678]})
    page = written(tmp_path, table)
    assert len(page) < 50_000
    assert "12.35" in page


def test_text_cannot_break_the_page(tmp_path):
    figure = go.Figure(layout_title_text="</script><script>alert(1)</script>")
    page = written(tmp_path, figure, title="<b>A & B</b>", numbers={"force < energy": "<1"})
    assert "<script>alert" not in page
    assert "&lt;b&gt;A &amp; B&lt;/b&gt;" in page
    assert embedded(page)[0]["layout"]["title"]["text"].startswith("</script>")


def test_ngl_is_found_in_the_installed_nglview():
    script = ngl_script()
    assert 1e6 < len(script) < 2e6
    assert "globalThis.NGL = load(" in script
    assert "</script" not in script


@pytest.mark.parametrize(
    ("movie", "message"),
    [
        (lambda: Movie([]), "frames is empty"),
        (lambda: Movie(frames(2), [0.0]), "1 values for 2 frames"),
        (lambda: Movie([molecule("H2O"), molecule("CH4")]), "frame 1 has 5 atoms, frame 0 has 3"),
        (lambda: Movie([*frames(1), broken()]), "frame 1 has coordinates"),
    ],
)
def test_impossible_movies_are_refused(tmp_path, movie, message):
    with pytest.raises(ValueError, match=message):
        written(tmp_path, movie())


def broken():
    atoms = frames(1)[0]
    atoms.positions[0, 0] = np.nan
    return atoms


def test_unknown_items_are_refused(tmp_path):
    with pytest.raises(TypeError, match="not str"):
        written(tmp_path, "text")
