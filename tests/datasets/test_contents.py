"""What is in a set: tables of frames, distributions that count every value, and frames that stand out."""

from dataclasses import replace

import numpy as np
import pytest
from labelled_springs import as_dataset, springs

from so3lab import datasets


@pytest.fixture(scope="module")
def data():
    return as_dataset(**springs(frames=60))


def test_a_row_per_frame_says_what_the_frame_says(data):
    table = datasets.frame_table(data)
    assert set(table["molecule"]) == {"C2H6O"}
    np.testing.assert_allclose(np.diff(table["relative_energy"]), np.diff(data.energies), atol=1e-9)
    assert abs(table["relative_energy"].mean()) < 1e-6
    for frame in (0, 31):
        lengths = np.linalg.norm(data.forces[frame], axis=1)
        row = table.iloc[frame]
        assert row["largest_force"] == pytest.approx(lengths.max())
        assert row["atom"] == lengths.argmax()
        assert row["force_rms"] == pytest.approx(np.sqrt(np.mean(data.forces[frame] ** 2)))


def test_distributions_count_every_value_once(data):
    table = datasets.frame_table(data)
    assert datasets.energy_distribution(table)["frames"].sum() == len(data)
    forces = datasets.force_distribution(data).groupby("element")["components"].sum()
    assert forces.to_dict() == {"C": 2 * 3 * 60, "H": 6 * 3 * 60, "O": 3 * 60}


def test_frames_of_a_bar_are_those_that_it_counts(data):
    table = datasets.frame_table(data)
    for _, bar in datasets.energy_distribution(table, 7).iterrows():
        found = datasets.frames_with_energy(table, bar["low"], bar["high"])
        assert len(found) == bar["frames"]
    bars = datasets.force_distribution(data)
    widest = bars[bars["element"] == "O"].query("components > 0").iloc[-1]
    found = datasets.frames_with_force(data, "O", widest["low"], widest["high"])
    oxygen = np.stack(data.forces)[:, data.numbers[0] == 8].max(axis=(1, 2))
    assert oxygen.argmax() in found
    with pytest.raises(ValueError, match="element must be one of H, C, O, got 'N'"):
        datasets.frames_with_force(data, "N", 0.0, 1.0)


def test_a_frame_that_was_made_to_stand_out_is_the_first_outlier(data):
    energies, forces = data.energies.copy(), [np.array(f) for f in data.forces]
    energies[7] += 40.0
    forces[11][3] += 90.0
    found = datasets.outliers(replace(data, energies=energies, forces=tuple(forces)))
    assert set(found["frame"]) == {7, 11}
    force = found[found["quantity"] == "force"].iloc[0]
    assert (force["frame"], force["atom"]) == (11, 3)
    assert "on H3" in force["sentence"]
    assert len(datasets.outliers(data)) == 0
    with pytest.raises(ValueError, match="spreads must be positive, got 0"):
        datasets.outliers(data, spreads=0)


def test_few_frames_have_no_outliers(data):
    few = data.select(slice(0, 5))
    assert len(datasets.outliers(few)) == 0
    one = data.select([3])
    assert datasets.energy_distribution(datasets.frame_table(one))["frames"].sum() == 1


def test_two_sets_become_one():
    water, ethanol = as_dataset(**springs("H2O", 3)), as_dataset(**springs(frames=4))
    cell = replace(water, cells=np.tile(9.0 * np.eye(3), (3, 1, 1)), pbc=np.ones((3, 3), bool))
    for first, second in ((water, ethanol), (cell, ethanol), (ethanol, cell)):
        whole = datasets.joined(first, second)
        assert len(whole) == 7
        for number, frame in enumerate([*first, *second]):
            assert whole[number].get_potential_energy() == frame.get_potential_energy()
            np.testing.assert_array_equal(whole[number].positions, frame.positions)
            np.testing.assert_array_equal(whole[number].pbc, frame.pbc)
    assert whole.remarks is None
    water.keep_remarks(("one",))
    ethanol.keep_remarks(("one", "two"))
    assert datasets.joined(water, ethanol).remarks == ("one", "two")
