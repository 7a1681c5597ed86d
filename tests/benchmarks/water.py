"""Liquid water with SO3LR: constant temperature at 300 K, stability, and where the first O-O peak lies.

python -m tests.benchmarks.water [--molecules 64] [--ps 20] [--out RUN.h5] [--resume]

The box starts as a lattice at 1 g/cm³; the first quarter of the run is left out of g(r).
"""

import argparse
from pathlib import Path

import numpy as np

import so3lab
from so3lab import dynamics, observables
from so3lab.doctor.prepare import prepare_process
from so3lab.trajectory import Trajectory
from tests.benchmarks.engine import water_box

TIMESTEP_FS, INTERVAL, TEMPERATURE_K, REPORT_PS = 0.5, 40, 300.0, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecules", type=int, default=64)
    parser.add_argument("--ps", type=float, default=20.0)
    parser.add_argument("--out", type=Path, default=Path("water.h5"))
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    prepare_process()
    atoms, shown = water_box(options.molecules), 0.0
    for chunk in dynamics.run(
        so3lab.load("so3lr"), atoms, steps=round(1000 * options.ps / TIMESTEP_FS), temperature_K=TEMPERATURE_K,
        timestep_fs=TIMESTEP_FS, friction_per_ps=5.0, interval=INTERVAL, out=options.out, resume=options.resume,
    ):  # fmt: skip
        if chunk.time_fs[-1] >= 1000 * (shown + REPORT_PS):
            shown = chunk.time_fs[-1] / 1000
            print(
                f"{shown:6.1f} ps  {chunk.temperature.mean():4.0f} K  {chunk.total_energy[-1]:.3f} eV",
                flush=True,
            )
    with Trajectory(options.out) as trajectory:
        positions, times = trajectory.positions(), trajectory.times_fs
        temperature = trajectory.table()["temperature"].to_numpy()
    settled = len(positions) // 4
    table = observables.stability(positions, atoms, times)
    g = observables.radial_distribution(positions[settled:], atoms, "O", "O")
    peak = g.loc[g["g"].idxmax()]
    print(
        f"{len(atoms)} atoms, {times[-1] / 1000:.1f} ps: mean temperature {temperature[settled:].mean():.0f} K, "
        f"largest bond deviation {table['largest_deviation_A'].max():.2f} Å, "
        f"first O-O peak at {peak['r']:.2f} Å, g = {peak['g']:.2f}"
    )
    print(g[np.isclose(g["r"] % 0.2, 0.025, atol=1e-6)].round(2).to_string(index=False))


if __name__ == "__main__":
    main()
