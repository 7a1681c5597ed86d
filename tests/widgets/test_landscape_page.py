"""The page of a landscape carries every minimum under the number that its figures and tables say."""

import json
import re

import numpy as np
import pytest
from ase import Atoms
from so3lab_widgets import write_landscape_page
from so3lab_widgets.report import Movie, Section, build_report

from so3lab.landscape import Landscape, TransitionState, Vibrations
from so3lab.minima import Minimum
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.pretrained import random_cluster
from so3lab.structures import from_smiles, molecular_graph

MODES = Vibrations(np.linspace(100.0, 3000.0, 36), 1, np.array([10.0, 60.0, 65.0]))
UPHILL = Vibrations(np.linspace(-200.0, 3000.0, 36), 1, np.array([10.0, 60.0, 65.0]))


def butane(angle: float) -> Atoms:
    atoms = from_smiles("CCCC", seed=1)
    (torsion,) = rotatable_dihedrals(atoms)
    turn = angle - atoms.get_dihedral(*torsion)
    atoms.positions = turned(atoms.positions, molecular_graph(atoms), torsion, turn)
    return atoms


def state(number: int, atoms: Atoms, energy: float, ends: tuple[int, int]) -> TransitionState:
    return TransitionState(number, atoms, energy, ends, UPHILL, np.full((len(atoms), 3), 0.1), -0.3)


@pytest.fixture(scope="module")
def butanes() -> Landscape:
    minima = [
        Minimum(number, butane(angle), energy, "start", None, visits=9 - number)
        for number, (angle, energy) in enumerate([(180.0, -10.0), (63.0, -9.97), (-90.0, -9.9)])
    ]
    return Landscape(minima, [state(0, butane(120.0), -9.85, (0, 1))], [MODES] * 3)


def embedded(page: str) -> list[dict]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]


def movie_of(page: str) -> dict:
    (found,) = (data for data in embedded(page) if "coordinates" in data)
    return found


def test_what_is_clicked_has_a_structure(butanes, tmp_path):
    page = write_landscape_page(butanes, tmp_path / "deep" / "page.html", model_name="a model").read_text("utf-8")
    movie = movie_of(page)
    assert movie["keys"] == [0, 1, 2, "saddle 0"]
    assert movie["words"][1] == "minimum 1 · 0.69 kcal/mol · visits: 8"
    assert "between 0 and 1" in movie["words"][3]
    drawn = [data for data in embedded(page) if "layout" in data]
    said = {row[0] for one in drawn for trace in one["data"] for row in trace.get("customdata", [])}
    assert said == set(movie["keys"])
    assert all(one["layout"]["meta"] == {"select": "minimum"} for one in drawn)
    rows = re.findall(r"<tr>\s*<td>(.*?)</td>", page)
    assert rows == ["0", "1", "2", "saddle 0"]
    assert "C4H10, energies of a model" in page
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="?http', page)


def test_populations_are_harmonic_where_vibrations_are_known_and_say_so_where_not(butanes, tmp_path):
    harmonic = write_landscape_page(butanes, tmp_path / "a.html").read_text("utf-8")
    assert "zero-point energies" in harmonic
    assert "rates at 300 K" in harmonic
    plain = Landscape(butanes.minima, butanes.transition_states, [None] * 3)
    assert "By energies alone" in write_landscape_page(plain, tmp_path / "b.html").read_text("utf-8")


def test_what_lies_beyond_the_training_data_is_told(butanes, tmp_path):
    frames = [butane(angle) for angle in (170.0, 176.0, 180.0, 184.0, 62.0, 66.0)]
    page = write_landscape_page(butanes, tmp_path / "a.html", training=frames).read_text("utf-8")
    assert movie_of(page)["words"][2].endswith("beyond the training data")
    assert page.count("<td>yes</td>") == 1
    assert "6 frames of this compound" in page


def test_a_cluster_is_shown_in_its_own_units_and_one_minimum_is_enough(tmp_path):
    cluster = random_cluster(7, seed=1)
    alone = Landscape([Minimum(0, cluster, -16.5, "start", None)], [], [None])
    page = write_landscape_page(alone, tmp_path / "a.html", energy_unit="ε").read_text("utf-8")
    movie = movie_of(page)
    assert movie["style"] == "spacefill"
    assert movie["words"] == ["minimum 0 · 0.00 ε · visits: 1"]
    assert "No saddles between these minima are known yet" in page
    assert "kcal/mol" not in json.dumps(embedded(page), ensure_ascii=False)


def test_nothing_to_show_and_frames_of_others_are_refused(butanes, tmp_path):
    with pytest.raises(ValueError, match="no minima"):
        write_landscape_page(Landscape([], [], []), tmp_path / "a.html")
    with pytest.raises(ValueError, match="C4H10"):
        write_landscape_page(butanes, tmp_path / "a.html", training=[random_cluster(3), random_cluster(3)])


def test_names_and_keys_are_as_many_as_frames(butanes, tmp_path):
    frames = [one.atoms for one in butanes.minima]
    for wrong in ({"names": ["a"]}, {"keys": [1, 2]}):
        with pytest.raises(ValueError, match="values for 3 frames"):
            Movie(frames, **wrong)
    plain = build_report([Section("a", "", [Movie(frames)])], tmp_path / "r.html").read_text("utf-8")
    assert movie_of(plain)["keys"] is None
    assert "<aside>" not in plain
