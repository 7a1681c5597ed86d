"""What a simulation hands out: consecutive frames of one structure, as NumPy arrays."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from so3lab import units

if TYPE_CHECKING:
    from so3lab.dynamics.compiled_loop import Buffers


class Chunk(NamedTuple):
    """Consecutive frames of one structure; arrays have a leading frame axis and are NumPy."""

    positions: Float[np.ndarray, "frames atoms 3"]  # Å
    velocities: Float[np.ndarray, "frames atoms 3"]  # Å per ASE time unit
    forces: Float[np.ndarray, "frames atoms 3"]  # eV/Å, biases included
    potential_energy: Float[np.ndarray, " frames"]  # eV, element shifts included
    kinetic_energy: Float[np.ndarray, " frames"]  # eV
    bias_energy: Float[np.ndarray, " frames"]  # eV, of restraints, pulls and spheres; nil without them
    conserved_energy: Float[np.ndarray, " frames"]  # eV; total and biases, less what the heat bath has given
    temperature: Float[np.ndarray, " frames"]  # K, over the degrees of freedom that the ensemble heats
    target_temperature: Float[np.ndarray, " frames"]  # K, of the thermostat
    step: Int[np.ndarray, " frames"]
    time_fs: Float[np.ndarray, " frames"]
    cell: Float[np.ndarray, "frames 3 3"] | None = None  # Å, rows; where it changes
    pressure: Float[np.ndarray, " frames"] | None = None  # eV/Å³, at constant pressure
    volume: Float[np.ndarray, " frames"] | None = None  # Å³, at constant pressure

    @property
    def total_energy(self) -> Float[np.ndarray, " frames"]:
        """Potential plus kinetic energy in eV."""
        return self.potential_energy + self.kinetic_energy

    def columns(self) -> dict[str, Any]:
        """The arrays that are there, by name."""
        return {name: values for name, values in self._asdict().items() if values is not None}

    def __len__(self) -> int:
        return len(self.step)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return sum(values.nbytes for values in self.columns().values())

    def first(self, count: int) -> "Chunk":
        """The first so many frames."""
        return Chunk(**{name: values[:count] for name, values in self.columns().items()})


def chunk_of(
    rows: "Buffers",
    number: int,
    own_atoms: slice,
    times_fs: Float[np.ndarray, " frames"],
    *,
    masses: Float[np.ndarray, " atoms"],
    degrees_of_freedom: float,
    shift: float,
    targets_K: Float[np.ndarray, " frames"],
) -> Chunk:
    """The first frames of one structure, copied from what was collected of all.

    Args:
        rows: What was collected, on the host.
        number: Which structure.
        own_atoms: Its atoms among those of all.
        times_fs: When; as many frames are taken.
        masses: amu.
        degrees_of_freedom: That carry heat.
        shift: eV, of the elements.
        targets_K: Of the thermostat.
    """
    frames = len(times_fs)
    positions, velocities, forces = (
        np.array(of_all[:frames, own_atoms]) for of_all in (rows.positions, rows.velocities, rows.forces)
    )
    energy, bias, bath_energy = (
        np.array(of_all[:frames, number], np.float64) for of_all in (rows.energy, rows.bias, rows.bath_energy)
    )
    kinetic = 0.5 * np.sum(masses[:, None] * np.asarray(velocities, np.float64) ** 2, axis=(1, 2))
    potential, more = energy + shift, {}
    if rows.virial is not None and rows.cells is not None:
        cells, virials = (np.array(of_all[:frames, number], np.float64) for of_all in (rows.cells, rows.virial))
        volume = np.abs(np.linalg.det(cells))
        lost = (len(masses) - degrees_of_freedom / 3.0) * targets_K * units.kB
        pressure = (2.0 * kinetic / 3.0 + lost - np.trace(virials, axis1=1, axis2=2) / 3.0) / volume
        more = {"cell": cells, "volume": volume, "pressure": pressure}
    return Chunk(
        positions,
        velocities,
        forces,
        potential_energy=potential,
        kinetic_energy=kinetic,
        bias_energy=bias,
        conserved_energy=potential + kinetic + bias - bath_energy,
        temperature=2.0 * kinetic / (degrees_of_freedom * units.kB),
        target_temperature=targets_K.astype(float),
        step=np.array(rows.step[:frames], np.int64),
        time_fs=times_fs,
        **more,
    )
