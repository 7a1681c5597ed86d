"""Measurements that anyone can repeat: ``python -m tests.benchmarks.NAME``, from the repository."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # as the commands do, before JAX is imported
