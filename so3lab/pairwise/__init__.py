"""Pairwise terms with few parameters that a network need not learn: repulsion, electrostatics, dispersion."""

from so3lab.pairwise.repulsion import REPULSION_RANGE, ShortRangeRepulsion

__all__ = ["REPULSION_RANGE", "ShortRangeRepulsion"]
