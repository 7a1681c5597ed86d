"""The PyTorch port with SO3LR's weights: its model alone, and velocity Verlet through its ASE calculator."""

import warnings

import torch
from protocol import serve

warnings.filterwarnings("ignore")
torch.set_num_threads(1)

from so3krates_torch.calculator.so3 import SO3LRCalculator  # noqa: E402

CALCULATOR = SO3LRCalculator(default_dtype="float32")


def prepare(atoms):
    """The model on a batch that is ready, and dynamics in ASE."""
    from ase import units
    from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
    from ase.md.verlet import VelocityVerlet

    batch = CALCULATOR._atoms_to_batch(atoms)
    moving = atoms.copy()
    moving.calc = CALCULATOR
    MaxwellBoltzmannDistribution(moving, temperature_K=100.0)
    dynamics = VelocityVerlet(moving, 0.25 * units.fs)

    def call():
        fresh = CALCULATOR._clone_batch(batch).to_dict()
        return CALCULATOR.models[0](fresh, compute_stress=False)["forces"].detach().numpy()

    return call, dynamics.run


if __name__ == "__main__":
    serve(prepare)
