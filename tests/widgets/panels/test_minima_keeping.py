"""Structures that are relaxed in the minima panel are kept among its minima, and gathered anew by another rule."""

from pathlib import Path

import pytest
from waiting import wait_for

from so3lab.minima import DuplicateRule
from so3lab.structures import from_smiles


@pytest.fixture
def panel(minima_panel):
    return minima_panel


def test_another_rule_gathers_them_anew(panel):
    energies = sorted(one.energy for one in panel.minima)
    wide = 1000 * (energies[-1] - energies[0]) + 1
    panel.comparison.energy.value, panel.comparison.rmsd.value = wide, 5.0
    panel.comparison.apply_button.click()
    wait_for(lambda: "4 minima before, 1 by this rule" in panel.message.sentence)
    assert [one.number for one in panel.minima] == [0]
    panel.apply(DuplicateRule())
    assert len(panel.minima) == 4, "what the search has found is not forgotten"
    panel.comparison.rmsd.value = -1.0
    panel.comparison.apply_button.click()
    assert "positive difference of RMSD, got -1" in panel.message.sentence


def test_a_frame_is_relaxed_and_kept_among_the_minima(panel):
    lowest = panel.current
    frame = panel.minima[lowest].atoms.copy()
    frame.rattle(0.02, seed=1)
    panel.look_at((lowest + 1) % 4)
    panel.relax(frame)
    assert len(panel.minima) == 4, "it is one of them"
    assert panel.minima[panel.current].energy == pytest.approx(min(one.energy for one in panel.minima))
    assert "It relaxed to minimum 0, 0.00 kcal/mol above the lowest" in panel.message.sentence


def rattled(minimum, seed=1):
    atoms = minimum.atoms.copy()
    atoms.rattle(0.02, seed=seed)
    return atoms


def test_what_is_relaxed_stays_with_what_is_shown_whatever_the_field_says(panel):
    panel.form.file.value = "typed.db"
    panel.relax(rattled(panel.minima[1]))
    assert len(panel.minima) == 4
    assert "kept in memory" in panel.message.sentence
    assert not Path("typed.db").exists()


def test_under_a_wide_rule_the_minimum_that_it_joined_is_named(panel):
    high = panel.minima[-1]
    panel.apply(DuplicateRule(1e-4, 2.0, "merged"))
    count = len(panel.minima)
    panel.relax(rattled(high))
    assert len(panel.minima) == count
    assert panel.minima[panel.current].energy == pytest.approx(high.energy, abs=1e-4)
    panel.apply(DuplicateRule())
    assert len(panel.minima) == 4, "what was relaxed is kept, and is one of them"


def test_another_compound_is_not_kept_among_the_minima(panel):
    with pytest.raises(ValueError, match=r"this is C2H6O, and the minima that are shown are of C5H12"):
        panel.relax(from_smiles("CCO"))
    assert len(panel.minima) == 4
