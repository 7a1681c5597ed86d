r"""Which forces people add to those of the force field: restraints, pulls, a wall around a cluster.

Restraints hold a distance, an angle or a dihedral with a spring, pulls drag two atoms apart or one atom along, a
sphere keeps a cluster together. All but pulls along a direction depend on distances within one structure only, so
that momentum and angular momentum stay what they are; the pull on one atom has its counterweight in the centre of
mass, so that at least the molecule does not fly away. It turns the molecule, whose rotation counts as heat from then
on.

Compiled code sees :class:`BiasArrays`: a fixed number of slots of each kind. What is in a slot (atoms, centre,
strength) is an argument of a chunk of steps; only more slots than ever before compile anything again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import ase
import jax.numpy as jnp
import numpy as np
from ase.geometry import find_mic
from jaxtyping import Array, Bool, Float, Int

from so3lab.functions.safe import safe_norm
from so3lab.structures.neighbors import HostOrDevice


@dataclass(frozen=True)
class Restraint:
    """A spring on a distance (two atoms), an angle (three) or a dihedral (four)."""

    atoms: tuple[int, ...]
    centre: float
    """Å, or degrees."""
    strength: float
    """Spring constant k of the energy k/2 (x - centre)², eV/Å² or eV/rad²."""

    def __post_init__(self) -> None:
        _check_atoms("Restraint", self.atoms, (2, 3, 4))
        if not (np.isfinite(self.strength) and self.strength >= 0):
            raise ValueError(f"strength must be finite and not negative, got {self.strength}")
        if not np.isfinite(self.centre) or (len(self.atoms) == 2 and self.centre < 0):
            raise ValueError(f"centre must be a finite number, and for distances not negative; got {self.centre}")


@dataclass(frozen=True)
class Pull:
    """A constant force: between two atoms, or on one atom along a direction."""

    atoms: tuple[int, ...]
    force: float | tuple[float, float, float]
    """eV/Å; for two atoms a number, positive to pull them apart; for one atom three components."""

    def __post_init__(self) -> None:
        _check_atoms("Pull", self.atoms, (1, 2))
        wanted = () if len(self.atoms) == 2 else (3,)
        if np.shape(self.force) != wanted or not np.all(np.isfinite(self.force)):
            kind = "a number (eV/Å)" if wanted == () else "three components (eV/Å)"
            raise ValueError(f"force on {len(self.atoms)} atom(s) must be {kind}, got {self.force!r}")


@dataclass(frozen=True)
class SphericalWall:
    """A soft wall around the centre of mass: no force inside, a spring outside."""

    radius: float
    """Å."""
    strength: float = 1.0
    """eV/Å²."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.radius) and self.radius > 0 and np.isfinite(self.strength) and self.strength >= 0):
            raise ValueError(
                f"radius must be positive and strength not negative, got {self.radius} and {self.strength}"
            )


Bias = Restraint | Pull | SphericalWall


def _check_atoms(what: str, atoms: tuple[int, ...], counts: tuple[int, ...]) -> None:
    if len(atoms) not in counts or len(set(atoms)) != len(atoms) or any(atom < 0 for atom in atoms):
        raise ValueError(f"{what} atoms must be {' or '.join(map(str, counts))} different numbers, got {atoms}")


class BiasCapacity(NamedTuple):
    """How many biases of each kind fit into compiled code."""

    distances: int = 0
    angles: int = 0
    dihedrals: int = 0
    pair_forces: int = 0  # pulls on two atoms
    atom_forces: int = 0  # pulls on one atom
    spheres: int = 0  # 0 or 1 for each structure

    def with_capacity_for(self, biases: Sequence[Bias]) -> "BiasCapacity":
        """At least as many as now, and enough for these."""
        counts = [sum(_kind(bias) == name for bias in biases) for name in self._fields]
        counts[-1] = min(counts[-1], 1)
        return BiasCapacity(*map(max, self, counts))


def _kind(bias: Bias) -> str:
    if isinstance(bias, SphericalWall):
        return "spheres"
    if isinstance(bias, Pull):
        return "pair_forces" if len(bias.atoms) == 2 else "atom_forces"
    return ("distances", "angles", "dihedrals")[len(bias.atoms) - 2]


class Springs(NamedTuple):
    """Restraints of one kind."""

    atoms: Int[HostOrDevice, "springs members"]
    images: Int[HostOrDevice, "springs members 3"] | None  # cells by which an atom is moved beside the first one
    centres: Float[HostOrDevice, " springs"]  # Å or radians
    strengths: Float[HostOrDevice, " springs"]  # 0 in an empty slot


class BiasArrays(NamedTuple):
    """All biases of all structures as arrays."""

    springs: tuple[Springs, ...]  # distances, angles, dihedrals: those kinds that have slots
    pair_forces: Springs | None  # centres are not used, strengths are forces
    pulled_atoms: Int[HostOrDevice, " pulls"]  # one of each pull
    atom_forces: Float[HostOrDevice, "pulls 3"]
    radii: Float[HostOrDevice, " structures"] | None
    wall_strengths: Float[HostOrDevice, " structures"] | None


def bias_arrays(
    biases: Sequence[Bias], structures: Sequence[ase.Atoms], bias_capacity: BiasCapacity, dtype: str
) -> BiasArrays | None:
    """Arrays of biases, which act in every structure; None when there is no slot.

    Args:
        biases: What to add.
        structures: Structures, at whose positions the nearest images of restrained atoms are taken.
        bias_capacity: In each structure.
        dtype: Precision.

    Raises:
        ValueError: If a bias names an atom that a structure does not have, or there are two spheres.
    """
    if not any(bias_capacity):
        return None
    for bias in biases:
        for atoms in structures:
            named = () if isinstance(bias, SphericalWall) else bias.atoms
            if any(atom >= len(atoms) for atom in named):
                raise ValueError(f"atoms of {bias} must be below {len(atoms)}, the number of atoms")
    spheres = [bias for bias in biases if isinstance(bias, SphericalWall)]
    if len(spheres) > 1:
        raise ValueError(f"there may be one SphericalWall, got {len(spheres)}")
    springs = []
    restraints = [bias for bias in biases if isinstance(bias, Restraint)]
    for members, count in zip((2, 3, 4), bias_capacity[:3], strict=True):
        own = [r for r in restraints if len(r.atoms) == members]
        rows = [_Slot(r.atoms, r.centre if members == 2 else float(np.radians(r.centre)), r.strength) for r in own]
        if count:
            springs.append(_springs(rows, members, structures, count, dtype))
    pulls = [bias for bias in biases if isinstance(bias, Pull)]
    pair_forces = None
    if bias_capacity.pair_forces:
        between = [pull for pull in pulls if len(pull.atoms) == 2]  # whose forces are numbers, as Pull has checked
        forces = [_Slot(pull.atoms, 0.0, cast(float, pull.force)) for pull in between]
        pair_forces = _springs(forces, 2, structures, bias_capacity.pair_forces, dtype)
    pulled_atoms, atom_forces = _atom_forces(
        [p for p in pulls if len(p.atoms) == 1], structures, bias_capacity.atom_forces, dtype
    )
    sphere = spheres[0] if spheres else SphericalWall(1.0, 0.0)
    radii = walls = None
    if bias_capacity.spheres:
        radii, walls = (np.full(len(structures), x, dtype) for x in (sphere.radius, sphere.strength))
    return BiasArrays(tuple(springs), pair_forces, pulled_atoms, atom_forces, radii, walls)


def _offsets(structures: Sequence[ase.Atoms]) -> list[int]:
    starts = np.concatenate([[0], np.cumsum([len(atoms) for atoms in structures])[:-1]])
    return [int(start) for start in starts]


class _Slot(NamedTuple):
    """A spring in the units of :class:`Springs`, its atoms counted in a structure."""

    atoms: tuple[int, ...]
    centre: float
    strength: float


def _springs(rows: Sequence[_Slot], members: int, structures: Sequence[ase.Atoms], count: int, dtype: str) -> Springs:
    """Slots of each structure filled with the same rows; empty ones have no strength."""
    total = count * len(structures)
    atoms, images = np.zeros((total, members), np.int32), np.zeros((total, members, 3), np.int32)
    centres, strengths = np.zeros(total, dtype), np.zeros(total, dtype)
    slot = 0
    for structure, offset in zip(structures, _offsets(structures), strict=True):
        atoms[slot : slot + count] = offset
        for number, (named, centre, strength) in enumerate(rows):
            atoms[slot + number] = np.asarray(named) + offset
            images[slot + number] = _nearest_images(structure, named)
            centres[slot + number], strengths[slot + number] = centre, strength
        slot += count
    periodic = any(atoms.pbc.any() for atoms in structures)
    return Springs(atoms, images if periodic else None, centres, strengths)


def _nearest_images(structure: ase.Atoms, named: tuple[int, ...]) -> Int[np.ndarray, "members 3"]:
    """By how many cells each atom is moved so that it stands beside the one before it."""
    shifts = np.zeros((len(named), 3), np.int32)
    if not structure.pbc.any():
        return shifts
    cell = structure.cell.complete()
    for k in range(1, len(named)):
        vector = structure.positions[named[k]] - structure.positions[named[k - 1]]
        nearest, _ = find_mic(vector, structure.cell, structure.pbc)
        shifts[k] = shifts[k - 1] + np.rint(np.linalg.solve(cell.T, nearest - vector)).astype(int)
    return shifts


def _atom_forces(
    pulls: Sequence[Pull], structures: Sequence[ase.Atoms], count: int, dtype: str
) -> tuple[Int[np.ndarray, " pulls"], Float[np.ndarray, "pulls 3"]]:
    atoms, forces = np.zeros(count * len(structures), np.int32), np.zeros((count * len(structures), 3), dtype)
    for number, offset in enumerate(_offsets(structures)):
        for row, pull in enumerate(pulls):
            atoms[number * count + row], forces[number * count + row] = pull.atoms[0] + offset, pull.force
    return atoms, forces


def bias_energies(
    biases: BiasArrays,
    positions: Float[Array, "atoms 3"],
    masses: Float[Array, " atoms"],
    structure_index: Int[Array, " atoms"],
    cells: Float[Array, "structures 3 3"] | None,
    structures: int,
) -> Float[Array, " structures"]:
    """Energy of all biases in each structure, eV; for compiled code.

    Args:
        biases: From :func:`bias_arrays`.
        positions: Å, as they move, not wrapped.
        masses: amu.
        structure_index: Of each atom.
        cells: Å, rows; None when no structure is periodic.
        structures: How many there are.
    """
    energies = jnp.zeros(structures, positions.dtype)

    def add(atoms: Int[HostOrDevice, " terms"], values: Float[HostOrDevice, " terms"]) -> Float[Array, " structures"]:
        return energies.at[structure_index[atoms]].add(values)

    for springs in biases.springs:
        places = _places(springs, positions, structure_index, cells)
        active = springs.strengths > 0
        x = _COORDINATES[springs.atoms.shape[1]](places, active)
        off = x - springs.centres
        if springs.atoms.shape[1] == 4:
            off = off - 2.0 * jnp.pi * jnp.round(off / (2.0 * jnp.pi))
        energies = add(springs.atoms[:, 0], 0.5 * springs.strengths * off**2)
    if biases.pair_forces is not None:
        pulls = biases.pair_forces
        places = _places(pulls, positions, structure_index, cells)
        energies = add(pulls.atoms[:, 0], -pulls.strengths * _distance(places, pulls.strengths != 0))
    if biases.pulled_atoms.shape[0] or biases.radii is not None:
        total = jnp.zeros(structures, masses.dtype).at[structure_index].add(masses)
        centre = jnp.zeros((structures, 3), masses.dtype).at[structure_index].add(masses[:, None] * positions)
        relative = positions - (centre / total[:, None])[structure_index]
        energies = add(biases.pulled_atoms, -jnp.sum(biases.atom_forces * relative[biases.pulled_atoms], axis=1))
        if biases.radii is not None and biases.wall_strengths is not None:
            beyond = jnp.maximum(safe_norm(relative) - biases.radii[structure_index], 0.0)
            wall = 0.5 * biases.wall_strengths[structure_index] * beyond**2
            energies = energies.at[structure_index].add(wall)
    return energies


def _places(
    springs: Springs,
    positions: Float[Array, "atoms 3"],
    structure_index: Int[Array, " atoms"],
    cells: Float[Array, "structures 3 3"] | None,
) -> Float[Array, "springs members 3"]:
    places = positions[springs.atoms]
    if springs.images is None or cells is None:
        return places
    own = cells[structure_index[springs.atoms[:, 0]]]
    return places + jnp.einsum("smi,sij->smj", springs.images.astype(places.dtype), own)


def _between(
    places: Float[Array, "springs members 3"],
    first: int,
    second: int,
    active: Bool[HostOrDevice, " springs"],
    instead: tuple[float, float, float],
) -> Float[Array, "springs 3"]:
    """Vector between two members; in an empty slot a fixed one, so that gradients stay finite."""
    return jnp.where(active[:, None], places[:, second] - places[:, first], jnp.asarray(instead, places.dtype))


def _distance(
    places: Float[Array, "springs members 3"], active: Bool[HostOrDevice, " springs"]
) -> Float[Array, " springs"]:
    return safe_norm(_between(places, 0, 1, active, (1.0, 0.0, 0.0)))


def _angle(
    places: Float[Array, "springs members 3"], active: Bool[HostOrDevice, " springs"]
) -> Float[Array, " springs"]:
    one = _between(places, 1, 0, active, (1.0, 0.0, 0.0))
    other = _between(places, 1, 2, active, (0.0, 1.0, 0.0))
    return jnp.arctan2(safe_norm(jnp.cross(one, other)), jnp.sum(one * other, axis=1))


def _dihedral(
    places: Float[Array, "springs members 3"], active: Bool[HostOrDevice, " springs"]
) -> Float[Array, " springs"]:
    """Signed, IUPAC."""
    first = _between(places, 0, 1, active, (1.0, 0.0, 0.0))
    axis = _between(places, 1, 2, active, (0.0, 1.0, 0.0))
    last = _between(places, 2, 3, active, (0.0, 0.0, 1.0))
    one, other = jnp.cross(first, axis), jnp.cross(axis, last)
    sine = jnp.sum(first * other, axis=1) * safe_norm(axis)
    return jnp.arctan2(sine, jnp.sum(one * other, axis=1))


_COORDINATES = {2: _distance, 3: _angle, 4: _dihedral}
