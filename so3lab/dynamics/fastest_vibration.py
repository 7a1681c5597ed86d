"""How long may a time step be, before the fastest bond of a structure runs away from it?"""

from typing import NamedTuple

import ase
import numpy as np
from ase.data import covalent_radii

from so3lab import units
from so3lab.structures.bonds import bonded_pairs
from so3lab.structures.constraints import held_atoms

_ROW = np.searchsorted((2, 10, 18, 36, 54, 86), np.arange(119))
_BADGER = np.array([[0.025, 0.335, 0.585, 0.65], [0.335, 0.68, 0.90, 1.0], [0.585, 0.90, 1.18, 1.25],
                    [0.65, 1.0, 1.25, 1.35]])  # fmt: skip
"""Å by rows of the periodic table of both ends, the fourth and later alike."""
_BADGER_FORCE = 1.86 * 6.241509
"""eV/Å² of a bond that is 1 Å longer than that (1.86 mdyn/Å)."""
_CLOSEST = 0.3
"""Å; shorter bonds, which are compressed ones, count as this much above Badger's length."""
_MOST, _GOOD = 5.0, 10.0
"""Steps of a period with which a bond can be followed at all, and well."""


class Vibration(NamedTuple):
    """The stretching of a bond."""

    first: int
    second: int
    period_fs: float

    def advice(self, atoms: ase.Atoms) -> str:
        """What a time step must be for this bond, in words."""
        symbols = atoms.get_chemical_symbols()
        name = f"{symbols[self.first]}{self.first}-{symbols[self.second]}{self.second}"
        return (
            f"the bond {name} vibrates with a period of about {self.period_fs:.2g} fs and needs a time step of "
            f"{_round_down(self.period_fs / _GOOD):g} fs or less ({_round_down(self.period_fs / _MOST):g} fs at most)"
        )


def fastest_vibration(atoms: ase.Atoms) -> Vibration | None:
    r"""The bond between nonmetals that vibrates fastest, by Badger's rule; None where there is none that moves.

    .. math:: k = 1.86\ \text{mdyn/Å} \left(\frac{r - d_{ij}}{1\ \text{Å}}\right)^{-3}, \qquad
        T = 2\pi\sqrt{\mu / k}

    Good to about a tenth for bonds near their equilibrium; atoms that are held have no end of mass.

    Source: R. M. Badger, J. Chem. Phys. 2, 128 (1934) and 3, 710 (1935).
    """
    i, j, images = bonded_pairs(atoms)
    inverse = np.where(held_atoms(atoms), 0.0, 1.0 / atoms.get_masses())
    inverse = inverse[i] + inverse[j]
    if not np.any(inverse):
        return None
    vectors = atoms.positions[j] - atoms.positions[i] + images @ np.asarray(atoms.cell)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1), 0.8 * (covalent_radii[atoms.numbers][[i, j]].sum(axis=0)))
    rows = np.minimum(_ROW[atoms.numbers], 3)
    force = _BADGER_FORCE / np.maximum(lengths - _BADGER[rows[i], rows[j]], _CLOSEST) ** 3
    fastest = int(np.argmax(force * inverse))
    period = 2.0 * np.pi / np.sqrt(force[fastest] * inverse[fastest]) / units.fs
    return Vibration(int(i[fastest]), int(j[fastest]), float(period))


def check_timestep(atoms: ase.Atoms, timestep_fs: float) -> None:
    r"""Refuse a time step with which the fastest bond's energy must grow without bound.

    That is :math:`\omega\,\Delta t > 2`, a third of the period, for velocity Verlet and all that is made of it.

    Raises:
        ValueError: With the bond, its period and the step that would do.
    """
    fastest = fastest_vibration(atoms)
    if fastest is not None and timestep_fs > fastest.period_fs / np.pi:
        raise ValueError(f"timestep_fs of {timestep_fs:g} is too long for this structure: {fastest.advice(atoms)}")


def long_timestep(atoms: ase.Atoms, timestep_fs: float) -> str:
    """What to say of a time step that is longer than the fastest bond should have; empty when it is not."""
    fastest = fastest_vibration(atoms)
    if fastest is None or timestep_fs <= fastest.period_fs / _MOST:
        return ""
    return f"a time step of {timestep_fs:g} fs is long: {fastest.advice(atoms)}"


def _round_down(step_fs: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step_fs))
    return float(power * max(digit for digit in (1.0, 2.0, 5.0) if digit * power <= step_fs * (1.0 + 1e-9)))
