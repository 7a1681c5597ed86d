"""What every worker does: load structures, call its engine, say how long it took, or why it cannot."""

import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

_answers, sys.stdout = sys.stdout, sys.stderr
"""Whatever an engine prints, from its import on, is not an answer."""


class Engine(NamedTuple):
    """An engine made ready for one structure or a batch of them."""

    call: Callable[[], Any]  # energy and forces
    steps: Callable[[int], Any] | None = None  # a number of steps of dynamics
    flops_per_call: Callable[[], float | None] | None = None  # asked for after the first call
    why_no_steps: str = "no dynamics"
    moved: Callable[[], Any] | None = None  # energy and forces in ASE, atoms moved a little


def serve(prepare: Callable[[list], Engine], model: str = "SO3LR", peak: Callable[[], float] | None = None) -> None:
    """Answer requests until the input ends.

    Requests are ``{"structures": path}``, which prepares and compiles, and ``{"calls": n}``, ``{"moved": n}`` or
    ``{"steps": n}``, which answer with CPU seconds per call or per step. What an engine cannot do is answered with
    ``{"reason": why}``.

    Args:
        prepare: Makes an engine of a list of structures.
        model: What is computed: the architecture and where its weights are from.
        peak: Operations per second of the fastest matrix product.
    """
    import ase.io

    engine = Engine(lambda: None)
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if "structures" in request:
                clock = clock_of_process()
                started = clock()
                engine = prepare(ase.io.read(request["structures"], index=":"))
                answer = {"ready_s": clock() - started, "first_call_s": timed(engine.call), "model": model}
                if peak is not None and engine.flops_per_call is not None:
                    answer |= {"flops": engine.flops_per_call(), "peak_flops_per_s": peak()}
            elif "calls" in request:
                answer = {"seconds": [timed(engine.call) for _ in range(request["calls"])]}
            elif "moved" in request:
                if engine.moved is not None:
                    engine.moved()  # what its first call compiles does not count
                times = [] if engine.moved is None else [timed(engine.moved) for _ in range(request["moved"])]
                answer = {"seconds": times}
            elif engine.steps is None:
                answer = {"reason": engine.why_no_steps}
            else:
                steps = partial(engine.steps, request["steps"])
                answer = {"first_s": timed(steps), "seconds": [timed(steps) / request["steps"]]}
        except Exception as error:  # one engine's failure is a cell of the table, not its end
            answer = {"reason": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        answer["peak_MiB"] = peak_bytes() / 2**20
        print(json.dumps(answer), file=_answers, flush=True)


def through_calculator(structures: list, calculator: Any) -> Callable[[], Any] | None:
    """Energy and forces of a single structure in ASE, its atoms moved by 0.005 Å before every call."""
    import numpy as np

    if len(structures) > 1:
        return None
    atoms, random = structures[0].copy(), np.random.default_rng(0)
    start, atoms.calc = atoms.positions.copy(), calculator

    def moved():
        atoms.positions = start + random.normal(0, 0.005, start.shape)
        atoms.get_potential_energy()
        return atoms.get_forces()

    return moved


def through_ase(call: Callable[[], Any], structures: list, calculator: Any) -> Engine:
    """An engine whose dynamics are velocity Verlet of a single structure through its ASE calculator."""
    from ase import units
    from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
    from ase.md.verlet import VelocityVerlet

    if len(structures) > 1:
        return Engine(call, why_no_steps="ASE moves one structure at a time")
    moving = structures[0].copy()
    moving.calc = calculator
    MaxwellBoltzmannDistribution(moving, temperature_K=100.0)
    steps = VelocityVerlet(moving, 0.25 * units.fs).run
    return Engine(call, steps, moved=through_calculator(structures, calculator))


def timed(function: Callable[[], Any]) -> float:
    """Seconds of one call: of the processor where it computes, of the clock where an accelerator does.

    ``function`` must return only when its numbers are there.
    """
    clock = clock_of_process()
    started = clock()
    function()
    return clock() - started


def torch_device() -> str:
    """Where PyTorch computes: on a GPU, if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def clock_of_process() -> Callable[[], float]:
    """Seconds of the processor where it computes, of the clock where an accelerator does."""
    return time.process_time if _accelerator_bytes() is None else time.perf_counter


def peak_bytes() -> int:
    """The most memory that this process has held: of the accelerator, where there is one."""
    on_accelerator = _accelerator_bytes()
    if on_accelerator is not None:
        return on_accelerator
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _accelerator_bytes() -> int | None:
    """The most memory held on a GPU or TPU by whichever array library this process has; None without one."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if jax is None or jax.default_backend() == "cpu":
        return None
    return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)
