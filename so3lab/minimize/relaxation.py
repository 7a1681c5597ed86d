"""Relax structures to minima of an energy, many at once, each until it has converged.

:func:`minimize` streams results as they come; :func:`relax` is the same for one structure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import GPa

from so3lab.engine.energy_model import EnergyModel
from so3lab.minimize.batch import METHODS, Batch, Item
from so3lab.minimize.cells import deformed, real_gradient
from so3lab.minimize.changes import Bonds, changed_bonds, inverted
from so3lab.minimize.curvature import curvature
from so3lab.minimize.evaluators import CellEvaluator, EngineEvaluator, Evaluator, on_devices
from so3lab.minimize.freedom import Held
from so3lab.minimize.outcome import Relaxed, Why
from so3lab.minimize.waiting import Method, Waiting, items_of
from so3lab.potential.potential import Potential


def minimize(
    potential: Potential | EnergyModel,
    structures: Iterable[ase.Atoms],
    *,
    max_force: float = 0.01,
    max_gain_meV: float = 0.03,
    max_steps: int = 500,
    method: Method = "auto",
    hold: Sequence[Held] = (),
    bonds: Bonds | None = None,
    cell: bool = False,
    pressure_GPa: float = 0.0,
    confirm: bool = False,
    batch: int | None = None,
) -> Iterator[Relaxed]:
    """Relax structures, many at once, and yield each when it has ended; all work is done as results are asked for.

    A force below a limit alone is no minimum: soft dihedrals leave shoulders of tiny forces on the way. So the
    energy still to be gained, as the Hessian that the method has learnt predicts it, must be small too.

    Args:
        potential: A potential, or a :class:`~so3lab.engine.energy_model.EnergyModel` of any origin.
        structures: Molecules or cells, of any sizes; an iterator is read as slots become free.
            Atoms under ASE's ``FixAtoms`` stay where they are; other constraints are refused.
        max_force: eV/Å, the largest on an atom of a converged structure.
        max_gain_meV: meV that may be left until the minimum, as predicted; what is left in truth is up to some times
            more.
        max_steps: Evaluations of energy and forces for each structure.
        method: ``internal`` (BFGS in internal coordinates), ``cartesian`` (L-BFGS), ``fire``, or ``auto``: internal
            for molecules, Cartesian for clusters of metals or noble gases and for cells. What fails with one goes on
            with the next.
        hold: Distances, angles and dihedrals that keep their values, in every structure.
        bonds: Those that the structures should have, as pairs of atoms; default: those that each has at its start.
        cell: Whether cells are relaxed with their atoms; ``max_force`` then counts for them as for ASE's
            ``UnitCellFilter``.
        pressure_GPa: At which cells are relaxed.
        confirm: Whether the energy's own Hessian is computed of each minimum, in double precision: then the gain is
            what this predicts, and structures on saddles and shoulders go on downhill. It costs about as much as some
            hundred evaluations.
        batch: Structures at once; default: what the device computes well.

    Yields:
        Results in the order in which they end; ``number`` is the place among the structures.

    Raises:
        ValueError: If an argument or a structure is not acceptable.
    """
    _check(max_force, max_gain_meV, max_steps, method, batch)
    _check_cell(cell, pressure_GPa, method, hold, confirm)
    if isinstance(structures, ase.Atoms):
        raise TypeError("structures must be several, such as a list of ase.Atoms; for one, use relax(potential, atoms)")
    model = potential.energy_model if isinstance(potential, Potential) else potential
    items = items_of(potential, structures, method, hold, bonds, cell)
    queue = Waiting(items, isinstance(structures, Sequence))
    pressure = pressure_GPa * GPa
    ended = _Judge(max_force, 1e-3 * max_gain_meV, max_steps, _exact(potential) if confirm else None)
    while first := queue.first(batch):
        begin = [item.atoms for item in first]
        evaluator = on_devices(lambda some: _evaluator(model, some, pressure if cell else None), begin)
        running = Batch(evaluator, first)
        while active := running.active():
            running.step()
            forces, gains = running.max_forces(), running.gains()
            for slot in active:
                item = running.items[slot]
                assert item is not None
                why = ended(running, slot, item, forces[slot], gains[slot])
                if why is None:
                    continue
                yield _result(potential, running, slot, item, why, pressure, forces[slot], gains[slot])
                running.leave(slot)
                if coming := queue.fitting(running.sizes[slot], item):
                    running.place(slot, coming)


def relax(potential: Potential | EnergyModel, atoms: ase.Atoms, **options) -> Relaxed:
    """Relax one structure; ``options`` are those of :func:`minimize`."""
    return next(minimize(potential, [atoms], **options))


@dataclass(frozen=True)
class _Judge:
    """Says whether a structure has ended, and why."""

    max_force: float  # eV/Å
    max_gain: float  # eV
    max_steps: int
    model: EnergyModel | None  # for confirmation

    def __call__(self, running: Batch, slot: int, item: Item, max_force: float, gain: float) -> Why | None:
        """None: it goes on."""
        if not item.finite:
            return "not finite"
        flat = max_force <= self.max_force and gain <= self.max_gain
        if flat and (self.model is None or self._confirmed(self.model, running, slot, item)):
            return "converged"
        return "out of steps" if item.evaluations >= self.max_steps else None

    def _confirmed(self, model: EnergyModel, running: Batch, slot: int, item: Item) -> bool:
        """Whether it is a minimum by the energy's own Hessian; if not, it is moved downhill."""
        now = item.atoms.copy()
        now.positions = running.positions[slot, : item.size]
        item.curvature = curvature(model, now, running.gradients[slot, : item.size], item.freedom)
        if item.curvature.is_minimum and item.curvature.gain <= self.max_gain:
            return True
        if item.evaluations < self.max_steps:  # else it ends here, with its energy
            running.displace(slot, item.curvature.downhill())
        return False


def _evaluator(model: EnergyModel, structures: Sequence[ase.Atoms], pressure: float | None) -> Evaluator:
    """Of structures whose cells are relaxed at a pressure in eV/Å³, or stay with None."""
    return EngineEvaluator(model, structures) if pressure is None else CellEvaluator(model, structures, pressure)


def _exact(potential: Potential | EnergyModel) -> EnergyModel:
    return potential.plain_model if isinstance(potential, Potential) else potential


def _result(
    potential: Potential | EnergyModel, running: Batch, slot: int, item: Item, why: Why, pressure: float,
    max_force: float, gain: float,
) -> Relaxed:  # fmt: skip
    atoms, count = item.start.copy(), len(item.atoms)
    rows, gradient = running.positions[slot, : item.size], running.gradients[slot, : item.size]
    energy = float(running.energies[slot])
    if item.cell:
        atoms.positions, vectors = deformed(item.atoms, rows)
        atoms.set_cell(vectors)
        energy, gradient = energy - pressure * atoms.get_volume(), real_gradient(rows, gradient)
    else:
        atoms.positions += rows[:count] - item.atoms.positions
    if isinstance(potential, Potential):
        energy += potential.shift_of(atoms)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=-gradient)
    lowest = None
    if item.curvature is not None and why == "converged":
        gain, lowest = item.curvature.gain, float(item.curvature.values.min(initial=np.inf))
    made, broken = changed_bonds(item.bonds, atoms)
    centres, turned = ([], []) if made or broken else inverted(item.bonds, item.start.positions, atoms)
    if why == "converged" and (made or broken):
        why = "bonds changed"
    elif why == "converged" and (centres or turned):
        why = "inverted"
    return Relaxed(
        item.number, atoms, energy, float(max_force), float(1e3 * gain), item.evaluations, item.method, why, lowest,
        tuple(made), tuple(broken), tuple(centres), tuple(turned),
    )  # fmt: skip


def _check_cell(cell: bool, pressure_GPa: float, method: str, hold: Sequence[Held], confirm: bool) -> None:
    if not np.isfinite(pressure_GPa):
        raise ValueError(f"pressure_GPa must be finite, got {pressure_GPa}")
    if not cell and pressure_GPa != 0:
        raise ValueError(f"pressure_GPa acts on cells that are relaxed; add cell=True, or leave out {pressure_GPa}")
    if cell and (method == "internal" or hold or confirm):
        raise ValueError("cell=True relaxes in Cartesian coordinates, without hold and confirm; leave them out")


def _check(max_force: float, max_gain_meV: float, max_steps: int, method: str, batch: int | None) -> None:
    for name, value in (("max_force", max_force), ("max_gain_meV", max_gain_meV)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got {max_steps}")
    if batch is not None and batch < 1:
        raise ValueError(f"batch must be at least 1 or None, got {batch}")
    if method not in ("auto", *METHODS):
        raise ValueError(f"method must be auto, {', '.join(METHODS)}, got {method!r}")
