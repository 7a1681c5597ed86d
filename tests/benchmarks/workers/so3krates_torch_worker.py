"""The PyTorch port with SO3LR's weights: its model alone, and velocity Verlet through its ASE calculator."""

import warnings

import torch
from protocol import serve, through_ase, torch_device

warnings.filterwarnings("ignore")
torch.set_num_threads(1)

from so3krates_torch.calculator import so3 as port  # noqa: E402

CALCULATOR = port.SO3LRCalculator(default_dtype="float32", device=torch_device())


def prepare(structures):
    """The model on a batch that is ready, and dynamics of a single structure in ASE."""
    batch = CALCULATOR._atoms_to_batch(structures[0])
    if len(structures) > 1:
        rows = [
            port.So3Data.from_config(
                port.config_from_atoms(atoms, key_specification=CALCULATOR.key_specification),
                z_table=CALCULATOR.z_table,
                cutoff=CALCULATOR.r_max,
                cutoff_lr=CALCULATOR.r_max_lr,
            )
            for atoms in structures
        ]
        batch = next(iter(port.torch_geometric.dataloader.DataLoader(rows, batch_size=len(rows)))).to(torch_device())

    def call():
        fresh = CALCULATOR._clone_batch(batch).to_dict()
        return CALCULATOR.models[0](fresh, compute_stress=False)["forces"].detach().cpu().numpy()

    return through_ase(call, structures, CALCULATOR)


if __name__ == "__main__":
    serve(prepare)
