"""Attention weights of a structure as a tidy table: who listens to whom, in which layer and head."""

import ase
import numpy as np
import pandas as pd

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
    result = potential(atoms, attention=True)
    graph, weights = result.graph, result.attention
    assert weights is not None
    assert graph is not None
    real = np.asarray(graph.pair_mask)
    i, j = np.asarray(graph.receivers)[real], np.asarray(graph.senders)[real]
    vectors = np.asarray(graph.positions)[j] - np.asarray(graph.positions)[i]
    if graph.cells is not None:
        vectors = vectors + np.asarray(graph.images)[real] @ np.asarray(graph.cells)[0]
    pairs = {
        "receiver": np.concatenate([i, j]),
        "sender": np.concatenate([j, i]),
        "distance": np.tile(np.linalg.norm(vectors, axis=-1), 2),
    }
    heads = [("features", number + 1, number) for number in range(potential.settings.num_heads)]
    heads += [("euclidean", degree, number) for number, degree in enumerate(potential.settings.degrees)]
    tables = []
    for layer in range(potential.settings.num_layers):
        for kind, name, number in heads:
            both = np.asarray(getattr(weights, kind)[layer])[:, real, number]
            tables.append(
                pd.DataFrame(
                    {
                        "layer": layer + 1,
                        "kind": kind,
                        "head_or_degree": name,
                        **pairs,
                        "weight": both.reshape(-1),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)
