"""Labels say units, and every element and every curve has a colour that can be told apart."""

import pytest
from so3lab_widgets import theme

from so3lab.dynamics.chunk import Chunk


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("temperature", "temperature (K)"),
        ("temperature_K", "temperature (K)"),
        ("distance C0–C1_A", "distance C0–C1 (Å)"),
        ("free_energy_kcal_mol", "free energy (kcal/mol)"),
        ("force_error_kcal_mol_A", "force error (kcal/mol/Å)"),
        ("step", "step"),
    ],
)
def test_a_label_has_the_unit_of_its_column(column, words):
    assert theme.label(column) == words


def test_every_energy_and_temperature_of_a_run_has_a_unit():
    columns = [name for name in Chunk._fields if name.endswith(("energy", "temperature", "pressure", "volume"))]
    assert len(columns) >= 7
    assert all(theme.label(column).endswith(")") for column in columns)


def test_colours_begin_again_after_the_last_and_elements_keep_theirs():
    count = len(theme.PALETTE)
    assert theme.cycle(2 * count + 1) == [*theme.PALETTE, *theme.PALETTE, theme.PALETTE[0]]
    assert len(set(theme.PALETTE)) == count
    assert theme.element_colour("Xe") == theme.element_colour("Xe")
    assert len({theme.element_colour(symbol) for symbol in "HCNO"}) == 4
