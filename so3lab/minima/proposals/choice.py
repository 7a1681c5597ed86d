"""Which proposers suit a structure, and which has a given name?"""

from collections.abc import Callable, Sequence

import ase

from so3lab.engine.energy_model import EnergyModel
from so3lab.minima.proposals.cluster_moves import ClusterMoves
from so3lab.minima.proposals.dynamics import Snapshots
from so3lab.minima.proposals.escapes import Hopping
from so3lab.minima.proposals.given import Embeddings
from so3lab.minima.proposals.names import NAMES
from so3lab.minima.proposals.proposer import Proposer
from so3lab.minima.proposals.torsion_moves import TorsionMoves
from so3lab.minima.torsions import rotatable_dihedrals
from so3lab.potential.potential import Potential
from so3lab.structures.symmetry import molecular_graph


def proposers_for(
    potential: Potential | EnergyModel,
    atoms: ase.Atoms,
    *,
    names: Sequence[str] = (),
    smiles: str | None = None,
) -> list[Proposer]:
    """Proposers by name, or, without names, those that suit a structure.

    Clusters without bonds get moves of atoms. Molecules get turns of torsions, where there are any, hopping, which
    finds what torsions do not reach, such as puckers of rings, and embeddings when there is a SMILES.

    Args:
        potential: The force field, for those that run dynamics.
        atoms: Where the search begins.
        names: Some of :data:`NAMES`.
        smiles: Of the compound, for embeddings.

    Raises:
        ValueError: If a name is none of those, or lacks what it needs.
    """
    if unknown := [name for name in names if name not in NAMES]:
        raise ValueError(f"proposals must be some of {', '.join(NAMES)}, got {unknown[0]!r}")
    if "embeddings" in names and smiles is None:
        raise ValueError("embeddings need a SMILES: begin with smiles:..., or leave them out")
    if not names:
        names = _suitable(atoms, smiles)
    makers: dict[str, Callable[[], Proposer]] = {
        "torsions": lambda: TorsionMoves(atoms),
        "hopping": lambda: Hopping(potential),
        "dynamics": lambda: Snapshots(potential),
        "embeddings": lambda: Embeddings(smiles or ""),
        "cluster": lambda: ClusterMoves(),
    }
    return [makers[name]() for name in names]


def _suitable(atoms: ase.Atoms, smiles: str | None) -> list[str]:
    graph = molecular_graph(atoms)
    if not len(graph.bonds):
        return ["cluster"]
    found = ["torsions"] if rotatable_dihedrals(atoms, graph) else []
    found += ["embeddings"] if smiles else []
    return [*found, "hopping"]
