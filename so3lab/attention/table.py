"""Attention weights of a structure as a tidy table: who listens to whom, in which layer and head."""

import ase
import numpy as np
import pandas as pd

from so3lab.attention.channels import channels
from so3lab.attention.look import Inside, look_inside
from so3lab.potential.potential import Potential


def attention_table(potential: Potential, atoms: ase.Atoms) -> pd.DataFrame:
    """All attention weights of one structure.

    Weights are signed and not normalised over neighbours (there is no softmax); they contain the smooth
    cutoff and the normalisation by the mean number of neighbours. The weight with which ``receiver``
    listens to ``sender`` differs from the reverse one.

    Args:
        potential: The potential.
        atoms: The structure.

    Returns:
        Columns ``layer`` (from 1), ``kind`` ("features" or "euclidean"), ``head_or_degree`` (head number from
        1, or degree l), ``receiver``, ``sender`` (atom indices), ``distance`` (Å), ``weight``.
    """
    return table_of(look_inside(potential, atoms))


def table_of(inside: Inside) -> pd.DataFrame:
    """The same table of what a network has said already."""
    members = channels(inside.settings)
    pairs = 2 * len(inside.first)
    kinds = pd.Categorical([one.kind for one in members], ["features", "euclidean"]).repeat(pairs)
    return pd.DataFrame(
        {
            "layer": np.repeat([one.layer for one in members], pairs),
            "kind": kinds.astype(str),
            "head_or_degree": np.repeat([one.number for one in members], pairs),
            "receiver": np.tile(np.concatenate([inside.first, inside.second]), len(members)),
            "sender": np.tile(np.concatenate([inside.second, inside.first]), len(members)),
            "distance": np.tile(inside.distances, 2 * len(members)),
            "weight": np.concatenate([inside.weights(one).ravel() for one in members]),
        }
    )
