"""How uncertain is the mean of a series whose values remember one another?"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab.observables.checks import require_finite


class Estimate(NamedTuple):
    """Mean of a series and its standard error, in the unit of the series."""

    mean: float
    error: float
    block_size: int
    """Frames per block from which the error was taken."""
    plateau: bool
    """False when the series is too short for a plateau: the error is then the largest seen, and a lower bound."""


def block_average(series: Float[np.ndarray, " frames"]) -> pd.DataFrame:
    r"""Standard error of the mean against block size: it grows until the blocks forget one another, then stays.

    Neighbours are averaged in pairs, again and again; an odd last value is dropped. With n blocks of variance
    :math:`c_0`

    .. math:: \epsilon = \sqrt{\frac{c_0}{n - 1}}, \qquad \Delta\epsilon = \frac{\epsilon}{\sqrt{2 (n - 1)}}

    Args:
        series: Any unit; frames equally spaced in time.

    Returns:
        One row per block size: ``block_size`` (frames), ``blocks`` (number), ``error`` and ``error_of_error`` (unit of
        the series), down to two blocks.

    Raises:
        ValueError: If there are fewer than four values, or one is not finite.

    Source: H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91, 461 (1989).
    """
    values = np.asarray(series, np.float64)
    if len(values) < 4:
        raise ValueError(f"series must hold at least 4 values to form blocks, got {len(values)}")
    require_finite("series", values)
    values = values - values.mean()
    rows, size = [], 1
    while len(values) >= 2:
        error = np.sqrt(values.var() / (len(values) - 1))
        rows.append((size, len(values), error, error / np.sqrt(2.0 * (len(values) - 1))))
        even = len(values) // 2 * 2
        values, size = 0.5 * (values[0:even:2] + values[1:even:2]), 2 * size
    return pd.DataFrame(rows, columns=["block_size", "blocks", "error", "error_of_error"])


def slope_and_error(times: Float[np.ndarray, " frames"], series: Float[np.ndarray, " frames"]) -> tuple[float, float]:
    r"""Slope of the straight line that fits a series best, and its standard error.

    With residuals :math:`r` around the line, of n frames at times :math:`t`

    .. math:: \sigma^2 = \frac{\sum r^2}{(n - 2) \sum (t - \bar t)^2} \left(\frac{\epsilon_B}{\epsilon_1}\right)^2

    where the last factor, from :func:`mean_and_error` of the residuals, says how long they remember one another.

    Args:
        times: Any unit; equally spaced.
        series: Any unit.

    Returns:
        Both in the unit of the series over that of the times.

    Raises:
        ValueError: If there are fewer than four values, or one is not finite.
    """
    values, times = np.asarray(series, np.float64), np.asarray(times, np.float64)
    if len(values) < 4:
        raise ValueError(f"series must hold at least 4 values for a slope with an error, got {len(values)}")
    require_finite("series", values)
    away = times - times.mean()
    slope = float(away @ values / (away @ away))
    residuals = values - values.mean() - slope * away
    alone = np.sqrt(residuals @ residuals / ((len(values) - 2) * (away @ away)))
    single = residuals.std() / np.sqrt(len(values) - 1)
    if single == 0.0:
        return slope, 0.0
    return slope, float(alone * max(1.0, mean_and_error(residuals).error / single))


def mean_and_error(series: Float[np.ndarray, " frames"]) -> Estimate:
    r"""Mean of a series and the error at the plateau of :func:`block_average`.

    The plateau is the smallest block size B for which, in a series of N frames,

    .. math:: B^3 > 2 N \left(\epsilon_B / \epsilon_1\right)^4

    where systematic and statistical error of the error balance.

    Args:
        series: Any unit; frames equally spaced in time, the start of a run that still settles left out.

    Raises:
        ValueError: If there are fewer than four values, or one is not finite.

    Source: R. M. Lee, G. J. Conduit, N. Nemec, P. López Ríos, N. D. Drummond, Phys. Rev. E 83, 066706 (2011).
    """
    table = block_average(series)
    mean = float(np.mean(np.asarray(series, np.float64)))
    errors, sizes = table["error"].to_numpy(), table["block_size"].to_numpy(np.float64)
    if errors[0] == 0.0:
        return Estimate(mean, 0.0, 1, True)
    flat = sizes**3 > 2.0 * len(series) * (errors / errors[0]) ** 4
    flat &= table["blocks"].to_numpy() >= 4  # fewer say nothing
    chosen = int(flat.argmax()) if flat.any() else int(errors.argmax())
    return Estimate(mean, float(errors[chosen]), int(sizes[chosen]), bool(flat.any()))
