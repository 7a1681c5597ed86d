"""MACE's own trainer, as its documentation advises for a small molecule: ``mace_run_train`` in PyTorch.

python mace_torch.py FOLDER MINUTES SEED

FOLDER holds ``train.xyz``, ``valid.xyz`` and test sets; ``PREDICTED.npz`` beside each test set gets energies (eV) and
forces (eV/Å). 64 channels, L = 1, a cutoff of 5 Å, batches of five, AMSGrad at 0.01, averaged weights, and the second
stage, with energies foremost, for the last quarter of the epochs, of which there are as many as the minutes allow; how
many that is, a short run tells before, which counts as compiling and is not part of the budget.
"""

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import torch
from mace.calculators import MACECalculator
from mace.cli.run_train import run
from mace.tools import build_default_arg_parser

TRIED = 60
"""Frames of the run that tells how long an epoch takes."""


def train(folder: Path, frames: Path, epochs: int, seed: int, name: str) -> Path:
    """Train; returns the file of the model."""
    stage_two = ["--swa", f"--start_swa={max(1, round(0.75 * epochs))}"] if epochs > 3 else []
    arguments = [
        f"--name={name}", f"--work_dir={folder}", f"--train_file={frames}", f"--valid_file={folder / 'valid.xyz'}",
        "--E0s=average", "--model=MACE", "--num_channels=64", "--max_L=1", "--r_max=5.0", "--batch_size=5",
        "--valid_batch_size=25", "--lr=0.01", "--ema", "--ema_decay=0.99", "--amsgrad", "--default_dtype=float32",
        "--device=cpu", f"--max_num_epochs={epochs}", f"--seed={seed}", *stage_two,
    ]  # fmt: skip
    run(build_default_arg_parser().parse_args(arguments))
    return folder / f"{name}{'_stagetwo' if stage_two else ''}.model"


def main() -> None:
    folder, minutes, seed = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    answers, sys.stdout = sys.stdout, sys.stderr  # MACE prints, too
    took: list[float] = []
    epochs_of_mace = importlib.import_module("mace.tools.train")  # beside it, mace.tools has a function of that name
    one_epoch = epochs_of_mace.train_one_epoch

    def timed(*arguments, **named):
        started = time.monotonic()
        one_epoch(*arguments, **named)
        took.append(time.monotonic() - started)

    epochs_of_mace.train_one_epoch = timed
    frames = ase.io.read(folder / "train.xyz", index=":")
    ase.io.write(folder / "tried.xyz", frames[:TRIED], format="extxyz")
    train(folder, folder / "tried.xyz", 2, seed, "tried")
    epochs = max(1, round(60.0 * minutes / (took[-1] * len(frames) / min(TRIED, len(frames)))))
    took.clear()
    before = resource.getrusage(resource.RUSAGE_SELF)
    model = train(folder, folder / "train.xyz", epochs, seed, f"minutes-{minutes:g}")
    after = resource.getrusage(resource.RUSAGE_SELF)
    calculator = MACECalculator(model_paths=str(model), device="cpu", default_dtype="float32")
    tests = [path for path in sorted(folder.glob("*.xyz")) if path.stem not in ("train", "valid", "tried")]
    for path in tests:
        energies, forces = [], []
        for atoms in ase.io.read(path, index=":"):
            atoms.calc = calculator
            energies.append(atoms.get_potential_energy())
            forces.append(atoms.get_forces())
        np.savez(path.with_suffix(".npz"), energies=np.array(energies), forces=np.array(forces))
    spent = {
        "minutes": sum(took) / 60.0, "steps": epochs * -(-len(frames) // 5),
        "processor_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }  # fmt: skip
    print(json.dumps(spent), file=answers)


if __name__ == "__main__":
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0))))
    main()
