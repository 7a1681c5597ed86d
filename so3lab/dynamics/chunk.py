"""What a simulation hands out: consecutive frames of one structure, as NumPy arrays."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int


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
