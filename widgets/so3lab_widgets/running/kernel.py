"""Making a notebook's kernel fit to compute, before a panel computes anything in it."""

import os


def prepare_kernel() -> None:
    """Keep memory and compiled programs, which the next kernel finds, and refuse a JAX that computes wrong numbers.

    Raises:
        RuntimeError: If JAX's compiler computes wrong numbers here.
    """
    from so3lab.doctor.prepare import prepare_process

    # Where XLA may not be told to be quiet, reading programs from disk is loud.
    prepare_process(keep_programs=os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") > "1")
