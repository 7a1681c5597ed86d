"""A minimum is new to a training set where it is farther from its frames than they are from each other."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from so3lab.datasets import Dataset
from so3lab.landscape import TrainingConformations
from so3lab.landscape.novelty import LEAST_REACH
from so3lab.minima.torsions import rotatable_dihedrals, turned
from so3lab.structures import from_smiles, molecular_graph


@pytest.fixture(scope="module")
def butane() -> Atoms:
    return from_smiles("CCCC", seed=1)


def at(atoms: Atoms, angle: float) -> Atoms:
    (torsion,) = rotatable_dihedrals(atoms)
    other = atoms.copy()
    turn = angle - atoms.get_dihedral(*torsion)
    other.positions = turned(atoms.positions, molecular_graph(atoms), torsion, turn)
    return other


@pytest.fixture(scope="module")
def trans_frames(butane) -> list[Atoms]:
    """Warm frames about trans, their atoms in another order."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(60):
        frame = at(butane, 180.0 + rng.normal(0.0, 12.0))
        frame.positions += rng.normal(0.0, 0.03, frame.positions.shape)
        frames.append(frame[np.argsort(frame.numbers, kind="stable")[::-1]])
    return frames


def test_what_was_seen_lies_within_and_what_was_not_beyond(butane, trans_frames):
    known = TrainingConformations(trans_frames, butane)
    found = known.novelty([at(butane, 180.0), at(butane, 176.0), at(butane, 62.0)])
    assert found.beyond.tolist() == [False, False, True]
    assert found.distances[2] == pytest.approx(180 - 62 - 35, abs=12)
    np.testing.assert_allclose(found.ratios, found.distances / known.reach)
    assert known.unit == "°"
    assert known.reach == LEAST_REACH["°"]  # sixty frames along one torsion lie closer than warm atoms move


def test_a_mirror_image_is_known_where_it_is_the_same_compound(butane, trans_frames):
    frames = [at(butane, angle) for angle in (55.0, 60.0, 65.0)]
    assert not TrainingConformations(frames, butane).novelty([at(butane, -60.0)]).beyond[0]
    acid = from_smiles("C[C@H](F)CO", seed=1)
    torsion = rotatable_dihedrals(acid)[0]
    other = acid.copy()
    other.positions = turned(acid.positions, molecular_graph(acid), torsion, 2 * acid.get_dihedral(*torsion))
    assert TrainingConformations([acid, acid], acid).novelty([other]).distances[0] > 5.0


def test_frames_of_other_compounds_do_not_count(butane, trans_frames):
    isobutane = from_smiles("CC(C)C", seed=1)
    frames = [isobutane, molecule("CH4"), bulk("Cu"), *trans_frames]
    known = TrainingConformations(frames, butane)
    assert known.frames.tolist() == list(range(3, 63))
    assert known.novelty([at(butane, 180.0)]).frames[0] >= 3
    with pytest.raises(ValueError, match="2 frames hold 0"):
        TrainingConformations([isobutane, molecule("CH4")], butane)


def test_frames_are_compared_with_those_of_other_trajectories(butane):
    """Frames of one trajectory are alike because they follow each other, which says nothing of what is covered."""
    frames = [at(butane, angle) for angle in (178.0, 179.0, 180.0, 62.0, 63.0, 64.0)]
    count = len(frames)
    data = Dataset(
        "butane", [one.numbers for one in frames], [one.positions for one in frames], np.zeros(count),
        [np.zeros((14, 3))] * count, labels={"trajectory": np.array([0, 0, 0, 1, 1, 1])},
    )  # fmt: skip
    apart = TrainingConformations(data, butane).own_distances
    assert apart.min() > 100.0
    assert TrainingConformations(frames, butane).own_distances.max() < 2.0


def test_a_frame_of_the_set_is_at_no_distance(butane, trans_frames):
    found = TrainingConformations(trans_frames, butane).novelty([trans_frames[7]])
    assert found.distances[0] == pytest.approx(0.0, abs=1e-6)
    assert found.frames[0] == 7
