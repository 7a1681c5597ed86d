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
    flops_per_call: float | None = None
    why_no_steps: str = "no dynamics"


def serve(
    prepare: Callable[[list], Engine], model: str = "SO3LR", peak: Callable[[], float] | None = None
) -> None:
    """Answer requests until the input ends.

    Requests are ``{"structures": path}``, which prepares and compiles, and ``{"calls": n}`` or ``{"steps": n}``,
    which answer with CPU seconds per call or per step. What an engine cannot do is answered with ``{"reason": why}``.

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
                started = time.perf_counter()
                engine = prepare(ase.io.read(request["structures"], index=":"))
                ready = time.perf_counter()
                engine.call()
                done = time.perf_counter()
                answer = {"ready_s": ready - started, "first_call_s": done - ready, "model": model}
                if peak is not None:
                    answer |= {"flops": engine.flops_per_call, "peak_flops_per_s": peak()}
            elif "calls" in request:
                answer = {"seconds": [timed(engine.call) for _ in range(request["calls"])]}
            elif engine.steps is None:
                answer = {"reason": engine.why_no_steps}
            else:
                count, started = request["steps"], time.perf_counter()
                engine.steps(count)
                first = time.perf_counter() - started
                answer = {"first_s": first, "seconds": [timed(partial(engine.steps, count)) / count]}
        except Exception as error:  # one engine's failure is a cell of the table, not its end
            answer = {"reason": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        answer["peak_MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(answer), file=_answers, flush=True)


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
    return Engine(call, VelocityVerlet(moving, 0.25 * units.fs).run)


def timed(function: Callable[[], Any]) -> float:
    """Seconds of one call: of the processor where it computes, of the clock where an accelerator does.

    ``function`` must return only when its numbers are there.
    """
    clock = time.perf_counter if _on_accelerator() else time.process_time
    started = clock()
    function()
    return clock() - started


def torch_device() -> str:
    """Where PyTorch computes: on a GPU, if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _on_accelerator() -> bool:
    """Whether the array library of this process, whichever it is, has a GPU or TPU to compute on."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and torch.cuda.is_available():
        return True
    return jax is not None and jax.default_backend() != "cpu"
