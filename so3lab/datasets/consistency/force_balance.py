"""Do forces of isolated molecules add up to nothing, do they turn nothing, and has every atom one?"""

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Float

from so3lab.counting import counted
from so3lab.datasets.consistency.finding import Finding
from so3lab.datasets.dataset import Dataset
from so3lab.datasets.frames import frames_named

LARGEST_SHARE = 0.1
"""Of a net force in the root of the summed squares of all forces (a torque likewise); forces without relation have
about 1, those of good calculations less than 0.01."""
LEAST_NET_FORCE = 0.05
"""eV/Å; less is noise of the calculation."""
LEAST_TORQUE = 0.1
"""eV."""
_NAMED = 3  # atoms
_LACKING = 0.3
"""Of the root mean squared force on the other atoms; what a held one lacks is as large as any, in the largest cell."""
_PUSHED = 0.1  # eV/Å; a frame whose largest force is less is relaxed, and its forces may be zero to all digits


def check_force_balance(dataset: Dataset) -> list[Finding]:
    """Net forces and torques of molecules, and atoms without a force."""
    forces = np.concatenate(dataset.forces)
    starts = np.cumsum(dataset.sizes) - dataset.sizes
    squares = np.einsum("ai,ai->a", forces, forces)
    net = np.linalg.norm(np.add.reduceat(forces, starts), axis=1)
    pulled = net > np.maximum(LEAST_NET_FORCE, LARGEST_SHARE * np.sqrt(np.add.reduceat(squares, starts)))
    return _unbalanced(dataset, forces, starts, squares, net, pulled) + _without_force(dataset, starts, squares, net)


def _unbalanced(
    dataset: Dataset, forces: np.ndarray, starts: np.ndarray, squares: np.ndarray, net: np.ndarray, pulled: np.ndarray
) -> list[Finding]:
    free = ~dataset.pbc.any(axis=1)
    if not free.any():
        return []
    pulled = free & pulled
    torque, lever = _torques(dataset, forces, starts, squares)
    turned = free & ~pulled & (torque > np.maximum(LEAST_TORQUE, LARGEST_SHARE * lever))
    findings = []
    if pulled.any():
        worst = int(np.argmax(np.where(pulled, net, 0.0)))
        findings.append(
            Finding(
                f"forces of {pulled.sum()} of {free.sum()} isolated molecules do not add up to zero "
                f"({frames_named(np.flatnonzero(pulled))}; {net[worst]:.3g} eV/Å in frame {worst}"
                f"{_on_none(dataset, worst)}): some atoms may be missing, held or in a field, or the reference "
                f"calculation is too coarse"
            )
        )
    if turned.any():
        worst = int(np.argmax(np.where(turned, torque, 0.0)))
        findings.append(
            Finding(
                f"forces of {turned.sum()} of {free.sum()} isolated molecules turn them "
                f"({frames_named(np.flatnonzero(turned))}; torque of {torque[worst]:.3g} eV in frame {worst}): forces "
                f"may be those of a turned molecule, or of atoms in another order"
            )
        )
    return findings


def _torques(
    dataset: Dataset, forces: np.ndarray, starts: np.ndarray, squares: np.ndarray
) -> tuple[Float[np.ndarray, " frames"], Float[np.ndarray, " frames"]]:
    """Torque about the mean position in eV, and the root of its terms' summed squares."""
    positions = np.concatenate(dataset.positions)
    arms = positions - np.repeat(np.add.reduceat(positions, starts) / dataset.sizes[:, None], dataset.sizes, axis=0)
    (x, y, z), (fx, fy, fz) = arms.T, forces.T
    terms = np.column_stack([y * fz - z * fy, z * fx - x * fz, x * fy - y * fx])
    lever = np.add.reduceat(np.einsum("ai,ai->a", arms, arms) * squares, starts)
    return np.linalg.norm(np.add.reduceat(terms, starts), axis=1), np.sqrt(lever)


def _unpushed(dataset: Dataset, frame: int) -> str:
    """The atoms of a frame whose force is exactly zero, by element and number; the first of many."""
    atoms = np.flatnonzero(~dataset.forces[frame].any(axis=1))
    named = ", ".join(f"{chemical_symbols[dataset.numbers[frame][i]]}{i}" for i in atoms[:_NAMED])
    return named + (f" and {len(atoms) - _NAMED} more" if len(atoms) > _NAMED else "")


def _on_none(dataset: Dataset, frame: int) -> str:
    return f", where the force on {atoms} is exactly zero" if (atoms := _unpushed(dataset, frame)) else ""


def _without_force(dataset: Dataset, starts: np.ndarray, squares: np.ndarray, net: np.ndarray) -> list[Finding]:
    """Atoms whose force is exactly zero in frames where others are pushed, and molecules without any force.

    What acted on a held atom lacks in the sum of all forces; in the middle of a symmetric molecule nothing does.
    """
    zeros = np.add.reduceat((squares == 0.0).astype(int), starts)
    pushed = np.maximum.reduceat(squares, starts) > _PUSHED**2
    findings = []
    on_others = np.add.reduceat(squares, starts) / np.maximum(dataset.sizes - zeros, 1)
    lacking = net > np.maximum(LEAST_NET_FORCE, _LACKING * np.sqrt(on_others))
    some = np.flatnonzero((zeros > 0) & pushed & lacking)
    if len(some):
        findings.append(
            Finding(
                f"some atoms have a force of exactly zero beside others that are pushed, in "
                f"{counted(len(some), 'frame')} "
                f"({frames_named(some)}; {zeros[some[0]]} of {dataset.sizes[some[0]]} atoms in the first: "
                f"{_unpushed(dataset, int(some[0]))}): they were probably held; a model learns that nothing acts on "
                f"them"
            )
        )
    empty = np.flatnonzero((zeros == dataset.sizes) & (dataset.sizes > 1) & ~dataset.pbc.any(axis=1))
    if len(empty) and pushed.any():
        findings.append(
            Finding(
                f"forces of {len(empty)} frames are all exactly zero ({frames_named(empty)}): they were probably not "
                f"computed; remove these frames"
            )
        )
    return findings
