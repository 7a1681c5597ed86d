"""How is the power of a time series spread over wavenumbers?"""

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import fft

from so3lab import units
from so3lab.observables.checks import require_finite, spacing_fs

_COSINES = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08), "boxcar": (1.0,)}
RESOLUTION_PER_CM = 10.0
"""In cm⁻¹, when no other is asked for and the series is long enough."""
_AT_ONCE = 4_000_000


def power_spectrum(
    series: Float[np.ndarray, "frames channels"],
    time_fs: Float[np.ndarray, " frames"],
    *,
    window: str = "hann",
    resolution_per_cm: float | None = None,
    zero_padding: int = 2,
    highest_per_cm: float = 4000.0,
) -> pd.DataFrame:
    r"""Power per wavenumber of a series, summed over its channels; the integral is its mean square.

    .. math::
        S(\tilde\nu) = 2 c\, \Delta t\, \frac{|\sum_k w_k x_k e^{-2 \pi i c \tilde\nu t_k}|^2}{\sum_k w_k^2},
        \qquad \int_0^{\tilde\nu_\mathrm{Nyquist}} S\, d\tilde\nu = \sum |x|^2 \text{ averaged over time}

    averaged over segments of length :math:`T = 1 / (c\, \Delta\tilde\nu)` that overlap by half: long segments resolve
    close peaks, many short ones give a smooth curve. A sharp vibration becomes a peak as wide as the resolution times
    0.9 (no window, ``"boxcar"``), 1.4 (``"hann"``) or 1.6 (``"blackman"``) at half its height.

    Args:
        series: Any unit; the mean is left in, at wavenumber zero.
        time_fs: Time of each frame, equally spaced.
        window: What segments are multiplied with, so that a peak does not leak far: ``"hann"``, ``"hamming"``,
            ``"blackman"`` or ``"boxcar"`` (none).
        resolution_per_cm: Resolution in cm⁻¹; 1 cm⁻¹ takes segments of 33.4 ps. None for 10 cm⁻¹, or what the whole
            series as one segment gives when it is shorter than the 3.3 ps that this takes.
        zero_padding: How many times longer segments are made with zeros, which draws curves more finely but resolves
            nothing more; 1 for none.
        highest_per_cm: Upper end of the table. Anything faster than half the sampling rate would appear at a wrong
            place, hence frames must be close enough for the fastest vibration: name it here.

    Returns:
        Columns ``wavenumber_per_cm`` (cm⁻¹) and ``power`` (unit of the series squared, per cm⁻¹).

    Raises:
        ValueError: If frames are not equally spaced or too far apart for ``highest_per_cm``, the resolution takes
            fewer than 4 frames or more than the series has, a number is not finite, or an option is unknown.

    Source: P. D. Welch, IEEE Trans. Audio Electroacoust. 15, 70 (1967).
    """
    values = np.asarray(series, np.float64)
    spacing = spacing_fs(time_fs, len(values))
    require_finite("series", values)
    _check_nyquist(spacing, highest_per_cm)
    frames = _segment(len(values), spacing, resolution_per_cm)
    if zero_padding < 1:
        raise ValueError(f"zero_padding must be 1 (none) or more, got {zero_padding}")
    weights = _window(window, frames)
    size = fft.next_fast_len(zero_padding * frames, real=True)
    starts = range(0, len(values) - frames + 1, max(1, frames // 2))
    power = np.zeros(size // 2 + 1)
    for start in starts:
        segment = values[start : start + frames]
        for block in np.array_split(segment, max(1, segment.size // _AT_ONCE), axis=1):
            power += np.sum(np.abs(fft.rfft(weights[:, None] * block, size, axis=0)) ** 2, axis=1)
    step = 1.0 / (size * spacing * units.fs * units.per_cm)
    power *= 2.0 / (len(starts) * np.sum(weights**2) * size * step)
    power[0] /= 2.0  # zero and, for even sizes, the highest wavenumber stand for themselves only
    power[-1] /= 2.0 if size % 2 == 0 else 1.0
    wavenumbers = step * np.arange(len(power))
    kept = wavenumbers <= highest_per_cm
    return pd.DataFrame({"wavenumber_per_cm": wavenumbers[kept], "power": power[kept]})


def nyquist_per_cm(interval_fs: float) -> float:
    """The largest wavenumber in cm⁻¹ that frames at this interval can tell from slower ones."""
    return 0.5 / (interval_fs * units.fs * units.per_cm)


def _check_nyquist(spacing: float, highest_per_cm: float) -> None:
    if not highest_per_cm > 0:
        raise ValueError(f"highest_per_cm must be positive (cm⁻¹), got {highest_per_cm}")
    limit = nyquist_per_cm(spacing)
    if highest_per_cm > limit:
        needed = spacing * limit / highest_per_cm
        raise ValueError(
            f"time_fs must be spaced by less than {needed:.2f} fs for highest_per_cm={highest_per_cm:g}: frames "
            f"{spacing:g} fs apart reach {limit:.0f} cm⁻¹ (Nyquist), and faster vibrations would appear below it; "
            "save frames more often, or lower highest_per_cm if nothing vibrates faster"
        )


def _segment(frames: int, spacing: float, resolution_per_cm: float | None) -> int:
    """Frames of a segment."""
    if resolution_per_cm is not None and not resolution_per_cm > 0:
        raise ValueError(f"resolution_per_cm must be positive (cm⁻¹), got {resolution_per_cm}")
    per_frame = 2.0 * nyquist_per_cm(spacing)
    wanted = round(per_frame / (RESOLUTION_PER_CM if resolution_per_cm is None else resolution_per_cm))
    if resolution_per_cm is None:
        wanted = min(wanted, frames)
    if not 4 <= wanted <= frames:
        raise ValueError(
            f"resolution_per_cm must lie between {per_frame / frames:.3g} and {per_frame / 4:.3g} cm⁻¹ for {frames} "
            f"frames {spacing:g} fs apart, got {resolution_per_cm}, which takes {wanted} frames"
        )
    return wanted


def _window(name: str, frames: int) -> np.ndarray:
    """Periodic sum of cosines."""
    if name not in _COSINES:
        raise ValueError(f"window must be one of {', '.join(_COSINES)}, got {name!r}")
    angle = 2.0 * np.pi * np.arange(frames) / frames
    return sum(
        ((-1) ** order * part * np.cos(order * angle) for order, part in enumerate(_COSINES[name])),
        start=np.zeros(frames),
    )
