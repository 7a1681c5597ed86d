"""Energies as pure functions of parameters and a graph, with exact forces: what everything that computes is made of."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from so3lab.engine.compressed_filters import CompressedFilters
from so3lab.engine.fast_network import fast_network
from so3lab.machine.compilation import avoid_known_faults, limit_programs
from so3lab.network.initializers import AbstractRngs
from so3lab.network.pairwise.long_range import LongRangeNeeds
from so3lab.network.settings import ModelSettings
from so3lab.network.so3krates import NetworkOutput, So3krates
from so3lab.structures.graph import Graph

Dtype = Literal["float32", "float64"]
EnergyFunction = Callable[[Any, Graph, Float[Array, "structures 3 3"] | None], Float[Array, " structures"]]
"""Energies in eV by parameters, graph and strain."""
MoreThanEnergies = Callable[
    [Any, Graph, Float[Array, "structures 3 3"] | None], tuple[Float[Array, " structures"], Any]
]
"""Energies, and with them whatever else."""


@contextmanager
def precision(dtype: Dtype) -> Iterator[None]:
    """Work in this precision, with full-precision matrix products on every device, and leave JAX as it was."""
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    avoid_known_faults()
    limit_programs()
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        yield


class EnergyModel(NamedTuple):
    """What dynamics and minimization need of any energy model.

    ``energy(parameters, graph, strain)`` gives one energy in eV per structure; the graph holds at least
    all pairs below ``cutoff``. The function is compiled in as a constant, the parameters are an argument.
    """

    energy: EnergyFunction
    parameters: Any
    cutoff: float  # Å
    dtype: Dtype
    long_range: LongRangeNeeds | None = None  # far pairs that the graph must hold too
    embed: Callable[[Any, Graph], Float[Array, "atoms features"]] | None = None
    """Initial features, which do not depend on positions: who knows them puts them into the graph."""


class EnergyForces(NamedTuple):
    """Energies of the structures of a graph with their exact gradients."""

    energies: Float[Array, " structures"]  # eV
    forces: Float[Array, "atoms 3"]  # eV/Å
    strain_gradient: Float[Array, "structures 3 3"] | None  # eV; stress times volume
    output: Any  # what the energy function returned beside the energies


@functools.lru_cache(maxsize=32)
def abstract_network(settings: ModelSettings) -> tuple[nnx.GraphDef[So3krates], nnx.State]:
    """The NNX network with these settings, in shapes only: its static half and its parameters."""
    return nnx.split(So3krates(settings, rngs=AbstractRngs()))


def network_definition(settings: ModelSettings) -> nnx.GraphDef[So3krates]:
    """The static half of the NNX network with these settings."""
    return abstract_network(settings)[0]


class FastParameters(NamedTuple):
    """Parameters of a trained network with its radial filters in their fast form."""

    network: nnx.State | dict[str, Any]
    filters: CompressedFilters


def fast_parameters(network: nnx.State, filters: CompressedFilters) -> FastParameters:
    """What the fast form reads of a network, as a plain tree: arrays that are handed to every call cost their time."""
    tree = nnx.to_pure_dict(network)
    taken_over = {f"{role}_{kind}" for role in ("query", "key", "value") for kind in ("features", "euclidean")}
    after_attention = {"first_norm", "first_mlp", "exchange", "last_mlp", "last_norm"} if filters.native else set()
    for layer in tree["layers"].values():
        attention = layer["attention"] = {k: v for k, v in layer["attention"].items() if k not in taken_over}
        for name in ("filter_features", "filter_euclidean"):
            attention[name] = {"geometric": {"first": attention[name]["geometric"]["first"]}}
        for name in after_attention & set(layer):
            del layer[name]
    return FastParameters(tree, filters)


def _network(settings: ModelSettings, parameters: nnx.State | dict[str, Any]) -> So3krates:
    """The network with these parameters; those that a plain tree lacks are shapes, of which nothing can be computed."""
    definition, shapes = abstract_network(settings)
    if isinstance(parameters, dict):
        state = nnx.clone(shapes)
        nnx.replace_by_pure_dict(state, parameters)
        parameters = state
    return nnx.merge(definition, parameters)


def run_network(
    settings: ModelSettings,
    parameters: nnx.State | FastParameters,
    graph: Graph,
    strain: Float[Array, "structures 3 3"] | None = None,
) -> NetworkOutput:
    """The network as a pure function of its parameters; for compiled code."""
    if isinstance(parameters, FastParameters):
        return fast_network(_network(settings, parameters.network), parameters.filters, graph, strain)
    return _network(settings, parameters)(graph, strain)


@functools.lru_cache(maxsize=32)
def embedding_function(settings: ModelSettings) -> Callable[[Any, Graph], Float[Array, "atoms features"]]:
    """Initial features as a function of (parameters, graph); the same object for the same settings."""

    def embed(parameters: nnx.State | FastParameters, graph: Graph) -> Float[Array, "atoms features"]:
        network = parameters.network if isinstance(parameters, FastParameters) else parameters
        return _network(settings, network).embed(graph)

    return embed


class NetworkEnergy(Protocol):
    """An :data:`EnergyFunction` of a network, whose strain may be left out."""

    def __call__(
        self,
        parameters: nnx.State | FastParameters,
        graph: Graph,
        strain: Float[Array, "structures 3 3"] | None = None,
        /,
    ) -> Float[Array, " structures"]: ...


@functools.lru_cache(maxsize=32)
def energy_function(settings: ModelSettings) -> NetworkEnergy:
    """Energies as a function of (parameters, graph, strain); the same object for the same settings."""

    def energy(
        parameters: nnx.State | FastParameters, graph: Graph, strain: Float[Array, "structures 3 3"] | None = None
    ) -> Float[Array, " structures"]:
        return run_network(settings, parameters, graph, strain).energies

    return energy


def energy_and_forces(
    energy: EnergyFunction | MoreThanEnergies, parameters: Any, graph: Graph, *, with_strain: bool = False
) -> EnergyForces:
    """Energies, forces and optionally strain gradients by one reverse pass; for compiled code.

    Args:
        energy: ``(parameters, graph, strain) -> energies`` or ``-> (energies, more)``.
        parameters: Its parameters.
        graph: Structures; forces on padded atoms are zero.
        with_strain: Whether the gradient with respect to a strain of each structure is wanted.
    """

    def total(
        positions: Float[Array, "atoms 3"], strain: Float[Array, "structures 3 3"] | None
    ) -> tuple[Float[Array, ""], tuple[Float[Array, " structures"], Any]]:
        result = energy(parameters, graph._replace(positions=positions), strain)
        energies, output = result if isinstance(result, tuple) else (result, None)
        return energies.sum(), (energies, output)

    if with_strain:
        strain = jnp.zeros((graph.num_structures, 3, 3), graph.positions.dtype)
        (_, (energies, output)), (gradient, virial) = jax.value_and_grad(total, (0, 1), has_aux=True)(
            graph.positions, strain
        )
        return EnergyForces(energies, -gradient, 0.5 * (virial + virial.swapaxes(1, 2)), output)
    (_, (energies, output)), gradient = jax.value_and_grad(total, has_aux=True)(graph.positions, None)
    return EnergyForces(energies, -gradient, None, output)
