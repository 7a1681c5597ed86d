r"""How often is each minimum met at a temperature, and how fast does one turn into another, in the harmonic
approximation?

Every state, minimum or saddle, is a rigid rotor with independent oscillators:

.. math:: G = E + F_\mathrm{vib} - k_B T \ln\frac{2}{h} - \tfrac12 k_B T \ln (I_a I_b I_c)

Mirror images are counted in the factor 2/h, as are the permutations of equal atoms: a compound has :math:`2 N!/h`
copies of a state whose point group has order h (D. J. Wales, Energy Landscapes, 2003, section 1.2 and 3.4), of which
N! is the same for all. Modes slower than ``lowest_cm`` are counted as if they had this wavenumber, in minima and
saddles alike, so that what is no oscillator at all does not decide (R. F. Ribeiro, A. V. Marenich, C. J. Cramer and
D. G. Truhlar, J. Phys. Chem. B 115, 14556, 2011).
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from so3lab import units

LOWEST_CM = 100.0
"""cm⁻¹ to which slower modes are raised."""
_PLANCK_S = 4.135667696e-15  # eV s

States = Float[np.ndarray, " states"]
Temperatures = Float[np.ndarray, " temperatures"]


def vibrational_free_energies(
    wavenumbers_cm: Float[np.ndarray, "states modes"],
    temperatures_K: Temperatures,
    *,
    quantum: bool = True,
    lowest_cm: float = LOWEST_CM,
) -> Float[np.ndarray, "temperatures states"]:
    r"""Free energies of independent oscillators, eV.

    .. math:: \sum_i \tfrac12 h\nu_i + k_B T \ln(1 - e^{-h\nu_i/k_B T}), \qquad
        \text{classical: } \sum_i k_B T \ln(h\nu_i/k_B T)

    Args:
        wavenumbers_cm: cm⁻¹, of real modes: without the imaginary one of a saddle.
        temperatures_K: K.
        quantum: Whether oscillators have zero-point energy.
        lowest_cm: cm⁻¹ to which slower modes are raised.

    Raises:
        ValueError: If a wavenumber, with slow ones raised, or a temperature is not positive.
    """
    temperatures = _checked_temperatures(temperatures_K)
    wavenumbers = np.maximum(np.asarray(wavenumbers_cm, float), lowest_cm)
    if not (wavenumbers > 0).all():
        raise ValueError(
            f"wavenumbers must be positive (cm⁻¹), got {wavenumbers.min():.4g}; leave out the imaginary mode of a "
            "saddle, or raise lowest_cm above zero"
        )
    heat = units.kB * temperatures[:, None, None]
    quanta = units.photon_per_cm * wavenumbers[None]
    if quantum:
        return np.sum(0.5 * quanta + heat * np.log1p(-np.exp(-quanta / heat)), axis=2)
    return np.sum(heat * np.log(quanta / heat), axis=2)


def free_energies(
    energies: States,
    wavenumbers_cm: Float[np.ndarray, "states modes"],
    symmetry_orders: Int[np.ndarray, " states"],
    temperatures_K: Temperatures,
    *,
    moments: Float[np.ndarray, "states 3"] | None = None,
    quantum: bool = True,
    lowest_cm: float = LOWEST_CM,
) -> Float[np.ndarray, "temperatures states"]:
    """Free energies of states with all their copies, eV, but for a constant that all states share.

    Args:
        energies: eV.
        wavenumbers_cm: cm⁻¹, without the imaginary modes of saddles.
        symmetry_orders: Orders of the point groups.
        temperatures_K: K.
        moments: Of inertia, amu Å²; None for states that do not turn, as clusters are counted in the literature.
        quantum, lowest_cm: As of :func:`vibrational_free_energies`.

    Raises:
        ValueError: If an argument is not acceptable.
    """
    found = np.asarray(energies, float)[None] + vibrational_free_energies(
        wavenumbers_cm, temperatures_K, quantum=quantum, lowest_cm=lowest_cm
    )
    orders = np.asarray(symmetry_orders, float)
    if not (orders >= 1).all():
        raise ValueError(f"symmetry_orders must be at least 1, got {orders.min():.4g}")
    weights = np.log(2.0 / orders)
    if moments is not None:
        turning = np.asarray(moments, float)
        weights = weights + 0.5 * np.sum(np.log(np.where(turning > 1e-3, turning, 1.0)), axis=1)
    heat = units.kB * _checked_temperatures(temperatures_K)
    return found - heat[:, None] * weights[None]


def populations(
    free: Float[np.ndarray, "temperatures minima"], temperatures_K: Temperatures
) -> Float[np.ndarray, "temperatures minima"]:
    """Shares of the minima in equilibrium, which sum to 1 at each temperature.

    Args:
        free: Free energies, eV.
        temperatures_K: K.
    """
    heat = units.kB * _checked_temperatures(temperatures_K)
    exponents = -np.asarray(free, float) / heat[:, None]
    return np.exp(exponents - logsumexp(exponents, axis=1, keepdims=True))


def rates(
    free_minima: Float[np.ndarray, "temperatures minima"],
    free_saddles: Float[np.ndarray, "temperatures saddles"],
    joined: Int[np.ndarray, "saddles 2"],
    temperatures_K: Temperatures,
) -> Float[np.ndarray, "temperatures saddles 2"]:
    r"""Rates over each saddle by harmonic transition-state theory, 1/s: from its first minimum, and from its second.

    .. math:: k = \frac{k_B T}{h}\, e^{-(G^\ddagger - G)/k_B T}

    Of free energies with quantum oscillators this holds zero-point energies, but no tunnelling; of classical ones it is
    Vineyard's product of frequencies. Copies of saddles and minima are counted, so that the rate is that of all ways
    out of a minimum over saddles of this kind. Between copies of one minimum there are twice as many ways, one for each
    side of the saddle: the sum of both columns is then the rate.

    Args:
        free_minima: eV, as of :func:`free_energies`.
        free_saddles: eV, without their imaginary modes.
        joined: Rows of the two minima on the sides of each saddle.
        temperatures_K: K.

    Source: H. Eyring, J. Chem. Phys. 3, 107 (1935); G. H. Vineyard, J. Phys. Chem. Solids 3, 121 (1957).
    """
    temperatures = _checked_temperatures(temperatures_K)
    heat = units.kB * temperatures[:, None, None]
    climbs = np.asarray(free_saddles, float)[:, :, None] - np.asarray(free_minima, float)[:, np.asarray(joined, int)]
    return heat / _PLANCK_S * np.exp(-climbs / heat)


def _checked_temperatures(temperatures_K: Temperatures) -> Temperatures:
    temperatures = np.atleast_1d(np.asarray(temperatures_K, float))
    if not (np.isfinite(temperatures) & (temperatures > 0)).all():
        raise ValueError(f"temperatures_K must be positive and finite, got {temperatures.min():.4g}")
    return temperatures
