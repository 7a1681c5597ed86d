"""How a text file with many frames is read one frame at a time: where each begins is found once, from counts alone."""

import io
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from ase import Atoms
from ase.io.lammpsrun import read_lammps_dump_text

from so3lab.frames.columns import columns_of, named
from so3lab.structures.pdb import models_of_pdb
from so3lab.structures.xyz import frame_of_text

_NUMBER = re.compile(r'([A-Za-z_][\w.-]*)=("?)([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\2(?=\s|$)')
"""An entry of an extended XYZ comment that is one number."""


class Part(NamedTuple):
    """Where a frame stands."""

    start: int
    stop: int
    numbers: dict[str, float]
    """Said in its head."""


class TextFile:
    """Frames of a text file, each parsed when somebody asks for it.

    Args:
        path: The file.
        parts: Where its frames are.
        parse: Makes a frame of its text.
    """

    def __init__(self, path: Path, parts: list[Part], parse: Callable[[str], Atoms]):
        self._path, self._parts, self._parse = path, parts, parse
        self._lock = threading.Lock()
        self._file = open(path, "rb")  # noqa: SIM115 - as long as there is a reader

    def __len__(self) -> int:
        return len(self._parts)

    def read(self, index: int) -> Atoms:
        """A frame.

        Raises:
            ValueError: If it cannot be understood.
        """
        part = self._parts[index]
        with self._lock:
            self._file.seek(part.start)
            text = self._file.read(part.stop - part.start).decode("utf-8", errors="replace")
        try:
            return self._parse(text)
        except Exception as error:  # ASE's readers raise whatever they stumble over
            raise ValueError(
                f"frame {index} of {self._path} cannot be read: {error or type(error).__name__}"
            ) from error

    def columns(self) -> dict[str, np.ndarray]:
        """Numbers of all heads."""
        return columns_of([part.numbers for part in self._parts])

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


def xyz_file(path: Path) -> TextFile | None:
    """An XYZ file, plain or extended; None where it must be mended first, which reads it as a whole."""
    with open(path, "rb") as file:
        parts = _all(_xyz_parts(file))
    return _checked(TextFile(path, parts, frame_of_text)) if parts else None


def lammps_file(path: Path) -> TextFile | None:
    """A LAMMPS dump in text whose atoms have elements; None for what is none."""
    with open(path, "rb") as file:
        parts = _all(_lammps_parts(file))
    return _checked(TextFile(path, parts, lambda text: read_lammps_dump_text(io.StringIO(text), 0))) if parts else None


def pdb_file(path: Path) -> TextFile:
    """A PDB file with its models; elements and residues are those of the first."""
    first = models_of_pdb(path).one(0).atoms
    with open(path, "rb") as file:
        parts = list(_pdb_parts(file))

    def parse(text: str) -> Atoms:
        rows = [line for line in text.splitlines() if line.startswith(("ATOM", "HETATM"))]
        cells = [line for line in text.splitlines() if line.startswith("CRYST1")]
        if len(rows) != len(first):
            raise ValueError(f"a model must have the {len(first)} atoms of the first one, got {len(rows)}")
        atoms = first.copy()
        atoms.positions = [[float(row[at : at + 8]) for at in (30, 38, 46)] for row in rows]
        if cells and first.pbc.any():
            lengths = [float(cells[-1][at : at + 9]) for at in (6, 15, 24)]
            atoms.cell = [*lengths, *(float(cells[-1][at : at + 7]) for at in (33, 40, 47))]
        return atoms

    return TextFile(path, parts, parse)


TEXT_FILES: dict[str, Callable[[Path], TextFile | None]] = {
    ".xyz": xyz_file, ".extxyz": xyz_file, ".exyz": xyz_file, ".pdb": pdb_file, ".ent": pdb_file,
    ".lammpstrj": lammps_file, ".dump": lammps_file,
}  # fmt: skip
"""By ending; None from one of them means that another way must be found."""


class _Unusual(Exception):
    """The file is not as its format says."""


def _all(parts: Iterator[Part]) -> list[Part]:
    """All parts; none where the file is not as its format says."""
    try:
        return list(parts)
    except _Unusual:
        return []


def _checked(file: TextFile | None) -> TextFile | None:
    """The file, or None where its first frame cannot be read."""
    if file is None:
        return None
    try:
        file.read(0)
    except ValueError:
        return None
    return file


def _xyz_parts(file: BinaryIO) -> Iterator[Part]:
    start = 0
    while line := file.readline():
        if not line.strip():
            start += len(line)
            continue
        if not line.strip().isdigit():
            raise _Unusual
        comment = file.readline()
        size, count = len(line) + len(comment), int(line)
        for _ in range(count):
            row = file.readline()
            if not row.strip():
                raise _Unusual
            size += len(row)
        found = _NUMBER.finditer(comment.decode("utf-8", errors="replace"))
        yield Part(start, start + size, {named(one[1]): float(one[3]) for one in found})
        start += size


def _lammps_parts(file: BinaryIO) -> Iterator[Part]:
    step: float | None = None
    start = at = 0
    while line := file.readline():
        before, at = at, at + len(line)
        if line.startswith(b"ITEM: TIMESTEP"):
            if step is not None:
                yield Part(start, before, {"step": step})
            number = file.readline()
            at += len(number)
            if not number.strip().isdigit():
                raise _Unusual
            start, step = before, float(number)
        elif step is None:
            raise _Unusual
        elif line.startswith(b"ITEM: ATOMS") and b"element" not in line.split():
            raise ValueError(
                f"{file.name} is a dump of LAMMPS whose atoms have types and no elements; write it with 'dump custom "
                "... element x y z' and 'dump_modify element C H O', or give topology=, the same atoms with elements"
            )
    if step is not None:
        yield Part(start, at, {"step": step})


def _pdb_parts(file: BinaryIO) -> Iterator[Part]:
    """Models; what stands before the first one, such as the cell, belongs to it."""
    start = at = 0
    rows = False
    while line := file.readline():
        at += len(line)
        rows = rows or line.startswith((b"ATOM", b"HETATM"))
        if line.startswith(b"ENDMDL") and rows:
            yield Part(start, at, {})
            start, rows = at, False
    if rows:
        yield Part(start, at, {})
