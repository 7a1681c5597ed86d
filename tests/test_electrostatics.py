"""What truncated electrostatics does to forces: the table agrees with the potentials it speaks of, and with theory."""

import numpy as np
import pytest
import so3lr_reference
from ase import Atoms
from ase.build import molecule

from so3lab.electrostatics import truncation_errors
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential
from so3lab.pretrained import load_so3lr

pytestmark = pytest.mark.study

CHARGED = ModelSettings(
    num_features=8, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=4.0, num_radial=8, energy_hidden=8,
    mean_neighbors=6.0, electrostatics="exact", dispersion=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def charged() -> Potential:
    """A small random potential with charges."""
    return Potential.initial(CHARGED, seed=1, dtype="float64")


def water_cell() -> Atoms:
    atoms = molecule("H2O")
    atoms.set_cell([5.0, 5.5, 6.0])
    atoms.set_pbc(True)
    return atoms


@pytest.mark.parametrize("make", [lambda: molecule("C3H8"), water_cell], ids=["molecule", "cell"])
def test_errors_are_those_between_the_potentials_of_the_modes(charged, make):
    atoms = make()
    table = truncation_errors(charged, atoms, [3.5])
    assert table[["mode", "cutoff_A"]].apply(tuple, axis=1).tolist() == [("wolf", 3.5), ("compat", 3.5)]
    for row in table.itertuples():
        truncated, exact = (
            charged.with_electrostatics(mode, row.cutoff_A)(atoms).forces for mode in (row.mode, "exact")
        )
        difference = truncated - exact
        assert row.largest_force_error_eV_A == pytest.approx(np.linalg.norm(difference, axis=1).max())
        assert row.force_rms_error_eV_A == pytest.approx(np.sqrt(np.mean(difference**2)))


def test_a_missing_self_term_falls_with_the_inverse_of_the_cutoff_and_wolf_has_none(charged):
    """Neutral and much smaller than the cutoff: all that is left is the self term k V(r_c) q dq/dx."""
    table = truncation_errors(charged, molecule("H2O"), [20.0, 40.0, 80.0]).set_index("mode")
    error = table["largest_force_error_eV_A"]
    assert error["wolf"].max() < 1e-10
    np.testing.assert_allclose(error["compat"].to_numpy()[:-1] / error["compat"].to_numpy()[1:], 2.0)


def test_truncation_as_published_is_wrong_by_half_an_electronvolt_per_angstrom_for_water(shared):
    table = truncation_errors(load_so3lr(so3lr_reference.FOLDER), molecule("H2O"), [12.0]).set_index("mode")
    assert table.loc["compat", "largest_force_error_eV_A"] == pytest.approx(0.5515, abs=1e-3)
    assert table.loc["wolf", "largest_force_error_eV_A"] < 1e-5


def test_what_has_no_truncation_is_refused(charged):
    with pytest.raises(ValueError, match="at least one radius"):
        truncation_errors(charged, molecule("H2O"), [])
    with pytest.raises(ValueError, match=r"long_range_cutoff .* got -1"):
        truncation_errors(charged, molecule("H2O"), [-1])
    neutral = Potential.initial(ModelSettings(num_features=8, num_layers=1, num_heads=2, degrees=(1, 2)))
    with pytest.raises(ValueError, match="for a model with electrostatics"):
        truncation_errors(neutral, molecule("H2O"), [12.0])
