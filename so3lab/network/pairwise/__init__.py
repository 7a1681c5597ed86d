"""Pairwise terms with few parameters that a network need not learn: repulsion, electrostatics, dispersion."""

from so3lab.network.pairwise.dispersion import DISPERSION_ELEMENTS, dispersion_term
from so3lab.network.pairwise.electrostatics import electrostatics_term
from so3lab.network.pairwise.long_range_energy import long_range_terms
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
    "long_range_terms",
    "pair_term",
]
