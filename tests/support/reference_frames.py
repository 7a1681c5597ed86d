"""Ethanol frames with energies and forces, as arrays and files of every kind."""

import h5py
import numpy as np
from ase.build import molecule

from so3lab.datasets import Dataset

ETHANOL = molecule("CH3CH2OH")


def reference(frames=12):
    """Ethanol frames with energies and forces of a plausible size, eV and Å."""
    rng = np.random.default_rng(0)
    positions = ETHANOL.positions + 0.02 * rng.normal(size=(frames, 9, 3))
    return Dataset.from_arrays(
        "ethanol", ETHANOL.numbers, positions, -4209.6 + 0.2 * rng.normal(size=frames), rng.normal(size=positions.shape)
    )


def md17_arrays(energy=1.0, length=1.0, **extra):
    """The reference in MD17's keys, in units of ``energy`` eV and ``length`` Å."""
    numbers, positions, forces = reference().stacked()
    e, r = reference().energies / energy, positions / length
    return {"z": numbers.copy(), "R": r, "E": e, "F": forces / energy * length} | extra


def save(path, arrays):
    np.savez(path, **arrays)
    return path


def assert_same(dataset, rtol=1e-6):
    expected = reference()
    assert len(dataset) == len(expected)
    np.testing.assert_allclose(dataset.energies, expected.energies, rtol=1e-8)
    for field in ("numbers", "positions", "forces"):
        for ours, theirs in zip(getattr(dataset, field), getattr(expected, field), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-7)


def write_qm7x(path):
    with h5py.File(path, "w") as file:
        for i, atoms in enumerate(reference()):
            group = file.create_group(f"{i // 6}/Geom-m{i // 6}-i1-c1-d{i}")
            group["atNUM"] = atoms.numbers
            group["atXYZ"] = atoms.positions
            group["ePBE0+MBD"] = [atoms.get_potential_energy()]
            group["totFOR"] = atoms.get_forces()
            group["hCHG"] = np.zeros(9)
