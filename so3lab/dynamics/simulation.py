"""One structure moving in a force field: what most people mean by a simulation."""

import ase

from so3lab.dynamics.chunk import Chunk
from so3lab.dynamics.control import Control
from so3lab.dynamics.ensembles import Ensemble
from so3lab.dynamics.integrators import MDState
from so3lab.dynamics.limits import Limits
from so3lab.dynamics.replicas import Replicas, SimulationError
from so3lab.engine.biases import BiasCapacity
from so3lab.engine.energy_model import EnergyModel
from so3lab.engine.pair_lists import PairLists
from so3lab.potential.potential import Potential


class Simulation:
    """One structure moving in a force field; :class:`Replicas` of one.

    Args:
        potential: A potential, or a :class:`~so3lab.engine.energy_model.EnergyModel` of any origin.
        atoms: Start structure.
        ensemble: One of :data:`so3lab.dynamics.ensembles.ENSEMBLES`.
        control: The knobs; keep it to turn them.
        seed: Of start velocities and noise.
        limits: When the structure counts as blown up.
        bias_capacity: For biases to come.

    Raises:
        ValueError: If the structure or a knob is not acceptable.
    """

    def __init__(
        self,
        potential: Potential | EnergyModel,
        atoms: ase.Atoms,
        *,
        ensemble: Ensemble = "langevin",
        control: Control | None = None,
        seed: int = 0,
        limits: Limits | None = None,
        bias_capacity: BiasCapacity | None = None,
    ):
        self.replicas = Replicas(
            potential,
            [atoms],
            ensemble=ensemble,
            control=control,
            seeds=[seed],
            limits=limits,
            bias_capacity=bias_capacity,
        )

    @property
    def control(self) -> Control:
        """The knobs."""
        return self.replicas.control

    @property
    def state(self) -> MDState:
        """The state of now."""
        return self.replicas.state

    @property
    def lists(self) -> PairLists:
        """The pair lists."""
        return self.replicas.lists

    def frame(self) -> Chunk:
        """The present moment as a chunk of one frame."""
        return self.replicas.frames()[0]

    def advance(self, frames: int, interval: int) -> Chunk:
        """Run ``frames * interval`` steps and return every ``interval``-th moment.

        Raises:
            ValueError: If ``frames`` exceeds what a chunk may have.
            SimulationError: If the structure blows up; ``error.chunk`` holds the good frames.
        """
        chunk = self.replicas.advance(frames, interval)[0]
        reason = self.replicas.failure()
        if reason is not None:
            error = SimulationError(reason)
            error.chunk = chunk  # type: ignore[attr-defined]
            raise error
        return chunk

    def present_atoms(self) -> ase.Atoms:
        """The structure as it is now, with velocities."""
        return self.replicas.present_atoms()[0]
