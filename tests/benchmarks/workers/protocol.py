"""What every worker does: load a structure, call its engine, say how long it took."""

import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any


def serve(prepare: Callable[[Any], tuple[Callable[[], Any], Callable[[int], Any] | None]]) -> None:
    """Answer requests until the input ends.

    Requests are ``{"structure": path}``, which prepares and compiles, and ``{"calls": n}`` or ``{"steps": n}``,
    which answer with CPU seconds per call or per step.

    Args:
        prepare: Makes of a structure a function that computes energy and forces, and one that runs a number of
            steps of dynamics, or None.
    """
    import ase.io

    answers, sys.stdout = sys.stdout, sys.stderr  # whatever an engine prints is not an answer
    call: Callable[[], Any] = lambda: None  # noqa: E731
    steps: Callable[[int], Any] | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if "structure" in request:
            started = time.perf_counter()
            atoms = ase.io.read(request["structure"])
            call, steps = prepare(atoms)
            call()
            answer: dict[str, Any] = {"first_call_s": time.perf_counter() - started}
        elif "calls" in request:
            answer = {"seconds": [_timed(call) for _ in range(request["calls"])]}
        elif steps is None:
            answer = {"seconds": []}
        else:
            count = request["steps"]
            steps(count)
            answer = {"seconds": [_timed(partial(steps, count)) / count]}
        answer["peak_MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(answer), file=answers, flush=True)


def _timed(function: Callable[[], Any]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started
