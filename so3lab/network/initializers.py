"""Layers with their weights at the start: random ones, or no values where only the shapes of a network are wanted.

A network in shapes is what reading a model and compiling an energy need; tracing random numbers for it would take
longer than all the rest of reading.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
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


def _unless_in_shapes(initializer: nnx.Initializer) -> Initializer:
    def start(key: jax.Array | AbstractRngs, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Values:
        if isinstance(key, AbstractRngs):
            return jax.ShapeDtypeStruct(shape, dtype)
        return initializer(key, shape, dtype)

    return start


zeros = _unless_in_shapes(nnx.initializers.zeros_init())
ones = _unless_in_shapes(nnx.initializers.ones_init())
lecun = _unless_in_shapes(nnx.initializers.lecun_normal())
lecun_of_heads = _unless_in_shapes(nnx.initializers.lecun_normal(-1, -2, batch_axis=0))


def embedding_normal(features: int) -> Initializer:
    """Normal numbers whose sum of squares over the features is about one."""
    return _unless_in_shapes(nnx.initializers.normal(features**-0.5))


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
