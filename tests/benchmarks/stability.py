"""Whether the bundled models survive long hot runs: Langevin dynamics at 500 K, and energy drift at constant energy.

python -m tests.benchmarks.stability [--ps 100] [--models ethanol ala2 ala3] [--seeds 1]

A run is stable when no bond differs from its mean length by more than 0.5 Å.
"""

import argparse
import time

import numpy as np

import so3lab
from so3lab import dynamics, observables
from so3lab.doctor.prepare import prepare_process
from so3lab.pretrained.loading import bundled_models
from so3lab.structures import read_structure

TIMESTEP_FS, INTERVAL, TEMPERATURE_K = 0.5, 100, 500.0


def langevin(name: str, ps: float, seed: int) -> dict[str, float]:
    """One run at 500 K: largest bond deviation, temperature, speed."""
    potential, atoms = so3lab.load(name), read_structure(name)
    started = time.monotonic()
    chunks = list(
        dynamics.run(
            potential,
            atoms,
            steps=int(1000 * ps / TIMESTEP_FS),
            temperature_K=TEMPERATURE_K,
            timestep_fs=TIMESTEP_FS,
            interval=INTERVAL,
            seed=seed,
        )
    )
    seconds = time.monotonic() - started
    positions = np.concatenate([chunk.positions for chunk in chunks])
    times = np.concatenate([chunk.time_fs for chunk in chunks])
    table = observables.stability(positions, atoms, times)
    return {
        "largest bond deviation (Å)": table["largest_deviation_A"].max(),
        "unstable bonds": int(table["unstable_at_fs"].notna().sum()),
        "mean temperature (K)": float(np.mean(np.concatenate([chunk.temperature for chunk in chunks])[50:])),
        "ms per step": 1e3 * seconds / (1000 * ps / TIMESTEP_FS),
    }


def drift(name: str, ps: float = 4.0) -> float:
    """Relative drift of the total energy per ps at constant energy in float64, start at 300 K."""
    chunks = list(
        dynamics.run(
            so3lab.load(name, "float64"),
            read_structure(name),
            steps=int(1000 * ps / TIMESTEP_FS),
            ensemble="nve",
            temperature_K=300.0,
            timestep_fs=TIMESTEP_FS,
        )
    )
    times = np.concatenate([chunk.time_fs for chunk in chunks])
    energy = np.concatenate([chunk.total_energy for chunk in chunks])
    kinetic = np.concatenate([chunk.kinetic_energy for chunk in chunks])
    return abs(observables.energy_drift(times, energy)) / float(kinetic.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ps", type=float, default=100.0)
    parser.add_argument("--models", nargs="+", default=sorted(bundled_models()))
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    prepare_process()
    for name in options.models:
        for seed in range(options.seeds):
            found = langevin(name, options.ps, seed)
            print(
                f"{name} seed {seed}: " + ", ".join(f"{key} {value:.3g}" for key, value in found.items()),
                flush=True,
            )
        print(f"{name}: NVE drift {drift(name):.1e} of the kinetic energy per ps", flush=True)


if __name__ == "__main__":
    main()
