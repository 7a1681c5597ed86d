"""Which way leads from one minimum to another: nudged elastic bands, many at once.

The images of all paths are one batch of the engine. A path that has converged leaves, and the next one takes its place.
One that does not converge begins again without a model of its molecule; then it is divided at the minima on its way,
and each leg is a path; where there are none, it is straightened and goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float

from so3lab.engine.energy_model import EnergyModel
from so3lab.landscape.alignment import SAME, align
from so3lab.landscape.band_steps import BandSteps
from so3lab.landscape.bands import Band
from so3lab.landscape.interpolation import interpolated
from so3lab.landscape.legs import joined, minima_on
from so3lab.landscape.models import energy_model, shift_of
from so3lab.landscape.nudging import nudged_forces, tangents
from so3lab.landscape.straightening import straightened
from so3lab.minimize.evaluators import EngineEvaluator
from so3lab.minimize.freedom import Freedom, without_rigid_motion
from so3lab.potential.potential import Potential

IMAGES = 10
"""Of a path, both ends included."""
SPRING = 1.0
"""eV/Å² between images."""
CLIMBS_BELOW = 0.5
"""eV/Å of the largest force at which the highest image begins to climb."""
BY_MODEL = 200
"""Steps by a model Hessian at most, before a path begins again without one."""
MOST_DIVISIONS = 3
"""Times that a path that does not converge, and then its legs, are divided at minima, or straightened."""
_ATOMS_AT_ONCE = 1500

Inner = Float[np.ndarray, "inner atoms 3"]


@dataclass(frozen=True)
class _How:
    """Arguments of :func:`nudged_elastic_band` that all of its paths share."""

    max_force: float
    max_steps: int
    spring: float
    climb: bool
    stop: Callable[[], bool] | None
    batch: int | None


class _Running:
    """A path on its way."""

    def __init__(
        self, number: int, atoms: ase.Atoms, positions: np.ndarray, known: Sequence[ase.Atoms] = (), model: bool = True
    ):
        self.number, self.atoms, self.positions = number, atoms, positions
        self.start = positions.copy()
        self.known = known  # minima through which it must not lead
        self.energies = np.full(len(positions), np.nan)
        self.gradients = np.zeros(positions.shape)
        self.freedom = Freedom(atoms)
        self.stepper = BandSteps(atoms, len(positions) - 2, model)
        self.climbing: int | None = None
        self.steps = 0
        self.max_force = np.inf


def nudged_elastic_band(
    potential: Potential | EnergyModel,
    ends: Sequence[Sequence[ase.Atoms]],
    *,
    images: int = IMAGES,
    max_force: float = 0.05,
    max_steps: int = 500,
    spring: float = SPRING,
    climb: bool = True,
    mirror_images: bool = False,
    divide: bool = True,
    stop: Callable[[], bool] | None = None,
    batch: int | None = None,
) -> Iterator[Band]:
    """Paths of lowest energy between pairs of minima, and yield each when it has ended.

    The second end is laid upon the first, its equivalent atoms renumbered, in cells by the shortest ways; images are
    interpolated between them.

    Args:
        potential: A potential, or an :class:`~so3lab.engine.energy_model.EnergyModel`.
        ends: Two minima for each path, or more structures for a path that is known, whose ends alone are aligned by
            whoever gives them. All of the same number of atoms, all molecules or all in cells.
        images: Of each path, both ends included; of a known path there are those that are given.
        max_force: eV/Å, the largest on an image of a converged path.
        max_steps: Evaluations of a path.
        spring: eV/Å² between images.
        climb: Whether the highest image climbs to the saddle.
        mirror_images: Whether the second end may be reflected to come closer to the first.
        divide: Whether a path that does not converge is tried in other ways: without a model of the molecule, then in
            legs between the minima on its way, or without any straightened. Of legs it has more images, and
            ``max_steps`` is of each and of each attempt.
        stop: Asked at every step of a path whether it is to end as it is.
        batch: Paths at once; default: as many as the device computes well.

    Yields:
        In the order in which they end.

    Raises:
        ValueError: If an argument is not acceptable, both ends of a path are the same minimum, or paths differ in their
            numbers of atoms or images.
    """
    _check(images, max_force, max_steps, spring, batch)
    prepared = [_prepared(number, own, images, mirror_images) for number, own in enumerate(ends)]
    _check_alike(prepared)
    how = _How(max_force, max_steps, spring, climb, stop, batch)
    yield from _divided(potential, prepared, how, MOST_DIVISIONS if divide else 0)


def _divided(
    potential: Potential | EnergyModel, paths: Sequence[_Running], how: _How, divisions: int
) -> Iterator[Band]:
    """Bands; those that do not converge in legs, or straightened, again so many times."""
    stuck = []
    for band in _twice(potential, paths, how) if divisions else _bands(potential, paths, how, how.max_steps):
        if band.converged or not divisions or _now(how):
            yield band
        else:
            stuck.append(band)
    known = {path.number: path.known for path in paths}
    legs: list[_Running] = []
    owned: list[range] = []
    for band in stuck:
        minima = minima_on(potential, band, known[band.number])
        if minima:
            found = _legs(band, minima, [*known[band.number], band.images[0], *minima, band.images[-1]], len(legs))
        else:
            anew = straightened(np.stack([image.positions for image in band.images]))
            found = [_Running(len(legs), band.images[0].copy(), anew, known[band.number])]
        owned.append(range(len(legs), len(legs) + len(found)))
        legs += found
    done = {leg.number: leg for leg in _divided(potential, legs, how, divisions - 1)} if legs else {}
    for band, numbers in zip(stuck, owned, strict=True):
        yield joined(band, [done[number] for number in numbers])


def _twice(potential: Potential | EnergyModel, paths: Sequence[_Running], how: _How) -> Iterator[Band]:
    """Bands by models of their molecules, and those that do not converge so soon again without one."""
    own = {path.number: path for path in paths}
    again: dict[int, _Running] = {}
    earlier: dict[int, int] = {}
    for band in _bands(potential, paths, how, min(how.max_steps, BY_MODEL)):
        path = own[band.number]
        if band.converged or _now(how) or not path.stepper.by_model:
            yield band
        else:
            again[path.number] = _Running(path.number, path.atoms, path.start, path.known, model=False)
            earlier[path.number] = band.steps
    for band in _bands(potential, list(again.values()), how, how.max_steps):
        yield replace(band, steps=earlier[band.number] + band.steps)


def _now(how: _How) -> bool:
    """Whether somebody wants an end."""
    return how.stop is not None and how.stop()


def _legs(band: Band, minima: Sequence[ase.Atoms], known: Sequence[ase.Atoms], number: int) -> list[_Running]:
    """Paths from minimum to minimum on the way of another, numbered from one on."""
    here = band.images[0].copy()
    found: list[_Running] = []
    for there in (*minima, band.images[-1]):
        positions = interpolated(here, align(here, there).positions, len(band.images))
        found.append(_Running(number + len(found), here, positions, known))
        here = here.copy()
        here.positions = positions[-1]
    return found


def _bands(
    potential: Potential | EnergyModel, paths: Sequence[_Running], how: _How, most_by_model: int
) -> Iterator[Band]:
    """As many at once as go together, each until it has ended, after so many steps at most by a model."""
    waiting = iter(paths)
    first = next(waiting, None)
    if first is None:
        return
    inner = len(first.positions) - 2
    most = how.batch or max(1, _ATOMS_AT_ONCE // (inner * len(first.atoms)))
    running: list[_Running | None] = [first, *(next(waiting, None) for _ in range(min(most, len(paths)) - 1))]
    whole = [image for one in running if one is not None for image in _images(one)]
    _tell_ends(potential, running)
    evaluator = EngineEvaluator(energy_model(potential), whole)
    rows = np.concatenate([one.positions[1:-1] for one in running if one is not None])
    while any(one is not None for one in running):
        energies, gradients = evaluator(rows)
        for slot, one in enumerate(running):
            if one is None:
                continue
            own = slice(slot * inner, (slot + 1) * inner)
            one.energies[1:-1], one.gradients[1:-1] = energies[own], gradients[own]
            most_steps = most_by_model if one.stepper.by_model else how.max_steps
            ended = _move(one, how.spring, how.climb, how.max_force, 1 if _now(how) else most_steps)
            if ended is not None:
                yield _band(potential, one, ended)
                running[slot] = one = next(waiting, None)
                if one is None:
                    continue
                _tell_ends(potential, [one])
                for place, atoms in zip(range(own.start, own.stop), _images(one), strict=True):
                    evaluator.replace(place, atoms)
            rows[own] = one.positions[1:-1]


def _prepared(number: int, ends: Sequence[ase.Atoms], images: int, mirror_images: bool) -> _Running:
    """A path with images in their first places."""
    if isinstance(ends, ase.Atoms) or len(ends) < 2:
        raise ValueError(f"ends of path {number} must be two structures at least")
    first, last = ends[0].copy(), ends[-1]
    for image in ends[1:]:
        if not np.array_equal(np.sort(image.numbers), np.sort(first.numbers)):
            raise ValueError(
                f"ends of path {number} must be made of the same atoms, got {first.get_chemical_formula()} and "
                f"{image.get_chemical_formula()}"
            )
    aligned = align(first, last, mirror_images=mirror_images)
    if aligned.rmsd < SAME:
        raise ValueError(
            f"both ends of path {number} are the same minimum: turned and renumbered they lie within "
            f"{aligned.rmsd:.3f} Å of each other; a path needs two different ones"
        )
    if len(ends) > 2:
        positions = np.stack([atoms.positions for atoms in ends])
    else:
        positions = interpolated(first, aligned.positions, images)
    if len(positions) < 3:
        raise ValueError(f"images must be at least 3, got {len(positions)}")
    return _Running(number, first, positions)


def _check_alike(prepared: Sequence[_Running]) -> None:
    """One batch of the engine holds them all."""
    for one in prepared[1:]:
        first = prepared[0]
        for what, axis in (("images", 0), ("atoms", 1)):
            here, there = first.positions.shape[axis], one.positions.shape[axis]
            if here != there:
                raise ValueError(
                    f"all paths must have as many {what}: path 0 has {here}, path {one.number} has {there}"
                )
        if first.atoms.pbc.any() != one.atoms.pbc.any():
            raise ValueError(f"all paths must be of molecules or all in cells, and paths 0 and {one.number} differ")


def _move(one: _Running, spring: float, climb: bool, max_force: float, max_steps: int) -> bool | None:
    """Move the images of a path; or say that it has converged (True) or ended otherwise (False)."""
    one.steps += 1
    if not np.isfinite(one.energies).all():
        return False
    highest = int(np.argmax(one.energies))
    inside = 0 < highest < len(one.energies) - 1
    begins = climb and one.climbing is None and one.max_force < max(CLIMBS_BELOW, max_force)
    if inside and (begins or one.climbing not in (None, highest - 1)):
        one.climbing = highest - 1
        one.stepper.forget()
    forces = nudged_forces(one.positions, one.energies, one.gradients[1:-1], spring, one.climbing)
    forces = _free(one.freedom, forces, one.positions[1:-1])
    one.max_force = float(np.linalg.norm(forces, axis=2).max())
    if one.max_force <= max_force and (one.climbing is not None or not climb or not inside):
        return True
    if one.steps >= max_steps:
        return False
    one.positions[1:-1] += one.stepper.propose(one.positions[1:-1], forces)
    return None


def _free(freedom: Freedom, forces: Inner, positions: Inner) -> Inner:
    """Forces without what shifts or turns an image as a whole, and none on atoms that are fixed."""
    if not freedom.free_to_shift:
        return np.where(freedom.fixed[:, None], 0.0, forces)
    images, atoms = forces.shape[:2]
    turn = np.full(images, freedom.free_to_turn)
    return without_rigid_motion(forces, positions, np.ones((images, atoms), bool), turn)


def _images(one: _Running) -> list[ase.Atoms]:
    found = []
    for positions in one.positions[1:-1]:
        image = one.atoms.copy()
        image.positions = positions
        found.append(image)
    return found


def _tell_ends(potential: Potential | EnergyModel, running: Sequence[_Running | None]) -> None:
    """Energies and gradients of the ends, which do not move."""
    some = [one for one in running if one is not None]
    ends = []
    for one in some:
        for place in (0, -1):
            atoms = one.atoms.copy()
            atoms.positions = one.positions[place]
            ends.append(atoms)
    energies, gradients = EngineEvaluator(energy_model(potential), ends)(np.stack([atoms.positions for atoms in ends]))
    for number, one in enumerate(some):
        one.energies[[0, -1]] = energies[2 * number : 2 * number + 2]
        one.gradients[[0, -1]] = gradients[2 * number : 2 * number + 2]


def _band(potential: Potential | EnergyModel, one: _Running, converged: bool) -> Band:
    energies, images = one.energies + shift_of(potential, one.atoms), []
    for positions, energy, gradient in zip(one.positions, energies, one.gradients, strict=True):
        image = one.atoms.copy()
        image.positions = positions
        image.calc = SinglePointCalculator(image, energy=float(energy), forces=-gradient)
        images.append(image)
    highest = int(np.argmax(energies))
    along = tangents(one.positions, energies)[int(np.clip(highest - 1, 0, len(energies) - 3))]
    return Band(one.number, images, energies, converged, one.max_force, one.steps, highest, along)


def _check(images: int, max_force: float, max_steps: int, spring: float, batch: int | None) -> None:
    if images < 3:
        raise ValueError(f"images must be at least 3, both ends included, got {images}")
    for name, value in (("max_force", max_force), ("max_steps", max_steps), ("spring", spring), ("batch", batch or 1)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
