"""What has been computed survives kills: a file with one JSON object in each line, on the disk before anybody hears."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ase import Atoms

from so3lab.machine.checksum import checksum

Record = dict[str, Any]


def recovered(journal: Path, key: str) -> dict[Any, Record]:
    """Records of an earlier run, none without a file; a last line torn by a kill is cut off.

    Args:
        journal: The file.
        key: Which of their entries tells records apart; of several alike the last one counts.
    """
    if not journal.exists():
        return {}
    records, size = parsed(journal, key)
    if size < journal.stat().st_size:
        with journal.open("r+b") as file:
            file.truncate(size)
    return records


def parsed(journal: Path, key: str) -> tuple[dict[Any, Record], int]:
    """Records by their key, and the length of the complete lines in bytes.

    Raises:
        ValueError: If a line other than an unfinished last one cannot be read.
    """
    records: dict[Any, Record] = {}
    size = 0
    lines = journal.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("unfinished line")
            record = json.loads(line)
            records[record[key]] = record
        except (ValueError, KeyError, TypeError):
            if number == len(lines):
                break
            raise ValueError(
                f"journal {journal} must hold one result in each line, line {number} cannot be read; did so3lab write "
                "it? Delete the line to have its structure computed again"
            ) from None
        size += len(line)
    return records, size


def append(journal: BinaryIO, record: Mapping[str, Any]) -> None:
    """Write a record, and return when it is on the disk."""
    journal.write(json.dumps(record, allow_nan=False).encode() + b"\n")
    journal.flush()
    os.fsync(journal.fileno())


def structure_checksum(atoms: Atoms) -> str:
    """Changes when elements, positions or cell change in any bit."""
    return checksum(atoms.numbers.astype("<i8"), atoms.positions.astype("<f8"), atoms.cell.array, atoms.pbc)
