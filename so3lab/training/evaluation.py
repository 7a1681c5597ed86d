"""How well a potential reproduces labelled frames: errors in total, per element and per structure."""

import functools
import warnings
from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd
from ase.data import chemical_symbols

from so3lab import datasets, units
from so3lab.datasets import Dataset
from so3lab.engine.energy_model import energy_and_forces, precision
from so3lab.network.pairwise.long_range import long_range_needs
from so3lab.network.settings import ModelSettings
from so3lab.potential.potential import Potential
from so3lab.training.batches import PaddedFrames, batch_graph, check_frames, frames_from
from so3lab.training.seen_frames import Parts, parts_of
from so3lab.training.step import batch_energy, check_long_range

_MEV = 1000.0
_KCAL = 1.0 / units.kcal_per_mol
BATCH = 16
OTHER_ZERO = 2.0
"""eV per atom between energies of a model and of data, which no wrong model of chemistry is away."""


@dataclass(frozen=True)
class Evaluation:
    """Tables of errors; energies in eV unless a column says otherwise, forces likewise."""

    summary: pd.DataFrame
    """One row per quantity (energy, energy per atom, forces, and stress where frames have one): MAE and RMSE in meV and
    kcal/mol (per Å, per Å³)."""
    elements: pd.DataFrame
    """One row per element: force MAE and RMSE."""
    structures: pd.DataFrame
    """One row per frame: its number in the set, its ``part`` (:class:`so3lab.training.seen_frames.Parts`), energies,
    energy error, force MAE, RMSE and largest error, and where frames have a stress its MAE in GPa."""
    forces: pd.DataFrame
    """One row per force component: frame, atom, element, axis, reference, predicted (eV/Å)."""
    note: str = ""
    """How many frames the model was trained on, or that this is not known, and whether energies count from different
    zeros; empty when all were held out and nothing stands against comparing energies."""

    def parity(self) -> pd.DataFrame:
        """Reference against prediction: columns kind, element, reference, predicted."""
        energies = pd.DataFrame(
            {
                "kind": "energy",
                "element": "",
                "reference": self.structures["reference_energy"],
                "predicted": self.structures["predicted_energy"],
            }
        )
        forces = self.forces[["element", "reference", "predicted"]].assign(kind="force")
        return pd.concat([energies, forces], ignore_index=True)


class TrainedOnWarning(UserWarning):
    """Frames of an evaluation had a part in training."""


def evaluate(
    potential: Potential, dataset: Dataset, *, trained_on_too: bool = False, at_most: int | None = None
) -> Evaluation:
    """Errors of a potential on labelled frames that it was not trained on.

    Frames that had a part in training, as the potential's metadata tell, are left out with a warning; where there are
    no others, they are evaluated, with a warning that says so.

    Args:
        potential: The potential; energies are compared relative to its element shifts.
        dataset: Frames with reference energies and forces.
        trained_on_too: Whether to evaluate all frames, those of training included.
        at_most: Evaluate no more than so many of these frames, spread evenly over the set.

    Raises:
        ValueError: If ``at_most`` is less than 1, a frame is one that the potential can say nothing about, such as
            another element or a radical, or labels contradict each other (:func:`so3lab.datasets.check_labels`).
    """
    if at_most is not None and at_most < 1:
        raise ValueError(f"at_most must be at least 1 frame, got {at_most}")
    datasets.check_labels(dataset)
    check_frames(potential, dataset, "frame")
    parts = parts_of(potential, dataset)
    some = parts.held_out.any() and not trained_on_too
    chosen = np.flatnonzero(parts.held_out if some else np.ones(len(dataset), bool))
    note = _note(parts, len(chosen))
    if (parts.of_frames != "unknown").all() and not parts.held_out.all():
        warnings.warn(note, TrainedOnWarning, stacklevel=2)
    if at_most is not None and at_most < len(chosen):
        note = "; ".join(filter(None, (note, f"{at_most} of {len(chosen)} frames, spread evenly")))
        chosen = chosen[np.linspace(0, len(chosen) - 1, at_most).astype(int)]
    data = dataset if len(chosen) == len(dataset) else dataset.select(chosen)
    energies, forces, stresses = _predictions(potential, data)
    note = "; ".join(filter(None, (note, _about_zeros(data, energies))))
    return tabulated(data, energies, forces, chosen, parts.of_frames[chosen], note, stresses)


def tabulated(
    dataset: Dataset,
    energies: np.ndarray,
    forces: np.ndarray,
    numbers: np.ndarray,
    parts: np.ndarray,
    note: str = "",
    stresses: np.ndarray | None = None,
) -> Evaluation:
    """The tables of an evaluation.

    Args:
        dataset: The frames that were evaluated.
        energies: Predicted, eV, shape ``(frames,)``.
        forces: Predicted, eV/Å, shape ``(frames, atoms of the largest, 3)``.
        numbers: Of the frames in the set that they are from.
        parts: Which part each had in training (:class:`so3lab.training.seen_frames.Parts`).
        note: What is to be known about the frames.
        stresses: Predicted, eV/Å³, shape ``(frames, 3, 3)``, where the set has some.
    """
    components = _components(dataset, forces)
    structures = _per_structure(dataset, energies, components)
    structures["frame"], components["frame"] = numbers[structures["frame"]], numbers[components["frame"]]
    structures.insert(1, "part", parts.tolist())
    summary = _summary(structures, components)
    if stresses is not None and dataset.stresses is not None:
        error = stresses - dataset.stresses
        structures["stress_mae_GPa"] = np.abs(error).mean(axis=(1, 2)) / units.GPa
        entries = pd.Series(error[np.isfinite(error).all(axis=(1, 2))].ravel())
        summary = pd.concat([summary, pd.DataFrame([_row("stress (per Å³)", entries)])], ignore_index=True)
    return Evaluation(summary, _per_element(components), structures, components, note)


def _note(parts: Parts, evaluated: int) -> str:
    """What is to be known about the frames of an evaluation."""
    seen = int(np.isin(parts.of_frames, ("train", "valid")).sum())
    words = [parts.note] if parts.note else []
    if seen and evaluated < len(parts.of_frames):
        words.insert(0, f"{seen} of {len(parts.of_frames)} frames had a part in training and are left out")
    elif seen:
        words.insert(
            0, f"{seen} of the {evaluated} evaluated frames had a part in training: this is no test of the model"
        )
    return "; ".join(words)


def _about_zeros(dataset: Dataset, energies: np.ndarray) -> str:
    """Whether model and set seem to count energies from different zeros, such as separate atoms and electrons."""
    away = float(np.median((energies - dataset.energies) / dataset.sizes))
    if abs(away) < OTHER_ZERO:
        return ""
    return (
        f"predicted energies lie {abs(away):.4g} eV per atom {'above' if away > 0 else 'below'} the reference: model "
        "and data count from different zeros, so errors of energies say nothing here"
    )


def _predictions(potential: Potential, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Total energies (frames,), forces (frames, atoms, 3) and, of a set with some, stresses (frames, 3, 3), float64."""
    shifts = potential.energy_shifts or dict.fromkeys(dataset.elements, 0.0)
    check_long_range(potential.settings, BATCH, dataset)
    needs = long_range_needs(potential.settings)
    frames = frames_from(dataset, shifts, potential.settings.cutoff, potential.dtype, needs)
    energies, forces, strain_gradients = _predict_all(potential, frames)
    offset = np.asarray(dataset.energies) - np.asarray(frames.energies, np.float64)
    if strain_gradients is None or frames.cells is None:
        return energies + offset, forces, None
    volumes = np.abs(np.linalg.det(np.asarray(frames.cells, np.float64)))
    return energies + offset, forces, strain_gradients / volumes[:, None, None]


@functools.partial(jax.jit, static_argnames="settings")
def _predict_batches(settings: ModelSettings, parameters, frames: PaddedFrames, order):
    energy = batch_energy(settings)

    def one(indices):
        chosen = jax.tree.map(lambda array: array[indices], frames)
        with_strain = frames.stresses is not None
        prediction = energy_and_forces(energy, parameters, batch_graph(chosen), with_strain=with_strain)
        return prediction.energies, prediction.forces.reshape(chosen.forces.shape), prediction.strain_gradient

    return jax.lax.map(one, order)


def _predict_all(potential: Potential, frames: PaddedFrames) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Energies (frames,) relative to shifts, forces (frames, atoms, 3) and gradients with respect to a strain (frames,
    3, 3), float64."""
    count = len(frames.energies)
    size = min(BATCH, count)
    order = (np.arange(-(-count // size) * size) % count).reshape(-1, size).astype(np.int32)
    with precision(potential.dtype):
        found = _predict_batches(potential.settings, potential.parameters, frames, order)
    energies, forces, strains = (
        None if part is None else np.asarray(part, np.float64).reshape(-1, *part.shape[2:])[:count] for part in found
    )
    assert energies is not None
    assert forces is not None
    return energies, forces, strains


def _components(dataset: Dataset, predicted: np.ndarray) -> pd.DataFrame:
    sizes = np.array([len(numbers) for numbers in dataset.numbers])
    numbers = np.concatenate(dataset.numbers)
    symbols = np.array(chemical_symbols)[numbers]
    return pd.DataFrame(
        {
            "frame": np.repeat(np.arange(len(dataset)), 3 * sizes),
            "atom": np.repeat(np.concatenate([np.arange(size) for size in sizes]), 3),
            "element": np.repeat(symbols, 3),
            "axis": np.tile(list("xyz"), sizes.sum()),
            "reference": np.concatenate(dataset.forces).ravel(),
            "predicted": np.concatenate([row[:n] for row, n in zip(predicted, sizes, strict=True)]).ravel(),
        }
    )


def _per_structure(dataset: Dataset, predicted: np.ndarray, components: pd.DataFrame) -> pd.DataFrame:
    reference = np.asarray(dataset.energies)
    atoms = np.array([len(numbers) for numbers in dataset.numbers])
    error = (components["predicted"] - components["reference"]).groupby(components["frame"])
    mae, rmse = error.apply(_mae), error.apply(_rmse)
    return pd.DataFrame(
        {
            "frame": np.arange(len(dataset)),
            "atoms": atoms,
            "reference_energy": reference,
            "predicted_energy": predicted,
            "energy_error_meV": _MEV * (predicted - reference),
            "energy_error_kcal_mol": _KCAL * (predicted - reference),
            "force_mae_meV_A": _MEV * mae.to_numpy(),
            "force_rmse_meV_A": _MEV * rmse.to_numpy(),
            "force_mae_kcal_mol_A": _KCAL * mae.to_numpy(),
            "largest_force_error_meV_A": _MEV * error.apply(lambda e: e.abs().max()).to_numpy(),
        }
    )


def _per_element(components: pd.DataFrame) -> pd.DataFrame:
    error = components["predicted"] - components["reference"]
    rows = [_row(symbol, error[components["element"] == symbol]) for symbol in components["element"].unique()]
    return (
        pd.DataFrame(rows)
        .rename(columns={"quantity": "element", "mae_meV": "force_mae_meV_A"})
        .rename(columns={"rmse_meV": "force_rmse_meV_A", "mae_kcal_mol": "force_mae_kcal_mol_A"})
        .rename(columns={"rmse_kcal_mol": "force_rmse_kcal_mol_A"})
    )


def _summary(structures: pd.DataFrame, components: pd.DataFrame) -> pd.DataFrame:
    energy = structures["predicted_energy"] - structures["reference_energy"]
    forces = components["predicted"] - components["reference"]
    rows = [
        _row("energy", energy),
        _row("energy per atom", energy / structures["atoms"]),
        _row("force (per Å)", forces),
    ]
    return pd.DataFrame(rows)


def _row(quantity: str, errors: pd.Series) -> dict[str, object]:
    return {
        "quantity": quantity,
        "count": len(errors),
        "mae_meV": _MEV * _mae(errors),
        "rmse_meV": _MEV * _rmse(errors),
        "mae_kcal_mol": _KCAL * _mae(errors),
        "rmse_kcal_mol": _KCAL * _rmse(errors),
    }


def _mae(errors: pd.Series) -> float:
    return float(errors.abs().mean())


def _rmse(errors: pd.Series) -> float:
    return float(np.sqrt((errors**2).mean()))
