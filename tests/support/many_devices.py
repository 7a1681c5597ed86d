"""A training on one, eight, and eight and then three devices; run in a process that has eight.

python many_devices.py FOLDER writes one.npz, eight.npz and resumed.npz there.
"""

import sys
from pathlib import Path

import jax
import numpy as np
from emt_frames import labelled

from so3lab import datasets
from so3lab.network.settings import ModelSettings
from so3lab.potential.model_file import flat_parameters
from so3lab.training import TrainingSettings, loop, train

MODEL = ModelSettings(
    num_features=8, num_layers=1, num_heads=2, degrees=(1, 2), cutoff=4.0, num_radial=4, energy_hidden=8
)
SETTINGS = TrainingSettings(epochs=4, batch_size=10, learning_rate=5e-3, warmup_steps=3)


def frames() -> datasets.Dataset:
    """Water and ethanol."""
    small, large = labelled(12, "H2O"), labelled(18)
    return datasets.Dataset(
        "mixed", small.numbers + large.numbers, small.positions + large.positions,
        np.concatenate([small.energies, large.energies]), small.forces + large.forces,
    )  # fmt: skip


def trained(count: int, path: Path, *, stop_after: int | None = None, **options) -> None:
    """Train on so many devices; write what was reported, and the weights, to a file."""
    loop.devices_for = lambda frames: tuple(jax.local_devices()[:count])
    data, reports = frames(), []
    running = train(data, data.select(slice(0, 30, 4)), MODEL, SETTINGS, dtype="float64", **options)
    for report in running:
        reports.append(report)
        if report.epoch == stop_after:
            running.close()
            return
    best = reports[-1].best
    rows = {name: [float(getattr(r, name)) for r in reports[-2:]] for name in ("train_loss", "valid_loss")}
    leaves = [np.asarray(leaf).ravel() for leaf in flat_parameters(best.parameters).values()]
    where = [str(device) for device in next(iter(jax.tree.leaves(best.parameters))).devices()]
    force = [r.valid_force_mae_meV_A for r in reports[-2:]]
    np.savez(path, devices=count, weights=np.concatenate(leaves), where=where, valid_force_mae_meV_A=force, **rows)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    assert len(jax.local_devices()) == 8
    loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    trained(1, folder / "one.npz")
    trained(8, folder / "eight.npz")
    trained(8, folder / "resumed.npz", stop_after=2, checkpoint=folder / "checkpoints")
    trained(3, folder / "resumed.npz", checkpoint=folder / "checkpoints")
