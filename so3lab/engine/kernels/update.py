"""What follows the attention of a layer, atom by atom: normalisation, residual networks and exchange, in C.

The same as :class:`so3lab.network.so3krates.Layer` does after its attention, in one function with its reverse pass, for
energies that are differentiated once with respect to positions.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from so3lab.engine.kernels.library import HeadLayout, call, lanes, shape_like
from so3lab.machine.compilation import on_device
from so3lab.structures.neighbors import HostOrDevice

Parameters = dict[str, Float[np.ndarray, "..."]]
"""Arrays by the last parts of their dotted names."""


class NetworkWeights(NamedTuple):
    """A residual network of two dense layers; arrays without rows where there is none."""

    first: Float[HostOrDevice, "features features"]
    first_bias: Float[HostOrDevice, " features"]
    second: Float[HostOrDevice, "features features"]
    second_bias: Float[HostOrDevice, " features"]
    first_back: Float[HostOrDevice, "features features"]
    second_back: Float[HostOrDevice, "features features"]


class UpdateWeights(NamedTuple):
    """A layer's weights after the attention; norms are scale and shift, without rows where there is none."""

    first_norm: Float[HostOrDevice, "rows features"]
    first_network: NetworkWeights
    exchange: Float[HostOrDevice, "width padded"]
    exchange_bias: Float[HostOrDevice, " padded"]
    exchange_back: Float[HostOrDevice, "width padded"]
    last_network: NetworkWeights
    last_norm: Float[HostOrDevice, "rows features"]


def update_weights(parameters: Parameters, features: int, dtype: str) -> UpdateWeights:
    """Lay out a layer's weights.

    Args:
        parameters: ``first_norm.scale``, ``first_mlp.first.kernel``, ``exchange.dense.kernel`` and so on, those that
            the layer has.
        features: Width of the features.
        dtype: Precision.
    """

    def norm(name: str) -> Float[np.ndarray, "rows features"]:
        if f"{name}.scale" not in parameters:
            return np.zeros((0, features))
        return np.stack([parameters[f"{name}.scale"], parameters[f"{name}.bias"]])

    def network(name: str) -> NetworkWeights:
        if f"{name}.first.kernel" not in parameters:
            square, row = np.zeros((0, features)), np.zeros(0)
            return NetworkWeights(square, row, square, row, square, square)
        first, second = (parameters[f"{name}.{part}.kernel"] for part in ("first", "second"))
        biases = (parameters[f"{name}.{part}.bias"] for part in ("first", "second"))
        return NetworkWeights(first, next(biases), second, next(biases), first.T, second.T)

    kernel, bias = parameters["exchange.dense.kernel"], parameters["exchange.dense.bias"]
    padding = -len(kernel) % lanes(dtype)
    arrays = UpdateWeights(
        norm("first_norm"),
        network("first_mlp"),
        np.pad(kernel, ((0, 0), (0, padding))),
        np.pad(bias, (0, padding)),
        np.pad(kernel.T, ((0, 0), (0, padding))),
        network("last_mlp"),
        norm("last_norm"),
    )
    weights: UpdateWeights = on_device(arrays, dtype)
    return weights


def update(
    heads: HeadLayout,
    x: Float[Array, "atoms features"],
    dx: Float[Array, "atoms features"],
    chi: Float[Array, "atoms orders"],
    dchi: Float[Array, "atoms orders"],
    weights: UpdateWeights,
) -> tuple[Float[Array, "atoms features"], Float[Array, "atoms orders"]]:
    """Features and Euclidean variables after a layer.

    Args:
        heads: Of the network.
        x: Features before the layer.
        dx: Sums of messages to them, head-minor.
        chi: Euclidean variables before the layer.
        dchi: Sums of messages to them.
        weights: Of the layer.
    """
    return _update(heads, x, dx, chi, dchi, weights)


_FeaturesAndEuclidean = tuple[Float[Array, "atoms features"], Float[Array, "atoms orders"]]


class _Kept(NamedTuple):
    weights: UpdateWeights
    of_atoms: Float[Array, "atoms kept"]


def _forward(
    heads: HeadLayout,
    x: Float[Array, "atoms features"],
    dx: Float[Array, "atoms features"],
    chi: Float[Array, "atoms orders"],
    dchi: Float[Array, "atoms orders"],
    weights: UpdateWeights,
) -> tuple[_FeaturesAndEuclidean, _Kept]:
    atoms, features = x.shape
    kept_size = 5 * features + chi.shape[1] + len(heads.degrees)
    results = (shape_like(x, atoms, features), shape_like(x, *chi.shape), shape_like(x, atoms, kept_size))
    new_x, new_chi, kept = call(heads, "update", results, heads.sizes(), *jax.tree.leaves(weights), x, dx, chi, dchi)
    return (new_x, new_chi), _Kept(weights, kept)


def _backward(
    heads: HeadLayout, kept: _Kept, gradients: _FeaturesAndEuclidean
) -> tuple[
    Float[Array, "atoms features"], Float[Array, "atoms features"],
    Float[Array, "atoms orders"], Float[Array, "atoms orders"], None,
]:  # fmt: skip
    weights, of_atoms = kept
    grad_x, grad_chi = gradients
    results = (
        shape_like(of_atoms, *grad_x.shape),
        shape_like(of_atoms, *grad_x.shape),
        shape_like(of_atoms, *grad_chi.shape),
    )
    by_x, by_dx, by_chi = call(
        heads, "update_back", results, heads.sizes(), *jax.tree.leaves(weights), of_atoms, *gradients
    )
    return by_x, by_dx, by_chi, by_chi, None


_update = jax.custom_vjp(lambda heads, *arguments: _forward(heads, *arguments)[0], nondiff_argnums=(0,))
_update.defvjp(_forward, _backward)
