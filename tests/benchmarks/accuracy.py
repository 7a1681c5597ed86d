"""How accurate a preset becomes in a given time: revised MD17 ethanol, 950 + 50 frames, 1,000 test frames.

python -m tests.benchmarks.accuracy [--minutes 5] [--preset small] [--data FILE.npz] [--out CURVE.csv]

FILE holds training frames first and 1,000 test frames last (default: the file beside the repository if there is
one, otherwise rMD17 is downloaded and its first split used).
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from so3lab import datasets
from so3lab.doctor.prepare import prepare_process
from so3lab.network.settings import preset
from so3lab.training import TrainingSettings, evaluate, train

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "public_data" / "ethanol_pbe_rmd17.npz"
TRAIN, VALID, TEST = 950, 50, 1000


def load(path: Path | None) -> tuple[datasets.Dataset, datasets.Dataset, datasets.Dataset]:
    """Training, validation and test frames."""
    if path is None and BESIDE.exists():
        path = BESIDE
    data = datasets.load(path, energy_unit="eV") if path else datasets.load("rmd17-ethanol")
    last = len(data)
    parts = (slice(0, TRAIN), slice(TRAIN, TRAIN + VALID), slice(last - TEST, last))
    if path is None:  # consecutive published frames: take them evenly
        split = datasets.split(data, TRAIN, VALID, TEST, seed=0)
        return tuple(data.select(part) for part in split)  # type: ignore[return-value]
    return tuple(data.select(np.arange(last)[part]) for part in parts)  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    prepare_process()
    training, validation, test = load(options.data)
    settings = TrainingSettings(minutes=options.minutes, seed=options.seed)
    rows, shown = [], 0.0
    for report in train(training, validation, preset(options.preset), settings):
        rows.append(report.row())
        if report.seconds - shown > 6.0 * options.minutes or report.progress == 1.0:
            shown = report.seconds
            force = report.valid_force_mae_meV_A / 43.3641
            print(
                f"{report.seconds:7.0f} s  epoch {report.epoch:5d}  validation {force:.3f} kcal/mol/Å",
                flush=True,
            )
    print(f"compilation and first epoch {rows[0]['seconds']:.1f} s; {rows[-1]['steps']} steps")
    print(evaluate(report.best, test).summary.to_string(index=False))
    if options.out:
        pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
