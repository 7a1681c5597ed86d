"""Hydrogen bonds are found where chemists draw them, across cell faces too."""

import itertools

import ase
import numpy as np
import pandas as pd
import pytest
from ase.build import molecule
from ase.data.s22 import create_s22_system

from so3lab import observables
from so3lab.structures import read_structure
from so3lab.structures.neighbors import Pairs, pair_list


def test_water_dimer_has_one_and_only_while_it_is_short_and_straight():
    dimer = create_s22_system("Water_dimer")
    frames = np.repeat(dimer.positions[None], 3, axis=0)
    frames[1, 3:] += [3.0, 0.0, 0.0]  # apart
    frames[2, :3] = frames[2, 0] - (frames[2, :3] - frames[2, 0])  # the donor turned round
    table = observables.hydrogen_bonds(frames, dimer)
    assert list(table) == ["frame", "donor", "hydrogen", "acceptor", "distance_A", "angle_deg"]
    (row,) = table.itertuples()
    assert row.frame == 0
    bonded = row.hydrogen
    assert dimer.get_distance(row.donor, bonded) < 1.0
    assert {row.donor, row.acceptor} == {0, 3}
    assert row.distance_A == pytest.approx(dimer.get_distance(bonded, row.acceptor))
    assert row.angle_deg == pytest.approx(dimer.get_angle(row.donor, bonded, row.acceptor))


def test_dimer_across_the_faces_of_a_cell_is_the_same_dimer():
    dimer = create_s22_system("Water_dimer")
    free = observables.hydrogen_bonds(dimer.positions[None], dimer)
    cell = np.array([[8.0, 0, 0], [3.0, 8.0, 0], [0, -2.0, 9.0]])
    inside = ase.Atoms(dimer.numbers, dimer.positions, cell=cell, pbc=True)
    random = np.random.default_rng(0)
    frames = np.stack([inside.positions + random.uniform(-5, 5, 3) for _ in range(6)])
    wrapped = np.stack([ase.Atoms(inside, positions=frame).get_positions(wrap=True) for frame in frames])
    table = observables.hydrogen_bonds(wrapped, inside)
    assert table["frame"].tolist() == list(range(6))
    np.testing.assert_allclose(table["distance_A"], free["distance_A"].item(), atol=1e-9)
    np.testing.assert_allclose(table["angle_deg"], free["angle_deg"].item(), atol=1e-6)
    larger = np.repeat(1.5 * cell[None], 6, axis=0)
    assert len(observables.hydrogen_bonds(wrapped, inside, cells=larger)) < 6  # torn apart by a wrong cell


def test_bonds_of_crowded_water_are_those_of_a_search_through_all_images():
    water, random = molecule("H2O"), np.random.default_rng(1)
    cell = np.array([[7.0, 0, 0], [1.5, 7.0, 0], [0, 1.0, 7.5]])
    atoms = ase.Atoms(cell=cell, pbc=True)
    for shift in itertools.product((0.2, 3.6), repeat=3):
        copy = water.copy()
        copy.rotate(random.uniform(0, 360), random.normal(size=3), center=(0, 0, 0))
        copy.translate(shift)
        atoms += copy
    table = observables.hydrogen_bonds(atoms.positions[None], atoms, longest=3.2, smallest_angle_deg=100)
    expected = set()
    images = np.array(list(itertools.product(range(-2, 3), repeat=3))) @ cell
    for donor, acceptor in itertools.product(range(0, 24, 3), repeat=2):
        for hydrogen, image in itertools.product((donor + 1, donor + 2), images):
            to_acceptor = atoms.positions[acceptor] + image - atoms.positions[hydrogen]
            to_donor = atoms.positions[donor] - atoms.positions[hydrogen]
            length = np.linalg.norm(to_acceptor)
            cosine = to_acceptor @ to_donor / length / np.linalg.norm(to_donor)
            angle = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
            if length < 3.2 and angle >= 100:
                expected.add((donor, hydrogen, acceptor, round(length, 6), round(angle, 5)))
    found = {
        (r.donor, r.hydrogen, r.acceptor, round(r.distance_A, 6), round(r.angle_deg, 5)) for r in table.itertuples()
    }
    assert len(expected) > 5
    assert found == expected


def test_a_pair_may_be_listed_in_either_direction(monkeypatch):
    dimer = create_s22_system("Water_dimer")
    usual = observables.hydrogen_bonds(dimer.positions[None], dimer)

    def reversed_pairs(*arguments):
        pairs = pair_list(*arguments)
        return Pairs(pairs.senders, pairs.receivers, -pairs.images)

    monkeypatch.setattr("so3lab.observables.hydrogen_bonding.pair_list", reversed_pairs)
    pd.testing.assert_frame_equal(observables.hydrogen_bonds(dimer.positions[None], dimer), usual)


def test_ring_of_alanine_dipeptide_is_closed_by_a_hydrogen_bond():
    atoms = read_structure("ala2")
    frames = np.stack([atoms.positions, 1.5 * atoms.positions, atoms.positions, atoms.positions])
    table = observables.hydrogen_bonds(frames, atoms)
    occupancy = observables.hydrogen_bond_occupancy(table, atoms, 4)
    assert occupancy["bond"].tolist() == ["N8-H18···O2"]
    assert occupancy["occupancy"].tolist() == [0.75]
    counts = observables.hydrogen_bond_counts(table, 10.0 * np.arange(4))
    assert counts["hydrogen_bonds"].tolist() == [1, 0, 1, 1]
    with pytest.raises(ValueError, match="must come from the given 2 frames, it names frame 3"):
        observables.hydrogen_bond_counts(table, np.arange(2.0))


def test_no_polar_hydrogens_no_bonds():
    methane = molecule("CH4")
    table = observables.hydrogen_bonds(methane.positions[None], methane)
    assert table.empty
    assert observables.hydrogen_bond_occupancy(table, methane, 1).empty
    assert observables.hydrogen_bond_counts(table, np.zeros(1))["hydrogen_bonds"].tolist() == [0]


def test_hydrogen_bonds_refuse_senseless_criteria():
    water = molecule("H2O")
    with pytest.raises(ValueError, match=r"longest must be positive \(Å\), got 0"):
        observables.hydrogen_bonds(water.positions[None], water, longest=0)
    with pytest.raises(ValueError, match="between 0 and 180, got 200"):
        observables.hydrogen_bonds(water.positions[None], water, smallest_angle_deg=200)
