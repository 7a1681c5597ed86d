"""At which wavenumbers does a trajectory vibrate?"""

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import fft

from so3lab.observables.checks import require_finite, spacing_fs
from so3lab.observables.power import power_spectrum

_AT_ONCE = 4_000_000


def velocity_autocorrelation(
    velocities: Float[np.ndarray, "frames atoms 3"],
    time_fs: Float[np.ndarray, " frames"],
    masses: Float[np.ndarray, " atoms"] | None = None,
    *,
    longest_fs: float | None = None,
) -> pd.DataFrame:
    r"""How velocities remember themselves after a lag, 1 at lag zero.

    .. math:: C(t) = \frac{\sum_a m_a \langle v_a(t_0) \cdot v_a(t_0 + t) \rangle_{t_0}}
        {\sum_a m_a \langle |v_a(t_0)|^2 \rangle_{t_0}}

    Args:
        velocities: Å per ASE time unit.
        time_fs: Time of each frame, equally spaced.
        masses: amu; None counts atoms alike.
        longest_fs: Longest lag; None for half of the run, since later ones rest on few starting times.

    Returns:
        Columns ``lag_fs`` and ``vacf`` (no unit).

    Raises:
        ValueError: If frames are not equally spaced, a velocity is not finite or all are zero, or the longest lag is
            not within the run.

    Source: Allen and Tildesley, Computer Simulation of Liquids, 2nd ed. (2017), sections 2.7 and 8.3 (by FFT).
    """
    spacing, frames = spacing_fs(time_fs, len(velocities)), len(velocities)
    longest = 0.5 * (frames - 1) * spacing if longest_fs is None else longest_fs
    if not 0 <= longest <= (frames - 1) * spacing * (1 + 1e-9):
        raise ValueError(f"longest_fs must lie between 0 and {(frames - 1) * spacing:g} fs, got {longest:g}")
    weighted = _weighted(velocities, masses)
    size = fft.next_fast_len(2 * frames, real=True)
    power = np.zeros(size // 2 + 1)
    for block in np.array_split(weighted, max(1, weighted.size // _AT_ONCE), axis=1):
        power += np.sum(np.abs(fft.rfft(block, size, axis=0)) ** 2, axis=1)
    sums = fft.irfft(power, size)[: int(longest / spacing * (1 + 1e-9)) + 1]
    lags = np.arange(len(sums))
    return pd.DataFrame({"lag_fs": spacing * lags, "vacf": sums / (frames - lags) / (sums[0] / frames)})


def vibrational_spectrum(
    velocities: Float[np.ndarray, "frames atoms 3"],
    time_fs: Float[np.ndarray, " frames"],
    masses: Float[np.ndarray, " atoms"],
    *,
    window: str = "hann",
    resolution_per_cm: float | None = None,
    zero_padding: int = 2,
    highest_per_cm: float = 4000.0,
) -> pd.DataFrame:
    r"""Vibrational density of states: how the kinetic energy is spread over wavenumbers.

    .. math:: I(\tilde\nu) \propto \sum_a m_a \left| \int v_a(t)\, e^{-2 \pi i c \tilde\nu t}\, dt \right|^2,
        \qquad \int I\, d\tilde\nu = 1

    which is the Fourier transform of the mass-weighted velocity autocorrelation. In equilibrium every degree of
    freedom holds the same share, so that a band's area times their number counts modes. Translation and diffusion
    stand at zero. Velocity Verlet with time step h moves a vibration of angular frequency ω to
    :math:`(2/h) \arcsin(\omega h/2)`: 3600 cm⁻¹ by +2.0 % at 1 fs and +0.5 % at 0.5 fs.

    Args:
        velocities: Å per ASE time unit; from constant energy or a gentle thermostat, since friction broadens peaks.
            Pass a part of the atoms, with their masses, for their part of the spectrum.
        time_fs: Time of each frame, equally spaced.
        masses: amu.
        window: As in :func:`power_spectrum`.
        resolution_per_cm: As in :func:`power_spectrum`.
        zero_padding: As in :func:`power_spectrum`.
        highest_per_cm: As in :func:`power_spectrum`.

    Returns:
        Columns ``wavenumber_per_cm`` (cm⁻¹) and ``intensity`` (per cm⁻¹; integral 1, but for what
        lies beyond ``highest_per_cm`` and for the ends of the run, which the window counts less).

    Raises:
        ValueError: If all velocities are zero, a mass is not positive, or for what :func:`power_spectrum` refuses.

    Source: P. H. Berens, D. H. J. Mackay, G. M. White, K. R. Wilson, J. Chem. Phys. 79, 2375 (1983).
    """
    weighted = _weighted(velocities, masses)
    table = power_spectrum(
        weighted,
        time_fs,
        window=window,
        resolution_per_cm=resolution_per_cm,
        zero_padding=zero_padding,
        highest_per_cm=highest_per_cm,
    )
    total = np.mean(np.sum(weighted**2, axis=1))
    return pd.DataFrame({"wavenumber_per_cm": table["wavenumber_per_cm"], "intensity": table["power"] / total})


def _weighted(velocities: np.ndarray, masses: np.ndarray | None) -> Float[np.ndarray, "frames channels"]:
    """Velocities times the roots of the masses, atoms and directions in one axis."""
    values = np.asarray(velocities, np.float64)
    require_finite("velocities", values)
    if not values.any():
        raise ValueError("velocities must not all be zero; was the trajectory saved without velocities?")
    if masses is not None:
        if not (np.asarray(masses) > 0).all():
            raise ValueError(f"masses must be positive (amu), got {np.min(masses)}")
        values = values * np.sqrt(np.asarray(masses, np.float64))[:, None]
    return values.reshape(len(values), -1)
