"""Do forces pull stretched bonds back, and as strongly as bonds of such elements do: their sign and their unit."""

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, covalent_radii
from jaxtyping import Float

from so3lab import units
from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.file_units import ENERGY_UNITS, LENGTH_UNITS
from so3lab.structures.bonds import bonded_pairs
from so3lab.structures.elements import COVALENT

FEWEST_BONDS = 6
"""Beyond one of each kind, whose mean length is its length at rest."""
LEAST_CORRELATION = 0.75
"""Of forces with elongations; real sets have 0.85 to 0.98."""
LEAST_EVIDENCE = 30.0
"""Explained over unexplained squares times bonds; chance reaches it in less than one of some thousand sets."""
LEAST_SPREAD = 0.008
"""Å by which bonds of a kind must differ; in relaxed structures they differ for other reasons than forces."""
FURTHEST_STRETCHED = 0.12
"""Å from the usual length of a kind, beyond which bonds are no springs."""
FURTHEST_FROM_REST = 0.1
"""Å between the mean length of a kind and where its bonds would rest, beyond which they are no springs: compressed ones
are many times as stiff as the rule says, torn ones push further apart. Bonds in warm molecules have less than 0.04."""
STRAINED = 0.06
"""Å by which bonds of a kind are off their length at rest in the mean square; in warm molecules 0.03 to 0.05."""
STIFFEST = 12.0
"""Times that of the rule; compressed bonds have up to 6, and those of forces in kcal/mol have 23 and more."""
STIFFNESSES = (0.08, 5.0)
"""Times that of the rule; bonds of hydrogen have 0.9 to 1.5, others 0.7 to 1.2, those of crowded halogens 0.4, of N2
by EMT 0.16; units differ by more, but for bohr."""
BOHR_STIFFNESSES = (0.7, 1.75)
"""Beyond these, bonds from hydrogen to C, N and O are like forces that are per bohr where Å is read, or the other way
round."""

BOHR_SLOPES = (0.72, 1.4)
"""Of energy changes over forces; right ones of 16 frames and more have 0.8 to 1.25, those of forces per bohr 1.5 to
2.3."""

_FEWEST_OF_A_KIND = 3  # of a line through two points nothing is left
_FEWEST_ROUNDS, _MOST_ROUNDS = 2, 12
_ATOMS = 20_000
_BOHR_CORRELATION = 0.95
_BOHR_BONDS = 20
_BOHR_SPREAD = 0.07  # Å; so far are bonds springs
_LIKE_BOHR = 0.25  # in logarithms
_FORCE_UNITS = {
    f"{energy}/{length}": ENERGY_UNITS[energy] / LENGTH_UNITS[length]
    for energy in ENERGY_UNITS
    for length in ("angstrom", "bohr")
} | {"rydberg/bohr": units.hartree / 2.0 / units.bohr, "kJ/mol/nm": units.kJ_per_mol / 10.0}
"""Units in which programs write forces, in eV/Å."""

_CONVERT = "they are like forces in"

Environment = tuple[tuple[int, int], ...]
"""Both ends of a bond: their elements, and what tells them from atoms that are bonded otherwise, however far away."""
Bond = tuple[Environment, float, float]
"""Kind, length in Å and force along a bond, positive outwards, in eV/Å."""
Bonds = dict[Environment, list[tuple[float, float]]]
"""Length in Å and force along each bond, positive outwards, in eV/Å."""


class BondStretches(NamedTuple):
    """How forces along bonds follow elongations from the mean of bonds of the same kind."""

    bonds: int
    """Less one for each kind."""
    stiffness: float
    """Over that of the rule; 1 where forces are in eV/Å, negative where they push stretched bonds further."""
    correlation: float
    """Positive where forces pull back."""
    spread: float
    """Root mean square elongation in Å."""

    @property
    def certain(self) -> bool:
        """Whether there is enough to go by."""
        r2 = min(self.correlation**2, 1.0 - 1e-9)
        return (
            self.bonds >= FEWEST_BONDS
            and self.spread >= LEAST_SPREAD
            and abs(self.correlation) >= LEAST_CORRELATION
            and self.bonds * r2 / (1.0 - r2) >= LEAST_EVIDENCE
        )


def bonds_by_kind(dataset: Dataset, most: int = 40) -> Bonds:
    """Lengths and forces along all bonds of some dozen frames, from the whole set.

    Args:
        dataset: Molecules or cells, of one composition or many.
        most: How many frames at most.
    """
    return by_kind(bonds_of_frames(dataset, most).values())


def bonds_of_frames(dataset: Dataset, most: int) -> dict[int, list[Bond]]:
    """All bonds of some frames from the whole set, by frame.

    Args:
        dataset: Molecules or cells, of one composition or many.
        most: How many frames at most; fewer of large ones.
    """
    known: dict[bytes, list[int]] = {}
    return {frame: _along_bonds(dataset, frame, known) for frame in _some_frames(dataset, most)}


def by_kind(frames: Iterable[list[Bond]]) -> Bonds:
    """The bonds of some frames, sorted."""
    bonds: Bonds = {}
    for frame in frames:
        for kind, length, force in frame:
            bonds.setdefault(kind, []).append((length, force))
    return bonds


def bond_stretches(bonds: Bonds, *, hydrogen_with: Collection[int] | None = None) -> BondStretches:
    r"""Regression of forces along bonds on elongations.

    .. math::
        f = \mu \Big( \frac{F_j}{m_j} - \frac{F_i}{m_i} \Big) \cdot \hat r_{ij} \approx -k (r - \bar r), \quad
        k = 0.3601 \, e^{-1.944 (\bar r - r_\mathrm{cov})} \ \text{hartree/bohr}^2

    with the reduced mass :math:`\mu` of both ends, and the rule for the stiffness of bonds by Fischer and Almlöf,
    J. Phys. Chem. 96, 9768 (1992), which is within 30 % of bonds from C-C to C=O and O-H.

    Args:
        bonds: Those of :func:`bonds_by_kind`.
        hydrogen_with: Of bonds from hydrogen to these elements alone, on which little else acts; None takes all.
    """
    pull, strain, squares, elongation, count = 0.0, 0.0, 0.0, 0.0, 0
    for kind, values in bonds.items():
        if hydrogen_with is not None and not (kind[0][0] == 1 and kind[1][0] in hydrogen_with):
            continue
        usual = _usual(values)
        if usual.shape[1] < 2:
            continue
        length, push = (usual.sum(axis=1) / usual.shape[1]).tolist()
        (stretch, pulled), (_, pushes) = _centred_squares(usual)
        if abs(push) * stretch > FURTHEST_FROM_REST * abs(pulled):  # by the stiffness that the same forces show
            continue
        stiffness = usual_stiffness(kind[0][0], kind[1][0], length)
        pull -= pulled
        strain += stiffness * stretch
        squares += pushes / stiffness
        elongation += stretch
        count += usual.shape[1] - 1
    if not (strain and squares):
        return BondStretches(count, 0.0, 0.0, 0.0)
    spread = float(np.sqrt(elongation / count))
    return BondStretches(count, pull / strain, pull / float(np.sqrt(strain * squares)), spread)


def _usual(values: list[tuple[float, float]]) -> Float[np.ndarray, "2 bonds"]:
    """Lengths and forces of the bonds of a kind that are about as long as most."""
    lengths, along = np.array(values).T
    middle = np.sort(lengths)[len(lengths) // 2]
    usual = np.abs(lengths - middle) < FURTHEST_STRETCHED
    return np.array([lengths[usual], along[usual]])


def _centred_squares(usual: Float[np.ndarray, "2 bonds"]) -> list[list[float]]:
    """Sums of squares of elongations and of forces, and of their products, about both means."""
    off = usual - usual.sum(axis=1, keepdims=True) / usual.shape[1]
    return (off @ off.T).tolist()


def explain_large_forces(bonds: Bonds) -> bool:
    """Whether bonds are as stiff as bonds are, or so strained that forces are large in the right unit too."""
    found = clearest_stretches(bonds)
    return mostly_strained(bonds) if found is None else STIFFNESSES[0] < found.stiffness < STIFFNESSES[1]


def mostly_strained(bonds: Bonds) -> bool:
    """Whether half of all bonds are compressed or torn, and no stiffer than such bonds can be: by the mean square of
    their forces, over the stiffness that the same forces show."""
    strained, count = 0, 0
    for kind, values in bonds.items():
        lengths, along = usual = _usual(values)
        count += len(lengths)
        if len(lengths) < _FEWEST_OF_A_KIND:
            continue
        (stretch, pulled), (_, pushes) = _centred_squares(usual)
        shown = abs(pulled)
        follow = shown > LEAST_CORRELATION * np.sqrt(stretch * pushes)
        soft = shown < STIFFEST * stretch * usual_stiffness(kind[0][0], kind[1][0], float(lengths.mean()))
        if follow and soft and np.sqrt(np.mean(along**2)) * stretch > STRAINED * shown:
            strained += len(lengths)
    return strained > 0.5 * count


def clearest_stretches(bonds: Bonds) -> BondStretches | None:
    """Those of hydrogen where they tell, else those of all bonds; None where neither does."""
    both = (bond_stretches(bonds, hydrogen_with=partners) for partners in (COVALENT, None))
    return next((found for found in both if found.certain), None)


def check_forces_along_bonds(dataset: Dataset, bonds: Bonds, frames: str = "") -> list[Finding]:
    """Forces whose sign or unit cannot be; nothing where bonds do not tell.

    Args:
        dataset: The set.
        bonds: Its bonds, or those of a part.
        frames: What the sentence calls the part.
    """
    found = clearest_stretches(bonds)
    if found is None:
        return []
    unit = dataset.meta.get("force_unit_read", "eV/angstrom")
    where = f"over {found.bonds} bonds of {frames or repr(dataset.name)}, forces along stretched bonds"
    if found.stiffness < 0:
        wrong = "" if STIFFNESSES[0] < -found.stiffness < STIFFNESSES[1] else f"; {_unit_like(unit, -found.stiffness)}"
        return [
            Finding(
                f"{where} push them further apart (correlation {-found.correlation:.2f}): forces have the wrong sign: "
                f"they are gradients; multiply them by -1{wrong}",
                refused=True,
            )
        ]
    if not STIFFNESSES[0] < found.stiffness < STIFFNESSES[1]:
        likely = _unit_like(unit, found.stiffness)
        named = f"{where} are {found.stiffness:.3g} times as strong as bonds are; {likely}"
        return [Finding(named, refused=likely.startswith(_CONVERT))]
    return []


def check_forces_per_bohr(
    dataset: Dataset, bonds: Bonds, slope: float | None = None, frames: str = ""
) -> list[Finding]:
    """Whether forces are off by as little as a bohr is from an Å, which bonds from hydrogen to C, N and O tell.

    Args:
        dataset: The set.
        bonds: Its bonds, or those of a part.
        frames: What the sentence calls the part.
        slope: Of energy changes over what forces say, where frames tell it; one that is off the other way refuses.
    """
    found, unit = bond_stretches(bonds, hydrogen_with=(6, 7, 8)), dataset.meta.get("force_unit_read", "eV/angstrom")
    clear = found.bonds >= _BOHR_BONDS and found.correlation > _BOHR_CORRELATION and found.spread < _BOHR_SPREAD
    if not clear or BOHR_STIFFNESSES[0] < found.stiffness < BOHR_STIFFNESSES[1]:
        return []
    soft = found.stiffness < 1.0
    likely = _unit_like(unit, found.stiffness)
    if not likely.startswith(_CONVERT):
        return []
    confirmed = slope is not None and (slope > BOHR_SLOPES[1] if soft else slope < BOHR_SLOPES[0])
    beside = f", and energies change by {slope:.3g} times what the forces say" if confirmed else ""
    return [
        Finding(
            f"over {found.bonds} bonds of {frames or repr(dataset.name)} from hydrogen to C, N and O, forces along "
            f"stretched bonds are {found.stiffness:.3g} times as strong as bonds are{beside}; {likely}",
            refused=confirmed,
        )
    ]


def _unit_like(unit: str, stiffness: float) -> str:
    """In which unit forces would be like those of bonds."""
    top, _, bottom = unit.rpartition("/")
    true = ENERGY_UNITS[top] / LENGTH_UNITS[bottom] / stiffness
    off = {name: abs(np.log(value / true)) for name, value in _FORCE_UNITS.items() if name != unit}
    nearest = min(off.values())
    likely = [name for name in off if off[name] < min(nearest + 0.15, 0.5)]
    if not likely and abs(np.log(stiffness * units.bohr)) < _LIKE_BOHR:
        return (
            f"{_CONVERT} {unit} that were divided by 0.529 once too often, as if they were per bohr: multiply them by "
            "0.529"
        )
    if not likely:
        return f"read as {unit}, they can be in none of the usual units: check where they come from"
    return f"{_CONVERT} {' or '.join(likely)}, and were read as {unit}: convert them, or name the unit"


def _some_frames(dataset: Dataset, most: int) -> list[int]:
    """At most so many frames, from the whole set, whose atoms are not too many together."""
    few = max(1, min(len(dataset), most, round(_ATOMS / float(np.mean(dataset.sizes)))))
    return [int(i) for i in np.unique(np.linspace(0, len(dataset) - 1, few).astype(int))]


def _along_bonds(dataset: Dataset, frame: int, known: dict[bytes, list[int]]) -> list[Bond]:
    """Those of a frame.

    Args:
        dataset: The set.
        frame: Its index.
        known: Kinds of atoms by graphs of bonds that were seen before; added to.
    """
    numbers, forces = dataset.numbers[frame], dataset.forces[frame]
    cell = None if dataset.cells is None else dataset.cells[frame]
    atoms = Atoms(numbers, dataset.positions[frame], cell=cell, pbc=dataset.pbc[frame])
    i, j, images = bonded_pairs(atoms)
    arrows = atoms.positions[j] - atoms.positions[i] + images @ np.asarray(atoms.cell)
    lengths: Float[np.ndarray, " bonds"] = np.linalg.norm(arrows, axis=1)
    masses = atomic_masses[numbers]
    pulls = forces / masses[:, None]
    reduced = masses[i] * masses[j] / (masses[i] + masses[j])
    along = reduced * np.einsum("bx,bx->b", pulls[j] - pulls[i], arrows) / lengths
    graph = b"".join(part.tobytes() for part in (numbers, i, j))
    if graph not in known:
        known[graph] = _kinds_of_atoms(numbers, i, j)
    ends = list(zip(numbers.tolist(), known[graph], strict=True))
    kinds = [tuple(sorted((ends[a], ends[b]))) for a, b in zip(i, j, strict=True)]
    return list(zip(kinds, lengths.tolist(), along.tolist(), strict=True))


def _kinds_of_atoms(numbers: np.ndarray, i: np.ndarray, j: np.ndarray) -> list[int]:
    """The same number for atoms that the graph of bonds does not tell apart (refinement of Weisfeiler and Leman).

    Double bonds of a chain are told from single ones like this, so that their lengths are not taken for elongations.
    """
    beside: list[list[int]] = [[] for _ in numbers]
    for one, other in zip(i.tolist(), j.tolist(), strict=True):
        beside[one].append(other)
        beside[other].append(one)
    kinds = numbers.tolist()
    for reach in range(_MOST_ROUNDS):
        refined = [
            hash((kind, *sorted(kinds[atom] for atom in near))) for kind, near in zip(kinds, beside, strict=True)
        ]
        told_apart, kinds = len(set(refined)) > len(set(kinds)), refined
        if reach >= _FEWEST_ROUNDS and not told_apart:
            break
    return kinds


def usual_stiffness(one: int, other: int, length: float) -> float:
    """Stiffness in eV/Å² of a bond of two elements, by the rule of :func:`bond_stretches`."""
    beyond = (length - float(covalent_radii[one] + covalent_radii[other])) / units.bohr
    return 0.3601 * math.exp(-1.944 * beyond) * units.hartree / units.bohr**2
