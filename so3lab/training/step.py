"""One training step and one epoch as compiled functions: loss, optimizer, running average."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from so3lab.datasets import Dataset
from so3lab.datasets.frames import HEAVIEST
from so3lab.engine.devices import devices_for
from so3lab.engine.energy_model import Dtype, abstract_network, energy_and_forces, energy_function, precision
from so3lab.functions.safe import safe_norm
from so3lab.network.pairwise.long_range import all_pairs_batch, long_range_needs
from so3lab.network.settings import ModelSettings
from so3lab.training.batches import PaddedFrames, batch_graph
from so3lab.training.devices import Devices, add_up, on_each
from so3lab.training.muon import layout_of, scale_by_muon
from so3lab.training.settings import TrainingSettings


class TrainState(NamedTuple):
    """Everything a step changes. Weights are one flat vector: a handful of large operations instead of
    hundreds of small ones."""

    weights: Float[Array, " weights"]
    average: Float[Array, " weights"]
    optimizer: optax.OptState
    step: Int[Array, ""]


class Errors(NamedTuple):
    """Sums over frames that errors and losses are made of."""

    energy_huber: Float[Array, ""]
    energy_absolute: Float[Array, ""]
    force_huber: Float[Array, ""]
    force_absolute: Float[Array, ""]
    frames: Float[Array, ""]
    components: Float[Array, ""]
    element_absolute: Float[Array, " elements"]
    """Of force components, by atomic number."""
    element_components: Float[Array, " elements"]
    stress_huber: Float[Array, ""]
    """Of stress times volume over the root of the atoms."""
    stress_absolute: Float[Array, ""]
    """eV/Å³."""
    stresses: Float[Array, ""]
    """How many entries of stresses there are."""


def huber(lengths: Float[Array, "*any"], delta: float) -> Float[Array, "*any"]:
    """The square of a length up to ``delta``, growing linearly beyond, so that few bad atoms do not rule."""
    inside = jnp.minimum(lengths, delta)
    return inside * (2.0 * lengths - inside)


@functools.lru_cache(maxsize=32)
def batch_energy(settings: ModelSettings) -> Callable:
    """The energy function of batches; a model with long-range terms sees all pairs of molecules that bring none."""
    energy = energy_function(settings)
    if long_range_needs(settings) is None:
        return energy

    def with_far_pairs(parameters, graph, strain=None):
        return energy(parameters, all_pairs_batch(graph) if graph.long_range is None else graph, strain)

    return with_far_pairs


def check_long_range(model: ModelSettings, batch_size: int, *parts: Dataset) -> None:
    """Raise ``ValueError`` if a model's long-range terms are truncated, or batches of this size cannot tell molecules
    from cells."""
    if long_range_needs(model) is None:
        return
    periodic = np.concatenate([np.atleast_2d(part.pbc).any(axis=-1) for part in parts])
    if batch_size == 1 and periodic.any() and not periodic.all():
        raise ValueError("batch_size must be at least 2 where some frames are molecules and some cells, got 1")
    if model.electrostatics not in ("none", "exact") or model.long_range_cutoff is not None:
        raise ValueError(
            "a model is trained and evaluated without truncation: take potential.with_electrostatics('exact'), "
            f"got {model.electrostatics!r} and long_range_cutoff={model.long_range_cutoff}"
        )


def batch_errors(
    energy: Callable, parameters, frames: PaddedFrames, counted: Float[Array, " frames"], delta: float
) -> Errors:
    """Summed errors of a batch; frames with ``counted`` 0 do not count. ``delta`` is that of :func:`huber`."""
    graph = batch_graph(frames)
    prediction = energy_and_forces(energy, parameters, graph, with_strain=frames.stresses is not None)
    atoms = frames.atom_mask.sum(axis=1)
    energy_error = counted * (prediction.energies - frames.energies)
    weight = (frames.atom_mask * counted[:, None])[:, :, None]
    force_error = weight * (prediction.forces.reshape(frames.forces.shape) - frames.forces)
    return Errors(
        jnp.sum(huber(jnp.abs(energy_error) / jnp.sqrt(jnp.maximum(atoms, 1)), delta)),
        jnp.sum(jnp.abs(energy_error)),
        jnp.sum(huber(safe_norm(jnp.asarray(force_error)), delta)),
        jnp.sum(jnp.abs(force_error)),
        counted.sum(),
        3.0 * weight.sum(),
        _by_element(frames, jnp.abs(force_error).sum(axis=2)),
        _by_element(frames, jnp.asarray(3.0 * weight[:, :, 0])),
        *_stress_errors(frames, prediction.strain_gradient, counted, delta),
    )


def _stress_errors(
    frames: PaddedFrames,
    strain_gradients: Float[Array, "frames 3 3"] | None,
    counted: Float[Array, " frames"],
    delta: float,
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Last entries of :class:`Errors`: zeros where no frame has a stress."""
    if strain_gradients is None or frames.stresses is None or frames.stress_mask is None or frames.cells is None:
        zero = jnp.zeros((), counted.dtype)
        return zero, zero, zero
    weight = counted * frames.stress_mask
    volumes = jnp.abs(jnp.linalg.det(jnp.asarray(frames.cells)))[:, None, None]
    error = weight[:, None, None] * (strain_gradients - volumes * frames.stresses)
    atoms = jnp.maximum(frames.atom_mask.sum(axis=1), 1)
    lengths = safe_norm(safe_norm(error)) / jnp.sqrt(atoms)  # of nine entries
    return jnp.sum(huber(lengths, delta)), jnp.sum(jnp.abs(error) / volumes), 9.0 * weight.sum()


def _by_element(frames: PaddedFrames, values: Float[Array, "frames atoms"]) -> Float[Array, " elements"]:
    """Values of atoms summed by atomic number."""
    return jnp.zeros(HEAVIEST + 1, values.dtype).at[frames.atomic_numbers].add(values)


def loss_of(errors: Errors, settings: TrainingSettings) -> Float[Array, ""] | np.floating:
    """Weighted mean errors, all through :func:`huber`: energies over the root of the atoms, force vectors, and stresses
    times volume over the root of the atoms."""
    energy, forces = errors.energy_huber / errors.frames, errors.force_huber / errors.components
    loss = settings.energy_weight * energy + settings.force_weight * forces
    if not settings.stress_weight:
        return loss
    return loss + settings.stress_weight * errors.stress_huber / jnp.maximum(errors.stresses, 1.0)


def optimizer_of(settings: TrainingSettings, parameters: nnx.State) -> optax.GradientTransformation:
    """Direction of a step of the vector of these parameters; the learning rate and weight decay are applied outside."""
    if settings.optimizer == "muon":
        direction = scale_by_muon(layout_of(parameters))
    else:
        direction = optax.scale_by_amsgrad() if settings.optimizer == "amsgrad" else optax.scale_by_adam()
    return optax.chain(optax.clip_by_global_norm(settings.gradient_clip), direction)


class Functions(NamedTuple):
    """The functions of a run; the first three are compiled."""

    init: Callable[[Float[Array, " weights"]], TrainState]
    epoch: jax.stages.Wrapped
    """``(state, frames, order, learning_rates) -> (state, losses)``."""
    evaluate: jax.stages.Wrapped
    """``(weights, frames, order, counted) -> Errors`` of each batch."""
    unravel: Callable[[Float[Array, " weights"]], nnx.State]


READOUT = ("energy", "partial_charges", "hirshfeld")
"""Parts of the network that turn features into predictions."""


def compiled_in(settings: TrainingSettings) -> TrainingSettings:
    """Settings that agree where programs are the same: those that programs get as arguments, or never see, are gone."""
    return replace(
        settings, epochs=1, minutes=None, batch_size=1, learning_rate=1.0, final_learning_rate=0.0, warmup_steps=0,
        patience_epochs=None, seed=0,
    )  # fmt: skip


def training_functions(
    model: ModelSettings, settings: TrainingSettings, dtype: Dtype, devices: Devices | None = None
) -> Functions:
    """Functions of a run, the same objects for runs that differ in nothing that is compiled in.

    JAX then finds their programs again when a run of the same sizes begins anew.

    Args:
        model: Of the network.
        settings: Of the training.
        dtype: Precision to train in.
        devices: That share each batch; default: the first.
    """
    return _training_functions(model, compiled_in(settings), dtype, devices or devices_for(1))


@functools.lru_cache(maxsize=16)
def _training_functions(model: ModelSettings, settings: TrainingSettings, dtype: Dtype, devices: Devices) -> Functions:
    energy = batch_energy(model)
    with precision(dtype):
        parameters = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, dtype), abstract_network(model)[1])
        optimizer = optimizer_of(settings, parameters)
        _, unravel = ravel_pytree(parameters)
        learns = None if settings.trainable == "all" else _readout_alone(parameters)

    def share_of_loss(weights, frames: PaddedFrames, counted):
        """What a device's frames add to the loss of the whole batch."""
        errors = batch_errors(energy, unravel(weights), frames, counted, settings.huber_delta)
        counts = {name: getattr(errors, name) for name in ("frames", "components", "stresses")}
        return loss_of(errors._replace(**add_up(counts, devices)), settings)

    def step(state: TrainState, frames: PaddedFrames, counted, learning_rate) -> tuple[TrainState, Float[Array, ""]]:
        share = jax.value_and_grad(share_of_loss)(state.weights, frames, counted)
        value, gradient = add_up(share, devices)
        direction, optimizer_state = optimizer.update(gradient, state.optimizer, state.weights)
        change = direction + settings.weight_decay * state.weights
        weights = state.weights - learning_rate * (change if learns is None else learns * change)
        count = state.step.astype(weights.dtype)
        decay = jnp.minimum(settings.ema_decay, (1.0 + count) / (10.0 + count))
        average = state.average + (1.0 - decay) * (weights - state.average)
        return TrainState(weights, average, optimizer_state, state.step + 1), value

    def steps(state: TrainState, frames: PaddedFrames, order, counted, learning_rates):
        def one(state, inputs):
            indices, mask, learning_rate = inputs
            return step(state, _chosen(frames, indices), mask, learning_rate)

        return jax.lax.scan(one, state, (order, counted, learning_rates))

    def epoch(state: TrainState, frames: PaddedFrames, order, learning_rates):
        counted = jnp.ones(order.shape, frames.energies.dtype)
        return on_each(steps, devices)(state, frames, order, counted, learning_rates)

    def errors_of_batches(weights, frames: PaddedFrames, order, counted, _: None) -> Errors:
        def one(inputs):
            indices, mask = inputs
            return batch_errors(energy, unravel(weights), _chosen(frames, indices), mask, settings.huber_delta)

        return add_up(jax.lax.map(one, (order, counted)), devices)

    def evaluate(weights, frames: PaddedFrames, order, counted) -> Errors:
        return on_each(errors_of_batches, devices)(weights, frames, order, counted, None)

    def init(weights) -> TrainState:
        return TrainState(weights, weights, optimizer.init(weights), jnp.zeros((), jnp.int32))

    return Functions(jax.jit(init), jax.jit(epoch, donate_argnums=0), jax.jit(evaluate), unravel)


def _chosen(frames: PaddedFrames, indices: Int[Array, " batch"]) -> PaddedFrames:
    return jax.tree.map(lambda array: array[indices], frames)


def _readout_alone(parameters: nnx.State) -> Float[Array, " weights"]:
    """1 for weights of the readout and 0 for others, in the order of the weight vector."""
    flags = [
        (path, leaf.replace(jnp.full_like(leaf[...], path[0] in READOUT)))
        for path, leaf in nnx.to_flat_state(parameters)
    ]
    return ravel_pytree(nnx.from_flat_state(flags))[0]
