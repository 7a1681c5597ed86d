"""Where does a structure come from, and what was understood of it? The one door for files, names, SMILES and Atoms."""

import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ase
import ase.io
import numpy as np
from ase.io.formats import UnknownFileTypeError, filetype

from so3lab.machine import paths
from so3lab.structures.ase_conventions import mend
from so3lab.structures.boxes import gaps, is_empty_box, without_box
from so3lab.structures.cif import read_cif
from so3lab.structures.comments import take_cell
from so3lab.structures.coordinates import check_coordinates
from so3lab.structures.electrons import check_parity, with_electrons
from so3lab.structures.gaussian import jobs_of_gaussian
from so3lab.structures.gro import frames_of_gro
from so3lab.structures.mol2 import molecules_of_mol2
from so3lab.structures.packed import is_packed, unpacked
from so3lab.structures.pdb import models_of_pdb
from so3lab.structures.plausibility import check_plausible
from so3lab.structures.program_files import jobs_of_output, stated_in_program_files
from so3lab.structures.program_inputs import inputs_of_program
from so3lab.structures.sdf import molecules_of_sdf
from so3lab.structures.smiles import from_smiles
from so3lab.structures.understood import Content, Several, Understood, which_of
from so3lab.structures.xyz import frames_of_xyz

if TYPE_CHECKING:
    from ase.db.row import AtomsRow

SMILES_PREFIX = "smiles:"
"""What begins a text that is taken for a SMILES string."""
_XYZ = frozenset((".xyz", ".extxyz", ".exyz"))
OF_SEVERAL: dict[str, Callable[[Path], Several]] = {
    ".pdb": models_of_pdb, ".ent": models_of_pdb, ".sdf": molecules_of_sdf, ".mol": molecules_of_sdf,
    ".sd": molecules_of_sdf, ".mol2": molecules_of_mol2, ".gro": frames_of_gro, ".com": jobs_of_gaussian,
    ".gjf": jobs_of_gaussian, ".xyz": frames_of_xyz, ".extxyz": frames_of_xyz, ".exyz": frames_of_xyz,
}  # fmt: skip
"""Formats of one or several structures that so3lab reads by itself."""
_TRAJECTORIES = frozenset((".h5", ".h5md", ".hdf5"))
_WHOLE_FILE = 5_000_000
"""Bytes of a file of which all frames are counted, though the last is meant."""
_DATABASES = frozenset((".db", ".json"))
_WITHOUT_ELEMENTS = frozenset((".dcd", ".xtc", ".trr", ".nc", ".ncdf", ".mdcrd", ".crd", ".rst7", ".inpcrd", ".netcdf"))
"""Trajectories that hold positions alone."""
_WITHOUT_POSITIONS = frozenset((".psf", ".prmtop", ".parm7", ".top", ".itp", ".tpr"))
_INPUTS = frozenset((".inp", ".in", ".qin", ".qcin", ".orca", ".nw", ".nwi"))
"""Inputs of ORCA, Q-Chem and NWChem, and of programs that ASE reads."""
_TYPES = re.compile(rb"^\s*\d+\s+atom types\s*$", re.MULTILINE)
"""What the head of LAMMPS's data files has."""
_OF_LAMMPS = frozenset((".lammpstrj", ".dump", ".lammps", ".lmp"))


def read_structure(source: str | Path, *, charge: float | None = None, multiplicity: int | None = None) -> ase.Atoms:
    """A structure from a file (its last frame), a bundled one by name, or ``smiles:`` and a SMILES.

    What was decided and left out on the way is said in a Python warning; :func:`understand` returns it.

    Args:
        source: Such as ``"run.xyz"``, ``"ethanol"`` or ``"smiles:CCO"``; a file goes before a bundled name. Of several
            frames, models or molecules ``"models.pdb:0"`` is the first.
        charge: Total charge in e, in place of what the file says.
        multiplicity: 2S + 1, likewise.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name.
        ValueError: If the file holds no readable structure, the SMILES describes none, or it cannot be one.
    """
    understood = understand(source, charge=charge, multiplicity=multiplicity)
    for note in understood.notes:
        warnings.warn(f"{understood.source}: {note}", stacklevel=2)
    return understood.atoms


def understand(
    source: str | Path | ase.Atoms,
    *,
    charge: float | None = None,
    multiplicity: int | None = None,
    cell: bool = True,
    name: str | None = None,
) -> Understood:
    """A structure with all that was understood of it: what every command, panel and worker goes through.

    Args:
        source: As of :func:`read_structure`, or atoms.
        charge: Total charge in e, in place of what the source says.
        multiplicity: 2S + 1, likewise.
        cell: Whether a cell counts; without, whatever there is becomes a molecule.
        name: What sentences call atoms, such as the file that they are from; their formula when left out.

    Returns:
        The structure and its facts. A molecule in a box so empty that its images cannot matter has no cell any more.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name.
        ValueError: If it cannot be read, contradicts itself, or cannot be a structure.
    """
    content, called = _content(source)
    name = called if name is None else name
    atoms, notes = content.atoms, list(content.notes)
    if not len(atoms):
        raise ValueError(f"{name} holds no atoms")
    try:
        atoms = with_electrons(atoms, charge=charge, multiplicity=multiplicity)
        if not cell:
            atoms.pbc, atoms.cell = False, None
        elif atoms.pbc.any() and not np.asarray(atoms.cell).any():
            notes.append("a cell of zeros is none: a molecule")
            atoms.pbc = False
        elif is_empty_box(atoms):
            notes.append(
                f"an empty box, {gaps(atoms).min():.4g} Å of nothing in every direction: a molecule without a cell"
            )
            atoms = without_box(atoms)
        check_coordinates(atoms)
        check_plausible(atoms)
        check_parity(atoms)
        return Understood.of(Content(atoms, content.format, notes), name)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def read_frames(path: Path) -> list[ase.Atoms]:
    """All frames of a file with what it says of them, labels too: molecules, models or jobs where a format has such.

    Each is read as :func:`understand` reads a single one, comment lines and units included; give the frames to it to
    know what they mean.

    Args:
        path: A trajectory of so3lab, an XYZ file or any other file that ASE reads.

    Raises:
        ValueError: If it cannot be read; the sentence names the file, and of XYZ files line and token.
    """
    return [content.atoms for content in read_contents(path)]


def read_contents(path: Path) -> list[Content]:
    """The same as :func:`read_frames`, each with what its reader decided.

    Raises:
        ValueError: As :func:`read_frames`.
    """
    kind = path.suffix.lower()
    notes: list[str] = []
    if is_packed(path):
        with unpacked(path) as inside:
            return read_contents(inside)
    if (several := _several(path)) is not None:
        return several.all()
    if kind == ".cif":
        return [read_cif(path)]
    if kind in _TRAJECTORIES:
        frames = _frames_of_trajectory(path)
    elif kind in _DATABASES:
        frames = _frames_of_database(path)
    else:
        frames, _, notes = _frames_of_ase(path)
    return [Content(atoms, f"{kind.removeprefix('.')} file", notes) for atoms in frames]


def _content(source: str | Path | ase.Atoms) -> tuple[Content, str]:
    if isinstance(source, ase.Atoms):
        return Content(source, "ASE atoms"), source.get_chemical_formula() or "an empty structure"
    text = str(source)
    if text.startswith(SMILES_PREFIX):
        words = text.removeprefix(SMILES_PREFIX).split(maxsplit=1)
        notes = [f"{words[1]!r} behind the SMILES is its name; a point joins several molecules"] if words[1:] else []
        return Content(from_smiles(text.removeprefix(SMILES_PREFIX)), "SMILES", notes), text
    path = Path(text).expanduser()
    numbered = file_and_number(text)
    if numbered is not None:
        return _one_of_file(*numbered), text
    bundled = paths.bundled("data") / f"{text}.xyz"
    if not path.is_file() and bundled.is_file():
        path = bundled
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a file in it")
    if not path.is_file():
        names = sorted(file.stem for file in paths.bundled("data").glob("*.xyz"))
        raise FileNotFoundError(
            f"the structure must be a file, a bundled structure ({', '.join(names)}) or a SMILES such as "
            f"{SMILES_PREFIX}CCO, got {text!r}"
        )
    return _of_file(path), text


def file_and_number(text: str) -> tuple[Path, int] | None:
    """What ``models.pdb:0`` names, where there is such a file and none of the whole name."""
    stem, _, number = text.rpartition(":")
    path = Path(stem).expanduser()
    if not number.removeprefix("-").isdecimal() or Path(text).expanduser().is_file() or not path.is_file():
        return None
    return path, int(number)


def _one_of_file(path: Path, which: int) -> Content:
    """The structure with this index."""
    if is_packed(path):
        with unpacked(path) as inside:
            return _one_of_file(inside, which)
    if (several := _several(path)) is not None:
        return several.one(which)
    frames = read_contents(path)
    about = which_of(len(frames), which, "frames", path)
    return frames[which]._replace(notes=[*about, *frames[which].notes])


def _of_file(path: Path) -> Content:
    kind = path.suffix.lower()
    if is_packed(path):
        with unpacked(path) as inside:
            return _of_file(inside)
    if (several := _several(path)) is not None:
        return several.one(-1)
    if kind == ".cif":
        return read_cif(path)
    if kind in _DATABASES:
        frames = _frames_of_database(path)
        return Content(frames[-1], "ASE database", which_of(len(frames), -1, "rows", path))
    if kind in _TRAJECTORIES:
        return _of_trajectory(path)
    if kind in _WITHOUT_ELEMENTS:
        raise ValueError(
            f"{path} is a trajectory that holds positions and no elements; join it with its topology first, for "
            f"example MDAnalysis.Universe('topology', {path.name!r}).atoms.write('frame.pdb')"
        )
    if kind in _WITHOUT_POSITIONS:
        raise ValueError(f"{path} is a topology that holds no positions; give a file of coordinates")
    return _with_ase(path)


def _several(path: Path) -> Several | None:
    """The structures of a file that so3lab reads by itself; None of others."""
    kind = path.suffix.lower()
    if kind in OF_SEVERAL:
        return OF_SEVERAL[kind](path)
    return inputs_of_program(path) if kind in _INPUTS else None


def _of_trajectory(path: Path) -> Content:
    frames = _frames_of_trajectory(path, slice(-1, None))
    return Content(frames[0], "so3lab trajectory (H5MD)", ["its last frame"])


def _frames_of_trajectory(path: Path, which: slice = slice(None)) -> list[ase.Atoms]:
    from so3lab.trajectory import Trajectory

    with Trajectory(path) as trajectory:
        frames, meta = list(trajectory[which]), trajectory.meta
    if not frames:
        raise ValueError(f"{path} holds no frames")
    for atoms in frames:
        atoms.calc = None
        if "charge" in meta:
            atoms.info["charge"] = meta["charge"]
        if meta.get("multiplicity", 1.0) > 1.0:  # 1 stands for nothing said, too
            atoms.info["multiplicity"] = meta["multiplicity"]
    return frames


def _frames_of_database(path: Path) -> list[ase.Atoms]:
    """Every row of an ASE database with the values that stand beside its atoms."""
    from ase.db import connect  # here, because only databases need it

    try:
        with connect(path) as database:
            rows = list(database.select())
    except Exception as error:  # ASE raises whatever a file of another kind provokes
        raise ValueError(f"{path} is no database of ASE: {error or type(error).__name__}") from error
    if not rows:
        raise ValueError(f"{path} holds no rows")
    frames = [row.toatoms() for row in rows]
    for atoms, row in zip(frames, rows, strict=True):
        atoms.info.update(values_beside(row))
    return frames


def values_beside(row: "AtomsRow") -> dict[str, Any]:
    """Key-value pairs of a row; ASE hides ``charge`` and others behind numbers that it computes itself."""
    return {key: vars(row)[key] for key in row.key_value_pairs}


def _with_ase(path: Path) -> Content:
    """The last structure of any other format that ASE knows."""
    frames, name, notes = _frames_of_ase(path, ":" if path.stat().st_size < _WHOLE_FILE else "-1:")
    about = which_of(len(frames), -1, "frames", path) if len(frames) > 1 else []
    return Content(frames[-1], f"ASE's format {name}", [*about, *notes])


def _frames_of_ase(path: Path, which: str = ":", format: str | None = None) -> tuple[list[ase.Atoms], str, list[str]]:
    """Structures of any other format that ASE knows, its name of the format, which may be given, and notes."""
    if path.suffix.lower() in _OF_LAMMPS or _TYPES.search(path.read_bytes()[:2000]):
        _check_lammps_elements(path)
    try:
        name = format or filetype(str(path))
        if jobs := jobs_of_output(path, name):
            return _frames_of_jobs(path, jobs, name), name, []
        frames = read_quietly(path, which, name)
    except UnknownFileTypeError as error:
        raise ValueError(_of_no_format(path, str(error))) from None
    except ValueError as error:
        raise ValueError(f"ASE cannot read {path}: {error}; {_likely(name, error)}") from error
    except Exception as error:  # ASE's readers raise whatever they stumble over
        said = f"{type(error).__name__} {error}".strip()
        raise ValueError(
            f"ASE, which takes {path} for the format {name}, cannot read it ({said}); {_likely(name, error)}"
        ) from error
    if name.startswith("lammps"):
        _check_lammps_elements(path)
    if not frames:
        raise ValueError(f"{path} holds no structure, read as ASE's format {name}; is it complete?")
    assert isinstance(frames, list)
    notes = mend(frames, name, path)
    stated = stated_in_program_files(path)
    for atoms in frames:
        take_cell(atoms)
        for key, value in stated.items():
            atoms.info.setdefault(key, value)
    return frames, name, notes


def _frames_of_jobs(path: Path, jobs: list[str], format: str) -> list[ase.Atoms]:
    """Structures of an output of several jobs, each with the charge and spin of its own."""
    frames = []
    for number, text in enumerate(jobs):
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / path.name
            part.write_text(text, encoding="utf-8")
            try:
                frames += _frames_of_ase(part, ":", format)[0]
            except ValueError as error:
                raise ValueError(
                    f"{path} has {len(jobs)} jobs of different charges or multiplicities, of which number {number}, "
                    f"counted from 0, cannot be read by itself ({error}); give each job a file of its own"
                ) from None
    return frames


def read_quietly(path: Path, which: str | int, format: str | None = None) -> ase.Atoms | list[ase.Atoms]:
    """What ASE reads, without its words on its own future and on programs that need not be installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "(?s).*CASTEP")
        return ase.io.read(str(path), index=which, format=format)


def _of_no_format(path: Path, ending: str) -> str:
    if path.suffix == ".safetensors":
        return (
            f"{path} is a model and holds no structure; commands take it as MODEL, such as so3lab evaluate MODEL DATA"
        )
    if path.suffix.lower() in (".smi", ".smiles"):
        return f"{path} holds SMILES; give one of them as {SMILES_PREFIX} and the SMILES, such as {SMILES_PREFIX}CCO"
    return f"{path} is of no format that so3lab or ASE knows ({ending}); write it as XYZ, PDB, SDF or CIF"


def _likely(name: str, error: Exception) -> str:
    """What is probably wrong with a file that ASE cannot read."""
    if name == "vasp" and "chemical symbols" in str(error):
        return (
            "files of VASP 4 name no elements: write them, such as 'C H O', into a line of their own above the line of "
            "the numbers of atoms, as VASP 5 does"
        )
    return "is it complete, and of this format?"


def _check_lammps_elements(path: Path) -> None:
    """Refuse types for which ASE would put hydrogen, helium, lithium in turn."""
    head = path.read_text(errors="replace")[:100_000]
    columns = next((line for line in head.splitlines() if line.startswith("ITEM: ATOMS")), None)
    if columns is None or "element" not in columns.split():
        raise ValueError(
            f"{path} is a file of LAMMPS whose atoms have types and no elements; write it with 'dump custom ... "
            "element x y z' and 'dump_modify element C H O'"
        )
