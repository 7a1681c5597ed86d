"""How many distinct minima are found in a minute, against ASE's minima hopping and against the usual recipe.

python -m tests.benchmarks.minima [--molecule ala3] [--methods so3lab hopping recipe] [--minutes 10] [--seed 0]
                                  [--out table.csv]

All have the same model, start, limit of forces and budget of time, one after another in one process; compiling comes
before the budget. ``hopping`` is ASE's ``MinimaHopping`` with its default settings, ``recipe`` relaxes conformers of
RDKit one by one with ASE's BFGS, both with our calculator. What they end at is judged alike afterwards: relaxed on to
0.001 eV/Å, which unites what had stopped on the way to one minimum, without bonds or stereocentres changed, and
distinct by the rule of searches, mirror images merged. Of hopping every relaxed structure counts, not only those that
it keeps itself.

python -m tests.benchmarks.minima --database 10000

How long a database with so many minima takes: a round of 32 more, opening, a table, and the lowest ten.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, suppress
from pathlib import Path

import ase
import ase.db
import ase.io
import numpy as np
import pandas as pd
from ase.calculators.calculator import all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize import BFGS
from ase.optimize.minimahopping import MinimaHopping

import so3lab
from so3lab.doctor.prepare import prepare_process
from so3lab.minima import DuplicateRule, MinimaDatabase, Minimum, Search, distinct
from so3lab.minima.judging import Compound
from so3lab.minimize import minimize
from so3lab.potential import Potential
from so3lab.structures import from_smiles
from tests.benchmarks.relaxation import MAX_FORCE, MOLECULES, MOST_STEPS, TIGHT_FORCE, Counted

MOLECULES = MOLECULES | {"ala2": ("ala2", "CC(=O)N[C@@H](C)C(=O)NC"), "ethanol": ("ethanol", "CCO")}
ROUND, TURNS = 32, 3
"""Proposals of a round when minima are searched, and rounds in which each proposer has had its turn."""


class TimeIsUpError(Exception):
    """Ends a method that knows no budget of time."""


class Limited(Counted):
    """A calculator that works until its time is up."""

    end = np.inf

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        """Energy and forces by the other calculator."""
        if time.monotonic() >= self.end:
            raise TimeIsUpError
        super().calculate(atoms, properties, system_changes)


Ends = list[ase.Atoms]


def ours(potential: Potential, smiles: str, minutes: float, seed: int) -> tuple[Ends, int, int]:
    """Minima, relaxations, and evaluations (unknown here: -1)."""
    search = Search(potential, from_smiles(smiles), smiles=smiles, seed=seed, max_force=MAX_FORCE)
    for _ in search.run(minutes=minutes):
        pass
    return [one.atoms for one in search.minima], search.ledger.proposals, -1


def hopping(potential: Potential, smiles: str, minutes: float, seed: int) -> tuple[Ends, int, int]:
    """Every structure that it has relaxed."""
    atoms = from_smiles(smiles)
    atoms.calc = Limited(potential.calculator())
    atoms.calc.end = time.monotonic() + 60.0 * minutes
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        hop = MinimaHopping(atoms, fmax=MAX_FORCE, rng=np.random.RandomState(seed))
        with suppress(TimeIsUpError):
            hop()
        runs = sorted(Path(folder).glob("qn*.traj"))
        ends = [ase.io.read(run) for run in runs if run.stat().st_size]
    done = [one for one in ends if np.linalg.norm(one.get_forces(), axis=1).max() <= MAX_FORCE]
    return done, len(runs), atoms.calc.evaluations


def recipe(potential: Potential, smiles: str, minutes: float, seed: int) -> tuple[Ends, int, int]:
    """Conformers of RDKit, relaxed one by one."""
    calculator, ends, tried = Limited(potential.calculator()), Ends(), 0
    calculator.end = time.monotonic() + 60.0 * minutes
    try:
        while True:
            tried += 1
            atoms = from_smiles(smiles, seed=1000 * seed + tried)
            atoms.calc = calculator
            if BFGS(atoms, logfile=None).run(fmax=MAX_FORCE, steps=MOST_STEPS):
                ends.append(atoms)
    except TimeIsUpError:
        return ends, tried, calculator.evaluations


METHODS: dict[str, Callable[[Potential, str, float, int], tuple[Ends, int, int]]] = {
    "so3lab": ours, "hopping": hopping, "recipe": recipe,
}  # fmt: skip


def count_distinct(potential: Potential, smiles: str, ends: Ends) -> int:
    """Minima among structures, of the compound that is meant."""
    if not ends:
        return 0
    compound = Compound(from_smiles(smiles), mirror_images=True)
    plain = [ase.Atoms(atoms.numbers, atoms.positions) for atoms in ends]
    tight = [one for one in minimize(potential, plain, max_force=TIGHT_FORCE, max_gain_meV=0.01) if one.converged]
    kept = [one for one in tight if not (compound.reaction(one.atoms) or compound.inversion(one.atoms))]
    stands_for = distinct([one.atoms for one in kept], [one.energy for one in kept], DuplicateRule())
    return len(np.unique(stands_for))


def compile_all(potential: Potential, smiles: str, seed: int) -> None:
    """Let every proposer have a turn, and the calculator two steps, before anything is timed."""
    for _ in Search(potential, from_smiles(smiles), smiles=smiles, seed=seed).run(proposals=TURNS * ROUND + 1):
        pass
    atoms = from_smiles(smiles)
    atoms.calc = potential.calculator()
    BFGS(atoms, logfile=None).run(fmax=MAX_FORCE, steps=2)


def measure(molecule: str, methods: list[str], minutes: float, seed: int) -> Iterator[dict[str, object]]:
    """A row for each method."""
    model, smiles = MOLECULES[molecule]
    potential = so3lab.load(model)
    compile_all(potential, smiles, seed + 1)
    for name in methods:
        began, cpu = time.monotonic(), time.process_time()
        ends, relaxations, evaluations = METHODS[name](potential, smiles, minutes, seed)
        wall, cpu = (time.monotonic() - began) / 60.0, (time.process_time() - cpu) / 60.0
        found = count_distinct(potential, smiles, ends)
        yield {
            "molecule": molecule, "method": name, "minutes": wall, "CPU minutes": cpu, "relaxations": relaxations,
            "evaluations": evaluations, "minima": found, "per minute": found / wall, "per CPU minute": found / cpu,
        }  # fmt: skip


def database_times(count: int) -> pd.DataFrame:
    """Seconds of what people do with a database of so many minima."""
    rng = np.random.default_rng(0)
    start = from_smiles(MOLECULES["ala2"][1])

    def some(first: int, number: int) -> list[Minimum]:
        made = []
        for k in range(first, first + number):
            atoms = start.copy()
            atoms.positions += rng.normal(0.0, 0.3, atoms.positions.shape)
            energy = float(rng.normal())
            atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((len(atoms), 3)))
            made.append(Minimum(k, atoms, energy, "torsions", None))
        return made

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many.db"
        database = MinimaDatabase(file)
        database.begin("search-a", start, {"model": "none", "rule": {}})
        database.commit("search-a", some(0, count), [], {})
        rows = []

        def timed(what: str, function: Callable[[], object]) -> None:
            began = time.perf_counter()
            function()
            rows.append({"minima": count, "what": what, "seconds": time.perf_counter() - began})

        new = some(count, ROUND)
        timed(f"commit {ROUND} more", lambda: database.commit("search-a", new, new[:0], {}))
        timed("open", lambda: MinimaDatabase(file).find("search-a"))
        timed("table", lambda: MinimaDatabase(file).table())
        timed("lowest ten", lambda: list(ase.db.connect(str(file)).select(kind="minimum", sort="energy", limit=10)))
        timed("all structures", lambda: list(MinimaDatabase(file).minima()))
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecule", default="ala3", choices=list(MOLECULES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--minutes", type=float, default=10.0, help="budget of each method")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", type=int, metavar="MINIMA", help="time a database of so many instead")
    parser.add_argument("--out", help="table as CSV")
    options = parser.parse_args()
    prepare_process()
    if options.database is not None:
        table = database_times(options.database)
        print(table.to_string(index=False, float_format="%.3g"))
    else:
        rows = []
        for row in measure(options.molecule, options.methods, options.minutes, options.seed):
            rows.append(row)
            print(pd.DataFrame([row]).to_string(index=False, header=len(rows) == 1, float_format="%.3g"), flush=True)
        table = pd.DataFrame(rows)
    if options.out:
        table.to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
