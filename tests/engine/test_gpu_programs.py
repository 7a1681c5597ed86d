"""Programs of training, dynamics and relaxation are lowered for CUDA, without a GPU: none of them needs a CPU."""

import re

import jax
import numpy as np
import pytest
from ase.build import molecule
from emt_frames import labelled
from jax import export

from so3lab.dynamics import Replicas, propagator
from so3lab.engine import forces, kernels
from so3lab.engine.energy_model import precision
from so3lab.machine.c_compiler import Unavailable
from so3lab.minimize import minimize
from so3lab.network.pairwise.long_range import long_range_needs
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential, potential
from so3lab.training import TrainingSettings
from so3lab.training.batches import batch_order, frames_from
from so3lab.training.step import training_functions

SMALL = ModelSettings(
    num_features=16, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=4.0, num_radial=8, energy_hidden=8,
    mean_neighbors=6.0, repulsion=True, electrostatics="exact", dispersion=True, charge_embedding=True,
)  # fmt: skip
ON_GPU = {"cu_threefry2x32_ffi", "cu_threefry2x32", "Sharding", "shape_assertion"}
"""Calls that JAX itself makes there: random numbers, and notes to the compiler."""


class Asked(Exception):
    """A program was asked for; it is not run."""

    def __init__(self, *arguments, **named):
        super().__init__()
        self.arguments, self.named = arguments, named


def program_of(module, name: str, monkeypatch, compute) -> export.Exported:
    """The program ``name`` of a module for CUDA, with the arguments that a computation first gives it."""
    program = getattr(module, name)

    def ask(*arguments, **named):
        raise Asked(*arguments, **named)

    monkeypatch.setattr(module, name, ask)
    with pytest.raises(Asked) as asked:
        compute()
    with precision("float32"):
        return export.export(program, platforms=["cuda"])(*asked.value.arguments, **asked.value.named)


def calls_of(exported: export.Exported) -> set[str]:
    """Names of functions outside XLA that a program calls."""
    text = exported.mlir_module()
    assert exported.platforms == ("cuda",)
    return set(re.findall(r"custom_call @(\w+)", text)) | set(re.findall(r'call_target_name = "(\w+)"', text))


def peptide_pair():
    """Two molecules of different sizes."""
    return [molecule("CH3CH2OH"), molecule("H2O")]


def water_cell():
    cell = molecule("H2O", cell=[9.0, 9.0, 9.0], pbc=True)
    return [cell, cell]


COMPUTATIONS = {
    "dynamics": (propagator, "run_chunk", lambda p: Replicas(p, peptide_pair())),
    "dynamics of cells": (propagator, "run_chunk", lambda p: Replicas(p, water_cell(), ensemble="npt")),
    "relaxation": (forces, "_forces_at", lambda p: list(minimize(p, peptide_pair()))),
    "prediction": (potential, "predict_graph", lambda p: p.predict(peptide_pair(), attention=True)),
}


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_what_a_gpu_would_run_is_lowered_for_it(name, monkeypatch):
    module, program, compute = COMPUTATIONS[name]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    model = Potential.initial(SMALL)
    assert not model.filter_fit.filters.native  # though it would be on this machine's CPU
    assert calls_of(program_of(module, program, monkeypatch, lambda: compute(model))) <= ON_GPU


def test_training_is_lowered_for_a_gpu():
    data, model = labelled(6), Potential.initial(SMALL)
    functions = training_functions(model.settings, TrainingSettings(epochs=1), "float32")
    frames = frames_from(data, {1: 0.0, 6: 0.0, 8: 0.0}, SMALL.cutoff, needs=long_range_needs(model.settings))
    order = batch_order(len(data), 2, 0, 3, seed=0)
    count = sum(leaf.size for leaf in jax.tree.leaves(model.parameters))
    weights = jax.ShapeDtypeStruct((count,), np.float32)
    with precision("float32"):
        state = jax.eval_shape(functions.init, weights)
        epoch = export.export(functions.epoch, platforms=["cuda"])(state, frames, order, np.zeros(3, np.float32))
        counted = np.ones((3, 2), np.float32)
        evaluate = export.export(functions.evaluate, platforms=["cuda"])(weights, frames, order, counted)
    assert calls_of(epoch) | calls_of(evaluate) <= ON_GPU


def test_loops_in_c_would_be_found_out(monkeypatch):
    """What this machine's CPU computes by them cannot be lowered for a GPU as it is."""
    try:
        kernels.register("float32", SMALL.num_heads, len(SMALL.degrees))
    except Unavailable as reason:
        pytest.skip(f"this machine has no loops in C: {reason}")
    model = Potential.initial(SMALL)
    assert model.filter_fit.filters.native
    with pytest.raises(ValueError, match="so3lab_geometry"):
        program_of(propagator, "run_chunk", monkeypatch, lambda: Replicas(model, peptide_pair()))
