"""GROMACS's files have names and no elements: ions are ions, virtual sites are no atoms, a box of zeros is none.

The format is that of the GROMACS reference manual, "gro"; other sources stand beside their case.
"""

import numpy as np
import pytest
from ase import units

from so3lab.structures import understand

WATER = (("SOL", "OW", 0, 0, 0), ("SOL", "HW1", 0.096, 0, 0), ("SOL", "HW2", -0.024, 0.093, 0))


def frame(rows=WATER, box="1.2 1.2 1.2", velocities="", digits=3):
    """One frame as text."""
    width = digits + 5
    lines = [
        f"{number:5d}{residue:<5}{name:>5}{number:5d}" + "".join(f"{x:{width}.{digits}f}" for x in place) + velocities
        for number, (residue, name, *place) in enumerate(rows, start=1)
    ]
    return "\n".join(["a frame", f"{len(rows)}", *lines, box, ""])


def read(tmp_path, text):
    (tmp_path / "a.gro").write_text(text)
    return understand(tmp_path / "a.gro")


@pytest.mark.parametrize(
    ("residue", "name", "symbol", "source"),
    [
        ("CL", "CL", "Cl", "behaviour of ASE's reader, which makes carbon of it"),
        ("NA", "NA", "Na", "the same: nitrogen"),
        ("ZN2", "ZN", "Zn", "the same: nitrogen of the last letter"),
        ("CA", "CA", "Ca", "mdtraj#1871: ions and names of carbons are told apart by their residue"),
        ("ALA", "CA", "C", "the same"),
        ("LI", "LI", "Li", "mdtraj#1871: lithium became a virtual site"),
        ("SOD", "SOD", "Na", "names of CHARMM"),
        ("CLA", "CLA", "Cl", "the same"),
        ("LIG", "C0R", "C", "MDAnalysis#4167: names of CGenFF"),
        ("LIG", "CL1", "Cl", "names of GAFF"),
        ("LYS", "HG1", "H", "a hydrogen, not mercury"),
        ("MET", "SD", "S", "a sulfur"),
    ],
)
def test_names_of_atoms_and_residues_tell_elements(tmp_path, residue, name, symbol, source):
    found = read(tmp_path, frame([(residue, name, 0, 0, 0)], box="0 0 0"))
    assert found.atoms.get_chemical_symbols() == [symbol], source
    assert any(f"{name} as {symbol}" in note for note in found.notes)


def test_virtual_sites_are_left_out_and_said(tmp_path):
    """Sire#231: the site MW of TIP4P, which ASE takes for tungsten."""
    found = read(tmp_path, frame([*WATER, ("SOL", "MW", 0.015, 0.011, 0)]))
    assert found.atoms.get_chemical_formula() == "H2O"
    assert "1 virtual sites, which are no atoms, are left out: MW of SOL" in found.notes


def test_lengths_are_in_nm_and_velocities_in_nm_per_ps(tmp_path):
    found = read(tmp_path, frame(velocities="  1.0000  0.0000 -0.5000", box="3 3 3 0 0 1 0 1 1"))
    assert found.atoms.get_distance(0, 1) == pytest.approx(0.96)
    np.testing.assert_allclose(found.atoms.get_velocities()[0] * 1000 * units.fs, [10, 0, -5])
    np.testing.assert_allclose(found.atoms.cell[:], [[30, 0, 0], [10, 30, 0], [10, 10, 30]])


def test_more_digits_are_wider_columns(tmp_path):
    atoms = read(tmp_path, frame(digits=6)).atoms
    np.testing.assert_allclose(atoms.positions[2], [-0.24, 0.93, 0.0])


def test_the_last_frame_counts_and_a_box_of_zeros_is_none(tmp_path):
    found = read(tmp_path, frame() + frame(WATER[:2], box="0.0 0.0 0.0"))
    assert len(found.atoms) == 2
    assert not found.atoms.pbc.any()
    assert {"the last of 2 frames", "a box of zeros is none: a molecule without a cell"} <= set(found.notes)
    assert len(understand(f"{tmp_path / 'a.gro'}:0").atoms) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (frame().replace("\n3\n", "\n4\n"), r"line 2: 4 atoms and a box must follow, but the file ends before"),
        (frame().replace("\n3\n", "\nthree\n"), r"line 2: the number of atoms must stand here, got 'three'"),
        (frame().replace("0.096", "  abc"), r"line 4: three finite coordinates in nm must begin in column 21"),
        (frame(box="1.2 1.2"), r"line 6: the box must be three or nine numbers in nm, got '1\.2 1\.2'"),
        (frame([("XYZ", "QQ", 0, 0, 0)]), r"line 3: the name 'QQ' of residue 'XYZ' tells no element"),
        (frame([("SOL", "MW", 0, 0, 0)]), "holds no atoms"),
        ("", "holds no atoms"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read(tmp_path, text)
