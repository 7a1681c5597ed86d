r"""Attraction of induced dipoles: van der Waals energy of quantum Drude oscillators, from Hirshfeld ratios.

With :math:`\alpha_i = \alpha_0 h_i` and :math:`C_6 = C_6^0 h_i^2` of the free atoms, in atomic units,

.. math:: E = -\sum_{i<j} f(d) \sum_{n = 6, 8, 10} \frac{C_n}{d^n + p^n}

with :math:`p = 2.54 \cdot 2 s\,\bar\alpha^{1/7}` and C8, C10 from the oscillator's width. Source: the form of
Kabylda et al., JACS 147, 33723 (2025); free atoms of Tkatchenko and Scheffler, Phys. Rev. Lett. 102, 073005
(2009); width against van der Waals radius from Khabibrakhmanov et al., J. Chem. Theory Comput. 19, 7895 (2023).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from so3lab import units
from so3lab.functions.safe import switch
from so3lab.network.pairwise.term import Term, pair_term
from so3lab.network.pairwise.truncation import truncation
from so3lab.network.settings import MAX_ATOMIC_NUMBER, ModelSettings
from so3lab.structures.graph import Graph, gather

FREE_ATOMS = {  # atomic number: static polarizability and C6, atomic units
    1: (4.5, 6.5),
    6: (12.0, 46.6),
    7: (7.4, 24.2),
    8: (5.4, 15.6),
    9: (3.8, 9.52),
    15: (25.0, 185.0),
    16: (19.6, 134.0),
    17: (15.0, 94.6),
}
DISPERSION_ELEMENTS = tuple(FREE_ATOMS)
"""Atomic numbers that have a dispersion energy."""
FINE_STRUCTURE = 0.007297352566206496
FARTHEST = 1e6
"""Square of the distance in bohr beyond which nothing changes: keeps tenth powers within float32."""
FAINTEST = 1e-3
"""Polarizability in atomic units below which it is not lowered, so that its root stays differentiable."""


def _table(column: int) -> Float[np.ndarray, " elements"]:
    """Values by atomic number; NaN for other elements, so that they cannot pass unnoticed, and 1 on padding."""
    table = np.full(MAX_ATOMIC_NUMBER + 1, np.nan)
    table[0] = 1.0
    for number, values in FREE_ATOMS.items():
        table[number] = values[column]
    return table


def dispersion_term(
    ratios: Float[Array, " atoms"], distances: Float[Array, " pairs"], far: Graph, settings: ModelSettings
) -> Term:
    """Dispersion energies in eV.

    Args:
        ratios: Hirshfeld volume ratios.
        distances: Lengths of the far pairs in Å.
        far: The graph with far pairs, :attr:`so3lab.structures.graph.Graph.long_range_graph`.
        settings: For the scale of the damping radius and the truncation.
    """
    atoms = jnp.stack(oscillators(ratios, far), axis=-1)
    first, second = gather(atoms, far.receivers), gather(atoms, far.senders)
    mean = 0.5 * (first[:, 0] + second[:, 0])
    c6_pair = 2.0 * first[:, 0] * second[:, 0] / (first[:, 1] + second[:, 1])
    energies = _oscillator_energy(distances / units.bohr, mean, c6_pair, settings.dispersion_scale)
    ends = truncation(settings, far)
    if ends is not None:
        fade = switch(distances, ends.cutoff - settings.dispersion_damping, ends.cutoff)
        energies = ends.choose(far, fade * energies, energies)
    return pair_term(jnp.where(far.pair_mask, units.hartree * energies, 0.0), far)


def oscillators(ratios: Float[Array, " atoms"], graph: Graph) -> tuple[Float[Array, " atoms"], Float[Array, " atoms"]]:
    """Polarizability of each atom, and its square over C6, which does not depend on the surroundings; atomic units."""
    free, c6 = (jnp.asarray(_table(column), ratios.dtype)[graph.atomic_numbers] for column in (0, 1))
    return jnp.maximum(free * ratios, FAINTEST), free * free / c6


def _oscillator_energy(
    distances: Float[Array, " pairs"],
    polarizability: Float[Array, " pairs"],
    c6: Float[Array, " pairs"],
    scale: float,
) -> Float[Array, " pairs"]:
    """Energy of pairs in hartree; everything in atomic units."""
    root = polarizability ** (1.0 / 7.0)
    radius: Float[Array, " pairs"] = FINE_STRUCTURE ** (-4.0 / 21.0) * root
    width = -0.00433008 + radius * (0.24428889 + radius * (0.04125273 - 0.00078893 * radius))
    double = 2.0 * width * width  # 1/gamma
    c8, c10 = 5.0 * c6 * double, 245.0 / 8.0 * c6 * double * double
    far2 = jnp.minimum(distances * distances, FARTHEST)
    near2 = (2.0 * 2.54 * scale * root) ** 2
    far6, near6 = far2**3, near2**3
    return -(
        c6 / (far6 + near6) + c8 / (far6 * far2 + near6 * near2) + c10 / (far6 * far2 * far2 + near6 * near2 * near2)
    )
