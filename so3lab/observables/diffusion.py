"""How far do atoms wander, and how fast do they diffuse?"""

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import fft

from so3lab.observables.checks import require_finite, spacing_fs
from so3lab.observables.periodic import Cell, unwrap

A2_PER_PS = 1e-4
"""One Å²/ps in cm²/s."""
_AT_ONCE = 4_000_000


def mean_squared_displacement(
    positions: Float[np.ndarray, "frames atoms 3"],
    time_fs: Float[np.ndarray, " frames"],
    *,
    cell: Cell = None,
    masses: Float[np.ndarray, " atoms"] | None = None,
) -> pd.DataFrame:
    r"""Mean squared displacement of the atoms after every lag, averaged over atoms and starting times.

    .. math:: \mathrm{MSD}(t) = \langle |r_a(t_0 + t) - r_a(t_0)|^2 \rangle_{a, t_0}

    The sum over starting times is an autocorrelation, done with fast Fourier transforms.

    Args:
        positions: Å; pass a part of the atoms, such as ``positions[:, oxygens]``, to follow one kind.
        time_fs: Time of each frame, equally spaced.
        cell: Lattice vectors as rows, Å, for all frames or one set per frame: positions are unwrapped first
            (:func:`unwrap`). None when they are contiguous already.
        masses: amu; the drift of the centre of mass of the given atoms is then taken out. None leaves it in.

    Returns:
        Columns ``lag_fs``, ``msd_A2`` (Å²) and ``origins`` (starting times that were averaged).

    Raises:
        ValueError: If frames are not equally spaced, a position is not finite, or unwrapping is ambiguous.

    Source: V. Calandrini, E. Pellegrini, P. Calligari, K. Hinsen, G. R. Kneller, Collection SFN 12, 201 (2011).
    """
    spacing = spacing_fs(time_fs, len(positions))
    places = _contiguous(positions, cell, masses)
    return pd.DataFrame(
        {
            "lag_fs": spacing * np.arange(len(places)),
            "msd_A2": _squared_displacement(places),
            "origins": len(places) - np.arange(len(places)),
        }
    )


def diffusion_coefficient(
    positions: Float[np.ndarray, "frames atoms 3"],
    time_fs: Float[np.ndarray, " frames"],
    *,
    cell: Cell = None,
    masses: Float[np.ndarray, " atoms"] | None = None,
    fit_fs: tuple[float, float] | None = None,
    blocks: int = 5,
) -> pd.DataFrame:
    r"""Diffusion coefficient from the slope of the mean squared displacement, with an error from blocks in time.

    .. math:: D = \frac{1}{6} \frac{d}{dt} \mathrm{MSD}(t)

    The straight line is fitted to the whole run; its error is the standard error of the slopes in the blocks. No
    correction for the size of the cell is made (Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004)).

    Args:
        positions: Å; pass a part of the atoms to follow one kind.
        time_fs: Time of each frame, equally spaced.
        cell: As in :func:`mean_squared_displacement`.
        masses: As in :func:`mean_squared_displacement`.
        fit_fs: Shortest and longest lag of the fit; None for 10 to 50 % of a block. It must begin where the motion is
            diffusive and no longer ballistic: look at the curve.
        blocks: Number of blocks, at least two.

    Returns:
        One row: ``diffusion_A2_per_ps`` and ``error_A2_per_ps``, the same as ``diffusion_cm2_per_s`` and
        ``error_cm2_per_s``, ``intercept_A2`` of the line, its ends ``from_fs`` and ``to_fs``, ``blocks``.

    Raises:
        ValueError: If the fit window does not fit into a block or holds fewer than two lags, there are fewer than two
            blocks, or for what :func:`mean_squared_displacement` refuses.

    Source: Allen and Tildesley, Computer Simulation of Liquids, 2nd ed. (2017), section 2.7 (Einstein relation).
    """
    spacing = spacing_fs(time_fs, len(positions))
    if blocks < 2:
        raise ValueError(f"blocks must be at least 2 for an error, got {blocks}")
    frames = len(positions) // blocks
    start, end = (0.1 * frames * spacing, 0.5 * frames * spacing) if fit_fs is None else fit_fs
    lags = spacing * np.arange(len(positions))
    window = (lags >= start - 1e-9 * spacing) & (lags <= end + 1e-9 * spacing)
    if window.sum() < 2 or start < 0 or end > (frames - 1) * spacing:
        raise ValueError(
            f"fit_fs must hold two lags or more, {spacing:g} fs apart, within a block of "
            f"{(frames - 1) * spacing:g} fs, got {start:g} to {end:g} fs; take fewer blocks or a longer run"
        )
    places = _contiguous(positions, cell, masses)
    slope, intercept = np.polyfit(0.001 * lags[window], _squared_displacement(places)[window], 1)
    slopes = [
        np.polyfit(0.001 * lags[window], _squared_displacement(block)[window[:frames]], 1)[0]
        for block in (places[k * frames : (k + 1) * frames] for k in range(blocks))
    ]
    diffusion, error = slope / 6.0, np.std(slopes, ddof=1) / np.sqrt(blocks) / 6.0
    return pd.DataFrame(
        {
            "diffusion_A2_per_ps": [diffusion],
            "error_A2_per_ps": [error],
            "diffusion_cm2_per_s": [A2_PER_PS * diffusion],
            "error_cm2_per_s": [A2_PER_PS * error],
            "intercept_A2": [intercept],
            "from_fs": [lags[window][0]],
            "to_fs": [lags[window][-1]],
            "blocks": [blocks],
        }
    )


def _contiguous(positions: np.ndarray, cell: Cell, masses: np.ndarray | None) -> np.ndarray:
    """Unwrapped positions, relative to the centre of mass when masses are given."""
    positions = np.asarray(positions, np.float64)
    require_finite("positions", positions)
    places = unwrap(positions, cell)
    if masses is None:
        return places
    share = np.asarray(masses, np.float64) / np.sum(masses)
    return places - np.einsum("a,fax->fx", share, places)[:, None]


def _squared_displacement(places: np.ndarray) -> np.ndarray:
    """Mean over atoms and origins for every lag: sums of squares less twice the autocorrelation."""
    frames, atoms = places.shape[:2]
    size = fft.next_fast_len(2 * frames, real=True)
    correlation = np.zeros(frames)
    squares = np.zeros(frames)
    for block in np.array_split(places, max(1, frames * atoms // _AT_ONCE), axis=1):
        centred = block - block.mean(axis=0)  # keeps the difference of large numbers exact
        power = np.abs(fft.rfft(centred, size, axis=0)) ** 2
        correlation += fft.irfft(power.sum(axis=(1, 2)), size)[:frames]
        squares += np.sum(centred**2, axis=(1, 2))
    heads = np.cumsum(squares)[::-1]  # lag m: sum over the first frames - m
    tails = np.cumsum(squares[::-1])[::-1]
    totals = heads + tails - 2.0 * correlation
    msd = totals / (atoms * (frames - np.arange(frames)))
    msd[0] = 0.0
    return np.maximum(msd, 0.0)
