"""Where do we look before we label? Frames of one molecule from dynamics, swept dihedrals and distortions.

Hydrogens are made heavier and steps longer (:func:`so3lab.structures.elements.masses_with_heavy_hydrogens`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.md.langevin import Langevin
from jaxtyping import Bool, Float, Int

from so3lab import units
from so3lab.observables.internal import Dihedral
from so3lab.structures.bonds import bonds
from so3lab.structures.elements import masses_with_heavy_hydrogens
from so3lab.structures.smiles import molecule_with_hydrogens

BROKEN, FORMED = 1.4, 1.25
"""A bond is broken beyond, and a new one formed below, these multiples of the sum of covalent radii."""
MAX_DROPPED = 50


class Molecule(NamedTuple):
    """A molecule's graph, from which conformers are made."""

    smiles: str
    atomic_numbers: Int[np.ndarray, " atoms"]
    bonds: Int[np.ndarray, "bonds 2"]


class Run(NamedTuple):
    """One stretch of dynamics: where it starts, how hot it is, what is kept."""

    origin: str
    """Tag of its frames, such as ``"md"`` or ``"swept"``."""
    seed: int
    frames: int
    temperature_K: float
    spacing_fs: float
    discard_fs: float
    dihedrals: Sequence[tuple[Dihedral, float]] = ()
    """Dihedrals (four atoms, degrees) held while the start is relaxed with MMFF, free afterwards."""
    friction_per_ps: float = 10.0


class Distortions(NamedTuple):
    """How frames are distorted, and how many."""

    share: float = 0.03
    """Distorted frames for each frame of dynamics."""
    stretch: float = 0.2
    """Largest change of a bond, as a share of its length."""
    closest: float = 0.75
    """Smallest distance of two atoms that are pushed together, as a share of what it was."""
    every_bond: bool = False
    """Each bond in turn, first compressed, then stretched by more than half of ``stretch``; else both by chance."""


class Sampled(NamedTuple):
    """Frames of one run."""

    positions: Float[np.ndarray, "frames atoms 3"]
    """Å."""
    dropped: int
    """Frames thrown away because a bond was broken or formed."""


def molecule(smiles: str) -> Molecule:
    """The molecule with hydrogens added; heavy atoms come first, in the order of the SMILES.

    Raises:
        ValueError: If rdkit cannot read ``smiles``.
    """
    mol = molecule_with_hydrogens(smiles)
    return Molecule(
        smiles,
        np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]),
        np.array([(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]),
    )


def conformer(molecule: Molecule, seed: int, dihedrals: Sequence[tuple[Dihedral, float]] = ()) -> Atoms:
    """A random embedding, its dihedrals set to given angles (degrees) and the rest relaxed with MMFF."""
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers, rdMolTransforms

    mol = molecule_with_hydrogens(molecule.smiles)
    if rdDistGeom.EmbedMolecule(mol, randomSeed=seed) != 0:
        raise ValueError(f"smiles must embed in three dimensions, and {molecule.smiles!r} did not")
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    for atoms, angle in dihedrals:
        rdMolTransforms.SetDihedralDeg(mol.GetConformer(), *atoms, angle)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, properties)
    for atoms, angle in dihedrals:
        field.MMFFAddTorsionConstraint(*atoms, False, angle, angle, 100.0)
    field.Minimize(maxIts=500)
    return Atoms(molecule.atomic_numbers, mol.GetConformer().GetPositions())


def sample(molecule: Molecule, run: Run, calculator: Any, *, timestep_fs: float = 2.0) -> Sampled:
    """Langevin dynamics with any ASE calculator, keeping a frame every ``run.spacing_fs``.

    A frame with a broken or new bond is dropped and the run goes back to the last intact one.

    Raises:
        RuntimeError: If more than ``MAX_DROPPED`` frames were dropped.
    """
    atoms = conformer(molecule, run.seed, run.dihedrals)
    atoms.set_masses(masses_with_heavy_hydrogens(atoms))
    atoms.calc = calculator
    rng = np.random.default_rng(run.seed)
    _thermalize(atoms, run.temperature_K, rng)
    dynamics = Langevin(
        atoms,
        timestep_fs * units.fs,
        temperature_K=run.temperature_K,
        friction=run.friction_per_ps / units.ps,
        fixcm=False,
        rng=rng,
    )
    kept: list[np.ndarray] = []
    dropped, last = 0, atoms.get_positions()
    dynamics.run(round(run.discard_fs / timestep_fs))
    while len(kept) < run.frames:
        dynamics.run(round(run.spacing_fs / timestep_fs))
        if intact(molecule, atoms.positions):
            last = atoms.get_positions()
            kept.append(representable(last))
            continue
        dropped += 1
        if dropped > MAX_DROPPED:
            raise RuntimeError(f"at most {MAX_DROPPED} frames may lose a bond, and {run} lost more; cool it")
        atoms.set_positions(last)
        _thermalize(atoms, run.temperature_K, rng)
    return Sampled(np.array(kept), dropped)


def distorted(
    molecule: Molecule, frames: Float[np.ndarray, "frames atoms 3"], wanted: Distortions, seed: int
) -> Float[np.ndarray, "count atoms 3"]:
    """Frames with compressed or stretched bonds and close contacts, made from given ones.

    Half of them get one bond scaled by 1 ± ``wanted.stretch`` at most, with everything on its far side moved along
    (``wanted.every_bond``: so that no bond is left out, in neither direction, once there are four times as many frames
    as bonds); half get two atoms three or more bonds apart moved towards each other to ``wanted.closest`` to 0.95 of
    their distance.
    """
    count = round(wanted.share * len(frames))
    rng = np.random.default_rng(seed)
    apart = _topological_distances(molecule)
    far_pairs = np.argwhere(np.triu(apart >= 3))
    made: list[np.ndarray] = []
    for positions in frames[rng.choice(len(frames), count, replace=False)]:
        moved = positions - positions.mean(axis=0)
        if len(made) % 2 == 0:
            bond, change = _bond_and_change(len(made) // 2, len(molecule.bonds), wanted, rng)
            i, j = map(int, molecule.bonds[bond])
            moved[_far_side(apart, i, j)] += change * (moved[j] - moved[i])
        else:
            close = far_pairs[_lengths(moved, far_pairs) < 4.0]
            i, j = close[rng.integers(len(close))]
            step = 0.5 * (1 - rng.uniform(wanted.closest, 0.95)) * (moved[j] - moved[i])
            moved[i] += step
            moved[j] -= step
        made.append(representable(moved))
    return np.array(made)


def _bond_and_change(index: int, bonds: int, wanted: Distortions, rng: np.random.Generator) -> tuple[int, float]:
    """Which bond the ``index``-th of the frames with a changed bond has changed, and by what share of its length."""
    if not wanted.every_bond:
        bond = int(rng.integers(bonds))
        return bond, rng.uniform(1 - wanted.stretch, 1 + wanted.stretch) - 1
    turn, bond = divmod(index, bonds)
    return bond, wanted.stretch * rng.uniform(0.5, 1.0) * (-1 if turn % 2 == 0 else 1)


def intact(molecule: Molecule, positions: Float[np.ndarray, "atoms 3"]) -> bool:
    """Whether every bond of the molecule is there and no other."""
    atoms, expected = Atoms(molecule.atomic_numbers, positions), set(map(frozenset, molecule.bonds.tolist()))
    there, surely = (set(map(frozenset, bonds(atoms, tolerance).tolist())) for tolerance in (BROKEN, FORMED))
    return surely <= expected <= there


def representable(positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "atoms 3"]:
    """Centred positions rounded to multiples of 2⁻¹⁶ Å (1.5e-5 Å), which float32 stores exactly."""
    return np.round((positions - positions.mean(axis=0)) * 65536.0) / 65536.0


def energy_autocorrelation(energies: Float[np.ndarray, " frames"], trajectory: Int[np.ndarray, " frames"]) -> float:
    """Correlation of the energies of consecutive frames, about the mean of each trajectory.

    .. math:: \\rho_1 = \\sum_t \\delta E_t \\delta E_{t+1} / \\sum_t \\delta E_t^2
    """
    products, squares = 0.0, 0.0
    for index in np.unique(trajectory):
        delta = energies[trajectory == index] - energies[trajectory == index].mean()
        products += float((delta[1:] * delta[:-1]).sum())
        squares += float((delta**2).sum() * (len(delta) - 1) / len(delta))
    return products / squares


def _thermalize(atoms: Atoms, temperature_K: float, rng: np.random.Generator) -> None:
    """Draw momenta from Maxwell and Boltzmann's distribution."""
    width = np.sqrt(atoms.get_masses() * units.kB * temperature_K)
    atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * width[:, None])


def _lengths(positions: Float[np.ndarray, "atoms 3"], pairs: Int[np.ndarray, "pairs 2"]) -> Float[np.ndarray, " pairs"]:
    return np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)


def _bond_matrix(molecule: Molecule) -> Bool[np.ndarray, "atoms atoms"]:
    atoms = len(molecule.atomic_numbers)
    matrix = np.zeros((atoms, atoms), bool)
    for i, j in molecule.bonds:
        matrix[i, j] = matrix[j, i] = True
    return matrix


def _topological_distances(molecule: Molecule) -> Int[np.ndarray, "atoms atoms"]:
    """Number of bonds on the shortest way between two atoms."""
    adjacent = _bond_matrix(molecule)
    distances = np.where(adjacent, 1, len(adjacent))
    np.fill_diagonal(distances, 0)
    for k in range(len(adjacent)):
        distances = np.minimum(distances, distances[:, k, None] + distances[None, k])
    return distances


def _far_side(apart: Int[np.ndarray, "atoms atoms"], i: int, j: int) -> Bool[np.ndarray, " atoms"]:
    """Atoms nearer to ``j`` than to ``i``: the part of a chain behind the bond i-j."""
    return apart[j] < apart[i]
