"""Elastic bands lie across the saddles that others find, and their ends are aligned, renumbered and unwrapped."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones
from ase.mep import NEB
from ase.optimize import BFGS
from muller_brown import MINIMA, SADDLES, muller_brown, place_of, point

import so3lab
from so3lab.landscape import nudged_elastic_band, paths
from so3lab.landscape.nudging import nudged_forces, tangents
from so3lab.minimize import minimize
from so3lab.pretrained import lennard_jones
from so3lab.structures import read_structure

OCTAHEDRON = Atoms("Ar6", 0.785 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]]))


def capped_bipyramid():
    """The other minimum of six atoms: a trigonal bipyramid with a cap on one face."""
    side = 2 ** (1 / 6)
    triangle = side / np.sqrt(3) * np.array([[np.cos(a), np.sin(a), 0] for a in (0, 2 * np.pi / 3, 4 * np.pi / 3)])
    poles = side * np.sqrt(2 / 3) * np.array([[0, 0, 1], [0, 0, -1.0]])
    face = np.array([triangle[0], triangle[1], poles[0]])
    outwards = np.cross(face[1] - face[0], face[2] - face[0])
    cap = face.mean(axis=0) + side * np.sqrt(2 / 3) * outwards / np.linalg.norm(outwards)
    return Atoms("Ar6", np.concatenate([triangle, poles, [cap]]))


def turned(degrees):
    """Ethanol with this torsion of C-C-O-H."""
    atoms = read_structure("ethanol")
    oxygen = atoms.symbols.search("O").item()
    hydrogen = int(np.argmin(np.where(atoms.numbers == 1, atoms.get_distances(oxygen, range(9)), 9.0)))
    near, far = sorted(atoms.symbols.search("C"), key=lambda carbon: atoms.get_distance(oxygen, carbon))
    atoms.set_dihedral(far, near, oxygen, hydrogen, degrees, indices=[hydrogen])
    return atoms


@pytest.fixture(scope="module")
def minima():
    """Both minima of six atoms, relaxed by ASE, the second turned and renumbered."""
    found = []
    for atoms in (OCTAHEDRON, capped_bipyramid()):
        atoms.calc = LennardJones(sigma=1, epsilon=1, rc=50)
        BFGS(atoms, logfile=None).run(fmax=1e-4)
        found.append(Atoms(atoms.numbers, atoms.positions))
    found[1].rotate(70, (1, 2, 3))
    return found[0], found[1][[3, 1, 0, 5, 4, 2]]


@pytest.fixture(scope="module")
def band(minima):
    (found,) = nudged_elastic_band(lennard_jones(), [minima], images=7, max_force=0.01)
    return found


def test_a_band_converges_on_the_saddle(band):
    """J. P. K. Doye and D. J. Wales (2002): between the minima at -12.7121 and -12.3029 the saddle is at -12.0797."""
    assert band.converged
    assert band.max_force <= 0.01
    assert 0 < band.highest < 6
    assert band.energies[[0, -1]] == pytest.approx([-12.712062, -12.302928], abs=1e-5)
    assert np.linalg.norm(band.images[band.highest].get_forces(), axis=1).max() <= 0.01
    assert band.barrier == pytest.approx(band.energies.max() - band.energies[0])


def test_ase_finds_the_same_saddle_from_the_same_images(band, minima):
    images = [image.copy() for image in next(nudged_elastic_band(
        lennard_jones(), [minima], images=7, max_force=1e-9, max_steps=1, climb=False
    )).images]  # fmt: skip
    for image in images:
        image.calc = LennardJones(sigma=1, epsilon=1, rc=50)
    theirs = NEB(images, k=1.0, climb=True, method="improvedtangent", remove_rotation_and_translation=True)
    assert BFGS(theirs, logfile=None).run(fmax=0.01, steps=300)
    highest = max(image.get_potential_energy() for image in images)
    assert band.energies[band.highest] == pytest.approx(highest, abs=1e-4)


def test_many_paths_share_a_batch_and_each_is_what_it_is_alone(band, minima):
    first, second = minima
    pairs = [minima, (second, first), minima]
    found = sorted(
        nudged_elastic_band(lennard_jones(), pairs, images=7, max_force=0.01, batch=2), key=lambda b: b.number
    )
    assert [one.number for one in found] == [0, 1, 2]
    for one in found:
        assert one.converged
        assert one.energies.max() == pytest.approx(band.energies.max(), abs=2e-4)
    np.testing.assert_allclose(found[2].energies, band.energies, atol=1e-6)


def test_a_band_on_the_surface_of_muller_and_brown_finds_both_saddles():
    ends = [point(*place) for place in MINIMA]
    found = sorted(
        nudged_elastic_band(muller_brown(), [(ends[0], ends[2]), (ends[2], ends[1])], images=9, max_force=0.1),
        key=lambda one: one.number,
    )
    for one, (place, energy) in zip(found, SADDLES.items(), strict=True):
        assert one.converged
        assert one.energies[one.highest] == pytest.approx(energy, abs=0.01)
        np.testing.assert_allclose(place_of(one.images[one.highest]), place, atol=5e-3)
        np.testing.assert_array_equal([image.positions[0] for image in one.images], 0.0)


def test_a_path_that_the_model_does_not_bring_home_begins_again_without_it(monkeypatch):
    """Trans ethanol and its mirror of gauche: the same saddle either way."""
    potential = so3lab.load("ethanol")
    found = {one.number: one.atoms for one in minimize(potential, [turned(180.0), turned(60.0)])}
    ends = [[found[0], found[1]]]
    (by_model,) = nudged_elastic_band(potential, ends, images=7)
    monkeypatch.setattr(paths, "BY_MODEL", 2)
    (without,) = nudged_elastic_band(potential, ends, images=7)
    assert by_model.converged
    assert without.converged
    assert without.steps > 2
    assert without.barrier == pytest.approx(by_model.barrier, abs=2e-3)
    (given_up,) = nudged_elastic_band(potential, ends, images=7, max_steps=2, divide=False)
    assert not given_up.converged
    assert given_up.steps == 2


def test_the_same_minimum_is_no_other_end():
    methane = molecule("CH4")
    other = methane[[0, 3, 1, 2, 4]]
    other.rotate(50, (1, 1, 0))
    other.positions += 3.0
    crystal = bulk("Cu", cubic=True) * (2, 2, 1)
    moved = crystal[np.random.default_rng(0).permutation(len(crystal))]
    moved.positions += [0.5, 0.2, 0.1]
    moved.wrap()
    for pair in ((methane, other), (crystal, moved), (OCTAHEDRON, OCTAHEDRON)):
        with pytest.raises(ValueError, match="both ends of path 0 are the same minimum"):
            list(nudged_elastic_band(lennard_jones(), [pair]))


def test_nonsense_is_refused(minima):
    for options, words in (({"images": 2}, "images must be at least 3"), ({"spring": 0}, "spring must be positive")):
        with pytest.raises(ValueError, match=words):
            list(nudged_elastic_band(lennard_jones(), [minima], **options))
    with pytest.raises(ValueError, match="ends of path 0 must be two structures"):
        list(nudged_elastic_band(lennard_jones(), [[minima[0]]]))
    known = [minima[0], OCTAHEDRON, minima[1]]
    with pytest.raises(ValueError, match="as many images: path 0 has 10, path 1 has 3"):
        list(nudged_elastic_band(lennard_jones(), [minima, known]))
    with pytest.raises(ValueError, match="as many atoms: path 0 has 6, path 1 has 4"):
        list(nudged_elastic_band(lennard_jones(), [minima, (SQUARE, ROD)]))
    with pytest.raises(ValueError, match="made of the same atoms, got Ar6 and CH4"):
        list(nudged_elastic_band(lennard_jones(), [(minima[0], molecule("CH4"))]))


SQUARE = Atoms("Ar4", [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]])
ROD = Atoms("Ar4", [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0.0]])


def test_tangents_point_uphill_and_springs_act_along_them():
    positions = np.array([[0, 0, 0], [1, 0, 0], [2, 1, 0], [3, 3, 0.0]])[:, None]
    rising = tangents(positions, np.array([0, 1, 2, 3.0]))
    np.testing.assert_allclose(rising[0, 0], np.array([1, 1, 0]) / np.sqrt(2))
    falling = tangents(positions, np.array([3, 2, 1, 0.0]))
    np.testing.assert_allclose(falling[0, 0], [1, 0, 0])
    forces = nudged_forces(positions, np.array([3, 2, 1, 0.0]), np.zeros((2, 1, 3)), 2.0)
    np.testing.assert_allclose(forces[0, 0], [2.0 * (np.sqrt(2) - 1), 0, 0])  # towards the longer gap
    slope = np.array([[[1.0, 5.0, 0]], [[0, 0, 0]]])
    climbing = nudged_forces(positions, np.array([3, 2, 1, 0.0]), slope, 2.0, climbing=0)
    np.testing.assert_allclose(climbing[0, 0], [1.0, -5.0, 0])  # up along the path, down across it
