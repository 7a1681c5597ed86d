"""What layers are built of: dense networks, filters of pairs, maps that act within each head."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from so3lab.network.initializers import Rngs, dense, lecun_of_heads, weights, zeros
from so3lab.network.settings import ModelSettings


class Mlp(nnx.Module):
    """Two dense layers with silu between."""

    def __init__(self, sizes: tuple[int, int, int], *, zero_out: bool = False, use_bias: bool = True, rngs: Rngs):
        self.first = dense(sizes[0], sizes[1], use_bias=use_bias, rngs=rngs)
        self.second = dense(sizes[1], sizes[2], use_bias=use_bias, zero=zero_out, rngs=rngs)

    def __call__(self, x: Float[Array, "*rows in"]) -> Float[Array, "*rows out"]:
        return self.second(jax.nn.silu(self.first(x)))


class ResidualMlp(Mlp):
    """Features plus two dense layers of them."""

    def __init__(self, features: int, *, zero_out: bool = False, use_bias: bool = True, rngs: Rngs):
        sizes = features, features, features
        super().__init__(sizes, zero_out=zero_out, use_bias=use_bias, rngs=rngs)

    def __call__(self, x: Float[Array, "atoms features"]) -> Float[Array, "atoms features"]:
        return x + super().__call__(jax.nn.silu(x))


class ClosedResidualMlp(nnx.Module):
    """The same without biases, with a third dense layer over it all: the residual network of mlff v0.3."""

    def __init__(self, features: int, *, rngs: Rngs):
        self.residual = ResidualMlp(features, use_bias=False, rngs=rngs)
        self.last = dense(features, features, use_bias=False, rngs=rngs)

    def __call__(self, x: Float[Array, "atoms features"]) -> Float[Array, "atoms features"]:
        return self.last(jax.nn.silu(self.residual(x)))


class Filter(nnx.Module):
    """Pair filter: a function of the distance plus a function of the invariants of χ_j - χ_i."""

    def __init__(self, settings: ModelSettings, heads: int, *, rngs: Rngs):
        features, degrees = settings.num_features, len(settings.degrees)
        self.heads = heads
        self.radial = Mlp((settings.num_radial, features, features), rngs=rngs)
        self.geometric = Mlp((degrees, features // 4, features), rngs=rngs)

    def __call__(
        self, basis: Float[Array, "pairs basis"], invariants: Float[Array, "pairs degrees"] | None
    ) -> Float[Array, "pairs heads width"]:
        """Filters of pairs.

        Args:
            basis: Radial basis.
            invariants: None means all zero: the geometric part is then one row for all pairs.
        """
        if invariants is None:
            invariants = jnp.zeros((1, self.geometric.first.in_features), basis.dtype)
        filters = self.radial(basis) + self.geometric(invariants)
        return filters.reshape(filters.shape[0], self.heads, -1)


class HeadProjection(nnx.Module):
    """Linear map that acts within each head, without bias; stored as [heads, out, in]."""

    def __init__(self, features: int, heads: int, *, zero: bool = False, rngs: Rngs):
        width = features // heads
        self.blocks = weights(zeros if zero else lecun_of_heads, heads, width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "atoms features"]) -> Float[Array, "atoms heads width"]:
        blocks = self.blocks[...]
        return jnp.einsum("ahi,hoi->aho", x.reshape(x.shape[0], blocks.shape[0], -1), blocks)
