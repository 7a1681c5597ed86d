"""Training as a generator: it yields a report after every epoch, and the caller decides when to stop."""

import contextlib
import os
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import chemical_symbols
from flax import nnx
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from so3lab import datasets, units
from so3lab.datasets import Dataset
from so3lab.engine.devices import devices_for
from so3lab.engine.energy_model import Dtype, precision
from so3lab.machine.checksum import checksum
from so3lab.network.pairwise.long_range import long_range_needs
from so3lab.network.settings import ModelSettings
from so3lab.potential.model_file import flat_parameters
from so3lab.potential.potential import Potential
from so3lab.training.batches import PaddedFrames, batch_order, check_frames, frames_from, mean_neighbors
from so3lab.training.checkpoint import Checkpoint, Checkpoints, TrainingProgress
from so3lab.training.devices import place, taken_home
from so3lab.training.seen_frames import KEY, record_of_frames
from so3lab.training.settings import TrainingSettings
from so3lab.training.step import Errors, check_long_range, loss_of, training_functions

STEPS_PER_EPOCH = 2000
"""An epoch of a large dataset is cut after so many steps, so that reports keep coming."""
SECONDS_BETWEEN_CHECKPOINTS = float(os.environ.get("SO3LAB_CHECKPOINT_SECONDS", "5"))
EVALUATION_BATCH = 16
LOST = 4.0
"""Times the best validation loss at which a run has lost what it had learned: it goes back to the best weights, with
half the learning rate from then on, as it does where the loss stops being a number."""
MOST_SETBACKS = 6
"""After which losses take their course."""


class EpochReport(NamedTuple):
    """What happened in one epoch. Errors are those of the averaged weights: on the validation frames, and on so many of
    the training frames, so that the two can be compared."""

    epoch: int
    steps: int
    seconds: float
    """Spent training, earlier parts of a resumed run included; compilation, and the time that somebody takes between
    two reports, are not counted."""
    progress: float
    """Share of the run that is done, 0 to 1."""
    train_loss: float
    """Mean over the steps of the epoch, of the weights as they were then."""
    valid_loss: float
    train_energy_mae_meV: float
    valid_energy_mae_meV: float
    train_force_mae_meV_A: float
    valid_force_mae_meV_A: float
    element_force_mae_meV_A: dict[str, tuple[float, float]]
    """By element, on training and on validation frames."""
    learning_rate: float
    improved: bool
    """Whether these are the best weights so far."""
    best: Potential
    """The potential with the best weights so far."""
    train_stress_mae_GPa: float = float("nan")
    """Of frames that have a stress; NaN where none has."""
    valid_stress_mae_GPa: float = float("nan")
    setbacks: int = 0
    """How often, so far, what had been learned was lost, and the run went on from the best weights with half the
    learning rate."""

    def row(self) -> dict[str, Any]:
        """The numbers alone, for a table; those of elements are columns such as ``valid_C_force_mae_meV_A``."""
        row = {name: value for name, value in self._asdict().items() if value == value}  # no columns of NaN
        del row["best"]
        for symbol, errors in row.pop("element_force_mae_meV_A").items():
            row |= {f"{part}_{symbol}_force_mae_meV_A": x for part, x in zip(("train", "valid"), errors, strict=True)}
        return row


@dataclass(frozen=True)
class _Run:
    """What stays the same during a run."""

    begin: Potential
    settings: TrainingSettings
    train: PaddedFrames
    watched: PaddedFrames
    """Validation frames, and then so many of those for training, or all where they are fewer."""
    valid_count: int
    metadata: dict[str, Any]

    @property
    def steps_per_epoch(self) -> int:
        return min(max(1, len(self.train.energies) // self.settings.batch_size), STEPS_PER_EPOCH)


def train(
    train_data: Dataset,
    valid_data: Dataset,
    model: ModelSettings,
    settings: TrainingSettings,
    *,
    start: Potential | None = None,
    checkpoint: str | Path | None = None,
    dtype: Dtype = "float32",
) -> Generator[EpochReport]:
    """Train a network and report after every epoch.

    Args:
        train_data: Frames to learn from.
        valid_data: Frames that decide which weights are best; not learned from.
        model: The network; ``mean_neighbors`` is set from the data. Where frames differ in their total charge, it gets
            a ``charge_embedding``, and where they differ in their unpaired electrons a ``spin_embedding``.
        settings: How to train.
        start: Begin with the weights of this potential, whose settings take the place of ``model``, instead of
            random ones. Element shifts are fitted to what it leaves unexplained.
        checkpoint: Folder for checkpoints. When it holds one of the same run, the run goes on from there,
            and with ``epochs`` ends with the weights it would have had without the interruption.
        dtype: Precision to train in.

    Yields:
        One report per epoch; ``report.best`` is the potential to keep.

    Raises:
        ValueError: If the data do not fit the settings, their labels contradict each other
            (:func:`so3lab.datasets.check_labels`), or the checkpoint belongs to another run.
        FloatingPointError: If the loss stops being a number before anything was learned, or again and again.
    """
    run = _prepare(train_data, valid_data, model, settings, start, dtype)
    with contextlib.ExitStack() as stack:
        keeper = None
        if checkpoint is not None:
            identity = _identity(run, train_data, valid_data)
            with precision(dtype):
                keeper = Checkpoints(checkpoint, identity)
            stack.callback(keeper.close)
        yield from _epochs(run, keeper)


def _prepare(
    train_data: Dataset,
    valid_data: Dataset,
    model: ModelSettings,
    settings: TrainingSettings,
    start: Potential | None,
    dtype: Dtype,
) -> _Run:
    if len(train_data) < settings.batch_size:
        raise ValueError(f"batch_size must not exceed the {len(train_data)} training frames, got {settings.batch_size}")
    for data in (train_data, valid_data):
        datasets.check_labels(data)
    if start is not None:
        model = start.settings
        check_frames(start, train_data, "training frame")
        check_frames(start, valid_data, "validation frame")
    check_long_range(model, settings.batch_size, train_data, valid_data)
    shifts = datasets.energy_shifts(train_data if start is None else _unexplained(train_data, start))
    needs = long_range_needs(model)
    watched = datasets.joined(valid_data, _spread(train_data, len(valid_data)))
    stress = settings.stress_weight > 0
    train_frames, watched_frames = (
        frames_from(data, shifts, model.cutoff, dtype, needs, stress) for data in (train_data, watched)
    )
    charges = {float(charge) for charge in train_data.total_charges}
    spins = {float(unpaired) for unpaired in train_data.unpaired_electrons}
    if start is not None:
        charges |= set(start.trained_charges or ())
        spins |= set(start.trained_spins or ())
    metadata = {
        "total_charges": sorted(charges),
        "unpaired_electrons": sorted(spins),
        "dataset": train_data.name,
        "dataset_meta": dict(train_data.meta),
        "train_frames": len(train_data),
        "valid_frames": len(valid_data),
        "training": settings.to_dict(),
        KEY: record_of_frames(train_data, valid_data, start),
    }
    if start is not None:
        metadata["start"] = _provenance(start.metadata)
        begin = replace(start.astype(dtype), energy_shifts=shifts, metadata=metadata)
    else:
        model = replace(
            model,
            mean_neighbors=mean_neighbors(train_frames),
            charge_embedding=model.charge_embedding or (len(charges) > 1 and not model.knows_charge),
            spin_embedding=model.spin_embedding or len(spins) > 1,
            spin_trained=any(spins),
        )
        begin = Potential.initial(model, settings.seed, dtype, energy_shifts=shifts, metadata=metadata)
        begin = _scaled_to(begin, train_frames)
    return _Run(begin, settings, train_frames, watched_frames, len(valid_data), metadata)


def _spread(data: Dataset, most: int) -> Dataset:
    """At most so many frames, taken from all over a set."""
    return data.select(np.linspace(0, len(data) - 1, min(len(data), most)).astype(int))


def _provenance(metadata: dict[str, Any]) -> dict[str, Any]:
    """What a run tells about the potential that it began with, and about the one that this began with."""
    told = (
        "name",
        "source",
        "licence",
        "citation",
        "dataset",
        "train_frames",
        "training",
        "seconds",
        "start",
    )
    return {name: metadata[name] for name in told if name in metadata}


def _unexplained(data: Dataset, start: Potential) -> Dataset:
    """A sample of the data with energies less those of the starting network, its shifts left out."""
    sample = _spread(data, 64)
    bare = replace(start, energy_shifts={})
    explained = [result.energy for result in bare.predict(sample.to_atoms())]
    return replace(sample, energies=sample.energies - np.array(explained))


def _scaled_to(potential: Potential, frames: PaddedFrames) -> Potential:
    """Start atomic energies on the scale of the data: the root mean square force times 1 Å."""
    if not potential.settings.learn_atomic_scales:
        return potential
    scale = float(np.sqrt(np.mean(np.asarray(frames.forces)[np.asarray(frames.atom_mask)] ** 2)))
    network = potential.network
    scales = network.energy.scales
    assert scales is not None
    with precision(potential.dtype):
        scales[...] = jnp.full_like(scales[...], scale)
        return replace(potential, parameters=nnx.split(network)[1])


def _identity(run: _Run, train_data: Dataset, valid_data: Dataset) -> dict[str, Any]:
    return {
        "model settings": run.begin.settings.to_dict(),
        "training settings": run.settings.to_dict(),
        "training data": checksum(train_data.energies, *train_data.positions),
        "validation data": checksum(valid_data.energies, *valid_data.positions),
        "starting weights": checksum(*flat_parameters(run.begin.parameters).values()),
        "precision": run.begin.dtype,
    }


def _epochs(run: _Run, keeper: Checkpoints | None) -> Generator[EpochReport]:
    settings, dtype = run.settings, run.begin.dtype
    with precision(dtype):
        weights, _ = ravel_pytree(run.begin.parameters)
        devices = devices_for(settings.batch_size)
        functions = training_functions(run.begin.settings, settings, dtype, devices)
        state, best, train_frames, watched = place((functions.init(weights), weights, run.train, run.watched), devices)
    progress = TrainingProgress(0, 0.0, float("inf"), 0, [])
    if keeper is not None:
        with precision(dtype):
            found = keeper.restore(lambda: (state, best))
        if found is not None:
            state, best, progress = found
    with precision(dtype):  # before the clock starts
        rows, parts = _evaluation_batches(run)
        train_epoch = functions.epoch.lower(state, train_frames, *_plan(run, progress, 0.0)).compile()
        evaluate = functions.evaluate.lower(state.average, watched, *rows).compile()

    def again(weights):
        """Training begins anew with these."""
        with precision(dtype):
            return place(functions.init(jnp.array(taken_home(weights))), devices)

    saved, last_seconds = time.monotonic(), 0.0
    while not _finished(settings, progress):
        started = time.monotonic()  # what somebody did with the last report is not training
        order, rates = _plan(run, progress, last_seconds)
        with precision(dtype):
            state, losses = train_epoch(state, train_frames, order, rates)
            of_batches = jax.device_get(evaluate(state.average, watched, *rows))
        valid, train = (_summed(of_batches, mine) for mine in parts)
        train_loss, valid_loss = float(np.mean(losses)), float(loss_of(valid, settings))
        last_seconds = time.monotonic() - started
        lost = _is_lost(train_loss, valid_loss, progress)
        if not np.isfinite(train_loss + valid_loss):
            if not lost:
                raise _not_finite(progress.epoch + 1, np.asarray(losses), settings)
            seconds = progress.seconds + last_seconds  # the epoch is done once more
            progress = progress._replace(seconds=seconds, setbacks=progress.setbacks + 1)
            state = again(best)
            continue
        if valid_loss < progress.best_loss:
            with precision(dtype):  # a copy, which is not given away with the state
                best = jnp.array(state.average)
        progress = _advanced(run, progress, last_seconds, train_loss, valid_loss, valid, train, float(rates[-1]))
        if lost:
            progress, state = progress._replace(setbacks=progress.setbacks + 1), again(best)
        done = _finished(settings, progress)
        if keeper is not None and (done or time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS):
            with precision(dtype):
                keeper.save(Checkpoint(state, best, progress))
            saved = time.monotonic()
        yield EpochReport(**progress.history[-1], best=_potential(run, functions.unravel, best, progress))


def _plan(run: _Run, progress: TrainingProgress, last_seconds: float):
    """Which frames each step of the next epoch sees, and its learning rates."""
    settings, steps = run.settings, run.steps_per_epoch
    first = progress.epoch * steps
    before = _share(settings, progress.epoch, progress.seconds)
    after = _share(settings, progress.epoch + 1, progress.seconds + last_seconds)
    rates = learning_rates(settings, before, after, first, steps) * 0.5**progress.setbacks
    order = batch_order(len(run.train.energies), settings.batch_size, first, steps, settings.seed)
    return order, rates.astype(run.begin.dtype)


def _advanced(
    run: _Run,
    progress: TrainingProgress,
    last_seconds: float,
    train_loss: float,
    valid_loss: float,
    valid: Errors,
    train: Errors,
    rate: float,
) -> TrainingProgress:
    """Progress after one more epoch, with its row of numbers."""
    epoch, improved, seconds = progress.epoch + 1, valid_loss < progress.best_loss, progress.seconds + last_seconds
    row: dict[str, Any] = {
        "epoch": epoch,
        "steps": epoch * run.steps_per_epoch,
        "seconds": seconds,
        "progress": _share(run.settings, epoch, seconds),
        "train_loss": train_loss,
        "valid_loss": valid_loss,
        "train_energy_mae_meV": 1000.0 * float(train.energy_absolute / train.frames),
        "valid_energy_mae_meV": 1000.0 * float(valid.energy_absolute / valid.frames),
        "train_force_mae_meV_A": 1000.0 * float(train.force_absolute / train.components),
        "valid_force_mae_meV_A": 1000.0 * float(valid.force_absolute / valid.components),
        "element_force_mae_meV_A": _element_errors(train, valid),
        "learning_rate": rate,
        "improved": improved,
        "setbacks": progress.setbacks,
    }
    for name, errors in (("train", train), ("valid", valid)):
        if errors.stresses:
            row[f"{name}_stress_mae_GPa"] = float(errors.stress_absolute / errors.stresses / units.GPa)
    best = (valid_loss, epoch) if improved else (progress.best_loss, progress.best_epoch)
    return TrainingProgress(epoch, seconds, *best, [*progress.history, row], progress.setbacks)


def _summed(of_batches: Errors, mine: slice) -> Errors:
    return Errors(*(rows[mine].sum(axis=0) for rows in of_batches))


def _element_errors(train: Errors, valid: Errors) -> dict[str, tuple[float, float]]:
    """Force MAE (meV/Å) of each element that occurs in both parts."""
    both = np.flatnonzero((np.asarray(train.element_components) > 0) & (np.asarray(valid.element_components) > 0))
    means = [1000.0 * part.element_absolute[both] / part.element_components[both] for part in (train, valid)]
    return {chemical_symbols[z]: (float(t), float(v)) for z, t, v in zip(both, *means, strict=True)}


def _potential(run: _Run, unravel, weights, progress: TrainingProgress) -> Potential:
    best = progress.history[progress.best_epoch - 1]
    metadata = {
        **run.metadata,
        "epoch": progress.best_epoch,
        "epochs_run": progress.epoch,
        "seconds": round(progress.seconds, 1),
        "valid_energy_mae_meV": best["valid_energy_mae_meV"],
        "valid_force_mae_meV_A": best["valid_force_mae_meV_A"],
    }
    with precision(run.begin.dtype):
        return replace(run.begin, parameters=unravel(taken_home(weights)), metadata=metadata)


def _evaluation_batches(run: _Run) -> tuple[tuple[np.ndarray, np.ndarray], tuple[slice, slice]]:
    """The watched frames in batches of one size, the last of each part filled with frames that do not count; and which
    batches are for validation, which for training."""
    count = len(run.watched.energies)
    size = min(EVALUATION_BATCH, count)
    order, counted = [], []
    for first, stop in ((0, run.valid_count), (run.valid_count, count)):
        places = first + np.arange(-(-(stop - first) // size) * size)
        order.append((places % count).astype(np.int32).reshape(-1, size))
        counted.append((places < stop).astype(run.watched.energies.dtype).reshape(-1, size))
    valid = len(order[0])
    return (np.concatenate(order), np.concatenate(counted)), (slice(0, valid), slice(valid, None))


def _share(settings: TrainingSettings, epoch: int, seconds: float) -> float:
    """How much of the run is done."""
    share = epoch / settings.epochs if settings.epochs else seconds / (60.0 * (settings.minutes or 1.0))
    return min(1.0, share)


def _finished(settings: TrainingSettings, progress: TrainingProgress) -> bool:
    if settings.patience_epochs and progress.epoch - progress.best_epoch >= settings.patience_epochs:
        return True
    return _share(settings, progress.epoch, progress.seconds) >= 1.0


def learning_rates(
    settings: TrainingSettings, before: float, after: float, first_step: int, steps: int
) -> Float[np.ndarray, " steps"]:
    """Learning rate of each step of an epoch: linear warm-up times a cosine over the share of the run."""
    share = np.linspace(before, after, steps, endpoint=False)
    peak, final = settings.learning_rate, settings.final_learning_rate
    decayed = final + 0.5 * (peak - final) * (1.0 + np.cos(np.pi * share))
    number = first_step + np.arange(steps)
    return decayed * np.minimum(1.0, (number + 1.0) / max(settings.warmup_steps, 1))


def _is_lost(train_loss: float, valid_loss: float, progress: TrainingProgress) -> bool:
    """Whether an epoch has lost what had been learned before, and the run may go back to it."""
    bad = not np.isfinite(train_loss) or not valid_loss <= LOST * progress.best_loss
    return bad and progress.best_epoch > 0 and progress.setbacks < MOST_SETBACKS


def _not_finite(epoch: int, losses: np.ndarray, settings: TrainingSettings) -> FloatingPointError:
    bad = np.flatnonzero(~np.isfinite(losses))
    where = f"step {bad[0] + 1} of epoch {epoch}" if len(bad) else f"the validation after epoch {epoch}"
    return FloatingPointError(
        f"the loss stopped being a finite number at {where}; the best weights so far are kept. "
        f"Try a learning_rate below {settings.learning_rate}, a smaller gradient_clip, or look for wrong labels"
    )
