"""MACE in PyTorch: the network alone on a batch that is ready, and velocity Verlet through its ASE calculator."""

from mace_model import MODEL, random_mace
from protocol import serve, through_ase, torch_device

from mace import data  # isort: skip
from mace.calculators import MACECalculator  # isort: skip
from mace.tools import torch_geometric  # isort: skip

CALCULATOR = MACECalculator(models=random_mace(), device=torch_device(), default_dtype="float32")


def prepare(structures):
    """The network on all structures at once, and dynamics of a single one in ASE, which knows no batches."""
    rows = [
        data.AtomicData.from_config(data.config_from_atoms(atoms), z_table=CALCULATOR.z_table, cutoff=CALCULATOR.r_max)
        for atoms in structures
    ]
    batch = next(iter(torch_geometric.dataloader.DataLoader(rows, batch_size=len(rows)))).to(torch_device())

    def call():
        return CALCULATOR.models[0](batch.clone().to_dict())["forces"].detach().cpu().numpy()

    return through_ase(call, structures, CALCULATOR)


if __name__ == "__main__":
    serve(prepare, MODEL)
