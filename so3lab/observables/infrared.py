"""Which infrared light does a molecule absorb, from how its dipole moves?"""

import numpy as np
import pandas as pd
from ase import units as ase_units
from jaxtyping import Float

from so3lab import units
from so3lab.observables.checks import require_finite, spacing_fs
from so3lab.observables.power import power_spectrum

_KM_PER_MOL = 1e-13 * ase_units._Nav
"""One Å per molecule in km/mol."""


def infrared_spectrum(
    dipole: Float[np.ndarray, "frames 3"],
    time_fs: Float[np.ndarray, " frames"],
    temperature_K: float,
    *,
    correction: str = "harmonic",
    window: str = "hann",
    resolution_per_cm: float | None = None,
    zero_padding: int = 2,
    highest_per_cm: float = 4000.0,
) -> pd.DataFrame:
    r"""Molar absorption of a molecule from the autocorrelation of its dipole's time derivative.

    .. math:: A(\tilde\nu) = \frac{N_A}{4\pi\epsilon_0}\,\frac{\pi}{3 c^2 k_B T}\, S_{\dot\mu}(\tilde\nu)\, q(x),
        \qquad x = \frac{h c \tilde\nu}{k_B T}

    with :math:`S_{\dot\mu}` the power of the derivative per wavenumber, whose integral is its mean square. A band's
    area is then the intensity in km/mol that normal modes give. Classical nuclei are corrected by the factor

    - ``"harmonic"``: :math:`q = 1`, exact for harmonic vibrations and the classical shape;
    - ``"standard"``: :math:`q = 2 \tanh(x/2) / x`;
    - ``"schofield"``: :math:`q = 2 \sinh(x/2) / x`.

    Args:
        dipole: e Å; of a molecule without a cell. A charged one needs a fixed centre, such as that of mass.
        time_fs: Time of each frame, equally spaced.
        temperature_K: Temperature of the run.
        correction: What stands for the quantum mechanics of the nuclei.
        window: As in :func:`power_spectrum`.
        resolution_per_cm: As in :func:`power_spectrum`.
        zero_padding: As in :func:`power_spectrum`.
        highest_per_cm: As in :func:`power_spectrum`.

    Returns:
        Columns ``wavenumber_per_cm`` (cm⁻¹) and ``intensity_km_cm_per_mol`` (km/mol per cm⁻¹).

    Raises:
        ValueError: If the temperature is not positive, the correction is unknown, or for what :func:`power_spectrum`
            refuses.

    Source: R. Ramírez, T. López-Ciudad, P. Kumar P, D. Marx, J. Chem. Phys. 121, 3973 (2004), for the corrections;
    M. Thomas, M. Brehm, R. Fligg, P. Vöhringer, B. Kirchner, Phys. Chem. Chem. Phys. 15, 6608 (2013), for the units.
    """
    if not temperature_K > 0:
        raise ValueError(f"temperature_K must be positive, got {temperature_K}")
    moments = np.asarray(dipole, np.float64)
    interval = spacing_fs(time_fs, len(moments)) * units.fs
    require_finite("dipole", moments)
    rates = np.diff(moments, axis=0) / interval
    table = power_spectrum(
        rates,
        np.asarray(time_fs, np.float64)[:-1],
        window=window,
        resolution_per_cm=resolution_per_cm,
        zero_padding=zero_padding,
        highest_per_cm=highest_per_cm,
    )
    wavenumbers = table["wavenumber_per_cm"].to_numpy()
    half_phase = np.pi * wavenumbers * units.per_cm * interval
    exact = 1.0 / np.sinc(half_phase / np.pi) ** 2  # a difference of frames sees fast motion as slower
    prefactor = units.coulomb_constant * np.pi / (3.0 * units.speed_of_light**2 * units.kB * temperature_K)
    energies = wavenumbers * units.photon_per_cm / (units.kB * temperature_K)
    intensity = _KM_PER_MOL * prefactor * table["power"] * exact * _quantum(energies, correction)
    return pd.DataFrame({"wavenumber_per_cm": wavenumbers, "intensity_km_cm_per_mol": intensity})


def _quantum(x: np.ndarray, correction: str) -> np.ndarray:
    """Correction relative to the harmonic one, of photon energies in units of the thermal one."""
    safe = np.maximum(x, 1e-8)
    if correction == "harmonic":
        return np.ones_like(x)
    if correction == "standard":
        return 2.0 * np.tanh(safe / 2.0) / safe
    if correction == "schofield":
        return 2.0 * np.sinh(safe / 2.0) / safe
    raise ValueError(f"correction must be 'harmonic', 'standard' or 'schofield', got {correction!r}")
