"""Which rotation lays atoms upon others best, once both are centred?"""

import numpy as np
from jaxtyping import Float


def rotations_onto(
    correlation: Float[np.ndarray, "*some 3 3"], hand: int | Float[np.ndarray, "*some"] = 1
) -> Float[np.ndarray, "*some 3 3"]:
    r"""Rotations :math:`Q` of row vectors, :math:`x Q`, that make squared distances from others smallest.

    .. math:: \min_Q \sum_a w_a |x_a Q - y_a|^2, \qquad \det Q = \pm 1

    Args:
        correlation: :math:`\sum_a w_a x_a^T y_a` of centred atoms and those that they are laid upon, Å².
        hand: 1 for rotations, -1 for rotations with a reflection.

    Source: W. Kabsch, Acta Cryst. A 34, 827 (1978), from the singular values of the correlation matrix.
    """
    u, _, vt = np.linalg.svd(correlation)
    u[..., 2] *= np.asarray(hand * np.sign(np.linalg.det(u @ vt)))[..., None]  # flips the axis that costs least
    return u @ vt
