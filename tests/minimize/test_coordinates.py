"""Internal coordinates: derivatives are those of the values, nothing changes when a molecule is moved as a whole, and
every way to deform a molecule is seen."""

import ase
import numpy as np
import pytest
from ase.build import molecule

from so3lab.minimize.assembly import Assembly
from so3lab.minimize.coordinates import CoordinatesError, InternalCoordinates, internal_coordinates
from so3lab.minimize.model_hessian import force_constants
from so3lab.minimize.wilson import difference, values, values_and_rows
from so3lab.structures import bonds, from_smiles


def two_waters() -> ase.Atoms:
    first, second = molecule("H2O"), molecule("H2O")
    second.rotate(40, "x")
    second.positions += [0.3, 2.8, 0.5]
    return first + second


MOLECULES = {
    "ethanol": lambda: molecule("CH3CH2OH"),
    "benzene": lambda: molecule("C6H6"),
    "acetonitrile, straight": lambda: molecule("CH3CN"),
    "formaldehyde, flat": lambda: molecule("H2CO"),
    "boron fluoride, flat": lambda: molecule("BF3"),
    "two waters": two_waters,
    "bicyclobutane, small rings": lambda: molecule("bicyclobutane"),
    "diyne, a long straight chain": lambda: from_smiles("CC#CC#CC"),
}


@pytest.fixture(params=MOLECULES, scope="module")
def case(request) -> tuple[ase.Atoms, InternalCoordinates, np.ndarray]:
    """A molecule a little off its minimum, its coordinates, and its positions as a batch of one."""
    atoms = MOLECULES[request.param]()
    atoms.rattle(0.02, seed=2)
    found = internal_coordinates(atoms.numbers, atoms.positions, bonds(atoms))
    return atoms, found, atoms.positions.T[:, :, None].copy()


def dense(coordinates: InternalCoordinates, xyz: np.ndarray) -> np.ndarray:
    return Assembly(coordinates).dense(values_and_rows(coordinates, xyz)[1], 0)


def test_values_are_those_that_ase_measures(case):
    atoms, coordinates, xyz = case
    found = values(coordinates, xyz)[:, 0]
    expected = [
        *(atoms.get_distance(*pair) for pair in coordinates.distances),
        *(np.radians(atoms.get_angle(*three)) for three in coordinates.angles),
        *(np.radians(atoms.get_dihedral(*four)) for four in coordinates.dihedrals),
    ]
    off = found[: len(expected)] - expected
    off -= 2.0 * np.pi * np.round(off / (2.0 * np.pi))
    np.testing.assert_allclose(off, 0.0, atol=1e-6)


def test_derivatives_are_those_of_the_values(case):
    _, coordinates, xyz = case
    expected, step = np.zeros((coordinates.size, xyz.size)), 1e-5
    for column in range(xyz.size):
        shift = np.zeros(xyz.size)
        shift[column] = step
        shift = shift.reshape(-1, 3).T[:, :, None]
        ahead, behind = values(coordinates, xyz + shift), values(coordinates, xyz - shift)
        expected[:, column] = difference(coordinates, ahead, behind)[:, 0] / (2 * step)
    np.testing.assert_allclose(dense(coordinates, xyz), expected, atol=1e-8)


def test_every_deformation_is_seen(case):
    atoms, coordinates, xyz = case
    assert np.linalg.matrix_rank(dense(coordinates, xyz), tol=1e-4) == 3 * len(atoms) - 6


def test_values_do_not_change_when_a_molecule_is_moved_as_a_whole(case):
    atoms, coordinates, xyz = case
    moved = atoms.copy()
    moved.rotate(73.0, (1.0, 2.0, -0.5))
    moved.positions += [3.0, -1.0, 2.0]
    elsewhere = values(coordinates, moved.positions.T[:, :, None].copy())
    np.testing.assert_allclose(difference(coordinates, elsewhere, values(coordinates, xyz)), 0, atol=1e-9)


def test_sparse_products_are_those_of_the_dense_matrix(case):
    atoms, coordinates, xyz = case
    assembly = Assembly(coordinates)
    rows = values_and_rows(coordinates, xyz)[1]
    matrix, constants = assembly.dense(rows, 0), force_constants(coordinates, atoms.numbers, xyz)
    hessian = matrix.T @ (constants * matrix)
    np.testing.assert_allclose(assembly.hessian(rows, constants)[0], np.tril(hessian), atol=1e-12)
    band, order = assembly.band(rows, constants)[0], assembly.order
    ordered = hessian[order][:, order]
    for below in range(len(order)):
        expected = band[: len(order) - below, below] if below < assembly.width else 0.0
        np.testing.assert_allclose(np.diagonal(ordered, -below), expected, atol=1e-12)
    rng, entries = np.random.default_rng(0), assembly.entries(rows)
    step, force = rng.normal(size=(1, assembly.size)), rng.normal(size=(1, coordinates.size))
    np.testing.assert_allclose(assembly.stretched(entries, step[:, order]), step @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(
        assembly.pulled(assembly.by_atoms(entries), force)[:, assembly.place], force @ matrix, atol=1e-12
    )


def test_fixed_atoms_have_no_entries(case):
    atoms, coordinates, xyz = case
    fixed = np.arange(len(atoms)) == 1
    assembly = Assembly(coordinates, fixed)
    matrix = assembly.dense(assembly.free(values_and_rows(coordinates, xyz)[1]), 0)
    assert not matrix[:, 3:6].any()
    np.testing.assert_array_equal(matrix[:, 6:], dense(coordinates, xyz)[:, 6:])


def test_everything_holds_a_little_and_bonds_more_than_contacts(case):
    atoms, coordinates, xyz = case
    constants = force_constants(coordinates, atoms.numbers, xyz)[:, 0]
    assert (constants > 0).all()
    stretches = constants[: len(coordinates.distances)]
    real = {tuple(pair) for pair in bonds(atoms).tolist()}
    bonded = np.array([tuple(pair) in real for pair in coordinates.distances.tolist()])
    if not bonded.all():
        assert stretches[bonded].min() > 5 * stretches[~bonded].max()


def test_structures_of_a_batch_do_not_know_of_each_other():
    atoms = molecule("CH3CH2OH")
    coordinates = internal_coordinates(atoms.numbers, atoms.positions, bonds(atoms))
    moved = atoms.copy()
    moved.rattle(0.1, seed=5)
    both = np.stack([atoms.positions.T, moved.positions.T], axis=2)
    q, rows = values_and_rows(coordinates, both)
    for number, one in enumerate((atoms, moved)):
        alone, own = values_and_rows(coordinates, one.positions.T[:, :, None].copy())
        np.testing.assert_allclose(q[:, number], alone[:, 0], atol=1e-14)
        for part, of_one in zip(rows.parts, own.parts, strict=True):
            np.testing.assert_allclose(part[..., number], of_one[..., 0], atol=1e-14)


def test_dihedrals_turn_the_shorter_way():
    atoms = from_smiles("OO")
    coordinates = internal_coordinates(atoms.numbers, atoms.positions, bonds(atoms))
    near = np.zeros((coordinates.size, 1))
    far = near.copy()
    near[-1], far[-1] = np.radians(179), np.radians(-179)
    np.testing.assert_allclose(np.degrees(difference(coordinates, far, near)[-1]), 2.0)


@pytest.mark.parametrize("name", ["CO2", "C2H2"])
def test_atoms_on_one_line_are_refused(name):
    atoms = molecule(name)
    with pytest.raises(CoordinatesError, match="on one line"):
        internal_coordinates(atoms.numbers, atoms.positions, bonds(atoms))


def test_members_that_are_held_join_or_are_found():
    atoms = molecule("CH3CH2OH")
    coordinates = internal_coordinates(atoms.numbers, atoms.positions, bonds(atoms))
    bond, far = tuple(coordinates.distances[2].tolist()), (3, 8)
    grown, places = coordinates.with_members([far, bond[::-1]])
    assert grown.size == coordinates.size + 1
    assert {tuple(grown.distances[place].tolist()) for place in places} == {bond, far}
