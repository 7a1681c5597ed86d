"""Where does a structure come from: a file, a bundled molecule by its name, or a SMILES string."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase
import ase.io

from so3lab.machine import paths

SMILES_PREFIX = "smiles:"
"""What begins a text that :func:`read_structure` takes for a SMILES string."""
RELAXATION_STEPS = 2000
STRETCHED = 0.12
"""Å by which a multiple bond of MMFF may be longer than UFF's before MMFF counts as not knowing it."""


def from_smiles(smiles: str, *, seed: int = 0) -> ase.Atoms:
    """A molecule, or several side by side, in three dimensions: embedded by distance geometry, relaxed by MMFF94.

    Where MMFF94 lacks parameters, UFF relaxes; where that lacks them too, the embedding is returned. The result is
    a good guess to start from; relax it with the potential that it is meant for. Stereocentres and double bonds that
    the SMILES specifies are kept, others become what ``seed`` makes of them.

    Args:
        smiles: The molecule, such as ``"CCO"``; ``"CC(=O)[O-].[NH4+]"`` are two.
        seed: Of the embedding; the same number gives the same conformer.

    Returns:
        Atoms with hydrogens, heavy atoms first in the order of the SMILES, centred at the origin, without a cell.
        ``info["charge"]`` is the total formal charge in e, ``info["spin"]`` the number of unpaired electrons that the
        SMILES writes. Isotopes have their masses.

    Raises:
        ValueError: If ``smiles`` cannot be read, breaks a rule of valence, holds a placeholder such as ``*``, or has
            no geometry that the embedding can find; or if ``seed`` is negative.

    Source: ETKDGv3, S. Wang et al., J. Chem. Inf. Model. 60, 2044 (2020); MMFF94, T. A. Halgren, J. Comput. Chem. 17,
    490 (1996); UFF, A. K. Rappé et al., J. Am. Chem. Soc. 114, 10024 (1992); all as implemented in RDKit.
    """
    from rdkit import rdBase

    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    with rdBase.BlockLogs():  # what goes wrong is said by our errors
        molecule = molecule_with_hydrogens(smiles)
        _embed(molecule, smiles, seed)
        _relax(molecule)
    positions = molecule.GetConformer().GetPositions()
    members = list(molecule.GetAtoms())
    info = {
        "charge": sum(atom.GetFormalCharge() for atom in members),
        "spin": sum(atom.GetNumRadicalElectrons() for atom in members),
    }
    atoms = ase.Atoms([atom.GetAtomicNum() for atom in members], positions - positions.mean(axis=0), info=info)
    if any(atom.GetIsotope() for atom in members):
        atoms.set_masses([atom.GetMass() for atom in members])
    return atoms


def molecule_with_hydrogens(smiles: str) -> Any:
    """RDKit's molecule of a SMILES string, with hydrogens added behind the heavy atoms.

    Raises:
        ValueError: If ``smiles`` cannot be read, or describes no molecule.
    """
    from rdkit import Chem  # here, because importing RDKit would slow down every command

    molecule = Chem.MolFromSmiles(smiles, sanitize=False)
    if molecule is None:
        raise ValueError(f"smiles must follow the SMILES grammar, such as 'CCO' for ethanol; got {smiles!r}")
    if not molecule.GetNumAtoms():
        raise ValueError(f"smiles must describe at least one atom, got {smiles!r}")
    problems = Chem.DetectChemistryProblems(molecule)
    if problems:
        raise ValueError(f"smiles must describe a possible molecule, and {smiles!r} does not: {problems[0].Message()}")
    if not all(atom.GetAtomicNum() for atom in molecule.GetAtoms()):
        raise ValueError(f"smiles must name the element of every atom, got {smiles!r} with a placeholder '*'")
    return Chem.AddHs(Chem.MolFromSmiles(smiles))


def _embed(molecule: Any, smiles: str, seed: int) -> None:
    """Add a conformer."""
    from rdkit.Chem import rdDistGeom

    options: Any = rdDistGeom.ETKDGv3()
    options.randomSeed = seed
    if rdDistGeom.EmbedMolecule(molecule, options) == 0:
        return
    options.useRandomCoords = True  # where the usual start leads nowhere
    if rdDistGeom.EmbedMolecule(molecule, options) == 0:
        return
    raise ValueError(
        f"smiles must describe a molecule that can be embedded in three dimensions, and {smiles!r} could not: its "
        "rings or stereocentres may contradict each other, or it is too large; try another seed, or read a file"
    )


def _relax(molecule: Any) -> None:
    """Relax the conformer; molecules that lie upon each other move apart."""
    from rdkit.Chem import rdForceFieldHelpers as fields

    if fields.MMFFHasAllMoleculeParams(molecule) and _mmff_knows_multiple_bonds(molecule):
        relax: Callable[..., int] = fields.MMFFOptimizeMolecule
    elif fields.UFFHasAllMoleculeParams(molecule):
        relax = fields.UFFOptimizeMolecule
    else:
        return
    relax(molecule, maxIters=RELAXATION_STEPS, ignoreInterfragInteractions=False)


def _mmff_knows_multiple_bonds(molecule: Any) -> bool:
    """Whether MMFF has its own lengths for double and triple bonds; the others it guesses to be single ones.

    Without this, N2, CO2 and SO2 would come out with bonds 0.25 Å too long.
    """
    from rdkit.Chem import rdForceFieldHelpers as fields

    properties = fields.MMFFGetMoleculeProperties(molecule)
    for bond in molecule.GetBonds():
        if bond.GetBondTypeAsDouble() < 2:
            continue
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        mmff = properties.GetMMFFBondStretchParams(molecule, *ends)
        uff = fields.GetUFFBondStretchParams(molecule, *ends)
        if mmff and uff and mmff[-1] > uff[-1] + STRETCHED:
            return False
    return True


def read_structure(source: str) -> ase.Atoms:
    """A structure from any file that ASE reads (its last frame), a bundled one by name, or ``smiles:`` and a SMILES.

    Args:
        source: Such as ``"run.xyz"``, ``"ethanol"`` or ``"smiles:CCO"``; a file goes before a bundled name.

    Raises:
        FileNotFoundError: If there is neither such a file nor such a name.
        ValueError: If the file holds no readable structure, or the SMILES describes none.
    """
    if source.startswith(SMILES_PREFIX):
        return from_smiles(source.removeprefix(SMILES_PREFIX))
    path = Path(source)
    bundled = paths.bundled("data") / f"{source}.xyz"
    if not path.is_file() and bundled.is_file():
        path = bundled
    if not path.is_file():
        names = sorted(file.stem for file in paths.bundled("data").glob("*.xyz"))
        raise FileNotFoundError(
            f"STRUCTURE must be a file, a bundled structure ({', '.join(names)}) or a SMILES such as "
            f"{SMILES_PREFIX}CCO, got {source!r}"
        )
    try:
        atoms = ase.io.read(path)
    except Exception as error:  # ASE's readers raise whatever they stumble over
        raise ValueError(f"ASE cannot read {path}: {error or type(error).__name__}; is it complete?") from error
    assert isinstance(atoms, ase.Atoms)
    if not len(atoms):
        raise ValueError(f"{path} holds no atoms")
    return atoms
