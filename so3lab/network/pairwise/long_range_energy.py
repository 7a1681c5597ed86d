"""The long-range terms of a model together: electrostatics and dispersion on the far pairs."""

from jaxtyping import Array, Float

from so3lab.functions.safe import safe_norm
from so3lab.network.pairwise.dispersion import dispersion_term
from so3lab.network.pairwise.electrostatics import electrostatics_term
from so3lab.network.pairwise.term import Term
from so3lab.network.settings import ModelSettings
from so3lab.structures.graph import Graph, displacements


def long_range_terms(
    charges: Float[Array, " atoms"] | None,
    ratios: Float[Array, " atoms"] | None,
    graph: Graph,
    strain: Float[Array, "structures 3 3"] | None,
    settings: ModelSettings,
) -> dict[str, Term]:
    """Energies in eV of electrostatics and dispersion, those that the model has.

    Args:
        charges: Partial charges in e, zero on padding; None for a model without electrostatics.
        ratios: Hirshfeld volume ratios; None for a model without dispersion.
        graph: Structures with their far pairs.
        strain: See :func:`so3lab.structures.graph.displacements`.
        settings: Of the network.
    """
    terms: dict[str, Term] = {}
    if charges is None and ratios is None:
        return terms
    far = graph.long_range_graph
    distances = safe_norm(displacements(far, strain))
    if charges is not None:
        terms["electrostatics"] = electrostatics_term(charges, distances, far, strain, settings)
    if ratios is not None:
        terms["dispersion"] = dispersion_term(ratios, distances, far, settings)
    return terms
