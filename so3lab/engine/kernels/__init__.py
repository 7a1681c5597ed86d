"""Loops over pairs and atoms in C for CPU, where XLA's are slow; compiled on the user's machine, if it can."""

from so3lab.engine.kernels.attention import (
    MOST_SPECIES,
    PairArrays,
    PairWeights,
    attend,
    attend_first,
    pair_weights,
    project,
)
from so3lab.engine.kernels.far_pairs import (
    COULOMB_BY_PAIRS,
    COULOMB_ENDS,
    TRUNCATED,
    FarAtoms,
    FarConstants,
    far_energies,
)
from so3lab.engine.kernels.geometry import Shape, geometry
from so3lab.engine.kernels.library import Heads, ready, register, supports
from so3lab.engine.kernels.pair_inputs import Places, places_of
from so3lab.engine.kernels.update import UpdateWeights, update, update_weights

__all__ = [
    "COULOMB_BY_PAIRS",
    "COULOMB_ENDS",
    "MOST_SPECIES",
    "TRUNCATED",
    "FarAtoms",
    "FarConstants",
    "Heads",
    "PairArrays",
    "PairWeights",
    "Places",
    "Shape",
    "UpdateWeights",
    "attend",
    "attend_first",
    "far_energies",
    "geometry",
    "pair_weights",
    "places_of",
    "project",
    "ready",
    "register",
    "supports",
    "update",
    "update_weights",
]
