r"""Where is the next saddle uphill: eigenvector-following, many structures at once.

A start goes uphill along one mode and downhill along all others, until exactly one curvature is negative and no force
is left. Steps are those of D. J. Wales, J. Chem. Phys. 101, 3750 (1994),

.. math:: s_i = \pm \frac{2 g_i}{|\lambda_i| (1 + \sqrt{1 + 4 g_i^2 / \lambda_i^2})}

along each mode of curvature :math:`\lambda_i` and gradient :math:`g_i`. The Hessian is exact, in double precision, at
the start, at the end, and every few steps; between them each step tells of it (J. M. Bofill, J. Comput. Chem. 15, 1,
1994). Energies and forces of all structures are one batch of the engine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float

from so3lab.engine.energy_model import EnergyModel
from so3lab.engine.hessians import hessian
from so3lab.landscape.models import energy_model, exact_model, shift_of, slots_for
from so3lab.minima.judging import in_one_piece
from so3lab.minimize.curvature import FLAT
from so3lab.minimize.evaluators import EngineEvaluator
from so3lab.minimize.freedom import Freedom
from so3lab.potential.potential import Potential
from so3lab.structures.symmetry import molecular_graph

SMALL = 15
"""Atoms up to which the exact Hessian is made at every step."""
STEPS_PER_HESSIAN = 6
"""Of larger ones."""
FIRST_TRUST, LONGEST, SHORTEST = 0.1, 0.2, 0.005
"""Å that an atom moves at most in a step: the first one, later ones, and when the Hessian told wrong."""
KICK, KICKS = 0.1, 4
"""Å down a second direction of negative curvature, and how often before it is given up."""
FOLLOWED = 30
"""Steps along the mode of a start, after which the softest one is followed instead."""
TOO_HIGH = 100.0
"""eV per atom above the start at which a search is lost."""
LOOKED_AFTER = 10
"""Steps, after which it is seen whether a cluster still holds together."""
AT_ONCE = 32

End = Literal["saddle", "minimum", "out of steps", "lost"]


class Start(NamedTuple):
    """Where a search begins."""

    atoms: ase.Atoms
    direction: Float[np.ndarray, "atoms 3"] | None = None
    """Along which it goes uphill; None: the softest mode at each step."""


class Climbed(NamedTuple):
    """Where a search ended."""

    number: int
    """Of its start, from 0."""
    atoms: ase.Atoms
    """With energy and forces in its calculator."""
    energy: float  # eV
    why: End
    max_force: float  # eV/Å
    evaluations: int
    hessian: Float[np.ndarray, "coordinates coordinates"]
    """eV/Å², exact where it is a saddle or a minimum."""
    curvature: float  # eV/Å², the lowest
    mode: Float[np.ndarray, "atoms 3"]
    """Direction of the lowest curvature, of length 1."""


@dataclass
class _Climb:
    """A structure on its way."""

    number: int
    start: ase.Atoms
    freedom: Freedom
    positions: np.ndarray
    followed: np.ndarray | None
    trust: float = FIRST_TRUST
    energy: float = np.nan
    first_energy: float = np.nan
    gradient: np.ndarray = field(default_factory=lambda: np.zeros(0))
    hessian: np.ndarray | None = None
    age: int = 0
    """Steps since the Hessian was exact."""
    step: np.ndarray | None = None
    predicted: float = 0.0
    evaluations: int = 0
    kicks: int = 0
    curvature: float = np.nan
    mode: np.ndarray = field(default_factory=lambda: np.zeros(0))


def climb(
    potential: Potential | EnergyModel,
    starts: Sequence[Start],
    *,
    max_force: float = 0.01,
    max_steps: int = 100,
    steps_per_hessian: int | None = None,
    batch: int = AT_ONCE,
) -> Iterator[Climbed]:
    """Search uphill from each start, and yield each when it has ended.

    Args:
        potential: A potential, or an :class:`~so3lab.engine.energy_model.EnergyModel` that can be differentiated twice.
        starts: Structures of the same atoms, without a cell; atoms under ASE's ``FixAtoms`` stay where they are.
        max_force: eV/Å, the largest on an atom of a saddle.
        max_steps: Evaluations for each start.
        steps_per_hessian: After which the exact Hessian is made anew; default: 1 up to 15 atoms, then 6.
        batch: Structures at once.

    Yields:
        In the order in which they end.

    Raises:
        ValueError: If an argument is not acceptable, or a structure is periodic.
    """
    for name, value in (("max_force", max_force), ("max_steps", max_steps), ("batch", batch)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
    waiting = iter([_prepared(number, start) for number, start in enumerate(starts)])
    slots = min(batch, slots_for(len(starts)))
    running = [next(waiting, None) for _ in range(slots)]
    if running[0] is None:
        return
    atoms = [(one or running[0]).start for one in running]
    evaluator, exact = EngineEvaluator(energy_model(potential), atoms), exact_model(potential)
    every = steps_per_hessian or (1 if len(atoms[0]) <= SMALL else STEPS_PER_HESSIAN)
    rows = np.stack([one.positions for one in atoms])
    while any(one is not None for one in running):
        for slot, one in enumerate(running):
            if one is not None:
                rows[slot] = one.positions
        energies, gradients = evaluator(rows)
        for slot, one in enumerate(running):
            if one is None:
                continue
            end = _learn(one, float(energies[slot]), gradients[slot], exact, max_force, max_steps, every)
            if end is not None:
                yield _ended(potential, one, end)
                running[slot] = following = next(waiting, None)
                if following is not None:
                    evaluator.replace(slot, following.start)


def _prepared(number: int, start: Start) -> _Climb:
    atoms = start.atoms.copy()
    if atoms.pbc.any():
        raise ValueError(
            f"starts must not be periodic, and number {number} is: saddles of cells are not searched for yet"
        )
    if not len(atoms):
        raise ValueError(f"starts must have atoms, and number {number} has none")
    freedom = Freedom(atoms)
    if freedom.free_to_shift:
        atoms.positions -= atoms.positions.mean(axis=0)
    followed = None if start.direction is None else np.asarray(start.direction, float).ravel()
    return _Climb(number, start.atoms, freedom, atoms.positions.copy(), followed)


def _learn(
    one: _Climb, energy: float, gradient: np.ndarray, exact: EnergyModel, max_force: float, max_steps: int, every: int
) -> End | None:
    """Take in energy and gradient at the new positions, and decide upon the next ones; or say why it ends."""
    one.evaluations += 1
    if np.isnan(one.first_energy):
        one.first_energy = energy
    if not (np.isfinite(energy) and np.isfinite(gradient).all()):
        return "lost"
    if energy > one.first_energy + TOO_HIGH * len(gradient):
        return "lost"
    if one.evaluations % LOOKED_AFTER == 0 and not _holds_together(one):
        return "lost"
    gradient = one.freedom.project(gradient, one.positions).ravel()
    _judge_step(one, energy, gradient)
    if one.hessian is None or one.age >= every:
        _renew(one, exact)
    calm = np.linalg.norm(gradient.reshape(-1, 3), axis=1).max() <= max_force
    if calm and one.age:
        _renew(one, exact)
    basis = one.freedom.directions(one.positions)
    values, vectors = np.linalg.eigh(basis @ one.hessian @ basis.T)
    modes = vectors.T @ basis
    one.curvature, one.mode = float(values[0]), modes[0]
    down = int(np.sum(values < -FLAT))
    if calm and down <= 1:
        return "saddle" if down else "minimum"
    if one.evaluations >= max_steps or (calm and one.kicks >= KICKS):
        return "out of steps"
    _go_on(one, values, modes, kick=calm)
    return None


def _holds_together(one: _Climb) -> bool:
    now = one.start.copy()
    now.positions = one.positions
    return bool(len(molecular_graph(now).bonds)) or in_one_piece(now)


def _judge_step(one: _Climb, energy: float, gradient: np.ndarray) -> None:
    """Trust longer or shorter steps, and let this one tell of the Hessian."""
    if one.step is not None and one.hessian is not None:
        wrong = abs(energy - one.energy - one.predicted) / max(abs(one.predicted), 1e-6)
        if wrong > 0.75:
            one.trust = max(SHORTEST, 0.5 * one.trust)
        elif wrong < 0.25:
            one.trust = min(LONGEST, 1.4 * one.trust)
        one.hessian = _updated(one.hessian, one.step, gradient - one.gradient)
        one.age += 1
    one.energy, one.gradient = energy, gradient


def _updated(matrix: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The Hessian after a step, by Bofill's mixture of the updates of Murtagh and Sargent and of Powell."""
    missing = change - matrix @ step
    length, size, along = step @ step, missing @ missing, missing @ step
    if length < 1e-16 or size < 1e-16:
        return matrix
    share = along**2 / (length * size)
    cross = np.outer(missing, step)
    powell = (cross + cross.T) / length - along * np.outer(step, step) / length**2
    symmetric = share * np.outer(missing, missing) / along if abs(along) > 1e-12 else 0.0
    return matrix + symmetric + (1.0 - share) * powell


def _renew(one: _Climb, exact: EnergyModel) -> None:
    now = one.start.copy()
    now.positions = one.positions
    one.hessian, one.age = hessian(exact, now), 0


def _go_on(one: _Climb, values: np.ndarray, modes: np.ndarray, kick: bool) -> None:
    """The next positions: up along one mode, down along the others."""
    slopes = modes @ one.gradient
    up = 0
    if one.followed is not None:
        up = int(np.argmax(np.abs(modes @ one.followed)))
        if (up == 0 and values[0] < 0) or one.evaluations >= FOLLOWED:
            one.followed, up = None, 0
        else:
            one.followed = modes[up] * np.sign(modes[up] @ one.followed)
    stiff = np.maximum(np.abs(values), 1e-8)
    lengths = 2.0 * np.abs(slopes) / (stiff * (1.0 + np.sqrt(1.0 + 4.0 * (slopes / stiff) ** 2)))
    lengths *= -np.sign(slopes)
    lengths[up] *= -1.0
    if kick:
        one.kicks += 1
        lengths[1] = KICK * (-1.0 if slopes[1] > 0 else 1.0)
    step = lengths @ modes
    longest = np.linalg.norm(step.reshape(-1, 3), axis=1).max()
    step *= min(1.0, (max(one.trust, KICK) if kick else one.trust) / max(longest, 1e-12))
    one.predicted = float(one.gradient @ step + 0.5 * step @ one.hessian @ step)
    one.step, one.positions = step, one.positions + step.reshape(-1, 3)


def _ended(potential: Potential | EnergyModel, one: _Climb, why: End) -> Climbed:
    atoms = one.start.copy()
    atoms.positions = one.positions
    energy = one.energy + shift_of(potential, atoms)
    gradient = one.gradient.reshape(-1, 3) if one.gradient.size else np.full(atoms.positions.shape, np.nan)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=-gradient)
    mode = one.mode.reshape(-1, 3) if one.mode.size else np.zeros(atoms.positions.shape)
    size = atoms.positions.size
    matrix = np.full((size, size), np.nan) if one.hessian is None else one.hessian
    largest = float(np.linalg.norm(gradient, axis=1).max())
    return Climbed(one.number, atoms, energy, why, largest, one.evaluations, matrix, one.curvature, mode)
