"""The network with compressed filters: the same embedding, layers and readout, with another geometry and attention."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, Float

from so3lab.engine.compressed_filters import DECAY, SHORTEST, CompressedFilters, shared_basis
from so3lab.engine.fast_layer import attend_on_xla, native_layer
from so3lab.engine.kernels import GeometrySpec, HeadLayout, geometry, pair_inputs
from so3lab.engine.native_long_range import native_long_range_terms
from so3lab.functions.radial import cutoff_weight
from so3lab.functions.safe import safe_norm
from so3lab.functions.spherical import spherical_harmonics
from so3lab.network.pairwise import long_range_terms
from so3lab.network.settings import ModelSettings
from so3lab.network.so3krates import NetworkOutput, PairGeometry, So3krates
from so3lab.structures.graph import Graph, displacements


def fast_network(
    network: So3krates, filters: CompressedFilters, graph: Graph, strain: Float[Array, "structures 3 3"] | None = None
) -> NetworkOutput:
    """Energies of all structures of a graph, to be differentiated once.

    Args:
        network: The network.
        filters: Its radial filters in their fast form, from :func:`so3lab.engine.compressed_filters.compress_filters`.
        graph: As for the network.
        strain: See :func:`so3lab.structures.graph.displacements`.
    """
    find_geometry = native_geometry if filters.native else geometry_on_xla
    pairs = find_geometry(network.settings, filters, graph, strain)
    x = network.embed(graph) if graph.embedding is None else jnp.asarray(graph.embedding)
    chi, attention = None, []
    for layer, fast in zip(network.layers, filters.layers, strict=True):
        if filters.native:
            x, chi, alpha = native_layer(layer, fast, x, chi, pairs, graph)
        else:
            x, chi, alpha = layer(x, chi, pairs, graph, functools.partial(attend_on_xla, layer.attention, fast))
        attention.append(alpha)
    assert chi is not None
    long_range = native_long_range_terms if filters.native else long_range_terms
    return network.read_out(x, chi, attention, pairs, graph, strain, long_range)


def geometry_on_xla(
    settings: ModelSettings, filters: CompressedFilters, graph: Graph, strain: Float[Array, "structures 3 3"] | None
) -> PairGeometry:
    """What :meth:`so3lab.network.so3krates.So3krates.geometry` says, with the shared basis."""
    vectors = displacements(graph, strain)
    distances = safe_norm(vectors)
    weights = cutoff_weight(distances, settings.cutoff_function, settings.cutoff)
    return PairGeometry(
        distances,
        shared_basis(distances, filters.mixing, settings.cutoff),
        jnp.where(graph.pair_mask, weights, 0.0),
        spherical_harmonics(vectors / distances[:, None], settings.degrees),
    )


def native_geometry(
    settings: ModelSettings, filters: CompressedFilters, graph: Graph, strain: Float[Array, "structures 3 3"] | None
) -> PairGeometry:
    """The same by the loops in C."""
    heads = HeadLayout(settings.num_heads, settings.degrees)
    spec = GeometrySpec(heads, settings.cutoff_function, settings.cutoff, DECAY, SHORTEST)
    found = geometry(spec, pair_inputs(graph, strain), filters.mixing)
    return PairGeometry(found.distances, found.basis, found.weights, found.harmonics)
