"""Layers with their weights at the start: random ones, or no values where only the shapes of a network are wanted.

A network in shapes is what reading a model and compiling an energy need; tracing random numbers for it would take
longer than all the rest of reading. Random numbers are drawn in a few lengths, of which each weight takes as many as it
needs: a program for every shape of weight, or one for all weights of a network, compiles for seconds.
"""

import functools
import math
from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike


class AbstractRngs:
    """Takes the place of ``nnx.Rngs``: weights get a shape and no values."""

    def params(self) -> "AbstractRngs":
        """What an initializer gets instead of a random key."""
        return self


Rngs = nnx.Rngs | AbstractRngs
Values = jax.Array | jax.ShapeDtypeStruct
"""What a parameter holds: numbers, or their shape."""


class Initializer(Protocol):
    """Values of a parameter at the start, or their shape where there is no random key."""

    def __call__(
        self, key: jax.Array | AbstractRngs, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
    ) -> Values: ...


_SHORTEST = 256
"""Random numbers that are drawn at least; longer draws are this times a power of four."""
_STD_OF_TRUNCATED = np.float32(0.87962566103423978)
"""Of a normal distribution of width one that ends at two widths."""


@functools.partial(jax.jit, static_argnums=1)
def _normal(key: jax.Array, count: int) -> jax.Array:
    return jax.random.normal(key, (count,), jnp.float32)


@functools.partial(jax.jit, static_argnums=1)
def _truncated_normal(key: jax.Array, count: int) -> jax.Array:
    return jax.random.truncated_normal(key, -2.0, 2.0, (count,), jnp.float32)


def _drawn(draw: Callable[[jax.Array, int], jax.Array], key: jax.Array, shape: tuple[int, ...]) -> np.ndarray:
    """As many numbers as a shape has, which do not depend on how many were drawn."""
    count, length = math.prod(shape), _SHORTEST
    while length < count:
        length *= 4
    return np.asarray(draw(key, length))[:count].reshape(shape)


def _unless_in_shapes(initializer: Callable[[jax.Array, tuple[int, ...]], np.ndarray]) -> Initializer:
    def start(key: jax.Array | AbstractRngs, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Values:
        if isinstance(key, AbstractRngs):
            return jax.ShapeDtypeStruct(shape, dtype)
        values: jax.Array = jax.device_put(initializer(key, shape).astype(dtype))
        return values

    return start


def _lecun_normal(in_axis: int) -> Initializer:
    """Of variance one over the inputs (LeCun et al., Efficient BackProp, 1998), without numbers beyond two widths."""

    def values(key: jax.Array, shape: tuple[int, ...]) -> np.ndarray:
        width = np.sqrt(np.float32(1.0 / shape[in_axis])) / _STD_OF_TRUNCATED
        return np.asarray(_drawn(_truncated_normal, key, shape) * width)

    return _unless_in_shapes(values)


zeros = _unless_in_shapes(lambda key, shape: np.zeros(shape))
ones = _unless_in_shapes(lambda key, shape: np.ones(shape))
lecun = _lecun_normal(-2)
lecun_of_heads = _lecun_normal(-1)


def embedding_normal(features: int) -> Initializer:
    """Normal numbers whose sum of squares over the features is about one."""
    return _unless_in_shapes(lambda key, shape: _drawn(_normal, key, shape) * np.float32(features**-0.5))


def weights(initializer: Initializer, *shape: int, rngs: Rngs) -> nnx.Param[Values]:
    """A parameter of this shape."""
    return nnx.Param(initializer(rngs.params(), shape))


# Flax declares random keys and arrays only; shapes go through it as they are, which the three ignores below are about.


def dense(inputs: int, outputs: int, *, zero: bool = False, use_bias: bool = True, rngs: Rngs) -> nnx.Linear:
    """A dense layer; its kernel from LeCun's normal distribution, or zero, its bias zero."""
    kernel = zeros if zero else lecun
    return nnx.Linear(inputs, outputs, use_bias=use_bias, kernel_init=kernel, bias_init=zeros, rngs=rngs)  # type: ignore[arg-type]


def embedding(count: int, features: int, *, rngs: Rngs) -> nnx.Embed:
    """A row of features for each of ``count`` numbers."""
    return nnx.Embed(count, features, embedding_init=embedding_normal(features), rngs=rngs)  # type: ignore[arg-type]


def layer_norm(features: int, *, rngs: Rngs) -> nnx.LayerNorm:
    """A layer normalisation that begins with scale one and bias zero."""
    return nnx.LayerNorm(features, scale_init=ones, bias_init=zeros, rngs=rngs)  # type: ignore[arg-type]
