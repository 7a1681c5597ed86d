"""What follows when an atom moves: exact derivatives are what small displacements show."""

import numpy as np
import pandas as pd
import pytest

from so3lab.attention import Channel, displacement_table, rank_correlation, response_table, with_attention
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential

WITH_CHARGES = ModelSettings(
    num_features=8, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=2.0, num_radial=6, energy_hidden=4,
    mean_neighbors=4.0, electrostatics="exact",
)  # fmt: skip


@pytest.fixture(scope="module")
def charged():
    return Potential.initial(WITH_CHARGES, seed=1, dtype="float64")


@pytest.fixture(scope="module")
def responses(charged, structure):
    return response_table(charged, structure, [2])


def test_responses_are_what_small_displacements_show(charged, structure, responses):
    step = 1e-4
    moved = displacement_table(charged, structure, 2, step)
    assert list(moved["receiver"]) == list(responses["receiver"]) == [0, 1, 3, 4, 5, 6, 7, 8]
    np.testing.assert_allclose(responses["distance"], structure.get_distances(2, responses["receiver"]))
    for change, response in (
        ("force_change", "force_response"),
        ("charge_change", "charge_response"),
        ("energy_change", "energy_response"),
    ):
        expected = step / np.sqrt(3) * responses[response]
        np.testing.assert_allclose(moved[change], expected, rtol=2e-3, atol=1e-8)


def test_charges_feel_no_atom_beyond_the_reach_but_forces_do(charged, structure, responses):
    """One layer: a charge knows neighbours; that all charges sum to the total one tells each of all others."""
    far = responses[responses["distance"] > 2.0]
    near = responses[responses["distance"] < 2.0]
    assert len(far)
    assert len(near)
    assert far["charge_response"].std() < 1e-12, "the same share for all"
    assert near["charge_response"].max() > 2 * far["charge_response"].max()
    assert (far["force_response"] > 1e-6).all(), "charges act at any distance"


def test_attention_stands_beside_responses(inside, responses):
    both = with_attention(responses, inside, Channel(1, "features", 1))
    assert both["attention"].abs().max() > 0
    assert -1 <= rank_correlation(both) <= 1
    ordered = pd.DataFrame({"attention": [1.0, -2.0, 3.0, 0.0], "force_response": [0.1, 0.2, 0.3, 9.0]})
    assert rank_correlation(ordered) == pytest.approx(1.0)
    assert np.isnan(rank_correlation(ordered.iloc[2:]))


def test_atoms_that_do_not_exist_are_refused(charged, structure):
    with pytest.raises(ValueError, match="moved must be different atoms, 0 to 8, got"):
        response_table(charged, structure, [9])
    with pytest.raises(ValueError, match="distance must be positive"):
        displacement_table(charged, structure, 0, 0.0)
