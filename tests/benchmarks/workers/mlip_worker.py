"""The JAX library mlip with random weights: its force field compiled, and NVE of its own simulation on jax-md.

The first argument chooses the architecture: ``mace`` (default), of the same sizes as in :mod:`mace_model`, or
``visnet`` with 4 layers of 128 channels. Time does not depend on the values of weights.
"""

import logging
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import numpy as np
from protocol import Engine, serve

from mlip.data import ChemicalSystem  # isort: skip
from mlip.data.dataset_info import DatasetInfo  # isort: skip
from mlip.data.helpers.dynamically_batch import dynamically_batch  # isort: skip
from mlip.graph import Graph  # isort: skip
from mlip.graph.edge_ordering import DEFAULT_EDGE_ORDERING  # isort: skip
from mlip.models import ForceField, Mace, Visnet  # isort: skip
from mlip.simulation.enums import MDIntegrator  # isort: skip
from mlip.simulation.jax_md import JaxMDSimulationEngine  # isort: skip
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

logging.disable(logging.WARNING)
ELEMENTS = (1, 6, 7, 8, 9, 15, 16, 17, 35, 53)
ABOUT = DatasetInfo(
    atomic_energies_map=dict.fromkeys(ELEMENTS, 0.0),
    graph_cutoff_angstrom=5.0,
    avg_num_neighbors=20.0,
    avg_r_min_angstrom=1.0,
    scaling_stdev=0.01,
)
NETWORKS = {
    "mace": (Mace, {"num_layers": 2, "num_channels": 128, "l_max": 3, "node_symmetry": 1, "correlation": 3}),
    "visnet": (Visnet, {"num_layers": 4, "num_channels": 128, "l_max": 2, "num_heads": 8}),
}
NAMES = {
    "mace": "MACE 128x0e+128x1o, 2 layers, 5 Å, random weights",
    "visnet": "ViSNet 128 channels, l = 2, 4 layers, 5 Å, random weights",
}
CHOSEN = sys.argv[1] if len(sys.argv) > 1 else "mace"
NETWORK, SIZES = NETWORKS[CHOSEN]
FIELD = ForceField.from_mlip_network(NETWORK(NETWORK.Config(**SIZES), ABOUT))


def prepare(structures):
    """The force field on a padded batch that is ready, and the simulation of the same structures."""
    graphs = [
        Graph.from_chemical_system(
            ChemicalSystem.from_ase_atoms(atoms), FIELD.cutoff_distance, ordering=DEFAULT_EDGE_ORDERING
        )
        for atoms in structures
    ]
    atoms, edges = sum(map(len, structures)), sum(len(graph.senders) for graph in graphs)
    batch = next(dynamically_batch(graphs, n_node=atoms + 1, n_edge=edges + 1, n_graph=len(graphs) + 1))
    batch, program = jax.device_put(batch), jax.jit(FIELD.calculate)
    simulations = {}

    def call():
        return np.asarray(program(batch).to_prediction().forces)

    def steps(count):
        if count not in simulations:
            simulations[count] = simulation(structures, count)
        simulations[count].run()

    return Engine(call, steps)


def simulation(structures, count):
    """So many steps in one compiled piece, as often as it is run."""
    moving = [atoms.copy() for atoms in structures]
    for atoms in moving:
        MaxwellBoltzmannDistribution(atoms, temperature_K=100.0)
    config = JaxMDSimulationEngine.Config(
        md_integrator=MDIntegrator.NVE_VELOCITY_VERLET,
        num_steps=count,
        num_episodes=1,
        snapshot_interval=count,
        timestep_fs=0.25,
    )
    return JaxMDSimulationEngine(moving if len(moving) > 1 else moving[0], FIELD, config)


if __name__ == "__main__":
    serve(prepare, NAMES[CHOSEN])
