"""Structures are written, or kept elsewhere where their file cannot be after all."""

import re

import pytest
from ase.build import molecule
from ase.io import read

from so3lab.structures.writing import check_structures_file, write_structures


def test_a_check_leaves_nothing_behind_and_what_it_allows_can_be_written(tmp_path):
    structures = [molecule("H2O"), molecule("CH4")]
    check_structures_file(tmp_path / "two.xyz", structures)
    assert list(tmp_path.iterdir()) == []
    write_structures(tmp_path / "two.xyz", structures)
    assert [len(atoms) for atoms in read(tmp_path / "two.xyz", ":")] == [3, 5]
    with pytest.raises(FileExistsError, match="--overwrite"):
        check_structures_file(tmp_path / "two.xyz", structures)
    check_structures_file(tmp_path / "two.xyz", structures, overwrite=True)


def test_what_one_format_cannot_hold_is_named(tmp_path):
    check_structures_file(tmp_path / "one.mol", [molecule("H2O")])
    with pytest.raises(ValueError, match=r"ASE writes 2 structures.*two\.mol.*\.extxyz"):
        check_structures_file(tmp_path / "two.mol", [molecule("H2O"), molecule("H2O")])
    check_structures_file(tmp_path / "same.pdb", [molecule("H2O"), molecule("H2O")])
    with pytest.raises(ValueError, match="in this format all must have the same atoms"):  # ASE would drop some
        check_structures_file(tmp_path / "other.pdb", [molecule("H2O"), molecule("CH4")])


def test_structures_are_kept_when_their_folder_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OSError, match="the structures are in") as raised:
        write_structures(tmp_path / "gone" / "water.xyz", [molecule("H2O")])
    kept = re.search(r"the structures are in (.*)", str(raised.value))
    assert len(read(kept[1])) == 3
