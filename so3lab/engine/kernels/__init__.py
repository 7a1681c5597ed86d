"""Loops over pairs and atoms in C for CPU, where XLA's are slow; compiled on the user's machine, if it can."""

from so3lab.engine.kernels.attention import (
    MOST_CLASSES,
    GeometricNetwork,
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
from so3lab.engine.kernels.geometry import GeometrySpec, geometry
from so3lab.engine.kernels.library import HeadLayout, available, register, supports
from so3lab.engine.kernels.pair_inputs import PairInputs, pair_inputs
from so3lab.engine.kernels.update import UpdateWeights, update, update_weights

__all__ = [
    "COULOMB_BY_PAIRS",
    "COULOMB_ENDS",
    "MOST_CLASSES",
    "TRUNCATED",
    "FarAtoms",
    "FarConstants",
    "GeometricNetwork",
    "GeometrySpec",
    "HeadLayout",
    "PairArrays",
    "PairInputs",
    "PairWeights",
    "UpdateWeights",
    "attend",
    "attend_first",
    "available",
    "far_energies",
    "geometry",
    "pair_inputs",
    "pair_weights",
    "project",
    "register",
    "supports",
    "update",
    "update_weights",
]
