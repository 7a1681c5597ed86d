"""How hot is a run, how well does it keep its energy, and what pressure does it hold?"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from so3lab import units
from so3lab.observables.checks import times_of


def kinetic_temperature(
    velocities: Float[np.ndarray, "frames atoms 3"],
    masses: Float[np.ndarray, " atoms"],
    freedom: int,
    time_fs: Float[np.ndarray, " frames"],
) -> pd.DataFrame:
    r"""Temperature from :math:`2 E_\mathrm{kin} / (f k_B)`.

    Args:
        velocities: Å per ASE time unit.
        masses: amu.
        freedom: Degrees of freedom f that carry kinetic energy
            (:func:`so3lab.dynamics.integrators.degrees_of_freedom`).
        time_fs: Time of each frame.

    Returns:
        Columns ``time_fs`` and ``temperature_K`` (K).

    Raises:
        ValueError: If ``freedom`` is not positive, or there are not as many times as frames.
    """
    if freedom < 1:
        raise ValueError(f"freedom must be positive, got {freedom}: atoms that cannot move have no temperature")
    kinetic = 0.5 * np.sum(masses[:, None] * np.asarray(velocities, np.float64) ** 2, axis=(1, 2))
    temperature = 2.0 * kinetic / (freedom * units.kB)
    return pd.DataFrame({"time_fs": times_of(time_fs, len(velocities)), "temperature_K": temperature})


def energy_drift(time_fs: Float[np.ndarray, " frames"], total_energy: Float[np.ndarray, " frames"]) -> float:
    """Slope in eV/ps of the straight line that fits the total energy best.

    Raises:
        ValueError: If there are fewer than two frames.
    """
    if len(time_fs) < 2:
        raise ValueError(f"energy drift needs at least two frames, got {len(time_fs)}")
    return float(np.polyfit(np.asarray(time_fs) / 1000.0, np.asarray(total_energy), 1)[0])


def pressure(
    kinetic_energy: Float[np.ndarray, " frames"],
    stress: Float[np.ndarray, "frames 3 3"],
    volume: float | Float[np.ndarray, " frames"],
) -> pd.DataFrame:
    r"""Pressure of a cell: what moving atoms carry plus what their forces do.

    .. math:: P = \frac{2 E_\mathrm{kin}}{3 V} - \frac{1}{3}\,\mathrm{tr}\,\sigma

    Args:
        kinetic_energy: eV, over all 3N degrees of freedom.
        stress: Derivative of the potential energy by strain over the volume, eV/Å³, ASE's sign: negative diagonal
            in a compressed cell.
        volume: Å³, one for all frames or one per frame.

    Returns:
        One row per frame: ``kinetic_GPa`` and ``virial_GPa``, their sum ``pressure_GPa``, and ``pressure_eV_A3``.

    Raises:
        ValueError: If a volume is not positive, or the frames of the arguments differ in number.

    Source: Allen and Tildesley, Computer Simulation of Liquids, 2nd ed. (2017), section 2.4.
    """
    volumes = np.broadcast_to(np.asarray(volume, np.float64), np.shape(kinetic_energy))
    if not (volumes > 0).all():
        raise ValueError(
            f"volume must be positive (Å³), got {volumes.min()}; a molecule without a cell has no pressure"
        )
    kinetic = 2.0 * np.asarray(kinetic_energy, np.float64) / (3.0 * volumes)
    virial = -np.trace(np.asarray(stress, np.float64), axis1=1, axis2=2) / 3.0
    total = kinetic + virial
    return pd.DataFrame(
        {
            "kinetic_GPa": kinetic / units.GPa,
            "virial_GPa": virial / units.GPa,
            "pressure_GPa": total / units.GPa,
            "pressure_eV_A3": total,
        }
    )
