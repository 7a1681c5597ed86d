"""Loops over pairs in C for CPU, where XLA's are slow; compiled on the user's machine at first use, if it can."""

from so3lab.kernels.attention import (
    MOST_SPECIES,
    PairArrays,
    PairWeights,
    attend,
    attend_first,
    pair_weights,
    project,
)
from so3lab.kernels.far_pairs import (
    COULOMB_BY_PAIRS,
    TRUNCATED,
    FarAtoms,
    FarConstants,
    FarPairs,
    far_energies,
)
from so3lab.kernels.library import ready, supports

__all__ = [
    "COULOMB_BY_PAIRS",
    "MOST_SPECIES",
    "TRUNCATED",
    "FarAtoms",
    "FarConstants",
    "FarPairs",
    "PairArrays",
    "PairWeights",
    "attend",
    "attend_first",
    "far_energies",
    "pair_weights",
    "project",
    "ready",
    "supports",
]
