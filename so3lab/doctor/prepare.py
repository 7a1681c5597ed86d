"""Making a process fit to compute: one way for commands, workers and notebooks, before JAX computes anything."""

import functools
import os


def be_quiet() -> None:
    """Silence what XLA says, wrongly, of each program that it reads from disk; to be called before JAX is imported.

    What a person chose stays; 1 is what JAX itself sets, and what a parent process leaves to a worker.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def prepare_process(keep_programs: bool = True, *, compile_loops: bool = True) -> None:
    """Keep memory and compiled programs, and refuse a JAX that computes wrong numbers.

    Args:
        keep_programs: Whether to switch JAX's cache of compiled programs on.
        compile_loops: Whether to begin, in the background, with the library of our loops.

    Raises:
        RuntimeError: If JAX's compiler computes wrong numbers here.
    """
    if compile_loops:
        from so3lab.machine.c_compiler import compile_ahead

        compile_ahead()
    from so3lab.doctor.compiler import require_sound_compiler
    from so3lab.machine.compilation import enable_compilation_cache
    from so3lab.machine.memory import keep_memory

    keep_memory()
    if keep_programs:
        enable_compilation_cache()
    require_sound_compiler()


@functools.cache
def prepare_worker() -> None:
    """Make a worker process fit to compute, as the commands do; once."""
    # Several processes may share one accelerator: none may take its memory for itself.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    be_quiet()
    prepare_process(compile_loops=False)
