"""Formats that ASE reads come in by the same door; those that hold no structure are refused with the way out."""

import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from so3lab.datasets.ase_readers import labels_in
from so3lab.frames import open_frames
from so3lab.structures import read_structure, understand
from so3lab.structures.program_files import stated_in_program_files
from so3lab.structures.reading import read_frames
from so3lab.units import bohr


def dump(columns: str, rows: str) -> str:
    head = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 10\n0 10\n0 10\n"
    return f"{head}ITEM: ATOMS {columns}\n{rows}\n"


def test_a_dump_of_lammps_needs_elements(tmp_path):
    """matterviz#444 and dpdata#375: types become hydrogen, helium, lithium where nobody says what they are."""
    (tmp_path / "run.lammpstrj").write_text(dump("id type x y z", "1 1 0 0 0\n2 2 0 0 1.4"))
    with pytest.raises(ValueError, match=r"types and no elements; write it with 'dump custom"):
        understand(tmp_path / "run.lammpstrj")
    (tmp_path / "run.lammpstrj").write_text(dump("id type element x y z", "1 1 Si 0 0 0\n2 2 O 0 0 1.6"))
    assert sorted(understand(tmp_path / "run.lammpstrj").atoms.get_chemical_symbols()) == ["O", "Si"]


@pytest.mark.parametrize("name", ["run.dcd", "run.xtc", "run.trr", "run.nc", "start.rst7", "start.inpcrd"])
def test_positions_without_elements_are_told_apart(tmp_path, name):
    (tmp_path / name).write_bytes(b"\0\1\2\3")
    with pytest.raises(ValueError, match=r"holds positions and no elements; join it with its topology"):
        understand(tmp_path / name)


@pytest.mark.parametrize("name", ["system.psf", "system.prmtop", "topol.top"])
def test_topologies_without_positions_are_told_apart(tmp_path, name):
    (tmp_path / name).write_text("[ atoms ]\n")
    with pytest.raises(ValueError, match="a topology that holds no positions"):
        understand(tmp_path / name)


def test_a_format_that_nobody_knows_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("remember the milk\n")
    with pytest.raises(ValueError, match="of no format that so3lab or ASE knows"):
        understand(tmp_path / "notes.txt")


@pytest.mark.parametrize("format", ["traj", "vasp", "xsf"])
def test_other_formats_of_ase_come_in_as_they_are(tmp_path, format):
    atoms = molecule("H2O", vacuum=3.0)
    atoms.pbc = format in ("vasp", "xsf")
    path = tmp_path / {"vasp": "POSCAR"}.get(format, f"water.{format}")
    write(path, atoms)
    found = understand(path)
    assert found.atoms.get_chemical_formula() == "H2O"
    assert found.format.startswith("ASE's format")
    assert found.atoms.pbc.all() == atoms.pbc.all()


GAUSSIAN_INPUT = """# pbe1pbe/def2svp

formate

-1 1
C 0.0 0.0 0.31
O 1.13 0.0 -0.21
O -1.13 0.0 -0.21
H 0.0 0.0 1.43

"""


def test_charge_and_multiplicity_of_a_gaussian_input_are_read(tmp_path):
    """ASE keeps them as settings of a calculator, which a structure leaves behind."""
    (tmp_path / "formate.com").write_text(GAUSSIAN_INPUT)
    found = understand(tmp_path / "formate.com")
    assert (found.charge.value, found.unpaired.value) == (-1, 0)


def test_a_person_decides_against_a_file(tmp_path):
    atoms = molecule("H2O")
    atoms.info["charge"] = 0
    write(tmp_path / "water.xyz", atoms)
    found = understand(tmp_path / "water.xyz", charge=1, multiplicity=2)
    assert (found.charge.value, found.unpaired.value) == (1, 1)
    assert read_structure(tmp_path / "water.xyz", charge=1, multiplicity=2).info == {"charge": 1, "multiplicity": 2}
    with pytest.raises(ValueError, match=r"give the multiplicity \(--multiplicity\), or another charge"):
        understand("smiles:CCO", charge=1)


@pytest.mark.parametrize(
    "text",
    [
        " Charge = -1 Multiplicity = 1\n",
        "Total Charge           Charge          ....   -1\n Multiplicity           Mult            ....    1\n",
        "          Charge           :    -1\n          Spin multiplicity:     1\n",  # NWChem
        " CHARGE OF MOLECULE       =   -1\n SPIN MULTIPLICITY        =    1\n",  # GAMESS
    ],
)
def test_outputs_of_molecules_state_both(tmp_path, text):
    (tmp_path / "job.out").write_text(f"header\n{text}SCF Done\n")
    assert stated_in_program_files(tmp_path / "job.out") == {"charge": -1, "multiplicity": 1}
    (tmp_path / "job.out").write_text("header\n")
    assert stated_in_program_files(tmp_path / "job.out") == {}


@pytest.mark.parametrize(("electrons", "charge"), [(8.0, 0.0), (9.0, -1.0), (7.5, 0.5), (8.0004, 0.0)])
@pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml"])
def test_electrons_of_vasp_tell_the_charge(tmp_path, name, electrons, charge):
    """Charged cells are made by NELECT, which nothing else says."""
    outcar = (
        "   ions per type =               1   2\n  Ionic Valenz\n   ZVAL   =   6.00  1.00\n"
        f"   NELECT =      {electrons:.4f}    total number of electrons\n"
    )
    xml = (
        f'<i name="NELECT">  {electrons:.8f}</i>\n<rc><c>   1</c><c>O </c><c>  16.0</c><c> 6.0</c><c> PAW</c></rc>\n'
        "<rc><c>   2</c><c>H </c><c>   1.0</c><c> 1.0</c><c> PAW</c></rc>\n<rc><c>H </c><c>   2</c></rc>\n"
    )
    (tmp_path / name).write_text(outcar if name == "OUTCAR" else xml)
    assert stated_in_program_files(tmp_path / name) == {"charge": charge}


@pytest.mark.parametrize(
    "line",
    ["  charge          =  -1.00\n", "  Charge = -1.000000E+00: Charged system requested explicitly.\n",
     "  Charged system requested: Charge =  -0.100000E+01.\n",
     " net   charge of system               :   -1.000\n"],
)  # fmt: skip
def test_outputs_that_state_a_charge_alone(tmp_path, line):
    """NWChem's SCF, FHI-aims, CASTEP."""
    (tmp_path / "job.txt").write_text(f"header\n{line}")
    assert stated_in_program_files(tmp_path / "job.txt") == {"charge": -1}


def test_a_count_beyond_the_file_is_refused_at_once(tmp_path):
    (tmp_path / "big.xyz").write_text("99999999999\n\nH 0 0 0\n")
    assert not labels_in(tmp_path / "big.xyz")


def test_all_frames_of_a_file_come_with_what_it_says_of_them(tmp_path):
    write(tmp_path / "frames.xyz", [molecule("H2O"), molecule("NH3")])
    assert [len(atoms) for atoms in read_frames(tmp_path / "frames.xyz")] == [3, 4]
    (tmp_path / "heavy.xyz").write_text("2\n\nD 0 0 0\nD 0 0 0.74\n" * 3)
    heavy = read_frames(tmp_path / "heavy.xyz")
    assert [atoms.get_masses().round(3).tolist() for atoms in heavy] == [[2.014, 2.014]] * 3
    (tmp_path / "broken.xyz").write_text("1\n\nC 0 0 0\n1\n\nC 0 0 zero\n")
    with pytest.raises(ValueError, match=r"broken\.xyz, line 6: .*'zero'"):
        read_frames(tmp_path / "broken.xyz")
    write(tmp_path / "one.pdb", molecule("H2O"))
    assert len(read_frames(tmp_path / "one.pdb")) == 1
    write(tmp_path / "many.traj", [molecule("H2O")] * 2)
    assert len(read_frames(tmp_path / "many.traj")) == 2


@pytest.mark.parametrize(
    ("comment", "charge", "unpaired"),
    [
        ("-1 1", -1, 0),
        ("charge -1, multiplicity 1", -1, 0),
        ("Properties=species:S:1:pos:R:3 energy=-3.5 charge -1 multiplicity 3", -1, 2),
    ],
)
def test_each_frame_of_a_file_means_what_it_means_alone(tmp_path, comment, charge, unpaired):
    path = tmp_path / "hydroxide.xyz"
    path.write_text(f"2\n{comment}\nO 0 0 0\nH 0 0 0.97\n2\n\nH 0 0 0\nH 0 0 0.74\n")
    for found in (understand(f"{path}:0"), understand(read_frames(path)[0]), understand(open_frames(path)[0])):
        assert (found.charge.value, found.unpaired.value) == (charge, unpaired)
    assert understand(path).charge.value == 0
    path.write_text(path.read_text().partition("\n2\n")[0] + "\n")
    assert understand(path).charge.value == charge


def test_bohr_of_ipi_are_bohr_in_every_frame(tmp_path):
    path = tmp_path / "hydrogen.xyz"
    said = "# CELL(abcABC): 20.0 20.0 20.0 90 90 90 positions{atomic_unit} cell{atomic_unit}"
    path.write_text(f"2\n{said}\nH 0 0 0\nH 0 0 1.4\n" * 2)
    for atoms in (*read_frames(path), understand(f"{path}:0").atoms):
        assert atoms.get_distance(0, 1) == pytest.approx(1.4 * bohr)


@pytest.mark.parametrize("length", [1e-8, 1e-3])
def test_a_cell_shorter_than_an_atom_is_refused_at_once(length):
    with pytest.raises(ValueError, match=r"vectors of the cell must be at least 0\.5 Å long"):
        understand(Atoms("H", cell=[length] * 3, pbc=True))


def test_a_flat_cell_is_refused_at_once():
    with pytest.raises(ValueError, match="vectors of the cell must point in different directions"):
        understand(Atoms("H", cell=[[3, 0, 0], [3, 1e-9, 0], [0, 0, 3]], pbc=True))


@pytest.mark.parametrize(
    ("name", "text", "stated"),
    [
        ("pw.in", "&system\n ibrav=0, nat=2, tot_charge=-1\n/\n", {"charge": -1}),
        ("pw.in", "&system\n ibrav=0 ! tot_charge=-1\n/\n", {}),
        ("cp.inp", "&DFT\n CHARGE -1\n MULTIPLICITY 3\n&END DFT\n", {"charge": -1, "multiplicity": 3}),
        ("cp.inp", "&DFT\n&END DFT\n&FORCEFIELD\n CHARGE -0.8\n&END\n", {}),
        ("x.cell", "CHARGE : -1\n", {"charge": -1}),
        ("coord", "$coord\n$end\n$eht charge=-1 unpaired=1\n", {"charge": -1, "unpaired": 1}),
    ],
)
def test_inputs_of_programs_state_their_charge(tmp_path, name, text, stated):
    (tmp_path / name).write_text(text)
    assert stated_in_program_files(tmp_path / name) == stated
    write(tmp_path / "oh.traj", molecule("OH"))
    assert stated_in_program_files(tmp_path / "oh.traj") == {}


def test_an_input_of_turbomole_brings_its_charge(tmp_path):
    (tmp_path / "coord").write_text("$coord\n 0 0 0 o\n 0 0 1.83 h\n$end\n$eht charge=-1 unpaired=0\n")
    assert understand(tmp_path / "coord").charge.value == -1


def of_gaussian(number, charge, multiplicity):
    rows = "".join(f"      {k + 1}   {z}   0   0.0   0.0   {0.96 * k:.6f}\n" for k, z in enumerate((8, 1)))
    head = " Entering Gaussian System, Link 0=g16\n" if number == 1 else " Link1:  Proceeding to internal job step\n"
    return (
        f"{head} Charge = {charge} Multiplicity = {multiplicity}\n Standard orientation:\n ---\n Center\n Number\n"
        f" ---\n{rows} ---\n SCF Done:  E(RB3LYP) =  -75.7 A.U.\n Normal termination of Gaussian 16\n"
    )


def of_orca(number, charge, multiplicity):
    head = "          * O   R   C   A *\n" if number == 1 else ""
    end = "         ****ORCA TERMINATED NORMALLY****\n" if number == 2 else ""
    return (
        f"{head}$$$$$  JOB NUMBER  {number} $$$$$\nCARTESIAN COORDINATES (ANGSTROEM)\n-----\n  O   0.0  0.0  0.0\n"
        "  H   0.0  0.0  0.96\n\n Number of atoms              ...      2\n"
        f" Total Charge           Charge          ....   {charge}\n Multiplicity           Mult            ....    "
        f"{multiplicity}\nFINAL SINGLE POINT ENERGY       -75.7\n{end}"
    )


def of_nwchem(number, charge, multiplicity):
    """Only the first task prints the geometry; the others take it from the database."""
    title = "              Northwest Computational Chemistry Package (NWChem) 7.0.2\n" if number == 1 else ""
    rows = "".join(f"    {k + 1} {x:20s} {z:10.4f} {0:14.8f} {0:14.8f} {0.96 * k:14.8f}\n" for k, (x, z) in
                   enumerate((("O", 8), ("H", 1))))  # fmt: skip
    geometry = (
        '                             Geometry "geometry" -> ""\n                             ----------\n\n'
        " Output coordinates in angstroms (scale by  1.889725989 to convert to a.u.)\n\n"
        "  No.       Tag          Charge          X              Y              Z\n"
        f" ---- ---------------- ---------- -------------- -------------- --------------\n{rows}\n"
    )
    return (
        f"{title}                                NWChem Input Module\n\n\n{geometry if number == 1 else ''}"
        f"                                 NWChem DFT Module\n\n          Charge           : {charge:5d}\n"
        f"          Spin multiplicity: {multiplicity:5d}\n         Total DFT energy =      -75.{number}00000000000\n\n"
    )


@pytest.mark.parametrize(
    ("job", "name"), [(of_gaussian, "oh.log"), (of_orca, "oh.out"), (of_nwchem, "oh.nwo"), (of_nwchem, "oh.out")]
)
def test_each_job_of_an_output_has_its_own_charge(tmp_path, job, name):
    (tmp_path / name).write_text(job(1, 0, 2) + job(2, -1, 1))
    for number, charge, unpaired in ((0, 0, 1), (1, -1, 0)):
        found = understand(f"{tmp_path / name}:{number}")
        assert (found.charge.value, found.unpaired.value) == (charge, unpaired)
        assert found.atoms.get_distance(0, 1) == pytest.approx(0.96)
    assert understand(tmp_path / name).charge.value == -1


@pytest.mark.parametrize(("electrons", "charge"), [(8.0, 0.0), (9.0, -1.0)])
def test_electrons_of_pw_tell_the_charge(tmp_path, electrons, charge):
    (tmp_path / "pw.out").write_text(
        f"     number of electrons       =       {electrons:.2f}\n"
        "     atomic species   valence    mass     pseudopotential\n"
        "        O              6.00    15.99900     O ( 1.00)\n        H              1.00     1.00800     H ( 1.00)\n"
        "     site n.     atom                  positions (alat units)\n"
        + "".join(
            f"         {k}           {x}   tau(   {k}) = (   0.0  0.0  {k / 10}  )\n" for k, x in enumerate("OHH", 1)
        )
    )
    assert stated_in_program_files(tmp_path / "pw.out") == {"charge": charge}
