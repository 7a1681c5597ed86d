"""Measurements that anyone can repeat: ``python -m tests.benchmarks.NAME``, from the repository."""
