"""Sampled frames keep their bonds, and distorted ones are as far from them as asked for."""

import numpy as np
import pytest

from so3lab.labels import sampling


def test_autocorrelation_of_a_known_process():
    rng = np.random.default_rng(0)
    series = np.zeros((4, 5000))
    for t in range(1, 5000):
        series[:, t] = 0.6 * series[:, t - 1] + rng.normal(size=4)
    trajectory = np.repeat(np.arange(4), 5000)
    offsets = np.repeat([0.0, 50.0, -20.0, 7.0], 5000)  # a constant in each trajectory is no correlation
    assert sampling.energy_autocorrelation(series.ravel() + offsets, trajectory) == pytest.approx(0.6, abs=0.03)


def test_representable_positions_survive_float32():
    positions = np.random.default_rng(0).normal(scale=5.0, size=(40, 3))
    rounded = sampling.representable(positions)
    assert (rounded.astype(np.float32) == rounded).all()
    assert np.abs(rounded - (positions - positions.mean(axis=0))).max() <= 2.0**-17


@pytest.fixture(scope="module")
def ethanol():
    return sampling.molecule("CCO")


def test_conformers_have_the_dihedral_asked_for(ethanol):
    for angle in (180.0, 60.0, -60.0, 0.0):
        atoms = sampling.conformer(ethanol, 1, [((0, 1, 2, 8), angle)])
        assert np.cos(np.radians(atoms.get_dihedral(0, 1, 2, 8) - angle)) > 0.999
        assert sampling.intact(ethanol, atoms.positions)


def test_broken_and_new_bonds_are_noticed(ethanol):
    positions = sampling.conformer(ethanol, 1).positions
    broken, formed = positions.copy(), positions.copy()
    broken[8] += 0.6 * (positions[8] - positions[2])
    formed[8] = positions[1] + 0.5 * (positions[8] - positions[1])
    assert not sampling.intact(ethanol, broken)
    assert not sampling.intact(ethanol, formed)


def test_distorted_frames_compress_and_stretch_bonds_by_at_most_a_fifth(ethanol):
    frame = sampling.conformer(ethanol, 1).positions
    frames = np.repeat(frame[None], 60, axis=0)
    made = sampling.distorted(ethanol, frames, sampling.Distortions(share=1.0), seed=0)[::2]
    i, j = ethanol.bonds.T
    scale = np.linalg.norm(made[:, i] - made[:, j], axis=2) / np.linalg.norm(frame[i] - frame[j], axis=1)
    assert (abs(scale - 1) > 1e-3).sum(axis=1).max() == 1  # one bond, the others keep their length
    assert 0.8 - 1e-3 < scale.min() < 0.9
    assert 1.1 < scale.max() < 1.2 + 1e-3
