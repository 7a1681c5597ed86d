"""Virtual sites, Drude particles and coarse grains are told from atoms; what other programs say of spins is read."""

import ase.build
import numpy as np
import pytest

from so3lab.app import main
from so3lab.structures.reading import understand


def pdb(*atoms):
    return "".join(
        f"HETATM{n:5d} {name:<4s} {residue:<3s} A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {element:>2s}\n"
        for n, (name, residue, x, y, z, element) in enumerate(atoms, 1)
    )


WATER = (
    (" O", "HOH", 0.0, 0.0, 0.0, "O"),
    (" H1", "HOH", 0.757, 0.586, 0.0, "H"),
    (" H2", "HOH", -0.757, 0.586, 0.0, "H"),
)


@pytest.mark.parametrize(
    "site",
    [
        (" EPW", "HOH", 0.0, 0.15, 0.0, "EP"),  # tleap of AMBER, TIP4P
        (" EPW", "HOH", 0.0, 0.15, 0.0, ""),
        (" MW", "HOH", 0.0, 0.15, 0.0, "M"),  # OpenMM
        (" LP1", "HOH", 0.0, -0.3, 0.2, "LP"),  # lone pairs of CHARMM
        (" DO", "HOH", 0.01, 0.0, 0.0, ""),  # CHARMM's Drude particles
        (" DO", "HOH", 0.01, 0.0, 0.0, "D"),
    ],
)
def test_sites_that_are_no_atoms_are_left_out_of_pdb_files(tmp_path, site):
    path = tmp_path / "a.pdb"
    path.write_text(pdb(*WATER, site))
    found = understand(path)
    assert found.atoms.get_chemical_formula() == "H2O"
    assert any(f"1 virtual sites or Drude particles, which are no atoms, are left out: {site[0].strip()}" in n
               for n in found.notes)  # fmt: skip


def test_deuterium_is_no_drude_particle(tmp_path):
    path = tmp_path / "a.pdb"
    path.write_text(pdb(WATER[0], (" DO", "HOH", 0.757, 0.586, 0.0, "D"), WATER[2]))
    assert understand(path).atoms.get_masses()[1] == pytest.approx(2.014)


def gro(*atoms):
    rows = "".join(
        f"{1:5d}{r:<5s}{n:>5s}{i:5d}{x:8.3f}{y:8.3f}{z:8.3f}\n" for i, (r, n, x, y, z) in enumerate(atoms, 1)
    )
    return f"made\n{len(atoms)}\n{rows}   3.0 3.0 3.0\n"


def test_ions_of_gromacs_are_read_by_their_names(tmp_path):
    path = tmp_path / "a.gro"
    path.write_text(gro(("ION", "NA", 0, 0, 0), ("ION", "CL", 1, 1, 1), ("ION", "CA", 2, 2, 2)))
    assert understand(path).atoms.get_chemical_symbols() == ["Na", "Cl", "Ca"]


@pytest.mark.parametrize(
    "grains",
    [[("W", "W", 0, 0, 0), ("W", "W", 0.5, 0, 0)], [("POPC", "NC3", 0, 0, 0), ("POPC", "PO4", 0.3, 0, 0)]],
)
def test_coarse_grains_are_refused(tmp_path, grains):
    """Names of Martini's beads (cgmartini.nl)."""
    path = tmp_path / "a.gro"
    path.write_text(gro(*grains))
    with pytest.raises(ValueError, match=r"holds coarse grains \((W|NC3, PO4)\), as Martini has them"):
        understand(path)


def test_spins_of_espresso_and_castep(tmp_path):
    """INPUT_PW of Quantum ESPRESSO, tot_magnetization; CASTEP keeps CHARGE and SPIN in the .param beside the cell."""
    (tmp_path / "o2.pwi").write_text(
        "&CONTROL\n/\n&SYSTEM\n ibrav=0, nat=2, ntyp=1, ecutwfc=30, tot_magnetization = 2\n/\n&ELECTRONS\n/\n"
        "ATOMIC_SPECIES\nO 15.999 O.upf\nCELL_PARAMETERS angstrom\n9 0 0\n0 9 0\n0 0 9\n"
        "ATOMIC_POSITIONS angstrom\nO 0 0 0\nO 0 0 1.21\nK_POINTS gamma\n"
    )
    assert understand(tmp_path / "o2.pwi").unpaired.value == 2
    (tmp_path / "o2.cell").write_text(
        "%BLOCK LATTICE_CART\n9 0 0\n0 9 0\n0 0 9\n%ENDBLOCK LATTICE_CART\n"
        "%BLOCK POSITIONS_ABS\nO 0 0 0\nO 0 0 1.21\n%ENDBLOCK POSITIONS_ABS\n"
    )
    (tmp_path / "o2.param").write_text("TASK : SinglePoint\nSPIN : 1\nCHARGE : -1\n")
    found = understand(tmp_path / "o2.cell")
    assert (found.charge.value, found.unpaired.value) == (-1, 1)


def test_files_of_vasp_4_name_the_fix(tmp_path):
    path = tmp_path / "POSCAR"
    path.write_text("made\n1.0\n4 0 0\n0 4 0\n0 0 4\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n")
    with pytest.raises(ValueError, match="files of VASP 4 name no elements: write them"):
        understand(path)


def test_relaxing_says_what_the_comment_was_read_as(tmp_path, capsys):
    path = tmp_path / "oh.xyz"
    path.write_text("2\n-1 1\nO 0 0 0\nH 0 0 0.97\n")
    assert main(["relax", "ethanol", str(path)]) == 1  # the model knows no ions
    assert "the second line '-1 1' is read as charge and multiplicity" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["chrg=-1", "chrg -1", "chg=-1", "chg: -1"])
def test_short_names_of_charges(tmp_path, line):
    """xtb and Turbomole call it chrg, Gaussian's tools chg."""
    path = tmp_path / "oh.xyz"
    path.write_text(f"2\n{line}\nO 0 0 0\nH 0 0 0.97\n")
    assert understand(path).charge.value == -1


def test_charges_of_atoms_called_q(tmp_path):
    path = tmp_path / "oh.xyz"
    path.write_text("2\nProperties=species:S:1:pos:R:3:q:R:1\nO 0 0 0 -1.2\nH 0 0 0.97 0.2\n")
    found = understand(path)
    assert np.isclose(found.charge.value, -1)
    assert found.charge.source == "sum of q"


@pytest.mark.parametrize(
    "text",
    [
        "! B3LYP def2-SVP\n\n* xyz -1 1\nO 0 0 0\nH 0 0 0.97\n*\n",
        "$molecule\n-1 1\nO 0 0 0\nH 0 0 0.97\n$end\n\n$rem\nMETHOD b3lyp\n$end\n",
    ],
)
def test_inputs_of_orca_and_qchem(tmp_path, text):
    path = tmp_path / "oh.inp"
    path.write_text(text)
    found = understand(path)
    assert (found.atoms.get_chemical_formula(), found.charge.value, found.unpaired.value) == ("HO", -1, 0)


def test_coordinates_of_orca_in_another_file_are_named(tmp_path):
    path = tmp_path / "oh.inp"
    path.write_text("! B3LYP\n* xyzfile -1 1 geometry.xyz\n")
    with pytest.raises(ValueError, match=r"names the file geometry\.xyz"):
        understand(path)


def test_organic_crystals_without_hydrogens_are_told():
    """CIF files of the CSD often lack them."""
    ethanol = ase.Atoms("CCO", [[0, 0, 0], [1.52, 0, 0], [2.0, 1.35, 0]], cell=[6, 6, 6], pbc=True)
    ring = ase.build.molecule("C6H6")[:6]
    for atoms in (ethanol, ring):
        assert any("hydrogens are probably missing" in note for note in understand(atoms).notes)
    for atoms in (ase.build.bulk("C"), ase.build.molecule("CO2"), ase.build.molecule("CS2"), ase.build.molecule("C60")):
        assert not any("hydrogens" in note for note in understand(atoms).notes)
