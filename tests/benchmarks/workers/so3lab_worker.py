"""so3lab with SO3LR: the force field that dynamics use, and constant-energy dynamics."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import numpy as np
from protocol import serve

import so3lab
from so3lab.dynamics import Control, Simulation
from so3lab.force_field import energy_and_forces, numerics
from so3lab.graph import build_graph, species_of, structure_pairs
from so3lab.long_range import long_range_needs, with_long_range
from so3lab.memory import keep_memory

keep_memory()
POTENTIAL = so3lab.load("so3lr")


def prepare(atoms):
    """Energy and forces as dynamics compute them, and dynamics."""
    field = POTENTIAL.force_field
    room = -(-len(structure_pairs(atoms, field.cutoff).receivers) // 8) * 8
    graph = build_graph([atoms], field.cutoff, num_pairs=room)._replace(species=species_of(atoms.numbers))
    graph = jax.device_put(with_long_range(graph, [atoms], long_range_needs(POTENTIAL.settings)))
    with numerics("float32"):
        compiled = (
            jax.jit(lambda parameters, graph: energy_and_forces(field.energy, parameters, graph)[:2])
            .lower(field.parameters, graph)
            .compile()
        )
    simulations = {}

    def steps(count: int) -> None:
        if "run" not in simulations:
            simulations["run"] = Simulation(
                POTENTIAL, atoms, ensemble="nve", control=Control(temperature_K=100.0, timestep_fs=0.25)
            )
        simulations["run"].advance(1, count)

    def call():
        return np.asarray(jax.block_until_ready(compiled(field.parameters, graph))[1])

    return call, steps


if __name__ == "__main__":
    serve(prepare)
