"""What truncated electrostatics do to the forces of SO3LR: the figure in the README, and its numbers.

python -m tests.benchmarks.electrostatics [--out docs/electrostatics_modes.svg]

One water molecule and a box of 64, against the same charges without truncation (the Ewald sum in the box).
"""

import argparse
from pathlib import Path

import pandas as pd
from ase.build import molecule
from matplotlib import rc_context
from matplotlib.figure import Figure

import so3lab
from so3lab.electrostatics import truncation_errors
from tests.benchmarks.engine import water_box

CUTOFFS = (6, 7, 8, 10, 12, 15, 18, 21, 24)
LABELS = {"compat": "compat: as published", "wolf": "wolf: with its self term"}
COLOURS = {"compat": "#c2410c", "wolf": "#0369a1"}
NO_ERROR = 1e-5
"""eV/Å; below is rounding in float32."""


def errors() -> pd.DataFrame:
    """Force errors by structure, mode and cutoff."""
    potential = so3lab.load("so3lr")
    structures = {"one water molecule": molecule("H2O"), "64 water molecules in a cell": water_box(64)}
    return pd.concat(
        truncation_errors(potential, atoms, CUTOFFS).assign(structure=name) for name, atoms in structures.items()
    )


def figure(table: pd.DataFrame) -> Figure:
    """A panel for each structure, with logarithmic errors."""
    drawing = Figure(figsize=(8.6, 3.2), layout="constrained")
    panels = drawing.subplots(1, 2, sharey=True)
    for panel, (name, rows) in zip(panels, table.groupby("structure", sort=False), strict=True):
        for mode, curve in rows.groupby("mode"):
            seen = curve[curve["force_rms_error_eV_A"] > NO_ERROR]
            panel.plot(
                seen["cutoff_A"],
                seen["force_rms_error_eV_A"],
                "o-",
                markersize=4,
                color=COLOURS[mode],
                label=LABELS[mode],
            )
        panel.set(title=name, xlabel="cutoff (Å)", yscale="log", xticks=range(6, 25, 3), ylim=(3e-3, 1.0))
        if not (rows["force_rms_error_eV_A"][rows["mode"] == "wolf"] > NO_ERROR).any():
            panel.text(6, 4e-3, "wolf: no error", color=COLOURS["wolf"])
        panel.grid(True, which="major", color="#e5e7eb")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("error of forces, rms (eV/Å)")
    panels[1].legend(frameon=False)
    return drawing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    table = errors()
    print(
        table.pivot_table(index=["structure", "mode"], columns="cutoff_A", values="force_rms_error_eV_A").to_string(
            float_format="%.1e"
        )
    )
    if options.out:
        with rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "so3lab"}):
            figure(table).savefig(options.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
