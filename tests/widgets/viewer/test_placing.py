"""Where frames are drawn: a molecule that tumbles stands still, arrows turn along, a cell keeps its directions."""

import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation
from so3lab_widgets.viewer.placing import Placer
from so3lab_widgets.viewer.viewer import Viewer
from waiting import wait_for


@pytest.fixture
def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.positions -= atoms.positions.mean(axis=0)
    return atoms


def tumbled(atoms, degrees: float = 140.0):
    """A copy that was moved and turned, and how it was turned."""
    turn = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0.0, 0.8])).as_matrix()
    other = atoms.copy()
    other.positions = atoms.positions @ turn + np.array([7.0, 1.0, -2.0])
    return other, turn


LOOK = {"follow": "molecule", "images": "stored", "picked": []}


def test_a_molecule_that_tumbles_stands_still_with_its_forces(ethanol):
    other, turn = tumbled(ethanol)
    forces = np.random.default_rng(0).normal(size=ethanol.positions.shape)
    placed = Placer(ethanol).place(other.positions, None, forces @ turn, **LOOK)
    np.testing.assert_allclose(placed.positions, ethanol.positions, atol=1e-6)
    np.testing.assert_allclose(placed.arrows, forces, atol=1e-6)


def test_nothing_is_turned_where_nothing_is_followed(ethanol):
    other, _ = tumbled(ethanol)
    placed = Placer(ethanol).place(other.positions, None, None, **LOOK | {"follow": "off"})
    np.testing.assert_allclose(placed.positions, other.positions - other.positions.mean(axis=0))


def test_a_frame_that_blew_up_is_drawn_as_far_as_it_can_be(ethanol):
    ethanol.positions[3] = np.nan
    assert np.isnan(Placer(molecule("CH3CH2OH")).place(ethanol.positions, None, None, **LOOK).positions).any()


def test_a_cell_keeps_its_directions_and_shows_molecules_whole(ethanol):
    cell = np.diag([9.0, 9.0, 9.0])
    ethanol.set_cell(cell)
    ethanol.pbc = True
    placer, cut = Placer(ethanol), ethanol.positions % 9.0
    np.testing.assert_array_equal(placer.place(cut, cell, None, **LOOK).positions, cut)
    whole = placer.place(cut, cell, None, **LOOK | {"images": "whole"}).positions
    np.testing.assert_allclose(whole - whole[0], ethanol.positions - ethanol.positions[0], atol=1e-9)
    moved = ethanol.positions + np.array([1.0, 2.0, 0.5])
    kept = placer.place(moved, cell, None, **LOOK | {"follow": "picked", "picked": [2]}).positions
    np.testing.assert_allclose(kept, ethanol.positions, atol=1e-9)


def test_a_viewer_follows_at_once_what_is_chosen(ethanol):
    other, turn = tumbled(ethanol)
    viewer = Viewer()
    try:
        viewer.show_live(ethanol)
        viewer.push(other.positions)
        wait_for(lambda: np.allclose(viewer.latest.get("positions", 9.0), ethanol.positions, atol=1e-5), "it follows")
        viewer.follow = "off"
        wait_for(lambda: np.allclose(viewer.latest["positions"], ethanol.positions @ turn, atol=1e-5), "it tumbles")
        bent = other.copy()
        bent.positions[0] += [0.5, -0.5, 0.4]
        viewer.follow = "picked"
        viewer.push(bent.positions)
        viewer.picked = [1, 2, 8]
        wait_for(
            lambda: np.allclose(viewer.latest["positions"][1:], ethanol.positions[1:], atol=5e-3), "picked ones stay"
        )
    finally:
        viewer.close()
