r"""Where is the next saddle uphill: eigenvector-following, many structures at once.

A start goes uphill along one mode and downhill along all others, until exactly one curvature is negative and no force
is left. Steps are those of D. J. Wales, J. Chem. Phys. 101, 3750 (1994),

.. math:: s_i = \pm \frac{2 g_i}{|\lambda_i| (1 + \sqrt{1 + 4 g_i^2 / \lambda_i^2})}

along each mode of curvature :math:`\lambda_i` and gradient :math:`g_i`. The Hessian is made at the start, unless it is
known there, and anew every few steps: of networks by differences of forces, of other models exactly; between them each
step tells of it (J. M. Bofill, J. Comput. Chem. 15, 1, 1994). At the end it is exact, in double precision. Energies and
forces of all structures are one batch of the engine.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float

from so3lab.engine.energy_model import EnergyModel
from so3lab.engine.hessians import hessians
from so3lab.landscape.differences import DifferenceHessians
from so3lab.landscape.learnt_hessians import LearntHessian, learnt_hessian
from so3lab.landscape.models import energy_model, exact_model, padded, shift_of, slots_for
from so3lab.minima.judging import in_one_piece
from so3lab.minimize.curvature import FLAT
from so3lab.minimize.evaluators import EngineEvaluator
from so3lab.minimize.freedom import Freedom
from so3lab.potential.potential import Potential
from so3lab.structures.symmetry import molecular_graph

STEPS_PER_HESSIAN = 8
"""After which a network's Hessian is made anew; those of other models cost little, and are made at every step."""
FIRST_TRUST, LONGEST, SHORTEST = 0.1, 0.2, 0.01
"""Å that an atom moves at most in a step: the first one, later ones, and when the Hessian told wrong."""
NOISE = 2e-4
"""eV below which changes of the energy drown in rounding, and say nothing of a step."""
KICK, KICKS = 0.1, 4
"""Å down a second direction of negative curvature, and how often before it is given up."""
FOLLOWED = 30
"""Steps along the mode of a start, after which the softest one is followed instead."""
TOO_HIGH = 100.0
"""eV per atom above the start at which a search is lost."""
LOOKED_AFTER = 5
"""Steps, after which it is seen whether a structure is still what is looked for."""
AT_ONCE = 32

End = Literal["saddle", "minimum", "out of steps", "lost", "strayed", "stopped"]
Stays = Callable[[ase.Atoms], bool]
IsKnown = Callable[[ase.Atoms, float], bool]
Stop = Callable[[], bool]


class Start(NamedTuple):
    """Where a search begins."""

    atoms: ase.Atoms
    direction: Float[np.ndarray, "atoms 3"] | None = None
    """Along which it goes uphill; None: the softest mode at each step."""
    hessian: Float[np.ndarray, "coordinates coordinates"] | None = None
    """eV/Å², where it is known at the start or close by."""


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
    """eV/Å²."""
    curvature: float  # eV/Å², the lowest
    mode: Float[np.ndarray, "atoms 3"]
    """Direction of the lowest curvature, of length 1; of a stopped search the direction along which it goes on,
    zeros where that is the softest one."""
    exact: bool
    """Whether the Hessian is exact; of a known saddle it is not."""


@dataclass
class _Climb:
    """A structure on its way."""

    number: int
    start: ase.Atoms
    freedom: Freedom
    positions: np.ndarray
    followed: np.ndarray | None
    learnt: LearntHessian
    known: np.ndarray | None
    """The Hessian at the start, where somebody knows it."""
    trust: float = FIRST_TRUST
    energy: float = np.nan
    first_energy: float = np.nan
    gradient: np.ndarray = field(default_factory=lambda: np.zeros(0))
    exact: np.ndarray | None = None
    """The exact Hessian where the structure is now, if it has been made."""
    age: int = 0
    """Steps since the Hessian was made."""
    steps: int = 0
    predicted: float = 0.0
    scale: float = 1.0
    """eV of the changes of the energy along all modes that a step was to make."""
    evaluations: int = 0
    kicks: int = 0
    curvature: float = np.nan
    mode: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def now(self) -> ase.Atoms:
        """The structure where it is."""
        found = self.start.copy()
        found.positions = self.positions
        return found


def climb(
    potential: Potential | EnergyModel,
    starts: Sequence[Start],
    *,
    max_force: float = 0.01,
    max_steps: int = 100,
    steps_per_hessian: int | None = None,
    stays: Stays | None = None,
    is_known: IsKnown | None = None,
    stop: Stop | None = None,
    batch: int = AT_ONCE,
) -> Iterator[Climbed]:
    """Search uphill from each start, and yield each when it has ended.

    Args:
        potential: A potential, or an :class:`~so3lab.engine.energy_model.EnergyModel` that can be differentiated twice.
        starts: Structures of the same atoms, without a cell; atoms under ASE's ``FixAtoms`` stay where they are.
        max_force: eV/Å, the largest on an atom of a saddle.
        max_steps: Evaluations for each start.
        steps_per_hessian: After which the Hessian is made anew; default: 8 for a network, 1 for other models.
        stays: Whether a structure on its way is still what is looked for, asked every few steps; a search whose
            structure is not has strayed. Default: clusters must hold together, molecules may do as they like.
        is_known: Whether a saddle, with its energy in eV, has been found before: its exact Hessian is then not made.
        stop: Asked after every evaluation whether all that have not ended are to be yielded as they are.
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
    evaluator = EngineEvaluator(energy_model(potential), atoms)
    rules = _Rules(potential, atoms[0], max_force, max_steps, steps_per_hessian, stays or _holds_together, is_known)
    rows = np.stack([one.positions for one in atoms])
    while any(one is not None for one in running):
        for slot, one in enumerate(running):
            if one is not None:
                rows[slot] = one.positions
        energies, gradients = evaluator(rows)
        there = [(slot, one) for slot, one in enumerate(running) if one is not None]
        early = {slot: _arrive(one, float(energies[slot]), gradients[slot], rules) for slot, one in there}
        rules.renew([one for slot, one in there if early[slot] is None])
        for slot, one in there:
            if stop is not None and stop():
                yield from (_ended(potential, left, "stopped") for left in (*running, *waiting) if left is not None)
                return
            end = early[slot] or _decide(one, rules)
            if end is not None:
                yield _ended(potential, one, end)
                running[slot] = following = next(waiting, None)
                if following is not None:
                    evaluator.replace(slot, following.start)


class _Rules:
    """What all searches of a call have in common."""

    def __init__(
        self,
        potential: Potential | EnergyModel,
        atoms: ase.Atoms,
        max_force: float,
        max_steps: int,
        steps_per_hessian: int | None,
        stays: Stays,
        is_known: IsKnown | None,
    ):
        self.max_force, self.max_steps, self.stays, self._is_known = max_force, max_steps, stays, is_known
        self._shift = shift_of(potential, atoms)
        network = isinstance(potential, Potential)
        self.steps_per_hessian = steps_per_hessian or (STEPS_PER_HESSIAN if network else 1)
        self._exact = exact_model(potential)
        self._soon = DifferenceHessians(energy_model(potential), atoms) if network else None

    def renew(self, some: Sequence[_Climb]) -> None:
        """Make Hessians that are too old, of structures where they are now, as good as they need to be on the way."""
        old = [one for one in some if one.learnt.matrix is None or one.age >= self.steps_per_hessian]
        if self._soon is None:
            self._make_exact(old)
            return
        for one in old:
            one.learnt.renew(self._soon(one.positions))
            one.age = 0

    def exact(self, one: _Climb) -> np.ndarray:
        """The exact Hessian of a structure where it is now."""
        if one.exact is None:
            self._make_exact([one])
        assert one.exact is not None
        return one.exact

    def _make_exact(self, some: Sequence[_Climb]) -> None:
        """Those of all side by side, in one of few sizes."""
        if not some:
            return
        now = [one.now() for one in some]
        for one, matrix in zip(some, hessians(self._exact, padded(now) if len(now) > 1 else now), strict=False):
            one.exact = matrix
            one.learnt.renew(matrix)
            one.age = 0

    def found_before(self, one: _Climb) -> bool:
        """Whether the saddle on which a search seems to have arrived is known."""
        return self._is_known is not None and self._is_known(one.now(), one.energy + self._shift)


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
    learnt = learnt_hessian(atoms)
    return _Climb(number, start.atoms, freedom, atoms.positions.copy(), followed, learnt, start.hessian)


def _arrive(one: _Climb, energy: float, gradient: np.ndarray, rules: _Rules) -> End | None:
    """Take in energy and gradient at the new positions; or say why it ends there."""
    one.evaluations += 1
    if np.isnan(one.first_energy):
        one.first_energy = energy
    if not (np.isfinite(energy) and np.isfinite(gradient).all()):
        return "lost"
    if energy > one.first_energy + TOO_HIGH * len(gradient):
        return "lost"
    if one.evaluations % LOOKED_AFTER == 0 and not rules.stays(one.now()):
        return "strayed"
    _learn(one, energy, one.freedom.project(gradient, one.positions).ravel())
    return None


def _decide(one: _Climb, rules: _Rules) -> End | None:
    """The next positions, by what is known of the present ones; or why it ends."""
    assert one.learnt.matrix is not None
    values, modes = _modes(one, one.learnt.matrix)
    calm = np.linalg.norm(one.gradient.reshape(-1, 3), axis=1).max() <= rules.max_force
    calm = calm and (one.followed is None or values[0] < -FLAT)  # who leaves a minimum feels little at first
    one.curvature, one.mode = float(values[0]), modes[0]
    if calm and int(np.sum(values < -FLAT)) == 1 and rules.found_before(one):
        return "saddle"
    if calm:
        values, modes = _modes(one, rules.exact(one))
    one.curvature, one.mode = float(values[0]), modes[0]
    down = int(np.sum(values < -FLAT))
    if calm and down <= 1:
        return "saddle" if down else "minimum"
    if one.evaluations >= rules.max_steps or (calm and one.kicks >= KICKS):
        return "out of steps"
    _go_on(one, values, modes, kick=calm)
    return None


def _modes(one: _Climb, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curvatures, eV/Å², and directions, the softest first."""
    basis = one.freedom.directions(one.positions)
    values, vectors = np.linalg.eigh(basis @ matrix @ basis.T)
    return values, vectors.T @ basis


def _holds_together(now: ase.Atoms) -> bool:
    return bool(len(molecular_graph(now).bonds)) or in_one_piece(now)


def _learn(one: _Climb, energy: float, gradient: np.ndarray) -> None:
    """Trust longer or shorter steps, and let this one tell of the Hessian."""
    one.learnt.arrive(one.positions, gradient)
    if one.steps:
        wrong = abs(energy - one.energy - one.predicted) / max(one.scale, NOISE)
        if wrong > 0.75:
            one.trust = max(SHORTEST, 0.5 * one.trust)
        elif wrong < 0.25:
            one.trust = min(LONGEST, 1.4 * one.trust)
        one.age += 1
    elif one.known is not None:
        one.learnt.renew(one.known)
    one.exact, one.energy, one.gradient = None, energy, gradient


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
    longest = np.linalg.norm((lengths @ modes).reshape(-1, 3), axis=1).max()
    lengths *= min(1.0, (max(one.trust, KICK) if kick else one.trust) / max(longest, 1e-12))
    changes = lengths * slopes + 0.5 * values * lengths**2
    one.predicted, one.scale = float(changes.sum()), float(np.abs(changes).sum())
    one.steps, one.positions = one.steps + 1, one.learnt.walk(lengths @ modes)


def _ended(potential: Potential | EnergyModel, one: _Climb, why: End) -> Climbed:
    atoms = one.now()
    energy = one.energy + shift_of(potential, atoms)
    gradient = one.gradient.reshape(-1, 3) if one.gradient.size else np.full(atoms.positions.shape, np.nan)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=-gradient)
    mode = one.mode if why != "stopped" else one.followed
    mode = mode.reshape(-1, 3) if mode is not None and mode.size else np.zeros(atoms.positions.shape)
    size = atoms.positions.size
    matrix = one.exact if one.exact is not None else one.learnt.matrix
    matrix = np.full((size, size), np.nan) if matrix is None else matrix
    largest = float(np.linalg.norm(gradient, axis=1).max())
    known = one.exact is not None
    return Climbed(one.number, atoms, energy, why, largest, one.evaluations, matrix, one.curvature, mode, known)
