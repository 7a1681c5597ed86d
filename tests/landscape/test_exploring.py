"""Landscapes whose minima and saddles are known are found whole, and explorations go on where they were."""

import itertools
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from muller_brown import MINIMA, SADDLES, muller_brown, place_of, point

import so3lab
from so3lab.landscape import Exploration, Landscape, LandscapeDatabase
from so3lab.landscape.alignment import renumbered
from so3lab.minima import Minimum, Search
from so3lab.minima.search import checksum_of
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.minimize import relax
from so3lab.pretrained import lennard_jones, random_cluster
from so3lab.structures import from_smiles, molecular_graph, read_structure

RULE = {"max_energy_difference": 2e-3, "max_rmsd": 0.125, "mirror_images": "merged"}
KNOWN = {4: (1, 1), 5: (1, 2), 6: (2, 3), 7: (4, 12), 8: (8, 42)}
"""Minima and transition states of Lennard-Jones clusters: J. P. K. Doye and D. J. Wales, J. Chem. Phys. 116, 3777
(2002)."""


def begun(file, model, start, max_force=1e-4):
    """A database with one minimum."""
    relaxed = relax(model, start, max_force=max_force)
    database = LandscapeDatabase(file)
    database.begin("search-one", start, {"model": checksum_of(model), "rule": RULE})
    database.commit("search-one", [Minimum(0, relaxed.atoms, relaxed.energy, "start", None)], (), {})
    return database


def exploration(database, **options):
    return Exploration(lennard_jones(), database, max_force=1e-4, max_gain_meV=1e-3, **options)


def small(database):
    """One that goes in small rounds."""
    return exploration(database, round_size=4)


def content(file):
    landscape = Landscape.read(file)
    return [(one.energy, one.visits, one.minima, one.origin) for one in landscape.transition_states]


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """Five atoms, until the two saddles about their minimum are found."""
    file = tmp_path_factory.mktemp("landscape") / "lj5.db"
    one = small(begun(file, lennard_jones(), random_cluster(5, seed=1)))
    return file, one, list(one.run(saddles=2))


def test_five_atoms_have_one_minimum_and_two_saddles(five):
    landscape = Landscape.read(five[0])
    assert (len(landscape.minima), len(landscape.transition_states)) == KNOWN[5]
    assert landscape.connected
    assert landscape.minima[0].energy == pytest.approx(-9.103852, abs=1e-6)
    assert landscape.vibrations[0].imaginary == 0
    assert landscape.vibrations[0].symmetry_order == 12  # a trigonal bipyramid
    for state in landscape.transition_states:
        assert state.degenerate
        assert state.vibrations.imaginary == 1
        assert state.curvature < 0
        assert state.energy > landscape.minima[0].energy
        assert np.linalg.norm(state.atoms.get_forces(), axis=1).max() <= 1e-4
    np.testing.assert_allclose(landscape.populations(np.array([300.0])), 1.0)


def test_every_search_is_accounted_for(five):
    _, one, findings = five
    assert [finding.number for finding in findings] == list(range(one.searches))
    assert sum(saddle.visits for saddle in one.saddles) == sum(f.outcome in ("new", "known") for f in findings)
    assert [f.saddle for f in findings if f.outcome == "new"] == list(range(len(one.saddles)))
    for finding in findings:
        assert finding.sentence
        assert (finding.minima is not None) == (finding.outcome == "new")


@pytest.mark.study
def test_one_that_was_stopped_goes_on_as_one_that_was_not(five, tmp_path):
    """Two rounds more, in one go and with everything read anew between them."""
    files = [shutil.copy(five[0], tmp_path / f"{name}.db") for name in "ab"]
    for _ in range(2):
        running = small(files[1]).run(minutes=60)
        next(running)
        running.close()  # amid a round that has been stored
    whole, count = small(files[0]).run(minutes=60), small(files[1]).searches - five[1].searches
    for _ in range(count):
        next(whole)
    whole.close()
    assert small(files[0]).searches == small(files[1]).searches > five[1].searches
    assert content(files[0]) == content(files[1])


def test_when_time_is_over_searches_stop_and_the_next_run_goes_on_with_them(tmp_path, monkeypatch):
    """A clock that goes on by a second whenever somebody looks at it: time is over amid each round."""
    ticks = itertools.count()
    monkeypatch.setattr("so3lab.landscape.exploring.time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    database = begun(tmp_path / "lj5.db", lennard_jones(), random_cluster(5, seed=1))
    first = small(database)
    before = first.left_to_do
    ended = [*first.run(minutes=0.5)]
    assert len(ended) < 4  # some searches of the first round were stopped
    assert first.left_to_do.startswith(f"{18 - len(ended)} searches along modes")
    assert before.startswith("18 searches along modes")
    runs = 0
    while len(small(database).saddles) < KNOWN[5][1]:
        list(small(database).run(minutes=0.5))
        runs += 1
    assert 1 < runs < 20
    again = small(database)
    assert [one.number for one in again.run(saddles=2)] == []
    assert len(again.minima) == KNOWN[5][0]


def test_nonsense_is_refused(five, tmp_path):
    with pytest.raises(ValueError, match="holds no minima"):
        Exploration(lennard_jones(), tmp_path / "none.db")
    with pytest.raises(ValueError, match="of another model"):
        Exploration(muller_brown(), five[0])
    for budget, words in (({"minutes": 0}, "minutes must be positive"), ({"saturation": 1.5}, "between 0 and 1")):
        with pytest.raises(ValueError, match=words):
            next(exploration(five[0]).run(**budget))


def test_what_is_left_to_do_is_said(five):
    _, one, _ = five
    assert "searches along modes" in one.left_to_do or "at random" in one.left_to_do
    lonely = Exploration(lennard_jones(), one._database, max_force=1e-4, max_gain_meV=1e-3, seed=9)
    assert lonely.left_to_do.startswith("18 searches along modes of minima")
    assert lonely.saturation == 0.0


def chain(order=None, energy=0.0, angles=(180.0, 180.0)):
    """Pentane with its atoms in some order, at some torsions."""
    atoms = from_smiles("CCCCC", seed=1)
    graph, torsions = molecular_graph(atoms), rotatable_dihedrals(atoms)
    for torsion, angle in zip(torsions, angles, strict=True):
        atoms.positions = turned(atoms.positions, graph, torsion, angle - atoms.get_dihedral(*torsion))
    atoms = atoms if order is None else atoms[order]
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.arange(3.0 * len(atoms)).reshape(-1, 3))
    return atoms


def two_numberings(file):
    """Two searches of pentane whose atoms are numbered differently, with a minimum each."""
    database, model = LandscapeDatabase(file), lennard_jones()
    order = np.random.default_rng(0).permutation(17)
    for name, atoms in (("a", chain()), ("b", chain(order, 0.1, (180.0, 65.0)))):
        database.begin(f"search-{name}", atoms, {"model": checksum_of(model), "rule": RULE})
        database.commit(f"search-{name}", [Minimum(0, atoms, atoms.get_potential_energy(), "start", None)], (), {})
    return database


def test_minima_of_several_searches_have_their_atoms_in_one_order(tmp_path):
    one = Exploration(lennard_jones(), two_numberings(tmp_path / "a.db"), window=1.0)
    graphs = {molecular_graph(minimum.atoms).key for minimum in one.minima}
    assert len(graphs) == 1
    second = one.minima[1].atoms
    assert second.get_potential_energy() == 0.1
    np.testing.assert_array_equal(np.sort(second.get_forces().ravel()), np.arange(51.0))
    with pytest.raises(ValueError, match="of one compound"):
        renumbered(from_smiles("CC(C)CC", seed=1), chain())


def test_only_minima_near_the_lowest_are_left(tmp_path):
    database = two_numberings(tmp_path / "a.db")
    near, all_of_them = (Exploration(lennard_jones(), database, window=window) for window in (0.05, 1.0))
    assert near.name == all_of_them.name  # a wider window goes on
    assert near.left_to_do.startswith("12 searches along modes")  # four bonds turn, and two modes more, both ways
    assert near.connected
    assert all_of_them.left_to_do.startswith("24 searches along modes")
    assert not all_of_them.connected
    with pytest.raises(ValueError, match="window must be positive"):
        Exploration(lennard_jones(), database, window=0.0)


@pytest.mark.study
def test_the_landscape_of_ethanol_ends_and_has_the_four_saddles_of_its_turns(tmp_path):
    """Hydroxyl from trans to gauche and between both gauche, methyl of each; nothing reacts into the landscape."""
    potential, file = so3lab.load("ethanol"), tmp_path / "a.db"
    for _ in Search(potential, read_structure("ethanol"), proposals=["torsions"], out=file).run(proposals=64):
        pass
    one = Exploration(potential, file)
    findings = list(one.run())
    assert one.left_to_do == ""
    landscape = Landscape.read(file)
    assert (len(landscape.minima), landscape.connected) == (2, True)
    assert [state.minima for state in landscape.transition_states] == [(0, 1), (0, 0), (0, 0), (1, 1)]
    heights = np.array([state.energy - landscape.minima[0].energy for state in landscape.transition_states])
    assert (heights < 0.2).all()
    evaluated = [f for f in findings if f.outcome in ("new", "known")]
    assert len(evaluated) > 0.5 * len(findings)
    assert landscape.populations(np.array([300.0])).sum() == pytest.approx(1.0)


@pytest.mark.study
def test_the_surface_of_muller_and_brown_is_found_from_one_minimum(tmp_path):
    model = muller_brown()
    database = begun(tmp_path / "a.db", model, point(-0.5, 1.4), 1e-3)
    for _ in Exploration(model, database, max_force=1e-3, max_gain_meV=1e-3, round_size=6).run(saddles=2):
        pass
    landscape = Landscape.read(tmp_path / "a.db")
    for states, published in ((landscape.minima, MINIMA), (landscape.transition_states, SADDLES)):
        expected = sorted(published.items(), key=lambda item: item[1])
        assert len(states) == len(expected)
        for state, (place, energy) in zip(states, expected, strict=True):
            np.testing.assert_allclose(place_of(state.atoms), place, atol=1e-3)
            assert state.energy == pytest.approx(energy, abs=1e-3)
    assert [one.minima for one in landscape.transition_states] == [(1, 2), (0, 2)]
    assert landscape.barrier(0, 1) == pytest.approx(146.700 - 40.665, abs=2e-3)


@pytest.mark.study
def test_all_saddles_of_seven_atoms_are_found(tmp_path):
    model, file = lennard_jones(), tmp_path / "lj.db"
    for _ in Search(model, random_cluster(7), max_force=1e-4, out=file).run(proposals=200):
        pass
    for _ in exploration(file).run():
        pass
    assert exploration(file).saturation > 0.97
    assert list(exploration(file).run()) == []  # nothing is left to do
    landscape = Landscape.read(file)
    assert (len(landscape.minima), len(landscape.transition_states)) == KNOWN[7]
    assert landscape.connected


@pytest.mark.study
def test_all_saddles_of_eight_atoms_are_found(tmp_path):
    """Until 42 are, in at most 1,280 searches; about 600 were enough."""
    model, file = lennard_jones(), tmp_path / "lj.db"
    for _ in Search(model, random_cluster(8, seed=1), seed=1, max_force=1e-4, out=file).run(minima=8, proposals=800):
        pass
    one = exploration(file)
    for _ in one.run(saddles=KNOWN[8][1]):
        if one.searches > 1280:
            break
    assert (len(one.minima), len(one.saddles)) == KNOWN[8]
    assert one.connected
