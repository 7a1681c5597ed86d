"""What does a SMILES string look like in three dimensions?"""

import functools
import re
from collections.abc import Callable
from typing import Any

import ase
import numpy as np
from jaxtyping import Float, Integer

from so3lab.structures.hypervalent import FixedDistance, fixed_distances

RELAXATION_STEPS = 2000
STRETCHED = 0.12
"""Å by which a multiple bond of MMFF may be longer than UFF's before MMFF counts as not knowing it."""
CONTACT = 0.9
"""Times the sum of van der Waals radii at which molecules are placed beside each other."""
CLOSEST = 0.52
"""Times the sum of van der Waals radii; atoms that are not bonded are never nearer, not even in the tightest cages."""
BONDS = (0.7, 1.35)
"""Times the sum of covalent radii between which bonds lie."""
MOST_SEEDS = 2**31 - 2
"""How many seeds RDKit's generator tells apart."""
_ATTEMPTS = 3
_NEXT_SEED = 7919
"""Between the seeds of attempts."""
_HOLD = 1e4
"""kcal/mol/Å² that hold a hypervalent centre while the rest relaxes."""
_DIRECTIONS = 64
_CHARGED = re.compile(r"\[[^\]]*[+-]\d*(?::\d+)?\]")
"""An atom of a SMILES with a formal charge."""


def from_smiles(smiles: str, *, seed: int = 0) -> ase.Atoms:
    """A molecule, or several side by side, in three dimensions: embedded by distance geometry, relaxed by MMFF94.

    Where MMFF94 lacks parameters, UFF relaxes; where that lacks them too, the embedding is returned. The result is
    a good guess to start from; relax it with the potential that it is meant for. Stereocentres and double bonds that
    the SMILES specifies are kept, others become what ``seed`` makes of them. Atoms with five to seven electron pairs,
    which force fields do not know, get the shapes of :mod:`so3lab.structures.hypervalent`. Each molecule of several is
    made by itself, and placed where it touches the others.

    Args:
        smiles: The molecule, such as ``"CCO"``; ``"CC(=O)[O-].[NH4+]"`` are two.
        seed: Of the embedding; the same number gives the same conformer.

    Returns:
        Atoms with hydrogens, heavy atoms first in the order of the SMILES, centred at the origin, without a cell.
        ``info["charge"]`` is the total formal charge in e, ``info["spin"]`` the number of unpaired electrons that the
        SMILES writes. Isotopes have their masses.

    Raises:
        ValueError: If ``smiles`` cannot be read, breaks a rule of valence, holds a placeholder such as ``*``, or has
            no geometry that can be found; or if ``seed`` is negative or not below ``MOST_SEEDS``.

    Source: ETKDGv3, S. Wang et al., J. Chem. Inf. Model. 60, 2044 (2020); MMFF94, T. A. Halgren, J. Comput. Chem. 17,
    490 (1996); UFF, A. K. Rappé et al., J. Am. Chem. Soc. 114, 10024 (1992); all as implemented in RDKit.
    """
    from rdkit import rdBase

    if not 0 <= seed < MOST_SEEDS:
        raise ValueError(f"seed must not be negative and must be below {MOST_SEEDS}, got {seed}")
    with rdBase.BlockLogs():  # what goes wrong is said by our errors
        molecule = molecule_with_hydrogens(smiles)
        positions = embedded(molecule, repr(smiles), seed)
    return atoms_of(molecule, positions - positions.mean(axis=0))


def atoms_of(molecule: Any, positions: Float[np.ndarray, "atoms 3"]) -> ase.Atoms:
    """ASE's atoms of RDKit's molecule: elements, isotopes' masses, formal charge, unpaired electrons."""
    members = list(molecule.GetAtoms())
    info = {
        "charge": sum(atom.GetFormalCharge() for atom in members),
        "spin": sum(atom.GetNumRadicalElectrons() for atom in members),
    }
    atoms = ase.Atoms([atom.GetAtomicNum() for atom in members], positions, info=info)
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


def embedded(molecule: Any, name: str, seed: int) -> Float[np.ndarray, "atoms 3"]:
    """Positions in Å of a molecule, or of several that touch.

    Args:
        molecule: RDKit's molecule with all hydrogens.
        name: What to call it in a refusal.
        seed: Of the embedding.

    Raises:
        ValueError: If no way leads to a geometry that can be.
    """
    from rdkit import Chem

    members: list[Any] = []
    parts = Chem.GetMolFrags(molecule, asMols=True, sanitizeFrags=False, fragsMolAtomMapping=members)
    for part in parts:
        part.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(part)
    places = [_one_molecule(part, name, seed) for part in parts]
    radii = [np.array([_radius(atom) for atom in part.GetAtoms()]) for part in parts]
    positions = np.zeros((molecule.GetNumAtoms(), 3))
    for indices, rows in zip(members, _side_by_side(places, radii, seed), strict=True):
        positions[list(indices)] = rows
    return positions


def formal_charge(smiles: str, numbers: Integer[np.ndarray, " atoms"]) -> int | None:
    """Total formal charge in e of a SMILES that stands beside a structure; None where it is that of other atoms."""
    if not _CHARGED.search(smiles):
        return 0
    found = _charge_and_atoms(smiles)
    return found[0] if found is not None and found[1] == tuple(sorted(np.asarray(numbers).tolist())) else None


@functools.lru_cache(maxsize=4096)
def _charge_and_atoms(smiles: str) -> tuple[int, tuple[int, ...]] | None:
    from rdkit import rdBase

    with rdBase.BlockLogs():
        try:
            members = list(molecule_with_hydrogens(smiles).GetAtoms())
        except ValueError:
            return None
    return sum(atom.GetFormalCharge() for atom in members), tuple(sorted(atom.GetAtomicNum() for atom in members))


def _one_molecule(molecule: Any, name: str, seed: int) -> Float[np.ndarray, "atoms 3"]:
    """The first geometry that can be, of ways that are tried one after another."""
    fixed, fault = fixed_distances(molecule), ""
    for attempt in range(_ATTEMPTS):
        own_seed = (seed + attempt * _NEXT_SEED) % MOST_SEEDS
        for relax in (True, False):  # better unrelaxed than torn
            if not _embed(molecule, own_seed, fixed):
                break
            if relax:
                _relax(molecule, fixed)
            if not (fault := geometry_fault(molecule)):
                return molecule.GetConformer().GetPositions()
    if fault:
        raise ValueError(
            f"{name} has no geometry that so3lab can make: in the best one {fault}; no force field here knows this "
            "molecule, so read a file with its coordinates"
        )
    raise ValueError(
        f"{name} must be a molecule that can be embedded in three dimensions, and could not: its rings or "
        "stereocentres may contradict each other, or it is too large; try another seed, or read a file"
    )


def _embed(molecule: Any, seed: int, fixed: list[FixedDistance]) -> bool:
    """Make a conformer; whether there is one."""
    from rdkit.Chem import rdDistGeom

    options: Any = rdDistGeom.ETKDGv3()
    options.randomSeed = seed + 1  # to RDKit's generator, 0 and 1 are the same
    if fixed:
        bounds = rdDistGeom.GetMoleculeBoundsMatrix(molecule)
        for first, second, length in fixed:
            low, high = min(first, second), max(first, second)
            bounds[low, high], bounds[high, low] = length + 0.01, length - 0.01  # upper bounds above the diagonal
        options.SetBoundsMat(bounds)
    if rdDistGeom.EmbedMolecule(molecule, options) == 0:
        return True
    options.useRandomCoords = True  # where the usual start leads nowhere
    return rdDistGeom.EmbedMolecule(molecule, options) == 0


def _relax(molecule: Any, fixed: list[FixedDistance]) -> None:
    """Relax the conformer by the field that knows it, if there is one; hypervalent centres are held."""
    from rdkit.Chem import rdForceFieldHelpers as fields

    if fixed:
        if not fields.UFFHasAllMoleculeParams(molecule):
            return
        field = fields.UFFGetMoleculeForceField(molecule)
        for first, second, length in fixed:
            field.UFFAddDistanceConstraint(first, second, False, length, length, _HOLD)
        field.Initialize()
        field.Minimize(maxIts=RELAXATION_STEPS)
        return
    if fields.MMFFHasAllMoleculeParams(molecule) and _mmff_knows_multiple_bonds(molecule):
        relax: Callable[..., int] = fields.MMFFOptimizeMolecule
    elif fields.UFFHasAllMoleculeParams(molecule):
        relax = fields.UFFOptimizeMolecule
    else:
        return
    relax(molecule, maxIters=RELAXATION_STEPS)


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


def geometry_fault(molecule: Any) -> str:
    """What a conformer's bonds and contacts cannot be, in words; empty when all is well."""
    from rdkit import Chem

    positions = molecule.GetConformer().GetPositions()
    apart = np.linalg.norm(positions[:, None] - positions, axis=2)
    bonded = Chem.GetAdjacencyMatrix(molecule).astype(bool)
    members = list(molecule.GetAtoms())
    cover = Chem.GetPeriodicTable().GetRcovalent
    small = np.array([cover(atom.GetAtomicNum()) for atom in members])
    large = np.array([_radius(atom) for atom in members])
    of_bonds = np.where(bonded, apart / (small[:, None] + small), 1.0)
    of_others = np.where(bonded | np.eye(len(members), dtype=bool), np.inf, apart / (large[:, None] + large))
    for wrong, words in (
        ((of_bonds < BONDS[0]) | (of_bonds > BONDS[1]), "are bonded and"),
        (of_others < CLOSEST, "are not bonded and only"),
    ):
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            names = (f"{members[k].GetSymbol()}{k}" for k in (i, j))
            return f"{' and '.join(names)} {words} {apart[i, j]:.2f} Å apart"
    return ""


def _radius(atom: Any) -> float:
    from rdkit import Chem

    return Chem.GetPeriodicTable().GetRvdw(atom.GetAtomicNum())


def _side_by_side(places: list[np.ndarray], radii: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Molecules where each touches those before it, in the direction in which that is nearest to their centre."""
    generator = np.random.default_rng(seed)
    done = [places[0] - places[0].mean(axis=0)]
    for number in range(1, len(places)):
        there, sizes = np.concatenate(done), np.concatenate(radii[:number])
        own = places[number] - places[number].mean(axis=0)
        directions = generator.normal(size=(_DIRECTIONS, 3))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        least = CONTACT * (sizes[:, None] + radii[number])
        steps = [_way_to_contact(there, own, least, direction) for direction in directions]
        best = int(np.argmin(steps))
        done.append(own + there.mean(axis=0) + steps[best] * directions[best])
    return done


def _way_to_contact(there: np.ndarray, own: np.ndarray, least: np.ndarray, direction: np.ndarray) -> float:
    """How far along a direction a molecule must move from the centre of others until none of its atoms is too near."""
    between = own[None] + there.mean(axis=0) - there[:, None]
    along = between @ direction
    across = np.sum(between**2, axis=2) - along**2
    room = least**2 - across
    return float(np.max(np.where(room > 0, -along + np.sqrt(np.maximum(room, 0.0)), 0.0), initial=0.0))
