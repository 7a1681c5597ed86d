"""A search by MMFF that tests begin here or elsewhere: python molecule_search.py SMILES WHERE SEED PROPOSALS."""

import sys

from mmff import relax_by_mmff

from so3lab.minima import Search
from so3lab.pretrained import lennard_jones
from so3lab.structures import from_smiles


def search(smiles: str, out: str | None, seed: int = 0, **options) -> Search:
    """Resumed if it is there."""
    return Search(
        lennard_jones(), from_smiles(smiles), proposals=["torsions"], relax=relax_by_mmff(smiles), out=out, seed=seed,
        resume=True, round_size=8, **options,
    )  # fmt: skip


if __name__ == "__main__":
    smiles, where, seed, proposals = sys.argv[1:]
    for _ in search(smiles, where, int(seed)).run(proposals=int(proposals)):
        pass
