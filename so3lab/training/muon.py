"""How Muon, an optimizer of matrices, takes steps of the one vector that holds all weights.

The gradient of a matrix is ruled by few directions. Muon steps along the nearest orthogonal matrix of the momentum,
which goes equally far along all of them; what is no matrix takes steps of Adam, with Nesterov's look ahead. Matrices of
one shape, from all over the network, are orthogonalised together.

Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks (2024). Matrices step as far as weights
of Adam do, so that one learning rate serves both, by Liu et al., Muon is scalable for LLM training, arXiv:2502.16982
(2025), eq. 4.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float
from optax.contrib import MuonDimensionNumbers, muon

MATRICES = ("kernel", "blocks")
"""Names of weights that features are multiplied with. Tables by element are no matrices: a row is a vector alone."""
SIZE_OF_ADAM = 0.2
"""Root mean square of Adam's steps, in units of the learning rate."""


class Stretch(NamedTuple):
    """Neighbours in the weight vector that are matrices of one shape, or none at all."""

    size: int
    shape: tuple[int, int, int] | None = None
    """Matrices, rows, columns."""

    @property
    def kind(self) -> str:
        """What is stacked with others of its kind."""
        return "others" if self.shape is None else f"{self.shape[1]} x {self.shape[2]}"


@dataclass(frozen=True)
class Layout:
    """Where matrices stand in a weight vector."""

    stretches: tuple[Stretch, ...]
    """From the first number to the last."""

    def stacks(self, vector: Float[Array, " weights"]) -> dict[str, Float[Array, "..."]]:
        """Matrices by shape, shape ``(matrices, rows, columns)``, and one vector of all ``others``."""
        found: dict[str, list[jax.Array]] = {}
        ends = np.cumsum([stretch.size for stretch in self.stretches])
        for stretch, numbers in zip(self.stretches, jnp.split(vector, ends[:-1]), strict=True):
            found.setdefault(stretch.kind, []).append(numbers.reshape(stretch.shape or -1))
        return {kind: jnp.concatenate(parts) for kind, parts in found.items()}

    def vector(self, stacks: dict[str, Float[Array, "..."]]) -> Float[Array, " weights"]:
        """The vector of which these are the stacks."""
        taken, parts = dict.fromkeys(stacks, 0), []
        for size, shape in self.stretches:
            kind = Stretch(size, shape).kind
            first, last = taken[kind], taken[kind] + (shape[0] if shape else size)
            parts.append(stacks[kind][first:last].ravel())
            taken[kind] = last
        return jnp.concatenate(parts)


def layout_of(parameters: nnx.State) -> Layout:
    """Where matrices stand in the vector that ``jax.flatten_util.ravel_pytree`` makes of the weights of a network."""
    stretches = [Stretch(0)]
    for path, leaf in jax.tree_util.tree_leaves_with_path(parameters):
        names = jax.tree_util.keystr(path, simple=True, separator=".").split(".")
        rows, columns = leaf.shape[-2:] if leaf.ndim > 1 else (1, 1)
        if min(rows, columns) > 1 and not set(MATRICES).isdisjoint(names):
            stretches += [Stretch(leaf.size, (leaf.size // (rows * columns), rows, columns)), Stretch(0)]
        else:
            stretches[-1] = Stretch(stretches[-1].size + leaf.size)
    return Layout(tuple(stretch for stretch in stretches if stretch.size))


def scale_by_muon(layout: Layout) -> optax.GradientTransformation:
    """Directions of steps of a weight vector, to be multiplied by a learning rate and subtracted.

    Args:
        layout: Where matrices stand in the vector.
    """
    kinds = {stretch.kind: stretch.shape is not None for stretch in layout.stretches}
    axes = {kind: MuonDimensionNumbers(1, 2) if is_matrix else None for kind, is_matrix in kinds.items()}
    steps = muon(1.0, consistent_rms=SIZE_OF_ADAM, muon_weight_dimension_numbers=axes)

    def init(weights: Float[Array, " weights"]) -> optax.OptState:
        return steps.init(layout.stacks(weights))

    def update(
        gradient: Float[Array, " weights"], state: optax.OptState, weights: Float[Array, " weights"] | None = None
    ) -> tuple[Float[Array, " weights"], optax.OptState]:
        if weights is None:
            raise ValueError("weights must be given with the gradient, got None")
        changes, state = steps.update(layout.stacks(gradient), state, layout.stacks(weights))
        return -layout.vector(changes), state  # Optax adds what we subtract

    return optax.GradientTransformation(init, update)
