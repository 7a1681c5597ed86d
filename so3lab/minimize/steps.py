"""When is a step good, and how long may the next one be: rules that all methods share."""

import numpy as np
from jaxtyping import Bool, Float

MAY_RISE = 1e-4
"""eV by which an energy may rise: what rounding of single precision leaves."""
LONGEST_STEP = 0.8
"""Å that an atom moves at most in a step."""
SHORTEST_TRUST = 0.005
"""Å below which no step is shortened."""
Each = Float[np.ndarray, " rows"]


def trust_after(trust: Each, lengths: Each, gained: Each, predicted: Each, accepted: Bool[np.ndarray, " rows"]) -> Each:
    """The trust radius after a step: shorter where the prediction was bad, longer where it was good.

    Args:
        trust: Å, before.
        lengths: Å that the atom which moved most has moved.
        gained: eV, negative where the energy rose.
        predicted: eV.
        accepted: Whether the step was.
    """
    ratio = gained / np.maximum(predicted, 1e-12)
    known = predicted > 2.0 * MAY_RISE  # smaller ones drown in rounding
    after = np.where(known & (ratio < 0.25), np.minimum(trust, lengths) * 0.6, trust)
    after = np.where(known & (ratio > 0.75) & (lengths > 0.8 * trust), trust * 1.6, after)
    after = np.where(accepted, after, np.minimum(trust, lengths) * 0.3)
    return np.clip(after, SHORTEST_TRUST, LONGEST_STEP)
