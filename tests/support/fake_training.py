"""Training and evaluation for tests that are not about learning: errors fall by a formula, and nothing compiles."""

import functools
import json
import math
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

import so3lab
from so3lab.datasets import Dataset
from so3lab.engine.energy_model import Dtype
from so3lab.network.settings import ModelSettings
from so3lab.potential import Potential
from so3lab.training import EpochReport, Evaluation, TrainingSettings
from so3lab.training.evaluation import tabulated

EPOCHS_PER_MINUTE = 600
FORCE_ERROR = 0.02
"""eV/Å that predicted force components are off, in turns up and down."""
WORST = 40.0
"""Times that, in the frame that is predicted worst."""


@functools.cache
def network() -> Potential:
    """Weights that are there already."""
    return so3lab.load("ethanol")


def fake_train(
    train_data: Dataset,
    valid_data: Dataset,
    model: ModelSettings,
    settings: TrainingSettings,
    *,
    start: Potential | None = None,
    checkpoint: str | Path | None = None,
    dtype: Dtype = "float32",
) -> Generator[EpochReport]:
    """Takes the place of :func:`so3lab.training.train`; a checkpoint is the number of an epoch."""
    if len(train_data) < settings.batch_size:
        raise ValueError(f"batch_size must not exceed the {len(train_data)} training frames, got {settings.batch_size}")
    epochs = settings.epochs or math.ceil((settings.minutes or 0.0) * EPOCHS_PER_MINUTE)
    kept = None if checkpoint is None else Path(checkpoint) / "epoch.json"
    done = json.loads(kept.read_text()) if kept is not None and kept.is_file() else 0
    symbols = [chemical_symbols[z] for z in train_data.elements]
    for epoch in range(done + 1, epochs + 1):
        time.sleep(0.002)
        error = 300.0 * math.exp(-epoch / 20.0) + 10.0 * settings.learning_rate / 1e-2
        about = {
            "epoch": epoch,
            "dataset": train_data.name,
            "train_frames": len(train_data),
            "valid_force_mae_meV_A": 1.2 * error,
            "start": None if start is None else start.metadata.get("name"),
        }
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(epoch))
        yield EpochReport(
            epoch=epoch,
            steps=epoch * max(1, len(train_data) // settings.batch_size),
            seconds=0.002 * epoch,
            progress=epoch / epochs,
            train_loss=error / 100.0,
            valid_loss=1.2 * error / 100.0,
            train_energy_mae_meV=0.5 * error,
            valid_energy_mae_meV=0.6 * error,
            train_force_mae_meV_A=error,
            valid_force_mae_meV_A=1.2 * error,
            element_force_mae_meV_A={one: (error + n, 1.2 * error + n) for n, one in enumerate(symbols)},
            learning_rate=settings.learning_rate * (1.0 - epoch / (epochs + 1)),
            improved=True,
            best=replace(network(), metadata=about),
        )


def fake_evaluate(
    potential: Potential, dataset: Dataset, *, trained_on_too: bool = False, at_most: int | None = None
) -> Evaluation:
    """Takes the place of :func:`so3lab.training.evaluate`: half of the frames had a part in training, and the last one
    is predicted worst, on its atom 0."""
    chosen = np.arange(0 if trained_on_too else len(dataset) // 2, len(dataset))
    if at_most is not None and at_most < len(chosen):
        chosen = chosen[np.linspace(0, len(chosen) - 1, at_most).astype(int)]
    data = dataset.select(chosen)
    forces = np.zeros((len(data), data.max_atoms, 3))
    for number, reference in enumerate(data.forces):
        forces[number, : len(reference)] = reference + FORCE_ERROR * (-1.0) ** number
    forces[-1, 0, 0] = data.forces[-1][0, 0] + WORST * FORCE_ERROR
    energies = np.asarray(data.energies) + 0.01 * np.cos(np.arange(len(data)))
    parts = np.where(chosen < len(dataset) // 2, "train", "held out")
    note = (
        ""
        if trained_on_too
        else f"{len(dataset) // 2} of {len(dataset)} frames had a part in training and are left out"
    )
    return tabulated(data, energies, forces, chosen, parts, note)
