"""What ASE's readers take for granted and files of people do not mean: grids, units of lengths and of velocities."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.io import write

from so3lab.structures import understand
from so3lab.structures.reading import read_contents

DUMP = (
    "{}ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 10\n0 10\n0 10\n"
    "ITEM: ATOMS id type element x y z vx vy vz\n1 1 H 1 1 1 {v} 0 0\n2 1 H 1.74 1 1 -{v} 0 0\n"
)
ESPRESSO = (
    "&control\n/\n&system\n ibrav=0, nat=2, ntyp=2, ecutwfc=30\n/\n&electrons\n/\nATOMIC_SPECIES\nO 15.999 O.upf\n"
    "H1 {} H.upf\nCELL_PARAMETERS angstrom\n8 0 0\n0 8 0\n0 0 8\nATOMIC_POSITIONS angstrom\nO 0 0 0\nH1 0.96 0 0\n"
)


def test_the_grid_of_a_cube_file_is_no_cell_of_a_molecule(tmp_path):
    """Programs of quantum chemistry draw a box with a margin of some Å, and ASE makes a crystal of it."""
    write(tmp_path / "ethanol.cube", molecule("CH3CH2OH", vacuum=3.0), data=np.zeros((4, 4, 4)))
    found = understand(tmp_path / "ethanol.cube")
    assert not found.atoms.pbc.any()
    assert "the grid of a cube file around a molecule is no cell: a molecule without one" in found.notes
    write(tmp_path / "salt.cube", bulk("NaCl", "rocksalt", 5.64, cubic=True), data=np.zeros((4, 4, 4)))
    found = understand(tmp_path / "salt.cube")
    assert found.atoms.pbc.all()
    assert "the grid of the cube file is taken for a cell" in found.notes[0]


@pytest.mark.parametrize(("unit", "velocity"), [("metal", 10.0), ("real", 0.01)])
def test_velocities_of_a_dump_have_the_unit_that_it_says(tmp_path, unit, velocity):
    """LAMMPS manual, dump_modify units: Å/ps and Å/fs."""
    (tmp_path / "a.lammpstrj").write_text(DUMP.format(f"ITEM: UNITS\n{unit}\n", v=velocity))
    metres_per_second = 1000.0
    kelvin = 1.008 * metres_per_second**2 * 1.66054e-27 / (3 * 1.380649e-23)
    assert understand(tmp_path / "a.lammpstrj").facts()["velocities_temperature_K"] == pytest.approx(kelvin, rel=1e-3)


def test_velocities_of_a_dump_without_a_unit_are_left_out_and_said(tmp_path):
    path = tmp_path / "a.lammpstrj"
    path.write_text(DUMP.format("", v=0.01))
    for found in (understand(path), understand(read_contents(path)[0].atoms)):
        assert found.facts()["velocities_temperature_K"] is None
    assert "velocities are left out, since nothing says their unit" in understand(path).notes[0]
    path.write_text(DUMP.format("ITEM: UNITS\nelectron\n", v=0.01))
    with pytest.raises(ValueError, match=r"lengths must be in Å, .*got 'electron'"):
        understand(path)


def test_coordinates_of_xtb_may_be_in_angstrom(tmp_path):
    (tmp_path / "coord").write_text("$coord angs\n 0 0 0 o\n 0 0 0.96 h\n$eht charge=-1 unpaired=0\n$end\n")
    found = understand(tmp_path / "coord")
    assert found.atoms.get_distance(0, 1) == pytest.approx(0.96)
    assert found.charge.value == -1
    (tmp_path / "coord").write_text("$coord frac\n 0 0 0 o\n 0 0 0.96 h\n$end\n")
    with pytest.raises(ValueError, match=r"\$coord must be in bohr or angs, got 'frac'"):
        understand(tmp_path / "coord")


@pytest.mark.parametrize(("mass", "said"), [("2.014", True), ("1.008", False)])
def test_isotopes_of_pw_are_said_to_be_left_out(tmp_path, mass, said):
    (tmp_path / "pw.pwi").write_text(ESPRESSO.format(mass))
    notes = understand(tmp_path / "pw.pwi").notes
    assert any("masses of ATOMIC_SPECIES are left out: H1 2.014 amu" in note for note in notes) == said


def test_chemical_json_states_charge_and_spin(tmp_path):
    """Avogadro: totalCharge and totalSpinMultiplicity of the properties."""
    (tmp_path / "a.cjson").write_text(
        '{"chemicalJson": 1, "atoms": {"elements": {"number": [8, 1]}, "coords": {"3d": [0, 0, 0, 0.96, 0, 0]}}, '
        '"properties": {"totalCharge": -1, "totalSpinMultiplicity": 3}}'
    )
    found = understand(tmp_path / "a.cjson")
    assert (found.charge.value, found.unpaired.value) == (-1, 2)
