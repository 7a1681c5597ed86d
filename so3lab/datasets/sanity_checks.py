"""Whether numbers can be what they claim: atoms apart, bond lengths in Å, energies in eV, forces in eV/Å."""

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from jaxtyping import Float, Integer
from scipy.spatial import cKDTree
from vesin import ase_neighbor_list

from so3lab import units
from so3lab.datasets.bond_lengths import require_bond_lengths
from so3lab.datasets.consistency.bond_stretches import bonds_by_kind, explain_large_forces
from so3lab.datasets.dataset import Dataset, energy_shifts
from so3lab.datasets.file_units import ENERGY_UNITS
from so3lab.structures.bonds import bonded_pairs
from so3lab.structures.elements import COVALENT

CLOSEST = 0.3
"""Å; no two nuclei of a reference calculation are nearer."""
LARGEST_FORCE_RMS = 10.0
"""eV/Å per component; molecules at 500 K have about 1, and the same numbers in kcal/mol/Å about 25."""
LARGEST_FORCE = 1000.0
"""eV/Å on one atom."""
LARGEST_ENERGY_SCATTER = 20.0
"""eV per atom between a frame and its composition's energy; breaking every bond costs 5 to 8."""
LOWEST_ENERGY_RATIO = 1.5
"""Times the total energy of the free atoms; relativity adds a few percent for the heaviest."""

_USUAL_FORCE_RATIO = 5.0  # by which usual forces per component differ from 1 eV/Å
_FEWEST_SCANNED = 3  # frames
_SAME_SHAPE, _SAME_PLACE = 0.02, 1e-3
"""Of cells of volume 1, in any entry of their metric; and fractions of a cell."""
_LONELY = 1.35
"""Times a bond length beyond which the nearest atom is no neighbour."""
_LONELY_SHARE = 0.25
_FEWEST_ORDERED = 4
_ASKED = 8  # frames
_FARTHEST_BONDED = 1.8
"""Å; in frames whose atoms all have another one nearer than this, nothing has dissociated."""
_PERIODIC_SEARCH = 5.0  # Å
_PAIRS_AT_ONCE = 2_000_000


def check_units_and_geometry(dataset: Dataset) -> None:
    """Refuse data whose units or structures cannot be right.

    Raises:
        ValueError: With the frame, the rule, the value and what to do.
    """
    distances, neighbours = _nearest(dataset)
    require_bond_lengths(dataset, distances, neighbours)
    _require_order_of_atoms(dataset, distances, neighbours)
    _require_carbons_bonded(dataset)
    _require_atoms_apart(dataset, distances, neighbours)
    _require_force_scale(dataset)
    _require_energy_scale(dataset)


def _nearest(dataset: Dataset) -> tuple[Float[np.ndarray, " all_atoms"], Integer[np.ndarray, " all_atoms"]]:
    """Distance (Å) and index within the frame of each atom's nearest neighbour; inf and -1 without one."""
    sizes = dataset.sizes
    starts = np.cumsum(sizes) - sizes
    distances = np.full(int(sizes.sum()), np.inf)
    neighbours = np.full(int(sizes.sum()), -1)
    periodic = dataset.pbc.any(axis=1)
    for frame in np.flatnonzero(periodic):
        own = slice(starts[frame], starts[frame] + sizes[frame])
        distances[own], neighbours[own] = _nearest_periodic(dataset, int(frame))
    for size in np.unique(sizes[~periodic & (sizes > 1)]):
        frames = np.flatnonzero(~periodic & (sizes == size))
        at_once = max(1, _PAIRS_AT_ONCE // int(size) ** 2)
        for chunk in np.array_split(frames, -(-len(frames) // at_once)):
            rows = starts[chunk][:, None] + np.arange(size)
            distances[rows], neighbours[rows] = _nearest_free(np.stack([dataset.positions[i] for i in chunk]))
    return distances, neighbours


def _nearest_free(
    positions: Float[np.ndarray, "frames atoms 3"],
) -> tuple[Float[np.ndarray, "frames atoms"], Integer[np.ndarray, "frames atoms"]]:
    """Nearest neighbours in molecules of one size: all pairs while small, a tree for each when large."""
    if positions.shape[1] > 64:
        found = [cKDTree(frame).query(frame, k=2) for frame in positions]
        return np.stack([d[:, 1] for d, _ in found]), np.stack([j[:, 1] for _, j in found])
    squares = np.zeros((*positions.shape[:2], positions.shape[1]))
    for axis in range(3):
        x = positions[:, :, axis]
        squares += (x[:, :, None] - x[:, None, :]) ** 2
    diagonal = np.arange(positions.shape[1])
    squares[:, diagonal, diagonal] = np.inf
    nearest = squares.argmin(axis=2)
    return np.sqrt(np.take_along_axis(squares, nearest[:, :, None], axis=2)[:, :, 0]), nearest


def _nearest_periodic(
    dataset: Dataset, frame: int
) -> tuple[Float[np.ndarray, " atoms"], Integer[np.ndarray, " atoms"]]:
    centres, others, lengths = ase_neighbor_list("ijd", dataset[frame], _PERIODIC_SEARCH)
    order = np.argsort(-lengths)  # the nearest is written last
    distances = np.full(len(dataset.numbers[frame]), np.inf)
    neighbours = np.full(len(distances), -1)
    distances[centres[order]] = lengths[order]
    neighbours[centres[order]] = others[order]
    return distances, neighbours


def _require_order_of_atoms(dataset: Dataset, distances: np.ndarray, neighbours: np.ndarray) -> None:
    """Refuse molecules of nonmetals in most of which many atoms are too far from their neighbours for their elements,
    though atoms are apart as in molecules: elements in another order than positions."""
    sizes = dataset.sizes
    starts = np.cumsum(sizes) - sizes
    numbers = np.concatenate(dataset.numbers)
    partners = numbers[np.repeat(starts, sizes) + np.maximum(neighbours, 0)]
    lonely = distances > _LONELY * (covalent_radii[numbers] + covalent_radii[partners])
    shares = np.add.reduceat(lonely.astype(float), starts) / sizes
    farthest = np.maximum.reduceat(np.where(np.isfinite(distances), distances, np.inf), starts)
    nonmetals = np.logical_and.reduceat(np.isin(numbers, list(COVALENT)), starts)
    asked = nonmetals & (sizes >= _FEWEST_ORDERED) & (farthest < _FARTHEST_BONDED)
    wrong = np.flatnonzero(asked & (shares >= _LONELY_SHARE))
    if not asked.any() or len(wrong) < 0.9 * asked.sum():
        return
    frame = int(wrong[0])
    row = int(starts[frame] + np.flatnonzero(lonely[starts[frame] : starts[frame] + sizes[frame]])[0])
    symbol, partner = chemical_symbols[numbers[row]], chemical_symbols[partners[row]]
    raise ValueError(
        f"in {dataset.name!r} elements do not fit their places: in frame {frame} {symbol}{row - starts[frame]} is "
        f"{distances[row]:.2f} Å from its nearest atom, a {partner}, and {shares[frame]:.0%} of the atoms are as "
        f"lonely ({len(wrong)} frames); atomic numbers are probably in another order than positions"
    )


def _require_carbons_bonded(dataset: Dataset) -> None:
    """Refuse molecules whose carbons have a hydrogen and nothing else: where elements in another order leave every
    distance one of a bond, as in benzene turned inside out. Some frames are asked."""
    first = next((i for i, z in enumerate(dataset.numbers) if _is_organic(z)), None)
    if first is None:
        return
    frames = [int(i) for i in np.unique(np.linspace(first, len(dataset) - 1, _ASKED).astype(int))]
    asked = [i for i in frames if _is_organic(dataset.numbers[i]) and not dataset.pbc[i].any()]
    shares = np.array([_share_of_bare_carbons(dataset, i) for i in asked])
    if len(asked) and np.mean(shares >= _LONELY_SHARE) > 0.9:
        raise ValueError(
            f"in {dataset.name!r} elements do not fit their places: in frame {asked[0]} {shares[0]:.0%} of the carbons "
            "have one hydrogen and no other neighbour; atomic numbers are probably in another order than positions"
        )


def _is_organic(numbers: np.ndarray) -> bool:
    return len(numbers) >= _FEWEST_ORDERED and bool((numbers == 6).any() and np.isin(numbers, list(COVALENT)).all())


def _share_of_bare_carbons(dataset: Dataset, frame: int) -> float:
    numbers = dataset.numbers[frame]
    i, j, _ = bonded_pairs(Atoms(numbers, dataset.positions[frame]), _LONELY)
    neighbours = np.bincount(np.concatenate([i, j]), minlength=len(numbers))
    hydrogens = np.bincount(np.concatenate([i[numbers[j] == 1], j[numbers[i] == 1]]), minlength=len(numbers))
    carbons = numbers == 6
    return float(np.mean((neighbours[carbons] == 1) & (hydrogens[carbons] == 1)))


def _require_atoms_apart(dataset: Dataset, distances: np.ndarray, neighbours: np.ndarray) -> None:
    close = np.flatnonzero(distances < CLOSEST)
    if not close.size:
        return
    row = int(close[np.argmin(distances[close])])
    frame, atom = _frame_and_atom(dataset, row)
    symbols = [chemical_symbols[dataset.numbers[frame][i]] for i in (atom, int(neighbours[row]))]
    frames = {_frame_and_atom(dataset, int(i))[0] for i in close}
    raise ValueError(
        f"frame {frame}: atoms {atom} ({symbols[0]}) and {neighbours[row]} ({symbols[1]}) are "
        f"{distances[row]:.3f} Å apart, nearer than {CLOSEST} Å ({len(frames)} such frames); "
        f"remove duplicated atoms or these frames"
    )


def _require_force_scale(dataset: Dataset) -> None:
    forces = np.concatenate(dataset.forces)
    rms = float(np.sqrt(np.mean(forces**2)))
    if rms == 0:
        if (~dataset.pbc.any(axis=1) & (dataset.sizes > 1)).any() or _atoms_move_in_cells(dataset):
            raise ValueError(f"forces of {dataset.name!r} are all zero; the file holds no reference forces")
        return  # single atoms, and cells so symmetric that nothing acts
    norms = np.linalg.norm(forces, axis=1)
    worst = int(np.argmax(norms))
    # One failed frame must not be taken for a wrong unit: the bulk decides about the unit.
    large = rms > LARGEST_FORCE_RMS and np.median(norms) > LARGEST_FORCE_RMS
    if large and not (len(dataset) >= _FEWEST_SCANNED and explain_large_forces(bonds_by_kind(dataset))):
        raise ValueError(
            f"forces of {dataset.name!r} have an rms of {rms:.3g} eV/Å per component, above "
            f"{LARGEST_FORCE_RMS:g}; check energy_unit and length_unit{_likelier_units(dataset, rms)}. If bonds are so "
            f"compressed that forces are meant so, check=False leaves this check out"
        )
    if norms[worst] > LARGEST_FORCE:
        frame, atom = _frame_and_atom(dataset, worst)
        raise ValueError(
            f"frame {frame}: the force on atom {atom} is {norms[worst]:.3g} eV/Å, above {LARGEST_FORCE:g}; "
            f"remove this frame, its reference calculation probably failed"
        )


def _atoms_move_in_cells(dataset: Dataset) -> bool:
    """Whether atoms have other places in cells of the same shape: then some are no places of symmetry."""
    if dataset.cells is None:
        return False
    for kind in np.unique(dataset.molecules):
        frames = np.flatnonzero((dataset.molecules == kind) & dataset.pbc.all(axis=1) & (dataset.sizes > 1))
        if len(frames) < 2:
            continue
        cells = dataset.cells[frames]
        inside = [np.linalg.solve(cell.T, dataset.positions[i].T).T for i, cell in zip(frames, cells, strict=True)]
        moved = np.stack(inside) - inside[0]
        moved -= np.round(moved)
        shapes = cells @ cells.transpose(0, 2, 1) / np.abs(np.linalg.det(cells))[:, None, None] ** (2 / 3)
        alike = np.abs(shapes - shapes[0]).max(axis=(1, 2)) < _SAME_SHAPE
        if (np.abs(moved).max(axis=(1, 2)) > _SAME_PLACE)[alike].any():
            return True
    return False


def _likelier_units(dataset: Dataset, rms: float) -> str:
    """In which other units forces would be like those of molecules, the likeliest first."""
    read, _, length = dataset.meta.get("force_unit_read", "eV/angstrom").rpartition("/")
    as_written = rms / ENERGY_UNITS[read]
    others = {unit: as_written * factor for unit, factor in ENERGY_UNITS.items() if unit != read}
    usual = {unit: value for unit, value in others.items() if max(value, 1.0 / value) < _USUAL_FORCE_RATIO}
    likely = sorted(usual, key=lambda unit: abs(np.log(usual[unit])))
    said = " or ".join(f"{usual[unit]:.3g} eV/Å in {unit}/{length}" for unit in likely)
    return f" (the numbers would be {said})" if said else ""


def _require_energy_scale(dataset: Dataset) -> None:
    ratio = ratios_to_atoms(dataset)
    frame = int(np.argmax(ratio))
    if ratio[frame] > LOWEST_ENERGY_RATIO:
        raise ValueError(
            f"frame {frame}: energy {dataset.energies[frame]:.6g} eV is {ratio[frame]:.1f} times the "
            f"total energy of its atoms, lower than any theory gives; check energy_unit"
            + (" (the numbers look like kcal/mol)" if 20 < ratio[frame] < 26 else "")
        )
    shifts = energy_shifts(dataset)
    expected = _per_molecule(dataset, lambda numbers: sum(shifts[int(z)] for z in numbers))
    scatter = np.abs(dataset.energies - expected) / dataset.sizes
    frame = int(np.argmax(scatter))
    if scatter[frame] > LARGEST_ENERGY_SCATTER:
        raise ValueError(
            f"frame {frame}: energy {dataset.energies[frame]:.6g} eV is {scatter[frame]:.3g} eV per atom "
            f"away from the {expected[frame]:.6g} eV that its composition has on average, more than "
            f"{LARGEST_ENERGY_SCATTER:g}; remove this frame, or check that all energies have one unit"
        )


def ratios_to_atoms(dataset: Dataset) -> Float[np.ndarray, " frames"]:
    """Energies over the total energies of the separate atoms with all their electrons; about 1 for total energies."""
    return dataset.energies / _per_molecule(dataset, _atoms_energy)


def _per_molecule(dataset: Dataset, function: Callable[[np.ndarray], float]) -> Float[np.ndarray, " frames"]:
    """``function`` of each frame's atomic numbers, computed once where frames share them."""
    values: dict[int, float] = {}
    for numbers in dataset.numbers:
        if id(numbers) not in values:
            values[id(numbers)] = function(numbers)
    return np.array([values[id(numbers)] for numbers in dataset.numbers])


def _atoms_energy(numbers: np.ndarray) -> float:
    r"""Non-relativistic total energy of the separate atoms in eV, good to a few percent.

    .. math:: E(Z) = -0.7687\,Z^{7/3} + \tfrac12 Z^2 - 0.2699\,Z^{5/3} \quad \text{(hartree)}

    Thomas-Fermi with Scott's and Schwinger's corrections (Schwinger 1981, Phys. Rev. A 24, 2353).
    """
    z = numbers.astype(float)
    return float(np.sum(-0.7687 * z ** (7 / 3) + 0.5 * z**2 - 0.2699 * z ** (5 / 3)) * units.hartree)


def _frame_and_atom(dataset: Dataset, row: int) -> tuple[int, int]:
    """Frame and atom of a row of all atoms concatenated."""
    ends = np.cumsum(dataset.sizes)
    frame = int(np.searchsorted(ends, row, side="right"))
    return frame, row - int(ends[frame] - dataset.sizes[frame])
