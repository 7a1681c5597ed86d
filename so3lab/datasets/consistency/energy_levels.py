"""Do energies of a set vary, with enough digits, and count from one zero?"""

import numpy as np

from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.consistency.two_sources import check_two_sources
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.frame_hashes import frame_hashes
from so3lab.datasets.frames import frames_named
from so3lab.datasets.sanity_checks import ratios_to_atoms

FEWEST_FRAMES = 3
"""Frames of one molecule whose energies may be the same by chance are fewer."""
COARSEST_STEP = 1e-3
"""eV between numbers that single precision can hold."""
_ALL_ELECTRONS = 0.9
_OTHER_ZERO = 0.5
_FIRST_WITH_A_CORE = 6
_NO_FORCE = 1e-6  # eV/Å; cells of one atom keep their energy wherever it is


def check_energy_levels(dataset: Dataset) -> list[Finding]:
    """Energies that do not vary, that have too few digits, or that count from different zeros."""
    zeros = _zeros_of_molecules(dataset) or check_two_sources(dataset)
    return _levels_of_molecules(dataset) + _single_precision(dataset) + zeros


def _levels_of_molecules(dataset: Dataset) -> list[Finding]:
    """Whether different frames of a molecule have different energies."""
    order = np.argsort(dataset.molecules, kind="stable")
    for frames in np.split(order, np.flatnonzero(np.diff(dataset.molecules[order])) + 1):
        levels = len(np.unique(dataset.energies[frames]))
        pushed = any((np.abs(dataset.forces[i]) > _NO_FORCE).any() for i in frames)
        if len(frames) < FEWEST_FRAMES or levels > len(frames) / 2 or not pushed:
            continue
        different = len(np.unique(frame_hashes(dataset)[frames]))
        if different < FEWEST_FRAMES:
            continue
        if levels == 1:
            return [
                Finding(
                    f"energies of {len(frames)} frames of one molecule ({frames_named(frames)}) are all "
                    f"{dataset.energies[frames[0]]:.6f} eV, though the frames differ and forces act: the energy of "
                    f"one frame was probably written to all",
                    refused=True,
                )
            ]
        if different >= 20 and levels < different / 2:
            return [
                Finding(
                    f"{different} different frames of one molecule ({frames_named(frames)}) have only {levels} "
                    f"different energies: they were probably written with too few digits"
                )
            ]
    return []


def _single_precision(dataset: Dataset) -> list[Finding]:
    single = dataset.energies.astype(np.float32)
    step = float(np.spacing(np.abs(single).max()))
    if len(dataset) < FEWEST_FRAMES or step < COARSEST_STEP or (single != dataset.energies).any():
        return []
    if (dataset.energies == np.round(dataset.energies)).all():
        return []
    return [
        Finding(
            f"energies up to {np.abs(dataset.energies).max():.0f} eV were stored in single precision, in steps of "
            f"{1000 * step:.1f} meV: store them in double precision, or relative to the atoms' energies"
        )
    ]


def _zeros_of_molecules(dataset: Dataset) -> list[Finding]:
    """Whether some molecules with inner shells have total energies of all electrons and others much less."""
    ratios = ratios_to_atoms(dataset)
    first = np.unique(dataset.molecules, return_index=True)[1]
    cores = np.array([dataset.numbers[i].max() >= _FIRST_WITH_A_CORE for i in first])[dataset.molecules]
    total, other = np.flatnonzero(cores & (ratios > _ALL_ELECTRONS)), np.flatnonzero(cores & (ratios < _OTHER_ZERO))
    if not (len(total) and len(other)):
        return []
    return [
        Finding(
            f"energies have different zeros: {frames_named(total)} have total energies of all electrons "
            f"({dataset.energies[total[0]]:.6g} eV), not so {frames_named(other)} ({dataset.energies[other[0]]:.6g} "
            f"eV, {ratios[other[0]]:.2g} times that of the atoms): energies of formation, of valence electrons alone "
            f"or of another unit do not go together with total ones"
        )
    ]
