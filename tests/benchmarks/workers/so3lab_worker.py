"""so3lab with SO3LR: the force field that dynamics use, and constant-energy dynamics."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import numpy as np
from protocol import Engine, serve, through_calculator, timed

import so3lab
from so3lab.dynamics import Control, Replicas
from so3lab.engine.compressed_filters import compress_filters
from so3lab.engine.energy_model import FastParameters, energy_and_forces, precision
from so3lab.machine.memory import keep_memory
from so3lab.network.pairwise.long_range import long_range_needs, with_long_range
from so3lab.potential.model_file import flat_parameters
from so3lab.structures.graph import atom_classes, build_graph, structure_pairs

keep_memory()
POTENTIAL = so3lab.load("so3lr")


def prepare(structures):
    """Energy and forces as dynamics compute them, and dynamics of all structures at once."""
    field = POTENTIAL.energy_model
    count = sum(len(structure_pairs(atoms, field.cutoff).receivers) for atoms in structures)
    graph = build_graph(structures, field.cutoff, num_pairs=-(-count // 8) * 8)
    if len(structures) == 1:
        graph = graph._replace(atom_classes=atom_classes(structures))
    graph = jax.device_put(with_long_range(graph, structures, long_range_needs(POTENTIAL.settings)))
    with precision("float32"):
        program = jax.jit(lambda parameters, graph: energy_and_forces(field.energy, parameters, graph)[:2])
    simulations = {}

    def steps(count: int) -> None:
        if "run" not in simulations:
            control = Control(temperature_K=100.0, timestep_fs=0.25)
            simulations["run"] = Replicas(POTENTIAL, structures, ensemble="nve", control=control)
        simulations["run"].advance(1, count)

    def call():
        with precision("float32"):
            return np.asarray(program(field.parameters, graph)[1])

    moved = through_calculator(structures, POTENTIAL.calculator())
    return Engine(call, steps, lambda: operations(field.energy, graph), moved=moved)


def operations(energy, graph) -> float | None:
    """Operations of energy and forces as XLA counts them where it computes everything, loops in C included."""
    with precision("float32"):
        plain = compress_filters(POTENTIAL.settings, flat_parameters(POTENTIAL.parameters), "float32", native=False)
        parameters = FastParameters(POTENTIAL.parameters, plain.filters)
        lowered = jax.jit(lambda p, g: energy_and_forces(energy, p, g)[:2]).lower(parameters, graph)
        return (lowered.cost_analysis() or {}).get("flops")


def peak() -> float:
    """Operations per second of a large matrix product."""
    size = 1024
    matrix = jax.numpy.ones((size, size))
    product = jax.jit(lambda a: a @ a)
    product(matrix).block_until_ready()
    return 2 * size**3 / min(timed(lambda: product(matrix).block_until_ready()) for _ in range(10))


if __name__ == "__main__":
    serve(prepare, peak=peak)
