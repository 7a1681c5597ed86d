"""How a running simulation is watched: what ends a structure's run, found inside the compiled loop.

A structure whose energy is no number, whose energy jumps, which grows far too hot, loses a bond or whose cell gets too
small stays where it was in its last good step, while the others go on.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from so3lab import units
from so3lab.dynamics.fastest_vibration import fastest_vibration, long_timestep
from so3lab.dynamics.integrators.state import MDState, Particles, Temperature, kinetic_energies, sum_of_structures
from so3lab.functions.safe import safe_norm
from so3lab.structures.bonds import bonded_pairs
from so3lab.structures.neighbors import HostOrDevice, complete_cell
from so3lab.structures.plausibility import closest_contact

_ROOM_TEMPERATURE = 300.0 * units.kB
_VECTORS = ("first", "second", "third")
_PRESSED = 0.7
"""Times the sum of covalent radii; a start structure with atoms nearer than that is to blame for what comes of it."""


class StopReason(enum.IntFlag):
    """What ended a structure's run."""

    NOT_FINITE = 1
    PAIR_LIST_STALE = 2
    ENERGY_JUMP = 4
    TOO_HOT = 8
    BOND_BROKEN = 16
    CELL_TOO_SMALL = 32


@dataclass(frozen=True)
class Limits:
    """When a run is no longer worth anything; None switches a criterion off."""

    bond_stretch: float | None = 1.0
    """Å by which a bond of the start structure may be longer or shorter than at the start."""
    energy_jump: float | None = 0.5
    """eV per atom by which the potential energy may change in one step."""
    heat: float | None = 10.0
    """How many times the thermostat's temperature (at least 300 K) the kinetic energy may reach."""
    cell_width: float | None = 1.0
    """How many times the force field's cutoff a cell must at least measure across, or atoms meet their own images."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number, or None for no limit; got {value}")

    @property
    def any(self) -> bool:
        """Whether anything is watched besides numbers being finite."""
        return any(value is not None for value in vars(self).values())


class LimitArrays(NamedTuple):
    """Limits as arrays, for compiled code; infinite where there is none."""

    first: Int[HostOrDevice, " bonds"]
    second: Int[HostOrDevice, " bonds"]
    images: Int[HostOrDevice, "bonds 3"] | None
    lengths: Float[HostOrDevice, " bonds"]  # Å, at the start
    stretch: Float[HostOrDevice, ""]
    jump: Float[HostOrDevice, ""]
    heat: Float[HostOrDevice, ""]
    width: Float[HostOrDevice, "structures 3"]  # Å; zero where the cell does not repeat


def limit_arrays(structures: Sequence[ase.Atoms], limits: Limits, cutoff: float, dtype: str) -> LimitArrays:
    """What to watch in these structures, whose bonds are those of :func:`~so3lab.structures.bonds.bonded_pairs`.

    Args:
        structures: Start structures.
        limits: What ends a run.
        cutoff: Of the force field, Å.
        dtype: Of the arrays.
    """
    first, second, images, lengths = [], [], [], []
    offset = 0
    for atoms in structures if limits.bond_stretch is not None else ():
        i, j, shifts = bonded_pairs(atoms)
        vectors = atoms.positions[j] - atoms.positions[i] + shifts @ np.asarray(atoms.cell)
        first.append(i + offset)
        second.append(j + offset)
        images.append(shifts)
        lengths.append(np.linalg.norm(vectors, axis=1))
        offset += len(atoms)
    periodic = any(atoms.pbc.any() for atoms in structures)
    joined = lambda parts, kind: np.concatenate([np.zeros(0, kind), *parts]).astype(kind)  # noqa: E731
    stretch, jump, heat = (
        np.asarray(np.inf if x is None else x, dtype) for x in (limits.bond_stretch, limits.energy_jump, limits.heat)
    )
    width = np.array([atoms.pbc for atoms in structures]) * (limits.cell_width or 0.0) * cutoff
    moved = np.concatenate([np.zeros((0, 3), np.int32), *images]).astype(np.int32) if periodic else None
    bonds = joined(first, np.int32), joined(second, np.int32), moved, joined(lengths, dtype)
    return LimitArrays(*bonds, stretch, jump, heat, width.astype(dtype))


def cell_widths(cells: Float[HostOrDevice, "structures 3 3"]) -> Float[HostOrDevice, "structures 3"]:
    """How far cells measure across in Å: from face to face, along the normal of the two other vectors."""
    numpy = jnp if isinstance(cells, jax.Array) else np
    normals = numpy.cross(numpy.roll(cells, -1, axis=1), numpy.roll(cells, -2, axis=1))
    return numpy.abs(numpy.sum(cells * normals, axis=2)) / numpy.sqrt(numpy.sum(normals * normals, axis=2))


def check_cells(structures: Sequence[ase.Atoms], limits: Limits, cutoff: float) -> None:
    """Refuse cells in which atoms would meet their own images.

    Args:
        structures: Start structures.
        limits: What ends a run.
        cutoff: Of the force field, Å.

    Raises:
        ValueError: If a cell is too small, or its vectors are no cell.
    """
    if limits.cell_width is None:
        return
    least = limits.cell_width * cutoff
    for number, atoms in enumerate(structures):
        if not atoms.pbc.any():
            continue
        widths = cell_widths(complete_cell(np.asarray(atoms.cell), atoms.pbc)[None])[0]
        narrow = atoms.pbc & (widths < least * (1.0 - 1e-6))
        if narrow.any():
            along = int(np.flatnonzero(narrow)[0])
            which = "" if len(structures) == 1 else f" of structure {number}"
            times = np.where(narrow, np.ceil(least / widths * (1.0 - 1e-6)), 1).astype(int).tolist()
            raise ValueError(
                f"the cell{which} must measure at least {least:.4g} Å across ({limits.cell_width:g} times the cutoff "
                f"of the force field), or atoms meet their own images; along its {_VECTORS[along]} vector it measures "
                f"{widths[along]:.4g} Å. Repeat it (atoms.repeat({tuple(times)})); if it is no cell, leave it out "
                "(--no-cell, atoms.pbc = False); or, if they may meet, run without that limit "
                "(limits=Limits(cell_width=None))"
            )


def bond_stretches(
    limits: LimitArrays,
    positions: Float[Array, "atoms 3"],
    cells: Float[Array, "structures 3 3"] | None,
    particles: Particles,
) -> Float[Array, " bonds"]:
    """By how many Å each bond differs from its length at the start."""
    vectors = positions[limits.second] - positions[limits.first]
    if limits.images is not None and cells is not None:
        own = cells[particles.structure_index[limits.first]]
        vectors = vectors + jnp.einsum("bi,bij->bj", limits.images.astype(vectors.dtype), own)
    return jnp.abs(safe_norm(vectors) - limits.lengths)


def check_limits(
    limits: LimitArrays, new: MDState, old: MDState, particles: Particles, temperature: Temperature
) -> Int[Array, " structures"]:
    """What ends each structure's run at this step, 0 when nothing does; for compiled code.

    Args:
        limits: From :func:`limit_arrays`.
        new: After the step.
        old: Before it.
        particles: What moves.
        temperature: k_B T of the thermostat in eV.
    """
    kinetic = kinetic_energies(new.velocities, particles)
    finite = jnp.isfinite(new.energy) & jnp.isfinite(kinetic)
    stop_flags = jnp.where(finite, 0, StopReason.NOT_FINITE.value)
    atoms = sum_of_structures(jnp.ones_like(particles.masses), particles)
    jumped = jnp.abs(new.energy - old.energy) > limits.jump * atoms
    # The last term spares systems of few degrees of freedom, whose kinetic energy is often far above its mean.
    most = 0.5 * jnp.maximum(temperature, _ROOM_TEMPERATURE) * (limits.heat * particles.degrees_of_freedom + 50.0)
    stop_flags = stop_flags + jnp.where(jumped, StopReason.ENERGY_JUMP.value, 0)
    stop_flags = stop_flags + jnp.where(kinetic > most, StopReason.TOO_HOT.value, 0)
    if limits.first.shape[0]:
        broken = (bond_stretches(limits, new.positions, new.cells, particles) > limits.stretch).astype(jnp.int32)
        if particles.structures == 1:
            stop_flags = stop_flags + StopReason.BOND_BROKEN.value * broken.max()[None]
        else:
            none = jnp.zeros(particles.structures, jnp.int32)
            any_broken = none.at[particles.structure_index[limits.first]].max(broken)
            stop_flags = stop_flags + StopReason.BOND_BROKEN.value * any_broken
    if new.cells is not None and new.virial is not None:  # which only cells that change have
        narrow = jnp.any(cell_widths(new.cells) < limits.width, axis=1)
        stop_flags = stop_flags + jnp.where(narrow, StopReason.CELL_TOO_SMALL.value, 0)
    # The start is judged by its numbers alone.
    return jnp.where(old.step >= 0, stop_flags, stop_flags & StopReason.NOT_FINITE.value)


def failure_message(
    stop_flags: int,
    step: int,
    atoms: ase.Atoms,
    positions: Float[np.ndarray, "atoms 3"],
    velocities: Float[np.ndarray, "atoms 3"],
    forces: Float[np.ndarray, "atoms 3"],
    limits: Limits,
    timestep_fs: float,
    cell: Float[np.ndarray, "3 3"] | None = None,
) -> str:
    """What happened, at which step and to which atoms, and what to try.

    Args:
        stop_flags: Flags.
        step: At which step.
        atoms: Start structure.
        positions: Å, of the last good step.
        velocities: Å per ASE time unit, of the last good step.
        forces: eV/Å, of the last good step.
        limits: What was watched.
        timestep_fs: The time step in force.
        cell: Å, of the last good step, where there is one that changes.
    """
    what = []
    if stop_flags & StopReason.NOT_FINITE:
        what.append("energy or velocities are not finite numbers")
    if stop_flags & StopReason.PAIR_LIST_STALE:
        what.append("an atom leapt by more than half the skin of the pair list")
    if stop_flags & StopReason.ENERGY_JUMP:
        what.append(f"the energy changed by more than {limits.energy_jump} eV per atom in one step")
    if stop_flags & StopReason.TOO_HOT:
        what.append(f"the kinetic energy rose above {limits.heat} times that of the thermostat")
    if stop_flags & StopReason.BOND_BROKEN:
        what.append(f"the bond {_bond_name(atoms, positions)} changed by more than {limits.bond_stretch} Å")
    if stop_flags & StopReason.CELL_TOO_SMALL:
        what.append(f"the cell became narrower than {limits.cell_width} times the cutoff of the force field")
    if stop_flags == StopReason.CELL_TOO_SMALL and cell is not None:
        return f"the simulation cannot go on: {what[0]} at step {step}{_about_cell(atoms, cell)}"
    advice = _likely_reason(atoms, timestep_fs) or (
        f"Try a time step below {timestep_fs} fs, a lower temperature, or a relaxed start structure; "
        "if it happens again, the model does not know this geometry and needs training data near it"
    )
    numbers = StopReason.NOT_FINITE | StopReason.PAIR_LIST_STALE | StopReason.ENERGY_JUMP
    if stop_flags & StopReason.BOND_BROKEN and not stop_flags & numbers:
        advice += "; if bonds may break here, run without that limit (limits=Limits(bond_stretch=None))"
    suspects = "" if stop_flags == StopReason.BOND_BROKEN else f"; {_suspects(atoms, velocities, forces)}"
    return f"the simulation blew up: {' and '.join(what)} at step {step}{suspects}. {advice}"


def _likely_reason(atoms: ase.Atoms, timestep_fs: float) -> str:
    """What is to blame rather than the model: the time step, or where the atoms began; empty where neither is."""
    if long_timestep(atoms, timestep_fs):
        fastest = fastest_vibration(atoms)
        assert fastest is not None
        return f"The time step of {timestep_fs:g} fs is the likely reason: {fastest.advice(atoms)}"
    contact = closest_contact(atoms, _PRESSED, _PRESSED)
    if contact is None:
        return ""
    return (
        f"The start structure is the likely reason: {contact.words(atoms)}, {contact.share:.2f} times the sum of their "
        "covalent radii; correct it, or relax it first"
    )


def _about_cell(atoms: ase.Atoms, cell: Float[np.ndarray, "3 3"]) -> str:
    """Where the cell is narrowest, and what to try."""
    widths = np.where(atoms.pbc, cell_widths(np.asarray(cell, np.float64)[None])[0], np.inf)
    along = int(np.argmin(widths))
    return (
        f", where atoms begin to meet their own images; just before, it measured {widths[along]:.4g} Å along its "
        f"{_VECTORS[along]} vector. Try a larger cell (atoms.repeat), or a lower pressure_GPa; if the pressure is "
        "right and the volume only overshoots, a longer barostat_fs or a smaller compressibility_per_GPa; if atoms "
        "may meet their images, run without that limit (limits=Limits(cell_width=None))"
    )


def most_stretched(atoms: ase.Atoms, positions: Float[np.ndarray, "atoms 3"]) -> tuple[int, int] | None:
    """The two atoms of the bond that differs most from its length at the start; None where there is no bond."""
    i, j, images = bonded_pairs(atoms)
    if not len(i):
        return None
    shifts = images @ np.asarray(atoms.cell)
    lengths = [np.linalg.norm(some[j] - some[i] + shifts, axis=1) for some in (atoms.positions, positions)]
    worst = int(np.argmax(np.abs(lengths[1] - lengths[0])))
    return int(i[worst]), int(j[worst])


def _suspects(atoms: ase.Atoms, velocities: np.ndarray, forces: np.ndarray) -> str:
    """The atoms to look at: the one that was pushed most and the one that moved fastest before it happened."""
    symbols = atoms.get_chemical_symbols()
    sizes, speeds = (np.linalg.norm(np.asarray(x, np.float64), axis=1) for x in (forces, velocities))
    pushed, fastest = int(np.argmax(sizes)), int(np.argmax(speeds))
    return (
        f"just before, the largest force was {sizes[pushed]:.3g} eV/Å on {symbols[pushed]}{pushed}, and "
        f"{symbols[fastest]}{fastest} moved fastest, at {speeds[fastest] * units.fs:.3g} Å/fs"
    )


def _bond_name(atoms: ase.Atoms, positions: Float[np.ndarray, "atoms 3"]) -> str:
    symbols = atoms.get_chemical_symbols()
    return "-".join(f"{symbols[atom]}{atom}" for atom in most_stretched(atoms, positions) or ())
