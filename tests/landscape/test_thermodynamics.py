"""Free energies of oscillators, populations and rates obey what is known of them."""

import numpy as np
import pytest

from so3lab import units
from so3lab.landscape import free_energies, populations, rates
from so3lab.landscape.thermodynamics import vibrational_free_energies

TEMPERATURES = np.array([50.0, 300.0, 2000.0])
MODES = np.array([[120.0, 900.0], [300.0, 3000.0]])


def test_quantum_oscillators_become_classical_when_hot_and_rest_at_their_zero_point_when_cold():
    hot, cold = np.array([1e5]), np.array([1.0])
    classical = vibrational_free_energies(MODES, hot, quantum=False)
    np.testing.assert_allclose(vibrational_free_energies(MODES, hot), classical, rtol=1e-4)
    zero_point = 0.5 * units.photon_per_cm * MODES.sum(axis=1)
    np.testing.assert_allclose(vibrational_free_energies(MODES, cold)[0], zero_point, rtol=1e-9)


def test_free_energies_are_those_of_the_oscillators_sum_over_states():
    quanta = units.photon_per_cm * MODES[0]
    heat = units.kB * 2000.0
    levels = np.arange(400) + 0.5
    sums = [np.exp(-levels * quantum / heat).sum() for quantum in quanta]
    expected = -heat * np.log(np.prod(sums))
    assert vibrational_free_energies(MODES[:1], np.array([2000.0]))[0, 0] == pytest.approx(expected, rel=1e-6)


def test_slow_modes_count_as_the_slowest_that_is_allowed():
    slow = vibrational_free_energies(np.array([[1.0], [40.0], [-3.0]]), TEMPERATURES, lowest_cm=50.0)
    same = vibrational_free_energies(np.array([[50.0]]), TEMPERATURES, lowest_cm=0.0)
    np.testing.assert_allclose(slow, np.broadcast_to(same, slow.shape))
    with pytest.raises(ValueError, match="leave out the imaginary mode"):
        vibrational_free_energies(np.array([[-3.0]]), TEMPERATURES, lowest_cm=0.0)


def test_a_state_of_two_hands_is_met_twice_as_often_and_one_of_high_symmetry_rarely():
    """trans-butane has the order 4, gauche the order 2: of equal energies, gauche is met twice as often."""
    modes = np.broadcast_to(MODES[0], (2, 2))
    free = free_energies(np.zeros(2), modes, np.array([4, 2]), TEMPERATURES)
    np.testing.assert_allclose(populations(free, TEMPERATURES), [[1 / 3, 2 / 3]] * 3)


def test_a_state_that_turns_more_easily_is_met_as_its_moments_say():
    modes = np.broadcast_to(MODES[0], (2, 2))
    moments = np.array([[1.0, 2.0, 3.0], [4.0, 2.0, 3.0]])
    free = free_energies(np.zeros(2), modes, np.ones(2, int), TEMPERATURES, moments=moments)
    shares = populations(free, TEMPERATURES)
    np.testing.assert_allclose(shares[:, 1] / shares[:, 0], 2.0)


def test_populations_stand_however_low_the_energies():
    shares = populations(np.array([[-1e5, -1e5 + 1e-3]]), np.array([10.0]))
    assert shares.sum() == pytest.approx(1.0)
    assert shares[0, 0] / shares[0, 1] == pytest.approx(np.exp(1e-3 / (units.kB * 10.0)))


def test_rates_of_classical_states_are_vineyards_product():
    """One oscillator of the minimum becomes the way over the saddle: its frequency times Boltzmann's factor."""
    temperature, height = np.array([400.0]), 0.3
    minimum = free_energies(np.zeros(1), MODES[:1], np.array([1]), temperature, quantum=False, lowest_cm=0.0)
    saddle = free_energies(
        np.array([height]), MODES[:1, 1:], np.array([1]), temperature, quantum=False, lowest_cm=0.0
    )  # fmt: skip
    found = rates(minimum, saddle, np.array([[0, 0]]), temperature)
    frequency = 100 * 299792458.0 * MODES[0, 0]
    assert found[0, 0, 0] == pytest.approx(frequency * np.exp(-height / (units.kB * 400.0)), rel=1e-6)


def test_detailed_balance_holds():
    minima = free_energies(np.array([0.0, 0.1]), MODES, np.array([1, 3]), TEMPERATURES)
    saddle = free_energies(np.array([0.4]), MODES[:1, 1:], np.array([2]), TEMPERATURES)
    found, shares = rates(minima, saddle, np.array([[0, 1]]), TEMPERATURES), populations(minima, TEMPERATURES)
    np.testing.assert_allclose(shares[:, 0] * found[:, 0, 0], shares[:, 1] * found[:, 0, 1])


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="temperatures_K must be positive and finite, got 0"):
        populations(np.zeros((1, 2)), np.array([0.0]))
    with pytest.raises(ValueError, match="symmetry_orders must be at least 1"):
        free_energies(np.zeros(1), MODES[:1], np.array([0]), TEMPERATURES)
