"""TorchSim with the MACE of :mod:`mace_model`: energy and forces, pair lists included, and NVE, in batches too."""

import torch
from mace_model import MODEL, random_mace
from protocol import Engine, serve, torch_device

import torch_sim as ts  # isort: skip
from torch_sim.integrators import nve  # isort: skip
from torch_sim.models.mace import MaceModel  # isort: skip
from torch_sim.units import MetalUnits  # isort: skip

DEVICE, FLOAT = torch.device(torch_device()), torch.float32
NETWORK = MaceModel(random_mace(), device=DEVICE, dtype=FLOAT, compute_stress=False)
FAR_APART = 1e3
"""Å; TorchSim wants a cell for molecules too."""


def prepare(structures):
    """The state of all structures, as TorchSim computes and moves it."""
    for atoms in structures:
        if not atoms.pbc.any():
            atoms.cell = [FAR_APART] * 3
    start = ts.initialize_state(structures, DEVICE, FLOAT)
    start_moving, move = nve(
        NETWORK,
        dt=torch.tensor(0.25e-3 * MetalUnits.time, dtype=FLOAT),
        kT=torch.tensor(100.0 * MetalUnits.temperature, dtype=FLOAT),
        seed=0,
    )
    moving = []

    def call():
        return NETWORK(start)["forces"].detach().cpu().numpy()

    def steps(count):
        if not moving:
            moving.append(start_moving(start.clone()))
        for _ in range(count):
            moving[0] = move(moving[0])
        return moving[0].positions.cpu()

    return Engine(call, steps)


if __name__ == "__main__":
    serve(prepare, f"{MODEL} as in mace_torch")
