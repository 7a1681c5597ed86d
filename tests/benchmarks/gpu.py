"""Every figure that we want of a GPU, in one command of at most eight minutes.

python -m tests.benchmarks.gpu [--minutes 8] [--here] [--out TABLE.csv]

Operations of an evaluation, which is an MD step but for some sums, are counted on any machine, in the programs that a
GPU gets: scatters, gathers and products are kernels there, and for small molecules the number of kernels is the time.
Times are of the wall clock: an MD step of single structures and of batches, a training step, a relaxation, with the
peak of memory and the gap to the roofline: the time that operations and traffic would take at the rates of a large
matrix product and a large copy on the same device, over the time taken. Without a GPU the command says what is
missing; ``--here`` measures the same on whatever device there is. Weights are those of SO3LR where they can be had,
otherwise random ones of its size.
"""

import argparse
import collections
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import so3lab
from so3lab import datasets
from so3lab.doctor.prepare import prepare_process
from so3lab.dynamics import Control, Limits, Replicas, throughput
from so3lab.engine.energy_model import precision
from so3lab.engine.forces import ForceSpec, forces_at, structure_arrays
from so3lab.engine.pair_lists import PairLists
from so3lab.machine.c_compiler import OFF
from so3lab.minimize import minimize
from so3lab.network.settings import ModelSettings, preset
from so3lab.potential import Potential
from so3lab.training.batches import batch_order, frames_from, mean_neighbors
from so3lab.training.settings import TrainingSettings
from so3lab.training.step import training_functions
from tests.benchmarks.engine import structure

SINGLE = ("ethanol", "dha", "water64", "water512")
"""9, 56, 192 and 1,536 atoms."""
COPIES = (1, 16, 256)
"""Of ethanol, in a batch."""
SECONDS = 4.0
"""Of each measurement, compilation aside."""
RELAXED = 64
"""Distorted copies of ethanol that are relaxed together."""
COUNTED = ("scatter", "gather", "dot")
"""How their names begin."""
SO3LR_SIZE = ModelSettings(
    num_features=128, energy_hidden=128, cutoff=4.5, electrostatics="exact", dispersion=True, charge_embedding=True,
    spin_embedding=True, layer_normalization=(True, True), mean_neighbors=13.0,
)  # fmt: skip
FREE = Limits(None, None, None, None)


def force_field() -> tuple[Potential, str]:
    """What is simulated, and where its weights are from."""
    try:
        return so3lab.load("so3lr"), "published SO3LR"
    except (OSError, RuntimeError, ValueError) as why:
        print(f"SO3LR cannot be had here ({why}); random weights of its size take its place")
        return Potential.initial(SO3LR_SIZE), "random weights"


def evaluation(potential: Potential, structures: list[ase.Atoms]) -> tuple[Callable, tuple]:
    """Energies and forces of structures as a compiled function, and its arguments."""
    field = potential.energy_model
    with precision(field.dtype):
        lists = PairLists(structures, field.cutoff, field.long_range, field.dtype)
        arrays = structure_arrays(structures, field.dtype)
        positions = np.concatenate([atoms.positions for atoms in structures]).astype(field.dtype)
    spec, cells = ForceSpec(field.energy, lists.spec, False), lists.cells

    def program(parameters, arrays, candidates, positions):
        found = forces_at(spec, parameters, arrays, candidates, positions, cells)
        return found.energy, found.forces

    return jax.jit(program), (field.parameters, arrays, lists.candidates, positions)


def operations(program: Callable, *arguments: Any) -> collections.Counter[str]:
    """How often each of JAX's operations occurs in a program, those in programs that it calls included."""
    counts: collections.Counter[str] = collections.Counter()

    def visit(jaxpr: Any) -> None:
        for equation in jaxpr.eqns:
            inner = [x for value in equation.params.values() for x in jax.tree.leaves(value, is_leaf=_is_program)]
            inside = [getattr(x, "jaxpr", x) for x in inner if _is_program(x)]
            if not inside or equation.primitive.name.startswith("scatter"):  # that one says how rows are joined
                counts[equation.primitive.name] += 1
                continue
            for jaxpr_inside in inside:
                visit(jaxpr_inside)

    visit(jax.make_jaxpr(program)(*arguments).jaxpr)
    return counts


def _is_program(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")


def counts_of(potential: Potential, name: str, copies: int = 1) -> dict[str, Any]:
    """A row: what one evaluation is made of."""
    program, arguments = evaluation(potential, [structure(name)] * copies)
    with precision(potential.dtype):
        found = operations(program, *arguments)
        cost = program.lower(*arguments).cost_analysis() or {}
    row: dict[str, Any] = {"figure": f"operations {name}{f'*{copies}' if copies > 1 else ''}"}
    row |= {kind: sum(found[name] for name in found if name.startswith(kind)) for kind in COUNTED} | {
        "all": sum(found.values())
    }
    return row | {"GFLOP": 1e-9 * cost.get("flops", np.nan)}


class Roofline:
    """What the device can do at most: operations and bytes per second."""

    def __init__(self) -> None:
        size, length = 4096, 2**26
        matrix, vector = jnp.ones((size, size), jnp.float32), jnp.ones(length, jnp.float32)
        with jax.default_matmul_precision("highest"):
            self.flops = 2 * size**3 / _best_seconds(jax.jit(lambda a: a @ a), matrix)
        self.bytes = 8 * length / _best_seconds(jax.jit(lambda x: x + 1.0), vector)

    def share(self, potential: Potential, structures: list[ase.Atoms], seconds: float) -> float:
        """The least time that an evaluation could take, over the time that it takes."""
        program, arguments = evaluation(potential, structures)
        with precision(potential.dtype):
            cost = program.lower(*arguments).compile().cost_analysis() or {}
        least = max(cost.get("flops", 0.0) / self.flops, cost.get("bytes accessed", 0.0) / self.bytes)
        return least / seconds


def _best_seconds(program: Callable, argument: jax.Array) -> float:
    program(argument).block_until_ready()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        program(argument).block_until_ready()
        times.append(time.perf_counter() - began)
    return min(times)


def md_step(potential: Potential, name: str, copies: int, roofline: Roofline) -> dict[str, Any]:
    """A row: steps at constant energy, which are so short that nothing happens whatever the weights."""
    structures = [structure(name)] * copies
    began = time.perf_counter()
    replicas = Replicas(potential, structures, ensemble="nve", control=Control(10.0, 1e-3), limits=FREE)
    replicas.advance(1, 10)
    ready, times, began = time.perf_counter() - began, [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        replicas.advance(1, 20)
        times.append((time.perf_counter() - start) / 20)
    step = float(np.median(times))
    atoms = sum(len(atoms) for atoms in structures)
    row = {"figure": f"MD step {name}{f'*{copies}' if copies > 1 else ''}", "atoms": atoms, "ms": 1e3 * step}
    row |= {"ready s": ready, "atom-steps/s": atoms / step, "memory MiB": _memory_MiB()}
    return row | {"of roofline": roofline.share(potential, structures, step)}


def training_step(name: str, batch_size: int) -> dict[str, Any]:
    """A row: steps of the preset ``small`` on a bundled set."""
    data = datasets.load(name).select(slice(0, 200))
    model, settings = preset("small"), TrainingSettings(epochs=1, batch_size=batch_size)
    shifts = datasets.energy_shifts(data)
    frames = frames_from(data, shifts, model.cutoff)
    model = replace(model, mean_neighbors=mean_neighbors(frames))
    functions, steps = training_functions(model, settings, "float32"), 50
    with precision("float32"):
        leaves = jax.tree.leaves(Potential.initial(model, energy_shifts=shifts).parameters)
        state, frames = functions.init(jnp.concatenate([jnp.ravel(leaf) for leaf in leaves])), jax.device_put(frames)
        order, rates = batch_order(len(data), batch_size, 0, steps, 0), np.full(steps, 1e-4, np.float32)
        times: list[float] = []
        while len(times) < 3 or sum(times[1:]) < SECONDS:  # the first compiles
            began = time.perf_counter()
            state, losses = functions.epoch(state, frames, order, rates)
            losses.block_until_ready()
            times.append(time.perf_counter() - began)
    step = float(np.median(times[1:])) / steps
    row = {"figure": f"training step {name}, batch {batch_size}", "atoms": batch_size * data.max_atoms}
    return row | {"ms": 1e3 * step, "ready s": times[0], "memory MiB": _memory_MiB()}


def relaxation(potential: Potential) -> dict[str, Any]:
    """A row: time of one structure of a batch that is relaxed, with what is compiled on the way."""
    random, atoms = np.random.default_rng(0), structure("ethanol")
    starts = [atoms.copy() for _ in range(RELAXED)]
    for start in starts:
        start.positions += random.normal(0, 0.1, start.positions.shape)
    began = time.perf_counter()
    ended = list(minimize(potential, starts, max_steps=200))
    seconds, evaluations = time.perf_counter() - began, sum(one.evaluations for one in ended)
    row = {"figure": f"relaxation of {RELAXED} ethanol", "atoms": RELAXED * len(atoms), "memory MiB": _memory_MiB()}
    return row | {"ms": 1e3 * seconds / evaluations, "ready s": seconds}


def _memory_MiB() -> float:
    """Peak of the device so far; no number where it does not tell."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use", np.nan) / 2**20


def measurements(potential: Potential) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """What is measured, most wanted first: a name, and what gives its row."""
    roofline: list[Roofline] = []

    def on_roofline(name: str, copies: int) -> dict[str, Any]:
        if not roofline:
            roofline.append(Roofline())
        return md_step(potential, name, copies, roofline[0])

    for name in SINGLE:
        yield f"MD step {name}", lambda name=name: on_roofline(name, 1)
    for batch_size in (10, 64):
        yield f"training step ethanol, batch {batch_size}", lambda size=batch_size: training_step("ethanol", size)
    for copies in COPIES[1:]:
        yield f"MD step ethanol*{copies}", lambda copies=copies: on_roofline("ethanol", copies)
    yield "training step ala3, batch 10", lambda: training_step("ala3", 10)
    yield "relaxation", lambda: relaxation(potential)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="in all; what does not fit is named")
    parser.add_argument("--here", action="store_true", help="measure without a GPU, too")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    began = time.monotonic()
    prepare_process()
    on_gpu = jax.default_backend() != "cpu"
    if not on_gpu:
        os.environ[OFF] = "1"  # the programs that a GPU gets have no loops in C
    potential, source = force_field()
    print(f"{throughput.device_name()}; JAX {jax.__version__}; {source}", flush=True)
    rows = [counts_of(potential, name) for name in SINGLE] + [counts_of(potential, "ethanol", n) for n in COPIES[1:]]
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.4g"), flush=True)
    missing: list[str] = []
    measured: list[dict[str, Any]] = []
    longest = 0.0
    for name, measure in measurements(potential):
        left = 60.0 * options.minutes - (time.monotonic() - began)
        if not (on_gpu or options.here) or left < 1.5 * longest + SECONDS:
            missing.append(name)
            continue
        start = time.monotonic()
        try:
            measured.append(measure())
        except Exception as error:  # one figure's failure is said, and the others follow
            missing.append(f"{name} ({type(error).__name__}: {' '.join(str(error).split())[:120]})")
            continue
        longest = max(longest, time.monotonic() - start)
        print(pd.DataFrame(measured[-1:]).to_string(index=False, float_format="%.4g"), flush=True)
    if missing:
        why = "there is no GPU" if not (on_gpu or options.here) else "no time was left, or they failed"
        print(f"missing, because {why}: {', '.join(missing)}")
    if options.out:
        pd.DataFrame(rows + measured).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
