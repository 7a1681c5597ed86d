"""Pairwise terms with few parameters that a network need not learn: repulsion, electrostatics, dispersion."""

from so3lab.engine.native_long_range import far_terms
from so3lab.network.pairwise.dispersion import DISPERSION_ELEMENTS, dispersion_term
from so3lab.network.pairwise.electrostatics import electrostatics_term
from so3lab.network.pairwise.repulsion import REPULSION_RANGE, ShortRangeRepulsion
from so3lab.network.pairwise.term import Term, atomic_term, pair_term
from so3lab.network.pairwise.truncation import CELL_CUTOFF

__all__ = [
    "CELL_CUTOFF",
    "DISPERSION_ELEMENTS",
    "REPULSION_RANGE",
    "ShortRangeRepulsion",
    "Term",
    "atomic_term",
    "dispersion_term",
    "electrostatics_term",
    "far_terms",
    "pair_term",
]
