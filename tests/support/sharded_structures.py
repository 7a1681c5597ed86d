"""Dynamics and relaxations on one, three and eight devices; run in a process that has eight.

python sharded_structures.py FOLDER writes runs.npz, relaxed-COUNT.npz and trajectories there.
"""

import sys
from pathlib import Path

import ase
import ase.build
import jax
import numpy as np
from lennard_jones import truncated_lennard_jones
from springs import SPRINGS

from so3lab.dynamics import Control, Limits, run_replicas
from so3lab.engine import devices
from so3lab.minimize import minimize
from so3lab.trajectory import Trajectory
from so3lab.trajectory.names import replica_path

MOLECULES = ["CH3CH2OH", "H2O", "CH4", "CH3OH", "H2O", "C2H6", "NH3", "H2O", "CH3CH2OH", "CH4", "H2O"]
"""Eleven, so that three and eight devices have uneven shares."""
FREE = Limits(None, None, None)


def use(count: int) -> None:
    """Deal out to so many devices."""
    devices.devices_for = lambda pieces: tuple(jax.local_devices()[: min(count, pieces)])


def argon(seed: int) -> ase.Atoms:
    """A crystal that is hot enough for pair lists to fail."""
    atoms = ase.build.bulk("Ar", cubic=True) * (2, 2, 2)
    atoms.positions += np.random.default_rng(seed).normal(0.0, 0.3, atoms.positions.shape)
    return atoms


def moved(folder: Path, field, structures, steps: int, resume: bool = False) -> np.ndarray:
    """Positions of all frames, structures one after another."""
    temperatures = np.linspace(100.0, 300.0, len(structures)).tolist()  # which are exchanged
    control = Control(temperatures, timestep_fs=1.0, friction_per_ps=5.0)
    options = {"interval": 5, "exchange_every": 5, "control": control, "limits": FREE}
    for _ in run_replicas(field, structures, steps=steps, out=folder, resume=resume, **options):
        pass
    files = [Trajectory(replica_path(folder, number)) for number in range(len(structures))]
    return np.concatenate([np.asarray(one.positions()).ravel() for one in files])


def relaxed(structures) -> dict[str, np.ndarray]:
    """Energies, evaluations and positions, by number."""
    results = sorted(minimize(SPRINGS, structures, bonds=[], method="cartesian"), key=lambda one: one.number)
    return {
        "energies": np.array([one.energy for one in results]),
        "why": np.array([one.why for one in results]),
        "positions": np.concatenate([one.atoms.positions for one in results]),
    }


def on(count: int, name: str, field, structures, steps: int) -> np.ndarray:
    """A run of its own on so many devices."""
    use(count)
    return moved(folder / f"{name}-{count}", field, structures, steps)


def gone_on(first: int, then: int, name: str, field, structures, steps: int) -> np.ndarray:
    """A run that stops in its middle and goes on, with another number of devices or the same."""
    path = folder / f"{name}-{first}-{then}"
    use(first)
    moved(path, field, structures, steps // 2)
    use(then)
    return moved(path, field, structures, steps, resume=True)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    assert len(jax.local_devices()) == 8
    molecules = SPRINGS, [ase.build.molecule(name) for name in MOLECULES], 40
    crystals = truncated_lennard_jones("float64")[0], [argon(seed) for seed in range(2)], 60
    runs = {
        "molecules": [on(count, "molecules", *molecules) for count in (1, 8)]
        + [gone_on(8, 3, "molecules", *molecules)],
        "crystals": [on(count, "crystals", *crystals) for count in (1, 2)],
        "exact": [on(3, "molecules", *molecules), gone_on(3, 3, "molecules", *molecules)],
        "exact crystals": [on(2, "again", *crystals), gone_on(2, 2, "crystals", *crystals)],
    }
    np.savez(folder / "runs.npz", **{name: np.stack(some) for name, some in runs.items()})
    for count in (1, 2):
        use(count)
        np.savez(folder / f"relaxed-{count}.npz", **relaxed(molecules[1]))
