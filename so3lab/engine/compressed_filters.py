r"""Radial filters of a trained network in their fast form: one basis of distance, one matrix per filter.

After training, the radial part of every filter is a smooth function of one distance. All of them together span
few dimensions, so that one shared basis :math:`\varphi_r(d)` and a matrix per filter replace the radial basis
and two networks per layer, for every pair and step. The basis functions are polynomials in
:math:`t = e^{-\gamma d}`, fitted in float64 and reduced by a singular value decomposition that weighs distances by
the cutoff. Energies change by the error of the fit; forces stay exact gradients of the energies computed.

Distances below ``SHORTEST`` count as ``SHORTEST``: no trained model knows them, and the repulsion, where a model
has one, is not compressed.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from so3lab.engine.kernels import (
    MOST_CLASSES,
    GeometricNetwork,
    PairWeights,
    UpdateWeights,
    available,
    pair_weights,
    register,
    supports,
    update_weights,
)
from so3lab.engine.messages import head_minor, heads_to_matrix
from so3lab.functions.radial import cutoff_weight, radial_basis
from so3lab.machine.compilation import on_device
from so3lab.network.settings import ModelSettings
from so3lab.structures.graph import structure_pairs
from so3lab.structures.neighbors import HostOrDevice

ByName = Mapping[str, Float[HostOrDevice, "..."]]
"""Parameters of a network by dotted name."""
DECAY = 0.6
"""Decay of the coordinate t in 1/Å."""
SHORTEST = 0.35
"""Å; the fit begins here."""
_POINTS = 800
_SIDES = (8, 10, 12, 14, 16)
"""Square roots of the number of polynomials, tried in this order until the error is small enough."""
_ENOUGH = {"float32": 3e-7, "float64": 1e-12}
"""Error, relative to the largest filter, that rounding hides anyway."""


class FastFilter(NamedTuple):
    """A filter in its fast form, head-minor."""

    radial: Float[Array, "basis features"]  # on the shared basis; takes the place of the radial network
    geometric: Float[Array, "hidden features"]  # second kernel of the geometric network
    bias: Float[Array, " features"]  # of the geometric network


class KernelWeights(NamedTuple):
    """A layer as the loops in C want it."""

    pairs: PairWeights
    atoms: UpdateWeights


class FastLayer(NamedTuple):
    """An attention in its fast form."""

    filters: tuple[FastFilter, FastFilter]  # of features and of Euclidean variables
    projections: dict[str, Float[Array, "features features"]]
    """To queries, keys and values, one product for all heads; empty when ``kernel_weights`` has them."""
    kernel_weights: KernelWeights | None = None
    """None where XLA computes everything."""


class CompressedFilters(NamedTuple):
    """Arrays of the fast form."""

    mixing: Float[Array, "polynomials basis"]
    """Shared basis functions as combinations of products of Chebyshev polynomials."""
    layers: tuple[FastLayer, ...]

    @property
    def native(self) -> bool:
        """Whether the loops in C compute pairs and atoms."""
        return self.layers[0].kernel_weights is not None


class Fit(NamedTuple):
    """The fast form and how good it is."""

    filters: CompressedFilters
    rank: int
    """Number of shared basis functions."""
    largest_error: float
    """Largest deviation of any filter from the network's, times the root of the cutoff weight."""
    largest_filter: float
    """Largest filter value, for comparison."""


def shared_basis(
    distances: Float[Array, " pairs"], mixing: Float[Array, "polynomials basis"], cutoff: float
) -> Float[Array, "pairs basis"]:
    """The shared basis functions at distances in Å."""
    side = round(mixing.shape[0] ** 0.5)
    return _products(_coordinate(distances, cutoff), side) @ mixing


def compress_filters(
    settings: ModelSettings, parameters: ByName, dtype: str = "float32", native: bool | None = None
) -> Fit:
    """Fit the fast form of a network's radial filters.

    Args:
        settings: Of the network.
        parameters: Its parameters by dotted name.
        dtype: Precision that it will be used in; decides how exact the fit is.
        native: Whether pairs and atoms are for the loops in C (:mod:`so3lab.engine.kernels`); default: if they can be.

    Raises:
        so3lab.machine.c_compiler.Unavailable: If ``native`` is asked for and cannot be had.
    """
    nodes = np.cos(np.pi * (np.arange(_POINTS) + 0.5) / _POINTS)
    high, low = _ends(settings.cutoff)
    distances = -np.log(0.5 * ((high - low) * nodes + high + low)) / DECAY
    basis, cutoffs = _basis_and_cutoff(settings, distances)
    wanted = _radial_filters(settings, parameters, basis)
    weights = np.sqrt(np.maximum(cutoffs, 0.0))
    for side in _SIDES:
        fit = _fit(nodes, wanted, weights, side, dtype)
        if fit.error < _ENOUGH[dtype] * np.abs(wanted).max():
            break
    radial = np.split(fit.filters, 2 * settings.num_layers, axis=1)
    if native is None:
        native = available(settings, dtype)
    elif native:
        register(dtype, settings.num_heads, len(settings.degrees))
    layers = tuple(
        _fast_layer(settings, parameters, number, radial[2 * number : 2 * number + 2], dtype, native)
        for number in range(settings.num_layers)
    )
    filters = CompressedFilters(on_device(fit.mixing, dtype), layers)
    return Fit(filters, len(fit.filters), fit.error, float(np.abs(wanted).max()))


class _Polynomials(NamedTuple):
    """Shared basis functions from products of polynomials, and filters from basis functions."""

    mixing: Float[np.ndarray, "polynomials basis"]
    filters: Float[np.ndarray, "basis filters"]
    error: float


def _fit(
    nodes: Float[np.ndarray, " points"],
    wanted: Float[np.ndarray, "points filters"],
    weights: Float[np.ndarray, " points"],
    side: int,
    dtype: str,
) -> _Polynomials:
    """Fit with polynomials up to degree side² - 1, reduced to the combinations that matter."""
    # Chebyshev polynomials up to the last degree, and the products of low ones that are quick to compute.
    chebyshev = np.polynomial.chebyshev.chebvander
    smooth, low_ones = chebyshev(nodes, side * side - 1), chebyshev(nodes, side)
    high_ones = chebyshev(low_ones[:, side], side - 1)
    products = np.einsum("pa,pb->pab", high_ones, low_ones[:, :side]).reshape(len(nodes), -1)
    # Chebyshev polynomials are orthogonal over their nodes: least squares are sums.
    to_chebyshev = smooth.T * (np.where(np.arange(side * side) > 0, 2.0, 1.0) / len(nodes))[:, None]
    to_products, coefficients = np.linalg.inv(to_chebyshev @ products), to_chebyshev @ wanted
    # Singular values of the weighted fit, through a triangle that is much smaller than it.
    triangle = np.linalg.qr(weights[:, None] * smooth, mode="r")
    _, singular, right = np.linalg.svd(triangle @ coefficients, full_matrices=False)
    rank = int(np.sum(singular > 0.1 * _ENOUGH[dtype] * singular[0]))
    mixing = to_products @ (coefficients @ right[:rank].T / singular[:rank])
    filters = singular[:rank, None] * right[:rank]
    error = float(np.abs(weights[:, None] * (products @ mixing @ filters - wanted)).max())
    return _Polynomials(mixing, filters, error)


def _fast_layer(
    settings: ModelSettings,
    parameters: ByName,
    number: int,
    radial: Sequence[Float[np.ndarray, "basis features"]],
    dtype: str,
    native: bool,
) -> FastLayer:
    """An attention's weights in the layout that products want."""
    layer = f"layers.{number}."
    name, filters, blocks, geometric = f"{layer}attention", [], {}, []
    for (kind, heads), matrix in zip(settings.attentions, radial, strict=True):
        order = head_minor(settings.num_features, heads)
        first, first_bias, kernel, bias = (
            np.asarray(parameters[f"{name}.filter_{kind}.geometric.{part}"])
            for part in ("first.kernel", "first.bias", "second.kernel", "second.bias")
        )
        geometric.append(GeometricNetwork(first, first_bias, kernel[:, order], bias[order]))
        filters.append(FastFilter(*on_device((matrix, *geometric[-1][2:]), dtype)))
        for role in ("query", "key", "value") if kind == "features" else ("query", "key"):
            blocks[f"{role}_{kind}"] = np.asarray(parameters[f"{name}.{role}_{kind}.blocks"])
    both = (filters[0], filters[1])
    if native:
        norms = [settings.attention_norm(heads) for _, heads in settings.attentions]
        own = {key.removeprefix(layer): np.asarray(x) for key, x in parameters.items() if key.startswith(layer)}
        pairs = pair_weights(list(blocks.values()), geometric, radial, norms, dtype)
        return FastLayer(both, {}, KernelWeights(pairs, update_weights(own, settings.num_features, dtype)))
    return FastLayer(both, on_device({role: heads_to_matrix(x) for role, x in blocks.items()}, dtype))


def explain_path(settings: ModelSettings, fit: Fit, used: bool, atoms: ase.Atoms) -> dict[str, str]:
    """How dynamics and minimization compute a structure with a network, and why.

    Args:
        settings: Of the network.
        fit: Of its radial filters.
        used: Whether the fit is good enough to be used.
        atoms: The structure.
    """
    pairs = len(structure_pairs(atoms, settings.cutoff).receivers)
    error = f"largest error {fit.largest_error:.1e}, filters up to {fit.largest_filter:.2g}"
    elements = len(set(atoms.numbers.tolist()))
    heads = settings.num_heads + len(settings.degrees)
    if not used:
        filters, table = f"networks: no smooth fit was good enough ({error})", False
    else:
        filters = f"compressed to {fit.rank} functions of distance shared by all layers ({error})"
        table = (fit.filters.native and elements <= MOST_CLASSES) or class_table_pays(settings, elements)
    if table:
        first = f"a table of {elements}² ordered pairs of elements, {elements**2 * heads} functions of distance"
    elif used:
        first = f"filters of pairs: a table for {elements} elements and {heads} heads would cost more"
    else:
        first = "filters of pairs, since radial filters are not compressed"
    if used and fit.filters.native:
        loops = "pairs and atoms by loops in C, in blocks that stay in the processor's cache"
    elif not used or not supports(settings):
        loops = (
            "XLA: the loops in C want compressed filters, features in multiples of 16, 1, 2, 4 or 8 heads, and norms "
            "and residual MLPs as in mlff v1.0"
        )
    else:
        loops = "XLA: not on CPU, or no C compiler was found (so3lab doctor)"
    told = {
        "pairs": f"{pairs} undirected pairs below {settings.cutoff:g} Å, each evaluated once for both directions",
        "radial filters": filters,
        "first layer": first,
        "loops": loops,
    }
    if used:
        told["shortest distance"] = f"nearer than {SHORTEST:g} Å, learned filters are those of {SHORTEST:g} Å"
    return told


def class_table_pays(settings: ModelSettings, classes: int) -> bool:
    """Whether the first layer costs less by a table of pairs of classes than by filters of pairs."""
    return (settings.num_heads + len(settings.degrees)) * classes**2 <= 2 * settings.num_features


def _ends(cutoff: float) -> tuple[float, float]:
    """The coordinate t at the shortest distance and at the cutoff."""
    return float(np.exp(-DECAY * SHORTEST)), float(np.exp(-DECAY * cutoff))


def _coordinate(distances: Float[Array, " pairs"], cutoff: float) -> Float[Array, " pairs"]:
    """exp(-γd) mapped to [-1, 1] between the cutoff and the shortest distance."""
    high, low = _ends(cutoff)
    t = jnp.exp(-DECAY * jnp.clip(distances, SHORTEST, cutoff))
    return (2.0 * t - (high + low)) / (high - low)


def _products(x: Float[Array, " points"], side: int) -> Float[Array, "points polynomials"]:
    """All products T_{side a}(x) T_b(x) with a and b below ``side``: a basis of polynomials up to degree side² - 1."""
    low_ones = _chebyshev(x, side + 1)
    high_ones = _chebyshev(low_ones[side], side)
    products = jnp.stack(high_ones, axis=-1)[:, :, None] * jnp.stack(low_ones[:side], axis=-1)[:, None, :]
    return products.reshape(x.shape[0], side * side)


def _chebyshev(x: Float[Array, " points"], count: int) -> list[Float[Array, " points"]]:
    """Chebyshev polynomials of degree 0 to ``count`` - 1."""
    values = [jnp.ones_like(x), x]
    while len(values) < count:
        values.append(2 * x * values[-1] - values[-2])
    return values


def _radial_filters(
    settings: ModelSettings, parameters: ByName, basis: Float[np.ndarray, "points basis"]
) -> Float[np.ndarray, "points filters"]:
    """Radial parts of the filters of all layers in float64, head-minor, side by side."""
    columns = []
    for layer in range(settings.num_layers):
        for kind, heads in settings.attentions:
            name = f"layers.{layer}.attention.filter_{kind}.radial"
            kernel, bias, out, shift = (
                np.asarray(parameters[f"{name}.{part}"], np.float64)
                for part in ("first.kernel", "first.bias", "second.kernel", "second.bias")
            )
            hidden = basis @ kernel + bias
            values = (hidden / (1.0 + np.exp(-hidden))) @ out + shift
            columns.append(values[:, head_minor(settings.num_features, heads)])
    return np.concatenate(columns, axis=1)


def _basis_and_cutoff(
    settings: ModelSettings, distances: Float[np.ndarray, " points"]
) -> tuple[Float[np.ndarray, "points basis"], Float[np.ndarray, " points"]]:
    """The network's radial basis and cutoff in float64; one program is quicker than its operations."""

    def both(d: Float[Array, " points"]) -> tuple[Float[Array, "points basis"], Float[Array, " points"]]:
        basis = radial_basis(d, settings.radial_basis, settings.num_radial, settings.cutoff)
        return basis, cutoff_weight(d, settings.cutoff_function, settings.cutoff)

    with jax.enable_x64(True):
        basis, cutoffs = jax.jit(both)(jnp.asarray(distances, jnp.float64))
        return np.asarray(basis), np.asarray(cutoffs)
