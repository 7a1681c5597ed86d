"""What molecules are coloured by adds up to what the model says of the whole."""

import numpy as np
import pytest

from so3lab import atom_properties
from so3lab.attention import attention_table


def test_atomic_energies_are_those_above_the_elements_constants(potential64, ethanol):
    energies = atom_properties.per_atom_functions(potential64)["atomic energy"](ethanol)
    constant = sum(potential64.energy_shifts.get(number, 0.0) for number in ethanol.numbers)
    assert energies.sum() == pytest.approx(potential64(ethanol).energy - constant, abs=1e-9)


def test_attention_is_the_sum_of_the_table(potential64, ethanol):
    table = attention_table(potential64, ethanol)
    expected = table.assign(size=table["weight"].abs()).groupby("sender")["size"].sum()
    np.testing.assert_allclose(
        atom_properties.per_atom_functions(potential64)["attention"](ethanol), expected, rtol=1e-12
    )


def test_only_models_with_charges_colour_by_charge(potential64):
    assert "charge" not in atom_properties.per_atom_functions(potential64)
