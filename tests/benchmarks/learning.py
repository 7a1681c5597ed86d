"""How much is learnt in how many minutes: errors on test frames after trainings of several lengths.

python -m tests.benchmarks.learning [--set ethanol] [--minutes 1 5] [--preset small] [--out TABLE.csv]
                                    [--trainer mace_torch=PYTHON] ...

Sets: ethanol and aspirin (revised MD17, 950 + 50 frames), acac (acetylacetone, 450 + 50 frames at 300 K; test frames of
several temperatures are told apart). Frames come from ``shared/public_data`` beside the repository, those of revised
MD17 otherwise by so3lab's download, whose checksum is verified. Each length is a training of its own, as learning rates
follow the end; seconds of the processor stand beside those of the clock, for machines with other work.

``--trainer`` lets a program of ``trainers/`` learn from the same frames for the same minutes, each length after that of
so3lab, by an interpreter that has it (``pip install mace-torch`` in an environment of its own). What it predicts of the
test frames is judged here.
"""

import argparse
import json
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
import pandas as pd

from so3lab import datasets, units
from so3lab.doctor.prepare import prepare_process
from so3lab.network.settings import preset
from so3lab.training import TrainingSettings, evaluate, train

TRAINERS = Path(__file__).with_name("trainers")
BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "public_data"
VALID, TEST = 50, 1000


class Frames(NamedTuple):
    """A set to learn."""

    training: datasets.Dataset
    validation: datasets.Dataset
    tests: dict[str, datasets.Dataset]
    """By temperature, where there are several."""


def load(name: str) -> Frames:
    """A set by name.

    Raises:
        FileNotFoundError: If it can neither be found beside the repository nor downloaded.
        ValueError: If there is none of this name.
    """
    if name == "acac":
        path = BESIDE / "acac_pbe_d3.npz"
        if not path.exists():
            raise FileNotFoundError(f"acac is not among the sets that so3lab downloads, and {path} does not exist")
        data, split = datasets.load(path, energy_unit="eV"), np.load(path, allow_pickle=False)["split"]
        cool = np.flatnonzero(split == "train_300K")
        tests = {kelvin: data.select(np.flatnonzero(split == f"test_{kelvin}")) for kelvin in ("300K", "600K")}
        return Frames(data.select(cool[:-VALID]), data.select(cool[-VALID:]), tests)
    if name not in ("ethanol", "aspirin"):
        raise ValueError(f"--set must be ethanol, aspirin or acac, got {name!r}")
    path = BESIDE / f"{name}_pbe_rmd17.npz"
    if path.exists():
        data = datasets.load(path, energy_unit="eV")
        parts = np.arange(950), np.arange(950, 1000), np.arange(len(data) - TEST, len(data))
    else:
        data = datasets.load(f"rmd17-{name}")
        split = datasets.split(data, 950, VALID, TEST, seed=0)
        parts = split.train, split.valid, split.test
    training, validation, test = (data.select(part) for part in parts)
    return Frames(training, validation, {"test": test})


def learnt(frames: Frames, size: str, minutes: float, seed: int) -> list[dict[str, Any]]:
    """Rows of so3lab: a training of so many minutes with the settings that one gets."""
    before, settings = _processor_seconds(), TrainingSettings(minutes=minutes, seed=seed)
    *_, report = train(frames.training, frames.validation, preset(size), settings)
    spent = {"minutes": report.seconds / 60.0, "processor_s": _processor_seconds() - before, "steps": report.steps}
    found = {name: evaluate(report.best, data).summary.set_index("quantity") for name, data in frames.tests.items()}
    return [
        {"trainer": "so3lab", "test": name} | spent | {
            "force_mae_kcal_mol_A": table.loc["force (per Å)", "mae_kcal_mol"],
            "force_rmse_meV_A": table.loc["force (per Å)", "rmse_meV"],
            "energy_mae_kcal_mol": table.loc["energy", "mae_kcal_mol"],
        }
        for name, table in found.items()
    ]  # fmt: skip


def learnt_elsewhere(trainer: str, python: str, frames: Frames, minutes: float, seed: int) -> list[dict[str, Any]]:
    """Rows of another trainer; the mean of its energies is moved to that of the labels.

    Raises:
        subprocess.CalledProcessError: If it fails.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_frames(frames, folder)
        command = [python, str(TRAINERS / f"{trainer}.py"), str(folder), f"{minutes:g}", str(seed)]
        spent = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        predicted = {name: dict(np.load(folder / f"{name}.npz")) for name in frames.tests}
    rows = []
    for name, data in frames.tests.items():
        energy_error = predicted[name]["energies"] - data.energies
        energy_error -= energy_error.mean()
        force_error = predicted[name]["forces"].reshape(-1, 3) - np.concatenate(data.forces)
        rows.append({"trainer": trainer, "test": name} | spent | {
            "force_mae_kcal_mol_A": np.abs(force_error).mean() / units.kcal_per_mol,
            "force_rmse_meV_A": 1000.0 * np.sqrt(np.mean(force_error**2)),
            "energy_mae_kcal_mol": np.abs(energy_error).mean() / units.kcal_per_mol,
        })  # fmt: skip
    return rows


def write_frames(frames: Frames, folder: Path) -> None:
    """Training, validation and test frames as extended XYZ, energies (eV) and forces (eV/Å) where trainers look."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": frames.training, "valid": frames.validation, **frames.tests}
    for name, data in parts.items():
        labelled = data.to_atoms()
        for atoms, energy, forces in zip(labelled, data.energies, data.forces, strict=True):
            atoms.calc = None
            atoms.info["REF_energy"], atoms.arrays["REF_forces"] = float(energy), np.asarray(forces)
        ase.io.write(folder / f"{name}.xyz", labelled, format="extxyz")


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _trainer(text: str) -> tuple[str, str]:
    """A program of ``trainers/`` and its interpreter, from NAME=PYTHON."""
    name, _, python = text.partition("=")
    known = sorted(path.stem for path in TRAINERS.glob("*.py"))
    if name not in known or not python:
        raise argparse.ArgumentTypeError(f"--trainer must be one of {', '.join(known)} and =PYTHON, got {text!r}")
    return name, python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="ethanol", choices=("ethanol", "aspirin", "acac"))
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 5.0])
    parser.add_argument("--preset", default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trainer", type=_trainer, action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    prepare_process()
    frames = load(options.set)
    rows: list[dict[str, Any]] = []
    for minutes in options.minutes:
        rows += learnt(frames, options.preset, minutes, options.seed)
        for name, python in options.trainer:
            rows += learnt_elsewhere(name, python, frames, minutes, options.seed)
        print(pd.DataFrame(rows).to_string(index=False, float_format="%.4g"), flush=True)
        if options.out:
            pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
