"""How many evaluations a relaxation takes, and how much time beside them, against ASE's BFGS and Sella.

python -m tests.benchmarks.relaxation [--molecules ala3 dha] [--starts 500K 1000K rdkit] [--count 20]
                                      [--optimizers so3lab bfgs sella] [--out table.csv]

Ac-Ala3-NHMe with the bundled model, DHA with SO3LR, float32, one process. Starts are snapshots of Langevin dynamics, or
conformers of RDKit, relaxed by MMFF; the same for all optimisers, to a largest force of 0.01 eV/Å. Ours relaxes them in
batches and stops at its predicted gain too; the others, one by one, at the force alone. Sella runs where it is
installed: at order 0, in internal coordinates. ``drop`` is the energy that is lost when ours continues from each end to
0.001 eV/Å. Seconds are of the process's CPU time, without compilation; ``overhead`` is the share of them that is not
spent in the engine.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Sequence

import ase
import numpy as np
import pandas as pd
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import BFGS

import so3lab
from so3lab import dynamics
from so3lab.doctor.prepare import prepare_process
from so3lab.minimize import evaluators, minimize, relaxation
from so3lab.potential import Potential
from so3lab.structures import from_smiles

MOLECULES = {
    "ala3": ("ala3", "CC(=O)N[C@@H](C)C(=O)N[C@@H](C)C(=O)N[C@@H](C)C(=O)NC"),
    "dha": ("so3lr", "CC" + "/C=C\\C" * 6 + "CC(=O)O"),
}
"""Model and SMILES of each."""
MAX_FORCE, TIGHT_FORCE = 0.01, 0.001
MOST_STEPS = 2000
STEPS_BEFORE, STEPS_BETWEEN = 4000, 2000  # of half a femtosecond


def snapshots(potential: Potential, atoms: ase.Atoms, temperature_K: float, count: int) -> list[ase.Atoms]:
    """Structures of a Langevin run, a picosecond apart."""
    control = dynamics.Control(temperature_K=temperature_K, timestep_fs=0.5, friction_per_ps=10.0)
    steps = STEPS_BEFORE + count * STEPS_BETWEEN
    found: list[ase.Atoms] = []
    for chunk in dynamics.run(potential, atoms, steps=steps, control=control, interval=STEPS_BETWEEN, seed=1):
        found += [ase.Atoms(atoms.numbers, positions) for positions in chunk.positions]
    return found[-count:]


def starts_of(molecule: str, kind: str, count: int) -> tuple[Potential, list[ase.Atoms]]:
    """The model of a molecule and where its relaxations begin."""
    model, smiles = MOLECULES[molecule]
    potential = so3lab.load(model)
    if kind == "rdkit":
        return potential, [from_smiles(smiles, seed=seed) for seed in range(1, count + 1)]
    first = from_smiles(smiles)
    return potential, snapshots(potential, first, float(kind.removesuffix("K")), count)


class Counted(Calculator):
    """A calculator that counts its evaluations and their time."""

    implemented_properties = ("energy", "forces")

    def __init__(self, calculator: Calculator):
        super().__init__()
        self._calculator, self.evaluations, self.seconds = calculator, 0, 0.0

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        """Energy and forces by the other calculator."""
        super().calculate(atoms, properties, system_changes)
        now = self.atoms.copy()
        began = time.process_time()
        now.calc = self._calculator
        self.results = {"energy": now.get_potential_energy(), "forces": now.get_forces()}
        self.seconds += time.process_time() - began
        self.evaluations += 1


class Timed(evaluators.EngineEvaluator):
    """Ours, with the time that the engine takes."""

    seconds = 0.0

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energies and gradients."""
        began = time.process_time()
        found = super().__call__(rows)
        Timed.seconds += time.process_time() - began
        return found


def ours(potential: Potential, starts: Sequence[ase.Atoms]) -> tuple[list[ase.Atoms], list[int], float, float]:
    """Ends, evaluations (``MOST_STEPS`` where unconverged), CPU seconds in all and in the engine."""
    relaxation.EngineEvaluator = Timed  # type: ignore[misc]
    try:
        list(minimize(potential, starts, max_force=MAX_FORCE))  # compiles
        Timed.seconds, began = 0.0, time.process_time()
        found = sorted(minimize(potential, starts, max_force=MAX_FORCE), key=lambda one: one.number)
        seconds = time.process_time() - began
    finally:
        relaxation.EngineEvaluator = evaluators.EngineEvaluator  # type: ignore[misc]
    counts = [one.evaluations if one.converged else MOST_STEPS for one in found]
    return [one.atoms for one in found], counts, seconds, Timed.seconds


def one_by_one(
    potential: Potential, starts: Sequence[ase.Atoms], optimizer: Callable
) -> tuple[list[ase.Atoms], list[int], float, float]:
    """The same with an optimiser of ASE's kind."""
    calculator, ends, counts, engine = potential.calculator(), [], [], 0.0
    warm = starts[0].copy()
    warm.calc = calculator
    optimizer(warm).run(fmax=MAX_FORCE, steps=2)
    began = time.process_time()
    for start in starts:
        atoms = start.copy()
        atoms.calc = Counted(calculator)
        converged = optimizer(atoms).run(fmax=MAX_FORCE, steps=MOST_STEPS)
        counts.append(atoms.calc.evaluations if converged else MOST_STEPS)
        engine += atoms.calc.seconds
        ends.append(atoms)
    return ends, counts, time.process_time() - began, engine


def sella(atoms: ase.Atoms):
    """Sella's search for minima."""
    from sella import Sella

    return Sella(atoms, order=0, internal=True, logfile=None)


OPTIMIZERS: dict[str, Callable] = {
    "so3lab": ours,
    "bfgs": lambda potential, starts: one_by_one(potential, starts, lambda atoms: BFGS(atoms, logfile=None)),
    "sella": lambda potential, starts: one_by_one(potential, starts, sella),
}


def measure(molecule: str, kind: str, count: int, optimizers: Sequence[str]) -> pd.DataFrame:
    """A row for each optimiser."""
    potential, starts = starts_of(molecule, kind, count)
    rows = []
    for name in optimizers:
        ends, counts, seconds, engine = OPTIMIZERS[name](potential, starts)
        energies = np.array([atoms.get_potential_energy() for atoms in ends])
        plain = [ase.Atoms(atoms.numbers, atoms.positions) for atoms in ends]
        tight = minimize(potential, plain, max_force=TIGHT_FORCE, max_gain_meV=0.01)
        drops = 1e3 * np.array([energies[one.number] - one.energy for one in tight])
        rows.append(
            {
                "molecule": molecule, "starts": kind, "optimizer": name, "mean": np.mean(counts),
                "median": np.median(counts), "max": max(counts), "unconverged": sum(c >= MOST_STEPS for c in counts),
                "drop mean meV": drops.mean(), "drop max meV": drops.max(), "ms each": 1e3 * seconds / len(starts),
                "overhead": 1.0 - engine / seconds,
            }
        )  # fmt: skip
        print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1, float_format="%.3g"), flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecules", nargs="+", default=list(MOLECULES), choices=list(MOLECULES))
    parser.add_argument("--starts", nargs="+", default=["500K", "1000K", "rdkit"])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS), choices=list(OPTIMIZERS))
    parser.add_argument("--out", help="table as CSV")
    options = parser.parse_args()
    prepare_process()
    names = [name for name in options.optimizers if name != "sella" or importlib.util.find_spec("sella")]
    tables = [
        measure(molecule, kind, options.count, names) for molecule in options.molecules for kind in options.starts
    ]
    if options.out:
        pd.concat(tables).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
