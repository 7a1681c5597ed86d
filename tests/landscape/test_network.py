"""A landscape comes back from its database as it was stored, and knows its lowest passes."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from so3lab.landscape import Landscape, LandscapeDatabase, Vibrations
from so3lab.landscape.database import Name, StoredSaddle
from so3lab.landscape.vibrations import symmetry_order
from so3lab.minima import DuplicateRule, Minimum

ENERGIES = [-3.0, -2.0, -2.5, -1.0]
"""Of minima in the order in which they are found."""
SETTINGS = {"model": "m", "rule": {"max_energy_difference": 1e-3, "max_rmsd": 0.1, "mirror_images": "merged"}}
SEARCH, LANDSCAPE = "search-a", "landscape-a"


def structure(energy):
    """Three atoms whose shape follows from their energy."""
    atoms = Atoms("Ar3", [[0, 0, 0], [1.1, 0, 0], [0.3, 1.2 + 0.3 * energy, 0]])
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((3, 3)))
    return atoms


def saddle(number, energy, first, second, visits=1):
    modes = Vibrations(np.array([-50.0, 100.0 + number, 200.0]), 2, np.array([1.0, 2.0, 3.0]))
    mode = np.full((3, 3), 1 / 3)
    names = Name(SEARCH, first), Name(SEARCH, second)
    return StoredSaddle(LANDSCAPE, number, structure(energy), energy, names, modes, mode, -0.4, "mode", visits)


@pytest.fixture
def database(tmp_path):
    """Minima 0 and 2 are joined twice, 2 and 1 once, 0 with its own copy; nothing leads to 3."""
    found = LandscapeDatabase(tmp_path / "a.db")
    found.begin(SEARCH, structure(0.0), SETTINGS)
    minima = [Minimum(number, structure(energy), energy, "start", None) for number, energy in enumerate(ENERGIES)]
    found.commit(SEARCH, minima, (), {})
    found.begin(LANDSCAPE, structure(0.0), SETTINGS)
    modes = Vibrations(np.array([100.0, 200.0, 300.0]), 1, np.array([1.0, 2.0, 3.0]))
    found.commit_saddles(
        LANDSCAPE,
        minima=(),
        new=[saddle(0, 0.5, 2, 0), saddle(1, -1.5, 0, 2), saddle(2, -0.5, 1, 2), saddle(3, -2.4, 0, 0)],
        visited=(),
        vibrations={Name(SEARCH, number): modes for number in range(4)},
        progress={"round": 1},
    )
    return found


def test_what_was_stored_is_read_with_numbers_by_energy(database):
    landscape = Landscape.read(database.where)
    assert [one.energy for one in landscape.minima] == sorted(ENERGIES)
    assert [one.number for one in landscape.minima] == [0, 1, 2, 3]
    assert [one.minima for one in landscape.transition_states] == [(0, 0), (0, 1), (1, 2), (0, 1)]
    assert [one.energy for one in landscape.transition_states] == [-2.4, -1.5, -0.5, 0.5]
    assert [one.degenerate for one in landscape.transition_states] == [True, False, False, False]
    first = landscape.transition_states[1]
    assert first.imaginary_frequency_cm == 50.0
    np.testing.assert_array_equal(first.vibrations.wavenumbers_cm, [-50.0, 101.0, 200.0])
    np.testing.assert_allclose(first.atoms.positions, structure(-1.5).positions)
    assert first.atoms.get_potential_energy() == -1.5
    assert landscape.model == "m"


def test_the_graph_has_every_saddle_and_its_groups(database):
    landscape = Landscape.read(database)
    assert landscape.graph.number_of_edges() == 4
    assert landscape.graph.number_of_edges(0, 1) == 2
    assert landscape.components == [{0, 1, 2}, {3}]
    assert not landscape.connected


def test_a_landscape_of_another_rule_leaves_the_rule_of_the_searches(database):
    wide = SETTINGS["rule"] | {"max_rmsd": 5.0, "max_energy_difference": 5.0}
    database.begin("landscape-wide", structure(0.0), SETTINGS | {"rule": wide})
    more = [Minimum(0, structure(-1.8), -1.8, "saddle", None)]
    database.commit("landscape-wide", more, (), {})
    assert len(Landscape.read(database).minima) == len(ENERGIES) + 1
    assert len(Landscape.read(database, DuplicateRule(**wide)).minima) == 1


def test_what_nobody_has_left_is_not_apart(database):
    assert Landscape.read(database).standings == ["connected"] * 3 + ["not tried"]
    for count, standing in ((0, "not tried"), (6, "apart")):
        progress = {"tried": [[[SEARCH, 3], count]], "paths": []}
        database.commit_saddles(LANDSCAPE, minima=(), new=(), visited=(), vibrations={}, progress=progress)
        assert Landscape.read(database).standings == ["connected"] * 3 + [standing]
    alone = Landscape(Landscape.read(database).minima[:1], [], [None])
    assert alone.standings == ["not tried"]


def test_the_lowest_way_decides_a_barrier(database):
    landscape = Landscape.read(database)
    assert [one.number for one in landscape.passage(0, 2)] == [1, 2]
    assert landscape.barrier(0, 1) == pytest.approx(1.5)
    assert landscape.barrier(2, 0) == pytest.approx(1.5)  # from -2 over -0.5
    with pytest.raises(ValueError, match="no way from minimum 0 to minimum 3"):
        landscape.passage(0, 3)
    with pytest.raises(ValueError, match="two different minima, got 1 twice"):
        landscape.passage(1, 1)
    with pytest.raises(ValueError, match="from 0 to 3, got 4"):
        landscape.barrier(0, 4)


def test_saddles_that_were_found_again_are_counted(database):
    known = list(database.saddles())
    known[1].visits = 5
    database.commit_saddles(
        LANDSCAPE, minima=(), new=(), visited=[known[1]], vibrations={}, progress={"round": 2}
    )  # fmt: skip
    again = LandscapeDatabase(database.where)
    assert [one.visits for one in again.saddles()] == [1, 5, 1, 1]
    assert again.find(LANDSCAPE).progress == {"round": 2}
    assert again.find(LANDSCAPE).settings == SETTINGS


def test_a_wider_rule_merges_what_was_stored(database):
    wide = DuplicateRule(0.6, 5.0)
    landscape = Landscape.read(database, wide)
    assert [one.energy for one in landscape.minima] == [-3.0, -2.0, -1.0]
    assert len(landscape.transition_states) == 4
    assert landscape.transition_states[1].minima == (0, 0)  # what it joined is one now


def test_landscapes_are_merged_with_their_minima(database, tmp_path):
    merged = LandscapeDatabase(tmp_path / "b.db")
    merged.take_from(database)
    there, here = Landscape.read(database), Landscape.read(LandscapeDatabase(merged.where))
    assert [one.minima for one in here.transition_states] == [one.minima for one in there.transition_states]
    assert all(one is not None for one in here.vibrations)


def test_landscapes_that_grew_apart_are_not_merged_in_silence(database, tmp_path):
    merged = LandscapeDatabase(tmp_path / "b.db")
    merged.take_from(database)
    assert merged.take_from(database) == 0
    database.commit_saddles(
        LANDSCAPE, minima=(), new=[saddle(4, 0.7, 1, 3)], visited=(), vibrations={}, progress={"round": 2}
    )
    with pytest.raises(ValueError, match="other transition states in"):
        merged.take_from(database)


def test_a_merge_that_dies_leaves_no_half_of_a_search(database, tmp_path, monkeypatch):
    merged = LandscapeDatabase(tmp_path / "b.db")

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LandscapeDatabase, "_store_more_of", die)
        with pytest.raises(KeyboardInterrupt):
            merged.take_from(database)
    again = LandscapeDatabase(merged.where)
    assert again.searches() == []
    again.take_from(database)
    assert len(Landscape.read(again).transition_states) == 4


def test_populations_and_rates_need_vibrations_and_balance_each_other(database):
    landscape = Landscape.read(database)
    temperatures = np.array([300.0, 3000.0])
    shares, rates = landscape.populations(temperatures), landscape.rates(temperatures)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    for number, state in enumerate(landscape.transition_states):
        flows = shares[:, list(state.minima)] * rates[:, number]
        np.testing.assert_allclose(flows[:, 0], flows[:, 1])
    bare = Landscape(landscape.minima, [], [None] * 4)
    with pytest.raises(ValueError, match="vibrations of 4 of 4 minima are not known"):
        bare.populations(temperatures)


def test_hands_are_counted_once_whether_they_are_merged_or_kept():
    """Hydrogen peroxide: twice as much twisted as flat, where energies and modes are equal."""
    modes = np.full(6, 300.0)

    def peroxide(dihedral):
        atoms = Atoms("HOOH", [[0.9, 0.5, 0], [0.7, 0, 0], [-0.7, 0, 0], [-0.9, 0.5, 0]])
        atoms.set_dihedral(0, 1, 2, 3, dihedral, indices=[3])
        order = symmetry_order(atoms.numbers, atoms.positions)
        return atoms, Vibrations(modes, order, np.array([1.0, 2.0, 3.0]))

    def shares(dihedrals, mirror_images):
        states = [peroxide(dihedral) for dihedral in dihedrals]
        minima = [Minimum(number, atoms, 0.0, "start", None) for number, (atoms, _) in enumerate(states)]
        landscape = Landscape(minima, [], [one for _, one in states], mirror_images=mirror_images)
        return landscape.populations(np.array([300.0]))[0]

    np.testing.assert_allclose(shares([180.0, 110.0], "merged"), [1 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(shares([180.0, 110.0, 250.0], "kept"), np.full(3, 1 / 3), rtol=1e-6)


def test_a_database_without_saddles_is_a_landscape_of_lone_minima(tmp_path):
    database = LandscapeDatabase(tmp_path / "c.db")
    assert Landscape.read(database).components == []
    assert not Landscape.read(database).connected
    database.begin(SEARCH, structure(0.0), SETTINGS)
    database.commit(SEARCH, [Minimum(0, structure(0.0), 0.0, "start", None)], (), {})
    alone = Landscape.read(database)
    assert alone.connected
    assert alone.transition_states == []
