"""Steps in internal coordinates: curved where they are long, made anew where an angle becomes straight, and right for
molecules beside each other."""

import ase
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule

from so3lab.engine.energy_model import EnergyModel
from so3lab.functions.safe import safe_norm
from so3lab.minimize import relax
from so3lab.minimize.coordinates import internal_coordinates
from so3lab.minimize.internal_bfgs import InternalBFGS
from so3lab.structures import bonds, from_smiles
from so3lab.structures.graph import displacements, sum_pairs_per_structure

STIFFNESS = 3.0  # eV/Å², of every pair of atoms


def elastic_network(target: ase.Atoms) -> EnergyModel:
    """Springs between all atoms of one structure, at rest in the target."""

    def energy(rest, graph, strain=None):
        lengths = jnp.where(graph.pair_mask, safe_norm(displacements(graph, strain)), 1.0)
        stretch = jnp.where(graph.pair_mask, lengths - rest[graph.receivers, graph.senders], 0.0)
        return sum_pairs_per_structure(0.5 * STIFFNESS * stretch**2, graph)

    return EnergyModel(energy, target.get_all_distances(), 40.0, "float64")


def two_waters() -> ase.Atoms:
    first, second = molecule("H2O"), molecule("H2O")
    second.positions += [0.4, 2.9, 0.3]
    return first + second


def bent(angle: float) -> ase.Atoms:
    """Propargyl alcohol, whose straight end is bent."""
    atoms = from_smiles("C#CCO")
    end = next(int(i) for i, j in bonds(atoms)[:, ::-1].tolist() if atoms.numbers[i] == 1 and j == 0)
    atoms.set_angle(end, 0, 1, angle)
    return atoms


@pytest.mark.parametrize(
    ("start", "target"),
    [(bent(140.0), from_smiles("C#CCO")), (from_smiles("C#CCO"), bent(140.0)), (two_waters(), two_waters())],
    ids=["an angle that becomes straight", "a straight angle that bends", "two molecules"],
)
def test_the_target_is_reached_in_internal_coordinates(start, target):
    start = start.copy()
    start.rattle(0.05, seed=1)
    found = relax(elastic_network(target), start, max_force=1e-4, max_gain_meV=1e-4, max_steps=80)
    assert found.method == "internal"
    assert found.why == "converged", found.sentence
    np.testing.assert_allclose(found.atoms.get_all_distances(), target.get_all_distances(), atol=1e-3)


def test_a_long_turn_keeps_bonds_at_their_lengths():
    """A step along a dihedral of ethane, walked straight, would stretch its C-H bonds by far more."""
    atoms = molecule("C2H6")
    coordinates = internal_coordinates(atoms.numbers, atoms.positions, bonds(atoms))
    method, row = InternalBFGS(coordinates, atoms.numbers, 1), np.array([0])
    turning = np.cross([0, 0, 1.0], atoms.positions - atoms.positions.mean(axis=0))
    turning *= np.where(atoms.positions[:, 2:] > 0, 1.0, -1.0)
    gradient = -1.2 * turning
    method.tell(row, atoms.positions[None], np.zeros(1), gradient[None])
    there = method.propose(row)[0]
    moved = np.linalg.norm(there - atoms.positions, axis=1)
    assert moved.max() > 0.3

    def stretch(positions: np.ndarray) -> float:
        changed = atoms.copy()
        changed.positions = positions
        pairs = coordinates.distances
        return max(abs(changed.get_distance(i, j) - atoms.get_distance(i, j)) for i, j in pairs)

    straight = atoms.positions + turning * moved.max() / np.linalg.norm(turning, axis=1).max()
    assert stretch(there) < 0.5 * stretch(straight)


def test_forces_that_are_whole_motions_move_nothing_inside():
    atoms = molecule("CH3CH2OH")
    coordinates = internal_coordinates(atoms.numbers, atoms.positions, bonds(atoms))
    method, row = InternalBFGS(coordinates, atoms.numbers, 1), np.array([0])
    method.tell(row, atoms.positions[None], np.zeros(1), np.zeros((1, len(atoms), 3)))
    np.testing.assert_allclose(method.propose(row)[0], atoms.positions, atol=1e-12)
    assert method.gains(row)[0] == 0
