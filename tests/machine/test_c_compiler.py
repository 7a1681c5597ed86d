"""The loops in C are compiled once for a processor, or it is said why they cannot be."""

import re
from pathlib import Path

import pytest

from so3lab.machine import c_compiler


def test_processors_have_short_equal_names():
    assert re.fullmatch("[0-9a-f]{12}", c_compiler.processor())
    assert c_compiler.processor() == c_compiler.processor()


def test_libraries_are_told_apart_by_precision_and_sizes():
    names = {c_compiler.variant(dtype, 4, degrees) for dtype in ("float32", "float64") for degrees in (3, 4)}
    assert len(names) == 4
    assert all(name.isidentifier() for name in names)  # C functions are called so


def program_that(does: str, folder: Path, monkeypatch) -> None:
    """Something else in the place of the C compiler."""
    program = folder / "cc"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("CC", str(program))
    monkeypatch.setenv("SO3LAB_CACHE", str(folder / "cache"))


def test_a_library_that_is_there_is_not_compiled_again(monkeypatch, tmp_path):
    program_that('while [ "$1" != -o ]; do shift; done; echo compiled > "$2"', tmp_path, monkeypatch)
    made = c_compiler.library_for("float32", 1, 1)
    assert made.read_text() == "compiled\n"
    assert list((c_compiler.compiled_folder() / "kernels").iterdir()) == [made]  # nothing else is left behind
    monkeypatch.setenv("CC", "no-such-compiler")
    assert c_compiler.library_for("float32", 1, 1) == made
    with pytest.raises(c_compiler.Unavailable, match="there is no C compiler; install gcc or clang, or set CC"):
        c_compiler.library_for("float32", 1, 2)


def test_a_compiler_that_fails_is_named(monkeypatch, tmp_path):
    program_that("echo 'x.c:1: error: no such thing' >&2; exit 1", tmp_path, monkeypatch)
    with pytest.raises(c_compiler.Unavailable, match=r"cc failed: x\.c:1: error: no such thing"):
        c_compiler.library_for("float64", 2, 2)
    assert list((c_compiler.compiled_folder() / "kernels").iterdir()) == []
