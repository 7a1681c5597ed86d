"""Searches uphill end on saddles with exactly one direction downwards, and those slide to the minima beside them."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from muller_brown import MINIMA, SADDLES, muller_brown, place_of, point

from so3lab.landscape.saddles import Start, climb
from so3lab.landscape.sliding import Crest, slide
from so3lab.pretrained import lennard_jones

SIDE = 2 ** (1 / 6)
TRIMER = Atoms("Ar3", SIDE * np.array([[0, 0, 0], [1, 0, 0], [0.5, np.sqrt(3) / 2, 0]]))
TETRAHEDRON = Atoms("Ar4", SIDE / np.sqrt(8) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]))


@pytest.fixture(scope="module")
def on_the_surface():
    """Searches from beside two minima of Müller and Brown's surface."""
    starts = [Start(point(-0.55, 0.9)), Start(point(0.1, 0.4), np.array([[0, 0, 0], [1.0, -0.6, 0]]))]
    return sorted(climb(muller_brown(), starts, max_force=1e-3), key=lambda one: one.number)


def test_saddles_are_where_they_were_published(on_the_surface):
    assert [one.why for one in on_the_surface] == ["saddle", "saddle"]
    found = {tuple(np.round(place_of(one.atoms), 3).tolist()): one for one in on_the_surface}
    assert set(found) == set(SADDLES)
    for place, energy in SADDLES.items():
        one = found[place]
        assert one.energy == pytest.approx(energy, abs=1e-3)
        values = np.linalg.eigvalsh(one.hessian[3:5, 3:5])
        assert values[0] == pytest.approx(one.curvature)
        assert values[0] < 0 < values[1]
        np.testing.assert_array_equal(one.atoms.positions[0], 0.0)  # fixed


def test_sliding_ends_in_the_minima_on_both_sides(on_the_surface):
    crests = [Crest(one.atoms, one.mode, one.curvature) for one in on_the_surface]
    first, second, third = MINIMA
    expected = [(third, first), (second, third)]
    sides = slide(muller_brown(), crests, max_force=1e-3)
    for found, known in zip(sides, expected, strict=True):
        places = np.array([place_of(side.atoms) for side in found])
        np.testing.assert_allclose(np.sort(places, axis=0), np.sort(np.array(known), axis=0), atol=1e-3)


def test_searches_that_are_stopped_go_on_to_the_same_saddles(on_the_surface):
    starts = [Start(point(-0.55, 0.9)), Start(point(0.1, 0.4), np.array([[0, 0, 0], [1.0, -0.6, 0]]))]
    asked = iter(range(100))
    stopped = list(climb(muller_brown(), starts, max_force=1e-3, stop=lambda: next(asked) >= 7))
    assert [one.why for one in stopped] == ["stopped"] * 2
    assert all(one.evaluations == 3 or one.evaluations == 4 for one in stopped)
    on = [Start(one.atoms, one.mode if one.mode.any() else None) for one in stopped]
    ended = climb(muller_brown(), on, max_force=1e-3)
    found = {tuple(np.round(place_of(one.atoms), 3).tolist()) for one in ended}
    assert found == {tuple(np.round(place_of(one.atoms), 3).tolist()) for one in on_the_surface}


def test_the_tetrahedron_of_four_atoms_is_left_over_a_rhombus():
    """Its only saddle: two triangles that share a side, flat."""
    rng, starts = np.random.default_rng(1), []
    for _ in range(8):
        direction = rng.normal(size=(4, 3))
        atoms = TETRAHEDRON.copy()
        atoms.positions += 0.1 * direction
        starts.append(Start(atoms, direction))
    saddles = [one for one in climb(lennard_jones(), starts, max_force=1e-5) if one.why == "saddle"]
    assert saddles
    for one in saddles:
        assert one.max_force <= 1e-5
        centred = one.atoms.positions - one.atoms.positions.mean(axis=0)
        assert np.linalg.svd(centred, compute_uv=False)[2] < 1e-4  # flat
        distances = np.sort(one.atoms.get_all_distances()[np.triu_indices(4, 1)])
        np.testing.assert_allclose(distances[:5], distances[0], rtol=0.02)
        assert distances[5] > 1.6 * distances[0]
    crest = Crest(saddles[0].atoms, saddles[0].mode, saddles[0].curvature)
    ((first, second),) = slide(lennard_jones(), [crest], max_force=1e-4)
    assert first.energy == pytest.approx(-6.0, abs=1e-6)
    assert second.energy == pytest.approx(-6.0, abs=1e-6)


def test_what_ends_in_no_saddle_says_so():
    apart = TRIMER.copy()
    apart.positions[2] += [0, 2.0, 0]
    away = np.array([[0, 0, 0], [0, 0, 0], [0, 1.0, 0]])
    resting, flying, short = (
        next(climb(lennard_jones(), [start], max_steps=steps, max_force=1e-8))
        for start, steps in ((Start(TRIMER), 50), (Start(apart, away), 100), (Start(apart, away), 2))
    )
    assert resting.why == "minimum"
    assert flying.why == "strayed"
    assert (short.why, short.evaluations) == ("out of steps", 2)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="starts must not be periodic, and number 0 is"):
        list(climb(lennard_jones(), [Start(bulk("Ar", a=1.5))]))
    with pytest.raises(ValueError, match="max_steps must be positive, got 0"):
        list(climb(lennard_jones(), [Start(TRIMER)], max_steps=0))
    assert list(climb(lennard_jones(), [])) == []
